import logging
from datetime import timedelta
from operator import itemgetter

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_date, groupby

from ..tools import codes, sms, template
from .member_consent import ADVERTISING, CHANNELS

_logger = logging.getLogger(__name__)

STATES = [
    ("queued", "Waiting"),
    ("claimed", "Being Sent"),
    ("sent", "Sent"),
    ("delivered", "Delivered"),
    ("failed", "Failed"),
    ("uncertain", "Uncertain"),
    ("skipped", "Not Reached"),
    ("cancelled", "Cancelled"),
]
REASONS = [
    ("no_address", "No phone number"),
    ("invalid_address", "Phone number is not valid"),
    ("refused", "Refused messages of this kind"),
    ("no_consent", "Never agreed to promotions"),
    ("blocked", "Number is on the block list"),
    ("duplicate_address", "Another member has the same number"),
    ("frequency_cap", "Got enough promotions lately"),
    ("holdout", "In the control group"),
    ("archived", "Contact archived or deleted"),
    ("expired", "Not sent in time"),
    ("rejected_number", "Provider: number cannot be reached"),
    ("rejected_content", "Provider: text was rejected"),
    ("rejected_template", "Provider: template or signature was rejected"),
    ("provider_error", "Provider: could not send"),
    ("answer_lost", "Provider's answer got lost"),
    ("not_delivered", "Not delivered"),
]

#: What has reached a member, or still may: it counts towards the limit of promotions.
COUNTED_STATES = ("queued", "claimed", "sent", "delivered", "uncertain")

# Where each personal variable comes from: an expression over m (message), pa (contact),
# p (profile), card (coupon) and lang.
VARIABLE_SQL = {
    "member_name": "pa.name",
    "tier": "(SELECT COALESCE(t.name->>lang.code, t.name->>'en_US')"
    " FROM member_tier t WHERE t.id = p.tier_id)",
    "points": "(SELECT SUM(lc.points)::int FROM loyalty_card lc"
    " JOIN loyalty_program lp ON lp.id = lc.program_id"
    " WHERE lc.partner_id = m.partner_id AND lc.active"
    " AND lp.program_type = 'loyalty')",
    "last_product": "(SELECT COALESCE(pt.name->>lang.code, pt.name->>'en_US')"
    " FROM product_product pp JOIN product_template pt ON pt.id = pp.product_tmpl_id"
    " WHERE pp.id = p.last_product_id)",
    "store": "(SELECT pc.name FROM pos_order po JOIN pos_config pc"
    " ON pc.id = po.config_id WHERE po.partner_id = m.partner_id"
    " AND po.state IN ('paid', 'done') ORDER BY po.date_order DESC LIMIT 1)",
}


class MemberMessage(models.Model):
    """One member × one campaign × one channel: outbox row and permanent record.

    This file plans messages and makes their text; ``member_message_send`` sends them.
    Rows are written by set-based SQL only.
    """

    _name = "member.message"
    _description = "Member Message"
    _order = "id desc"
    _rec_name = "partner_id"

    # _profile_uniq begins with it and serves as its index
    campaign_id = fields.Many2one("member.campaign", required=True, ondelete="restrict")
    variant_id = fields.Many2one("member.campaign.variant", ondelete="restrict")
    company_id = fields.Many2one("res.company", required=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    profile_id = fields.Many2one(
        "member.profile", string="Member", ondelete="set null", index=True
    )
    partner_id = fields.Many2one(
        "res.partner", string="Contact", ondelete="set null", index=True
    )
    # Tells apart what two members got before they were merged into one.
    merged_profile_ref = fields.Integer(
        string="Planned for Former Member", readonly=True, copy=False
    )
    tier_id = fields.Many2one(
        "member.tier",
        ondelete="set null",
        help="Tier of the member when the message was planned.",
    )
    channel = fields.Selection(CHANNELS, required=True)
    gateway_id = fields.Many2one("member.gateway", ondelete="restrict")
    address = fields.Char(help="Phone number the message goes to.")
    token = fields.Char(
        copy=False,
        groups="base.group_system",
        help="Secret part of the short link.",
    )
    body = fields.Text(string="Text")
    parts = fields.Integer(help="Billed SMS.")
    cost = fields.Monetary()
    state = fields.Selection(STATES, required=True, default="queued")
    reason = fields.Selection(REASONS, help="Why the member was not reached.")
    provider_ref = fields.Char(string="Provider Reference")
    provider_code = fields.Char(string="Provider Answer")
    provider_message = fields.Char(string="Provider Explanation")
    attempt_count = fields.Integer(string="Attempts")
    card_id = fields.Many2one(
        "loyalty.card", string="Coupon", ondelete="set null", index="btree_not_null"
    )
    due_date = fields.Datetime(string="Due")
    claimed_date = fields.Datetime(string="Claimed")
    sent_date = fields.Datetime(string="Sent")
    delivered_date = fields.Datetime(string="Delivered")
    opened_date = fields.Datetime(string="Opened")
    clicked_date = fields.Datetime(string="Clicked")
    coupon_claimed_date = fields.Datetime(string="Coupon Taken")
    redeemed_date = fields.Datetime(string="Redeemed")
    replied_date = fields.Datetime(string="Replied")
    unsubscribed_date = fields.Datetime(string="Unsubscribed")
    event_ids = fields.One2many("member.event", "message_id", readonly=True)

    _profile_uniq = models.UniqueIndex(
        "(campaign_id, channel, profile_id, (COALESCE(merged_profile_ref, 0)))",
        "A member gets a campaign once per channel.",
    )
    _address_uniq = models.UniqueIndex(
        "(campaign_id, channel, address) WHERE state != 'skipped'",
        "A number gets a campaign once.",
    )
    _token_uniq = models.UniqueIndex("(token) WHERE token IS NOT NULL")
    _due_idx = models.Index("(gateway_id, due_date, id) WHERE state = 'queued'")
    _open_idx = models.Index("(campaign_id) WHERE state IN ('queued', 'claimed')")
    _ref_idx = models.Index("(provider_ref, address) WHERE provider_ref IS NOT NULL")
    _address_idx = models.Index("(address, id)")

    # ------------------------------------------------------------------ planning

    @api.model
    def _cron_plan(self):
        """Turn approved campaigns into outbox rows."""
        campaigns = self.env["member.campaign"].search(
            [("state", "=", "scheduled"), ("planned_date", "=", False)]
        )
        progress = self.env["ir.cron"]._commit_progress
        progress(remaining=len(campaigns))
        for campaign in campaigns:
            try:
                self._plan(campaign)
            except UserError as error:
                # A segment broken since approval stops this campaign only.
                campaign.write({"state": "paused", "pause_reason": str(error)})
            progress(1)
        if campaigns:
            self.env.ref("member_messaging.ir_cron_member_messaging_send")._trigger()

    @api.model
    def _plan(self, campaign):
        """Write one row per member of the campaign's audience.

        Members who cannot be reached get a ``skipped`` row with the reason, so that
        the rows always add up to the audience. Planning again adds nothing.
        """
        self.env.flush_all()
        self.env.cr.execute(self._get_plan_sql(campaign))
        _logger.info(
            "campaign %s planned: %s members", campaign.id, self.env.cr.rowcount
        )
        campaign.planned_date = fields.Datetime.now()
        self.invalidate_model()

    def _get_plan_sql(self, campaign):
        return SQL(
            """
            INSERT INTO member_message (
                   campaign_id, variant_id, company_id, profile_id, partner_id,
                   tier_id, channel, gateway_id, address, state, reason, due_date,
                   attempt_count, create_uid, write_uid, create_date, write_date)
            SELECT %(campaign)s, %(variant)s, %(company)s, d.profile_id, d.partner_id,
                   d.tier_id, %(channel)s, %(gateway)s, d.address,
                   CASE WHEN d.reason IS NULL THEN 'queued' ELSE 'skipped' END,
                   d.reason, %(due)s, 0, %(uid)s, %(uid)s, %(now)s, %(now)s
              FROM (%(decided)s) d
          ORDER BY d.profile_id
       ON CONFLICT DO NOTHING
            """,
            campaign=campaign.id,
            variant=self._get_variant_sql(campaign),
            company=campaign.company_id.id,
            channel=campaign.channel,
            gateway=campaign.gateway_id.id,
            decided=self._get_campaign_decision_sql(campaign),
            due=campaign.scheduled_date,
            uid=self.env.uid,
            now=fields.Datetime.now(),
        )

    @api.model
    def _get_decision_sql(
        self, audience, company, channel, category, campaign=None, date=None
    ):
        """Decide for every member of an audience whether a message may go out.

        Planning, forecast and the reach of a segment all ask here. A member gets the
        first reason that fits, in the order of ``REASONS``.

        :param Domain audience: condition on ``res.partner`` that selects members only
        :param company: ``res.company`` that writes
        :param str channel: of ``CHANNELS``
        :param str category: of the message, see ``member.template``
        :param campaign: ``member.campaign`` that is planned, for its control group
            and variants; its own messages do not count towards the limit
        :param datetime date: naive UTC time of sending; None: now
        :returns: SELECT of one row per member of the audience: ``profile_id``,
            ``partner_id``, ``tier_id``, ``address``, ``variant_point`` and
            ``reason``, NULL for those who get the message
        :rtype: SQL
        """
        consents = self.env["member.consent"]
        return SQL(
            """
            SELECT c.profile_id, c.partner_id, c.tier_id, c.address, c.variant_point,
                   CASE WHEN c.barrier IS NOT NULL THEN c.barrier
                        WHEN c.copy > 1 THEN 'duplicate_address'
                        -- behind the copies: the number, too, has got enough
                        WHEN full_up.profile_id IS NOT NULL THEN 'frequency_cap'
                        WHEN c.holdout_point < %(holdout)s THEN 'holdout'
                        END AS reason
              FROM (SELECT j.*, row_number() OVER (
                               PARTITION BY j.address, j.barrier IS NULL
                               ORDER BY j.profile_id) AS copy
                      FROM (SELECT a.*, %(holdout_point)s AS holdout_point,
                                   %(variant_point)s AS variant_point,
                                   CASE WHEN COALESCE(a.phone, '') = ''
                                        THEN 'no_address'
                                        WHEN a.address IS NULL THEN 'invalid_address'
                                        ELSE %(refusal)s END AS barrier
                              FROM (%(audience)s) a
                              LEFT JOIN member_consent consent ON %(current)s
                              LEFT JOIN phone_blacklist listed
                                     ON listed.number = a.address AND listed.active
                           ) j) c
              -- In effect a LEFT JOIN. Right after planning nobody knows how many
              -- have got enough: taken for few, they would be compared one by one.
              -- This join can only be done by hashing or sorting.
              FULL JOIN (%(full_up)s) full_up ON full_up.profile_id = c.profile_id
             WHERE COALESCE(c.profile_id, 0) != 0
            """,
            holdout_point=self._get_point_sql(campaign, "holdout"),
            variant_point=self._get_point_sql(campaign, "variant"),
            audience=self._get_audience_sql(audience),
            refusal=consents._get_refusal_sql(SQL("%s", category)),
            current=consents._get_current_sql(
                SQL("a.profile_id"), SQL("%s", channel), SQL("%s", category)
            ),
            full_up=self._get_full_up_sql(company, category, campaign, date),
            holdout=campaign.holdout_rate if campaign else 0,
        )

    def _get_audience_sql(self, audience):
        """:returns: SELECT of what a decision needs of the members"""
        query = self.env["res.partner"]._search(audience)
        # the order of contacts is of no use here, and costs a sort
        query.order = None
        # where the tier is not asked for PostgreSQL leaves the join out
        query.add_join(
            "LEFT JOIN",
            "p",
            SQL("member_profile"),
            SQL("p.id = res_partner.member_profile_id"),
        )
        return query.select(
            "res_partner.member_profile_id AS profile_id",
            "res_partner.id AS partner_id",
            "p.tier_id",
            "res_partner.phone",
            "res_partner.phone_sanitized AS address",
        )

    @api.model
    def _get_campaign_decision_sql(self, campaign):
        """:returns: the decision, see :meth:`_get_decision_sql`, for a campaign"""
        return self._get_decision_sql(
            campaign._get_audience_domain(),
            campaign.company_id,
            campaign.channel,
            campaign.category,
            campaign,
            campaign.scheduled_date,
        )

    def _get_full_up_sql(self, company, category, campaign, date):
        """:returns: SELECT of ``profile_id`` of the members who got, or will get, as
        many promotions around the date as the company's policy allows
        """
        policy = self.env["member.send.policy"]._get_for(company)
        if category not in ADVERTISING or not policy.promotion_limit:
            return SQL("SELECT NULL::int AS profile_id WHERE FALSE")
        date = date or fields.Datetime.now()
        days = timedelta(days=policy.promotion_days)
        return SQL(
            """
            SELECT m.profile_id
              FROM member_message m
              JOIN member_campaign mc ON mc.id = m.campaign_id
             WHERE mc.company_id = %(company)s AND mc.category IN %(advertising)s
               AND mc.id != %(campaign)s
               -- nothing has left a campaign after its end: old ones are not read
               AND (mc.done_date IS NULL OR mc.done_date > %(since)s)
               AND m.state IN %(counted)s
               AND COALESCE(m.sent_date, m.due_date) > %(since)s
               AND COALESCE(m.sent_date, m.due_date) < %(until)s
          GROUP BY m.profile_id HAVING COUNT(*) >= %(limit)s
            """,
            company=company.id,
            advertising=ADVERTISING,
            campaign=(campaign and campaign._origin.id) or 0,
            counted=COUNTED_STATES,
            since=date - days,
            until=date + days,
            limit=policy.promotion_limit,
        )

    @api.model
    def _count_reach(self, decision):
        """Count members as planning would decide, without writing anything.

        :param SQL decision: see :meth:`_get_decision_sql`
        :returns: reason → number of members; None stands for those who get the message
        :rtype: dict[str | None, int]
        """
        self.env.flush_all()
        return dict(
            self.env.execute_query(
                SQL(
                    "SELECT d.reason, COUNT(*) FROM (%s) d GROUP BY d.reason",
                    decision,
                )
            )
        )

    @staticmethod
    def _get_point_sql(campaign, purpose):
        """A number from 0 to below 100 that stays the same for member and campaign."""
        if not campaign:
            return SQL("NULL::numeric")
        return SQL(
            "(('x' || substr(md5(%s || a.profile_id::text), 1, 7))::bit(28)::int"
            " %% 10000) / 100.0",
            f"{purpose}:{campaign._origin.id}:",
        )

    @staticmethod
    def _get_variant_sql(campaign):
        *shared, last = campaign.variant_ids
        cases, upper = [], 0
        for variant in shared:
            upper += variant.share_rate
            cases.append(SQL("WHEN d.variant_point < %s THEN %s", upper, variant.id))
        if not cases:
            return SQL("%s", last.id)
        return SQL("CASE %s ELSE %s END", SQL(" ").join(cases), last.id)

    # ------------------------------------------------------------------- writing

    @api.model
    def _prepare_texts(self, message_ids):
        """Make coupon, short link and text of rows that are about to be claimed.

        A row that was claimed before keeps its coupon and link. Coupons are stored
        here, the rest is for the caller to store.

        :returns: per message: ``id``, ``token``, ``card_id``, ``body``, ``parts``
        :rtype: list[dict]
        """
        prepared = []
        for (template_id, gateway_id), ids in self._group_by_text(message_ids).items():
            record = self.env["member.template"].browse(template_id)
            gateway = self.env["member.gateway"].browse(gateway_id)
            text = template.compile(record._get_text(gateway))
            rows = self._fetch_values(ids, record, text.names)
            self._issue_tokens(rows)
            self._issue_coupons(rows)
            self._add_shared_values(rows, record)
            for row in rows:
                row["body"] = text.render(row)
                row["parts"] = sms.size(row["body"], row["country_code"]).parts
            prepared += rows
        return prepared

    @staticmethod
    def _issue_tokens(rows):
        new = [row for row in rows if not row["token"]]
        for row, token in zip(new, codes.generate_tokens(len(new)), strict=True):
            row["token"] = token

    def _issue_coupons(self, rows):
        new = [row for row in rows if not row["card_id"]]
        for campaign_id, group in groupby(new, itemgetter("campaign_id")):
            campaign = self.env["member.campaign"].browse(campaign_id)
            if not campaign.program_id:
                continue
            expiry = campaign._get_coupon_expiry()
            cards = self.env["loyalty.card"]._issue_member_coupons(
                campaign.program_id, [row["partner_id"] for row in group], expiry
            )
            for row, (card_id, code) in zip(group, cards, strict=True):
                row.update(card_id=card_id, coupon_code=code, expiration_date=expiry)

    def _group_by_text(self, message_ids):
        rows = self.env.execute_query(
            SQL(
                """
                SELECT v.template_id, m.gateway_id, array_agg(m.id)
                  FROM member_message m
                  JOIN member_campaign_variant v ON v.id = m.variant_id
                 WHERE m.id = ANY(%s) GROUP BY 1, 2
                """,
                message_ids,
            )
        )
        return {(template_id, gateway_id): ids for template_id, gateway_id, ids in rows}

    def _get_variable_values(self, message_ids, record, names):
        """:returns: per claimed message: ``id`` and the variables named ``names``
        :rtype: list[dict]
        """
        rows = self._fetch_values(message_ids, record, names)
        self._add_shared_values(rows, record)
        return rows

    def _fetch_values(self, message_ids, record, names):
        """Fetch the personal values of messages in one query.

        :param record: ``member.template`` of the messages, tells the language
        :param set[str] names: variables to fetch
        :returns: per message what is stored so far, and the variables
        :rtype: list[dict]
        """
        wanted = [name for name in VARIABLE_SQL if name in names]
        columns = SQL("").join(
            SQL(
                ", %s AS %s",
                SQL(VARIABLE_SQL[name].replace("%", "%%")),
                SQL.identifier(name),
            )
            for name in wanted
        )
        self.env.cr.execute(
            SQL(
                """
                SELECT m.id, m.token, m.card_id, m.campaign_id, m.partner_id,
                       country.code AS country_code, card.code AS coupon_code,
                       card.expiration_date%s
                  FROM member_message m
                 CROSS JOIN (SELECT %s::varchar AS code) lang
                  LEFT JOIN res_partner pa ON pa.id = m.partner_id
                  LEFT JOIN res_country country ON country.id = pa.country_id
                  LEFT JOIN member_profile p ON p.id = m.profile_id
                  LEFT JOIN loyalty_card card ON card.id = m.card_id
                 WHERE m.id = ANY(%s)
              ORDER BY m.id
                """,
                columns,
                record.lang,
                message_ids,
            )
        )
        return self.env.cr.dictfetchall()

    def _add_shared_values(self, rows, record):
        """Add what is the same for all messages of a campaign, or made from a token."""
        base_url = record.get_base_url()
        offers, expiries = {}, {}
        for row in rows:
            campaign = self.env["member.campaign"].browse(row["campaign_id"])
            if campaign not in offers:
                program = campaign.program_id.with_context(lang=record.lang)
                offers[campaign] = program._get_offer_text() if program else None
            expiry = row["expiration_date"]
            if expiry and expiry not in expiries:
                expiries[expiry] = format_date(self.env, expiry, lang_code=record.lang)
            link = f"{base_url}/m/{row['token']}"
            row.update(
                coupon_value=offers[campaign],
                coupon_expiry=expiries.get(expiry),
                link=link,
                # for providers whose registered text holds the address itself
                link_token=row["token"],
                unsubscribe_link=f"{link}/stop",
                brand=campaign.gateway_id.signature or campaign.company_id.name,
                country_code=row["country_code"] or campaign.company_id.country_id.code,
            )
