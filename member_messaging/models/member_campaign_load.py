from odoo import api, fields, models
from odoo.tools import SQL


class MemberCampaignLoad(models.Model):
    """What a campaign has used so far. One row per campaign.

    Apart from the campaign, as ``member.gateway.load`` is apart from the gateway, so
    that senders and people do not wait for one another.
    """

    _name = "member.campaign.load"
    _description = "Campaign Load"
    _rec_name = "campaign_id"
    _log_access = False

    campaign_id = fields.Many2one("member.campaign", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="campaign_id.company_id")
    cost = fields.Float(
        string="Amount Spent",
        digits=(16, 4),
        default=0,
        help="What has left, and what is being sent.",
    )
    trial_size = fields.Integer(string="Trial Batch", default=0)
    trial_count = fields.Integer(
        string="Left of the Trial Batch",
        default=0,
        help="Messages of the trial batch that have left or are being sent.",
    )
    trial_date = fields.Datetime(string="Trial Batch Complete")
    trial_state = fields.Selection(
        [
            ("sending", "Being Sent"),
            ("waiting", "Waits for Reports"),
            ("passed", "Passed"),
            ("stopped", "Stopped"),
        ],
        string="Trial",
    )

    _campaign_uniq = models.Constraint(
        "UNIQUE (campaign_id)", "A campaign has one row of this kind."
    )

    @api.model
    def _create_missing(self):
        """Every campaign has its row, whenever it was made."""
        self.env.flush_all()
        self.env.cr.execute(
            """
            INSERT INTO member_campaign_load (campaign_id, cost, trial_size,
                   trial_count)
            SELECT c.id, COALESCE((SELECT SUM(m.cost) FROM member_message m
                                    WHERE m.campaign_id = c.id), 0), 0, 0
              FROM member_campaign c
             WHERE NOT EXISTS (SELECT FROM member_campaign_load l
                                WHERE l.campaign_id = c.id)
            """
        )

    @api.model
    def _get_trial_rest_sql(self):
        """:returns: expression of the messages that are missing in the trial batch of
        a load ``l``; NULL: the campaign is not limited by one
        """
        return SQL(
            "CASE WHEN l.trial_state IN ('sending', 'waiting')"
            " THEN GREATEST(l.trial_size - l.trial_count, 0)"
            " WHEN l.trial_state = 'stopped' THEN 0 END"
        )

    def _lock_rests(self, campaign_ids):
        """Lock the rows of campaigns and read what they may still use.

        :returns: ``"budget"`` or ``"trial"`` and id of a campaign that is limited →
            money or messages
        :rtype: dict[tuple[str, int], float]
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT l.campaign_id, COALESCE(c.budget, 0)::float, l.cost::float,
                       %s
                  FROM member_campaign_load l
                  JOIN member_campaign c ON c.id = l.campaign_id
                 WHERE l.campaign_id = ANY(%s)
              ORDER BY l.id FOR UPDATE OF l
                """,
                self._get_trial_rest_sql(),
                list(campaign_ids),
            ),
            log_exceptions=False,
        )
        rests = {}
        for campaign_id, budget, cost, trial_rest in self.env.cr.fetchall():
            if budget:
                rests["budget", campaign_id] = budget - cost
            if trial_rest is not None:
                rests["trial", campaign_id] = trial_rest
        return rests

    @api.model
    def _count_sql(self, campaigns):
        """:param dict campaigns: id → costs and messages to add
        :returns: UPDATE that adds them; a trial batch that is complete waits
        """
        return SQL(
            """
            UPDATE member_campaign_load l
               SET cost = l.cost + d.cost,
                   trial_count = CASE WHEN %(is_trial)s
                                       THEN %(count)s ELSE l.trial_count END,
                   trial_date = CASE WHEN %(is_trial)s
                                      THEN %(now)s ELSE l.trial_date END,
                   trial_state = CASE WHEN NOT %(is_trial)s THEN l.trial_state
                                       WHEN %(count)s >= l.trial_size THEN 'waiting'
                                       ELSE 'sending' END
              FROM unnest(%(ids)s::int[], %(costs)s::numeric[], %(counts)s::int[])
                   AS d (campaign_id, cost, count)
             WHERE l.campaign_id = d.campaign_id
            """,
            is_trial=SQL("COALESCE(l.trial_state, '') IN ('sending', 'waiting')"),
            count=SQL("(l.trial_count + d.count)"),
            now=fields.Datetime.now(),
            ids=list(campaigns),
            costs=[round(cost, 4) for cost, _count in campaigns.values()],
            counts=[count for _cost, count in campaigns.values()],
        )


class MemberCampaign(models.Model):
    _inherit = "member.campaign"

    load_ids = fields.One2many("member.campaign.load", "campaign_id", readonly=True)

    @api.model_create_multi
    def create(self, vals_list):
        campaigns = super().create(vals_list)
        # sudo: senders write there, nobody else does
        self.env["member.campaign.load"].sudo().create(
            [{"campaign_id": campaign.id} for campaign in campaigns]
        )
        return campaigns
