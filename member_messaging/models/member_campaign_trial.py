from odoo import api, fields, models

from ..tools.trial import get_size

UNITS = [("count", "messages"), ("rate", "% of the messages")]


class MemberSendPolicy(models.Model):
    """What is asked of a trial batch, and what new campaigns begin with."""

    _inherit = "member.send.policy"

    trial_size = fields.Integer(
        string="Trial Batch",
        help="So many messages of a new campaign leave first, the rest when they went "
        "well. Each campaign may have its own number. 0: everything leaves at once.",
    )
    trial_unit = fields.Selection(
        UNITS, string="Unit of the Trial Batch", default="count", required=True
    )
    trial_minutes = fields.Integer(
        string="Wait for Reports (Minutes)",
        default=30,
        required=True,
        help="The campaign goes on as soon as all reports of the trial batch have "
        "come; after so many minutes those that are there decide.",
    )
    trial_delivery_rate = fields.Float(
        string="Delivered at Least (%)",
        default=80,
        digits=(5, 2),
        help="Of the messages of a trial batch that are reported on. Below it the "
        "campaign stops. 0: never.",
    )
    trial_refusal_rate = fields.Float(
        string="Refusals at Most (%)",
        default=5,
        digits=(5, 2),
        help="If more members refuse further promotions after the trial batch, the "
        "campaign stops; complaints are judged by the safety catch. 0: never.",
    )

    _trial_check = models.Constraint(
        "CHECK (trial_size >= 0 AND (trial_unit != 'rate' OR trial_size <= 100)"
        " AND trial_minutes BETWEEN 1 AND 10080"
        " AND trial_delivery_rate BETWEEN 0 AND 100"
        " AND trial_refusal_rate BETWEEN 0 AND 100)",
        "A trial batch is not negative and at most 100 %; its reports are waited for "
        "1 minute to a week.",
    )


class MemberCampaign(models.Model):
    """A few messages go first; ``member_campaign_verdict`` says whether the others
    follow."""

    _inherit = "member.campaign"

    trial_size = fields.Integer(
        string="Trial Batch",
        compute="_compute_trial",
        store=True,
        readonly=False,
        precompute=True,
        help="So many messages leave first. The rest waits for their reports; if too "
        "few are delivered, or members complain or refuse, the campaign stops. The "
        "limits are in the sending policy. 0: everything leaves at once.",
    )
    trial_unit = fields.Selection(
        UNITS,
        string="Unit of the Trial Batch",
        compute="_compute_trial",
        store=True,
        readonly=False,
        required=True,
        precompute=True,
    )
    trial_minutes = fields.Integer(
        string="Wait for Reports (Minutes)",
        compute="_compute_trial",
        store=True,
        readonly=False,
        precompute=True,
    )

    _trial_check = models.Constraint(
        "CHECK (trial_size >= 0 AND (trial_unit != 'rate' OR trial_size <= 100)"
        " AND trial_minutes BETWEEN 1 AND 10080)",
        "A trial batch is not negative and at most 100 %; its reports are waited for "
        "1 minute to a week.",
    )

    @api.depends("company_id")
    def _compute_trial(self):
        for campaign in self:
            policy = self.env["member.send.policy"]._get_for(campaign.company_id)
            for name in ("trial_size", "trial_unit", "trial_minutes"):
                campaign[name] = policy[name]

    def _begin_trial(self, count):
        """:param int count: messages that are to leave"""
        # sudo: senders write there, nobody else does
        self.load_ids.sudo().write(
            {
                "trial_size": get_size(
                    self.trial_size, self.trial_unit == "rate", count
                ),
                "trial_state": "sending",
            }
        )
