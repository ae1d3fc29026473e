from operator import itemgetter

from odoo import api, fields, models
from odoo.tools import SQL, format_date, groupby

from ..fields import KeylessMany2one
from ..tools import codes, sms, template
from .member_consent import CHANNELS

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
    ("bad_number", "Number could not be reached several times"),
    ("blocked", "Number is on the block list"),
    ("suppressed", "Number is suppressed: refused in the past, or complained"),
    ("refused", "Refused messages of this kind"),
    ("no_consent", "Never agreed to promotions"),
    ("duplicate_address", "Another member has the same number"),
    ("frequency_cap", "Got enough promotions lately"),
    ("holdout", "In the control group"),
    ("archived", "Contact archived or deleted"),
    ("expired", "Not sent in time"),
    ("quiet_hours", "There is no hour at which it may be sent"),
    ("rejected_number", "Provider: number cannot be reached"),
    ("rejected_content", "Provider: text was rejected"),
    ("rejected_template", "Provider: template or signature was rejected"),
    ("provider_error", "Provider: could not send"),
    ("answer_lost", "Provider's answer got lost"),
    ("never_settled", "It never became known whether it left"),
    ("not_delivered", "Not delivered"),
]

#: What has reached a member, or still may: it counts towards the limit of promotions.
COUNTED_STATES = ("queued", "claimed", "sent", "delivered", "uncertain")

# Conditions on a message ``m``, as the indexes know them.
WAITS = SQL(
    "m.state = 'queued' AND m.claimed_date IS NULL AND m.gateway_id IS NOT NULL"
)
CLAIMED = SQL(
    "m.state = 'claimed' AND m.claimed_date IS NOT NULL"
    " AND m.sent_date IS NULL AND m.reason IS NULL"
)
UNCERTAIN_REASONS = ("answer_lost", "never_settled")
UNCERTAIN = SQL("m.state = 'uncertain' AND m.reason IN %s", UNCERTAIN_REASONS)

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

    ``member_message_plan`` writes the rows, this file makes their text and
    ``member_message_send`` sends them, by set-based SQL only. What they belong to is
    not checked by foreign keys row by row: whoever deletes a campaign, a variant or a
    gateway looks for messages first, and whoever deletes a member, a contact or a tier
    clears the column (``member_message_contact``).
    """

    _name = "member.message"
    _description = "Member Message"
    _order = "id desc"
    _rec_name = "partner_id"
    # Who made and changed a row, and when, its campaign and its own dates tell.
    _log_access = False

    # _profile_uniq begins with it and serves as its index
    campaign_id = KeylessMany2one("member.campaign", required=True)
    variant_id = KeylessMany2one("member.campaign.variant")
    company_id = KeylessMany2one("res.company", required=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    profile_id = KeylessMany2one("member.profile", string="Member", index=True)
    partner_id = KeylessMany2one("res.partner", string="Contact", index=True)
    # Tells apart what two members got before they were merged into one.
    merged_profile_ref = fields.Integer(
        string="Planned for Former Member", readonly=True, copy=False
    )
    tier_id = KeylessMany2one(
        "member.tier",
        help="Tier of the member when the message was planned.",
    )
    channel = fields.Selection(CHANNELS, required=True)
    gateway_id = KeylessMany2one("member.gateway")
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
    explanation = fields.Char(string="What to Do", compute="_compute_explanation")
    attempt_count = fields.Integer(string="Attempts")
    card_id = KeylessMany2one("loyalty.card", string="Coupon", index="btree_not_null")
    due_date = fields.Datetime(string="Due")
    claimed_date = fields.Datetime(string="Claimed")
    lane = fields.Integer(
        string="Sender", aggregator=None, help="Number of the sender that took it last."
    )
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
        "(campaign_id, profile_id, channel, (COALESCE(merged_profile_ref, 0)))",
        "A member gets a campaign once per channel.",
    )
    # No index asks for the state: delivery reports and clicks then write the new
    # version of a row beside the old one and touch no index. What is left out has no
    # gateway, what waits is not claimed, what is claimed has no outcome and no reason.
    _address_uniq = models.UniqueIndex(
        "(campaign_id, channel, address) WHERE gateway_id IS NOT NULL",
        "A number gets a campaign once.",
    )
    _token_uniq = models.UniqueIndex("(token) WHERE token IS NOT NULL")
    _due_idx = models.Index(
        "(campaign_id, gateway_id, due_date, id)"
        " WHERE claimed_date IS NULL AND gateway_id IS NOT NULL"
    )
    _claimed_idx = models.Index(
        "(campaign_id, lane)"
        " WHERE claimed_date IS NOT NULL AND sent_date IS NULL AND reason IS NULL"
    )
    _uncertain_idx = models.Index(
        "(gateway_id, id) WHERE reason IN ('answer_lost', 'never_settled')"
    )
    # of one day, found in a table in the order of sending; next to free to keep
    _recent_idx = models.Index("USING brin (claimed_date)")
    _unreachable_idx = models.Index("(address) WHERE reason = 'rejected_number'")
    _ref_idx = models.Index("(provider_ref, address) WHERE provider_ref IS NOT NULL")
    # for replies, which answer what has left; planning need not keep it
    _address_idx = models.Index("(address, id) WHERE claimed_date IS NOT NULL")

    @api.depends("gateway_id", "provider_code", "provider_message")
    @api.depends_context("lang")
    def _compute_explanation(self):
        for message in self:
            message.explanation = message.gateway_id and message.gateway_id._explain(
                message.provider_code, message.provider_message
            )

    def unlink(self):
        # no foreign key takes them along
        self.event_ids.unlink()
        return super().unlink()

    # ------------------------------------------------------------------- writing

    @api.model
    def _prepare_texts(self, gateway, message_ids):
        """Make coupon, short link and text of rows that are about to be claimed.

        A row that was claimed before keeps its coupon and link. Coupons are stored
        here, the rest is for the caller to store.

        :param gateway: ``member.gateway`` the messages leave through
        :returns: per message: ``id``, ``address``, ``token``, ``card_id``, ``body``,
            ``parts``, ``template_code`` and ``params``
        :rtype: list[dict]
        """
        prepared = []
        for record, ids in self._group_by_template(message_ids).items():
            text = template.compile(record._get_text(gateway))
            code, fillers = self._prepare_parameters(gateway, record)
            names = text.names.union(*(filler.names for filler in fillers.values()))
            rows = self._fetch_values(ids, record, names)
            self._issue_tokens(rows)
            self._issue_coupons(rows)
            self._add_shared_values(rows, record, gateway)
            for row in rows:
                row["body"] = text.render(row)
                row["parts"] = sms.size(row["body"], row["country_code"]).parts
                row["template_code"] = code
                row["params"] = code and {
                    name: filler.render(row) for name, filler in fillers.items()
                }
            prepared += rows
        return prepared

    def _prepare_parameters(self, gateway, record):
        """Where the provider keeps the text, it gets our values and their fallbacks.

        :returns: the provider's number of the text, and per parameter of it what fills
            it; None and nothing where the text itself is sent
        """
        registration = gateway._needs_registration() and (
            gateway.registration_ids.filtered(
                lambda r: r.template_id == record and r.state == "approved"
            )
        )
        if not registration:
            return None, {}
        fallbacks = {
            variable.name: variable.fallback
            for variable in template.find_variables(record.body)
        }
        # filled as in a text: zero is a value
        return registration.code, {
            name: template.Template(
                [template.Placeholder(variable, fallbacks.get(variable))]
            )
            for name, variable in registration._get_parameter_map().items()
        }

    @staticmethod
    def _issue_tokens(rows):
        new = [row for row in rows if not row["token"]]
        for row, token in zip(new, codes.generate_tokens(len(new)), strict=True):
            row["token"] = token

    def _issue_coupons(self, rows):
        self._prolong_coupons([row for row in rows if row["card_id"]])
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

    def _prolong_coupons(self, rows):
        """What comes to its turn again, weeks later perhaps, promises a coupon that is
        valid as long as any other: nobody has seen this one yet."""
        for campaign_id, group in groupby(rows, itemgetter("campaign_id")):
            campaign = self.env["member.campaign"].browse(campaign_id)
            expiry = campaign._get_coupon_expiry()
            old = [
                row
                for row in group
                if row["expiration_date"] and row["expiration_date"] < expiry
            ]
            if not old:
                continue
            self.env.cr.execute(
                SQL(
                    "UPDATE loyalty_card SET expiration_date = %s WHERE id = ANY(%s)",
                    expiry,
                    [row["card_id"] for row in old],
                )
            )
            self.env["loyalty.card"].invalidate_model(["expiration_date"])
            for row in old:
                row["expiration_date"] = expiry

    def init(self):
        """Leave room in each page for the new version of a row that is reported on."""
        self.env.cr.execute("ALTER TABLE member_message SET (fillfactor = 70)")
        return super().init()

    def _group_by_template(self, message_ids):
        """:returns: template → ids of its messages"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT v.template_id, array_agg(m.id)
                  FROM member_message m
                  JOIN member_campaign_variant v ON v.id = m.variant_id
                 WHERE m.id = ANY(%s) GROUP BY 1
                """,
                message_ids,
            )
        )
        templates = self.env["member.template"]
        return {templates.browse(template_id): ids for template_id, ids in rows}

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
                SELECT m.id, m.address, m.token, m.card_id, m.campaign_id, m.partner_id,
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

    def _add_shared_values(self, rows, record, gateway):
        """Add what is the same for all messages of a campaign, or made from a token."""
        base_url = record.get_base_url()
        shared, expiries = {}, {}
        for row in rows:
            campaign_id, expiry = row["campaign_id"], row["expiration_date"]
            if campaign_id not in shared:
                shared[campaign_id] = self._get_campaign_values(
                    campaign_id, record, gateway
                )
            if expiry and expiry not in expiries:
                expiries[expiry] = format_date(self.env, expiry, lang_code=record.lang)
            link = f"{base_url}/m/{row['token']}"
            country_code = row["country_code"]
            row.update(
                shared[campaign_id],
                coupon_expiry=expiries.get(expiry),
                link=link,
                # for providers whose registered text holds the address itself
                link_token=row["token"],
                unsubscribe_link=f"{link}/stop",
            )
            row["country_code"] = country_code or row["country_code"]

    def _get_campaign_values(self, campaign_id, record, gateway):
        campaign = self.env["member.campaign"].browse(campaign_id)
        program = campaign.program_id.with_context(lang=record.lang)
        return {
            "coupon_value": program._get_offer_text() if program else None,
            "brand": gateway.signature or campaign.company_id.name,
            "country_code": campaign.company_id.country_id.code,
        }
