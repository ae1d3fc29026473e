from odoo import api, fields, models
from odoo.tools import SQL

from ..models.member_page import COUPON_TYPES
from ..tools.domains import get_required_ids

KINDS = [
    ("joined", "Joined"),
    ("order", "Purchase"),
    ("refund", "Refund"),
    ("sent", "Message Sent"),
    ("delivered", "Message Delivered"),
    ("failed", "Message Failed"),
    ("opened", "Opened"),
    ("clicked", "Clicked"),
    ("replied", "Replied"),
    ("unsubscribed", "Unsubscribed"),
    ("coupon", "Coupon Received"),
    ("redeemed", "Coupon Redeemed"),
    ("granted", "Agreed"),
    ("refused", "Refused"),
    ("tier", "Tier Changed"),
]
DOCUMENTS = [
    ("sale.order", "Sales Order"),
    ("pos.order", "POS Order"),
    ("member.message", "Message"),
    ("member.inbound", "Reply"),
    ("loyalty.card", "Coupon"),
    ("member.consent", "Consent"),
    ("member.tier.change", "Tier Change"),
    ("member.profile", "Member"),
]
#: Where the rows of each source come from, and the way from there to the contact.
SOURCES = [
    ("member.order", None),
    ("member.message", "partner_id"),
    ("member.event", "message_id.partner_id"),
    ("member.inbound", "profile_id.partner_id"),
    ("loyalty.card", "partner_id"),
    ("loyalty.history", "card_id.partner_id"),
    ("member.consent", "profile_id.partner_id"),
    ("member.tier.change", "profile_id.partner_id"),
    ("member.profile", "partner_id"),
]
#: Events with a row of their own. Of the others there is a better source: the message
#: says what was delivered, the reply has its text.
EVENT_KINDS = ("opened", "clicked", "unsubscribed", "redeemed")


class MemberTimeline(models.Model):
    """All that happened between a member and the shop, in one list."""

    _name = "member.timeline"
    _description = "Time Line of a Member"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "name"

    date = fields.Datetime(readonly=True)
    kind = fields.Selection(KINDS, string="What", readonly=True)
    name = fields.Char(string="Description", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Contact", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    amount = fields.Monetary(readonly=True)
    res_model = fields.Selection(DOCUMENTS, string="Document Type", readonly=True)
    res_id = fields.Many2oneReference(
        string="Document", model_field="res_model", readonly=True
    )

    # Flushed before this model is read, since the query below bypasses the ORM.
    _depends = {
        "member.order": ["partner_id", "date", "amount"],
        "member.message": ["partner_id", "state", "reason", "sent_date", "body"],
        "member.campaign": ["name"],
        "member.event": ["message_id", "type", "date", "is_bot"],
        "member.inbound": ["profile_id", "text", "date"],
        "loyalty.card": ["partner_id", "code", "program_id"],
        "loyalty.program": ["name", "program_type"],
        "loyalty.history": ["card_id", "used", "order_model", "order_id"],
        "member.consent": [
            "profile_id",
            "date",
            "state",
            "channel",
            "purpose",
            "evidence",
        ],
        "member.tier.change": ["profile_id", "date", "tier_id", "previous_tier_id"],
        "member.tier": ["name"],
        "member.profile": ["partner_id", "number", "joined_date", "source"],
        "res.partner": ["company_id"],
        "res.company": ["currency_id"],
    }

    def _search(
        self,
        domain,
        offset=0,
        limit=None,
        order=None,
        *,
        active_test=True,
        bypass_access=False,
    ):
        """Let every source know whose rows are wanted: each has an index for them,
        which no planner finds behind all the joins."""
        if (partner_ids := self._get_wanted_partner_ids(domain)) is not None:
            self = self.with_context(member_timeline_partner_ids=partner_ids)
        return super()._search(
            domain,
            offset,
            limit,
            order,
            active_test=active_test,
            bypass_access=bypass_access,
        )

    @api.model
    def _get_wanted_partner_ids(self, domain):
        """:returns: contacts whose time line a domain asks for, None: anybody's"""
        domain = list(fields.Domain(domain))
        partner_ids = get_required_ids(domain, "partner_id")
        if partner_ids is None and (ids := get_required_ids(domain, "id")) is not None:
            partner_ids = self._get_partner_ids(ids)
        return partner_ids

    @api.model
    def _get_partner_ids(self, ids):
        """:returns: contacts on whose time line the rows with these ids are"""
        partner_ids = set()
        for place, (model, path) in enumerate(SOURCES):
            keys = [row_id // 16 for row_id in ids if row_id % 16 == place]
            if not keys:
                continue
            if path is None:
                partner_ids.update(self.env[model]._get_partner_ids(keys))
                continue
            # sudo: the rules of this model say which rows the user may see
            records = self.env[model].sudo().browse(keys).exists()
            partner_ids.update(records.mapped(path).ids)
        return list(partner_ids)

    @property
    def _table_query(self):
        return self._get_timeline_sql(
            self.env.context.get("member_timeline_partner_ids")
        )

    @api.model
    def _get_timeline_sql(self, partner_ids=None):
        """Return a SELECT of everything that happened.

        :param list[int] | None partner_ids: keep to these contacts, found by index
        :returns: columns of the stored fields; ``id`` is 16 times the id of what it
            stands for, plus the place of its source in :data:`SOURCES`
        :rtype: SQL
        """
        sources = (
            self._get_order_sql(partner_ids),
            self._get_message_sql(partner_ids),
            self._get_event_sql(partner_ids),
            self._get_reply_sql(partner_ids),
            self._get_coupon_sql(partner_ids),
            self._get_redemption_sql(partner_ids),
            self._get_consent_sql(partner_ids),
            self._get_tier_sql(partner_ids),
            self._get_joined_sql(partner_ids),
        )
        return SQL(" UNION ALL ").join(
            SQL(
                """
                SELECT s.key::int8 * 16 + %s AS id, s.date, s.kind, s.name,
                       s.partner_id, s.company_id, s.currency_id,
                       s.amount::numeric AS amount, s.res_model, s.res_id
                  FROM (%s) s
                """,
                place,
                source,
            )
            for place, source in enumerate(sources)
        )

    @staticmethod
    def _of(column, partner_ids):
        """The condition that keeps a source to some contacts."""
        if partner_ids is None:
            return SQL("%s IS NOT NULL", column)
        return SQL("%s = ANY(%s::int[])", column, list(partner_ids))

    def _translated(self, column):
        """A translated name in the language of the user."""
        return SQL(
            "COALESCE(%(column)s->>%(lang)s, %(column)s->>'en_US')",
            column=column,
            lang=self.env.lang or "en_US",
        )

    def _label(self, column, model, field):
        """The label of a selection in the language of the user."""
        labels = self.env[model]._fields[field]._description_selection(self.env)
        return SQL(
            "CASE %s END",
            SQL(" ").join(
                SQL("WHEN %s = %s THEN %s", column, value, label)
                for value, label in labels
            ),
        )

    # ------------------------------------------------------------------- sources

    def _get_order_sql(self, partner_ids):
        return SQL(
            """
            SELECT o.id AS key, o.date,
                   CASE WHEN o.order_count > 0 THEN 'order' ELSE 'refund' END AS kind,
                   o.name::varchar AS name, o.partner_id, o.company_id,
                   company.currency_id, o.amount, o.order_model::varchar AS res_model,
                   o.order_id AS res_id
              FROM (%s) o
              LEFT JOIN res_company company ON company.id = o.company_id
             WHERE o.partner_id IS NOT NULL
            """,
            self.env["member.order"]._get_order_sql(partner_ids),
        )

    def _get_message_sql(self, partner_ids):
        """What went out. A member who was left out of a campaign heard nothing."""
        return SQL(
            """
            SELECT m.id AS key,
                   COALESCE(m.sent_date, m.claimed_date, m.due_date) AS date,
                   CASE m.state WHEN 'delivered' THEN 'delivered'
                                WHEN 'failed' THEN 'failed' ELSE 'sent' END AS kind,
                   concat_ws(' · ', campaign.name, %(reason)s) AS name, m.partner_id,
                   m.company_id, NULL::int AS currency_id, NULL::numeric AS amount,
                   'member.message' AS res_model, m.id AS res_id
              FROM member_message m
              JOIN member_campaign campaign ON campaign.id = m.campaign_id
             WHERE m.state IN ('sent', 'delivered', 'failed', 'uncertain') AND %(of)s
            """,
            reason=self._label(SQL("m.reason"), "member.message", "reason"),
            of=self._of(SQL("m.partner_id"), partner_ids),
        )

    def _get_event_sql(self, partner_ids):
        return SQL(
            """
            SELECT e.id AS key, e.date, e.type AS kind,
                   concat_ws(' · ', campaign.name,
                             CASE WHEN e.type = 'redeemed' THEN card.code END) AS name,
                   m.partner_id, m.company_id, NULL::int AS currency_id,
                   NULL::numeric AS amount, 'member.message' AS res_model,
                   m.id AS res_id
              FROM member_message m
              JOIN member_event e ON e.message_id = m.id
              JOIN member_campaign campaign ON campaign.id = m.campaign_id
              LEFT JOIN loyalty_card card ON card.id = m.card_id
             WHERE e.type = ANY(%(kinds)s) AND NOT COALESCE(e.is_bot, FALSE) AND %(of)s
            """,
            kinds=list(EVENT_KINDS),
            of=self._of(SQL("m.partner_id"), partner_ids),
        )

    def _get_reply_sql(self, partner_ids):
        return SQL(
            """
            SELECT i.id AS key, i.date, 'replied' AS kind, i.text::varchar AS name,
                   p.partner_id, i.company_id, NULL::int AS currency_id,
                   NULL::numeric AS amount, 'member.inbound' AS res_model,
                   i.id AS res_id
              FROM member_profile p
              JOIN member_inbound i ON i.profile_id = p.id
             WHERE %s
            """,
            self._of(SQL("p.partner_id"), partner_ids),
        )

    def _get_coupon_sql(self, partner_ids):
        return SQL(
            """
            SELECT card.id AS key, card.create_date AS date, 'coupon' AS kind,
                   concat_ws(' · ', %(program)s, card.code) AS name, card.partner_id,
                   card.company_id, NULL::int AS currency_id, NULL::numeric AS amount,
                   'loyalty.card' AS res_model, card.id AS res_id
              FROM loyalty_card card
              JOIN loyalty_program program ON program.id = card.program_id
             WHERE program.program_type = ANY(%(types)s) AND %(of)s
            """,
            program=self._translated(SQL("program.name")),
            types=list(COUPON_TYPES),
            of=self._of(SQL("card.partner_id"), partner_ids),
        )

    def _get_redemption_sql(self, partner_ids):
        """Coupons that came by no message; of the others an event tells."""
        return SQL(
            """
            SELECT h.id AS key, h.create_date AS date, 'redeemed' AS kind,
                   concat_ws(' · ', %(program)s, card.code) AS name, card.partner_id,
                   card.company_id, NULL::int AS currency_id, NULL::numeric AS amount,
                   'loyalty.card' AS res_model, card.id AS res_id
              FROM loyalty_card card
              JOIN loyalty_program program ON program.id = card.program_id
              JOIN loyalty_history h ON h.card_id = card.id
             WHERE h.used > 0 AND program.program_type = ANY(%(types)s) AND %(of)s
               AND NOT EXISTS (
                       SELECT FROM member_message m
                        WHERE m.card_id = card.id AND m.redeemed_date IS NOT NULL)
            """,
            program=self._translated(SQL("program.name")),
            types=list(COUPON_TYPES),
            of=self._of(SQL("card.partner_id"), partner_ids),
        )

    def _get_consent_sql(self, partner_ids):
        return SQL(
            """
            SELECT c.id AS key, c.date, c.state AS kind,
                   concat_ws(' · ', %(purpose)s, %(channel)s, c.evidence) AS name,
                   p.partner_id, c.company_id, NULL::int AS currency_id,
                   NULL::numeric AS amount, 'member.consent' AS res_model,
                   c.id AS res_id
              FROM member_profile p
              JOIN member_consent c ON c.profile_id = p.id
             WHERE %(of)s
            """,
            purpose=self._label(SQL("c.purpose"), "member.consent", "purpose"),
            channel=self._label(SQL("c.channel"), "member.consent", "channel"),
            of=self._of(SQL("p.partner_id"), partner_ids),
        )

    def _get_tier_sql(self, partner_ids):
        return SQL(
            """
            SELECT t.id AS key, t.date, 'tier' AS kind,
                   concat_ws(' · ', concat(COALESCE(%(old)s, '—'), ' → ',
                                           COALESCE(%(new)s, '—')),
                             %(why)s, t.reason) AS name,
                   p.partner_id, pa.company_id, NULL::int AS currency_id,
                   NULL::numeric AS amount, 'member.tier.change' AS res_model,
                   t.id AS res_id
              FROM member_profile p
              JOIN res_partner pa ON pa.id = p.partner_id
              JOIN member_tier_change t ON t.profile_id = p.id
              LEFT JOIN member_tier previous ON previous.id = t.previous_tier_id
              LEFT JOIN member_tier tier ON tier.id = t.tier_id
             WHERE %(of)s
            """,
            old=self._translated(SQL("previous.name")),
            new=self._translated(SQL("tier.name")),
            why=self._label(SQL("t.kind"), "member.tier.change", "kind"),
            of=self._of(SQL("p.partner_id"), partner_ids),
        )

    def _get_joined_sql(self, partner_ids):
        """The day somebody joined has no hour: at noon it is that day everywhere, or
        the hour of enrolment if it was on that day, which may have begun in the
        shop's zone and not yet in UTC."""
        return SQL(
            """
            SELECT p.id AS key,
                   CASE WHEN p.create_date::date <= p.joined_date THEN p.create_date
                        ELSE p.joined_date + interval '12 hours' END AS date,
                   'joined' AS kind, concat_ws(' · ', p.number, %(source)s) AS name,
                   p.partner_id, pa.company_id, NULL::int AS currency_id,
                   NULL::numeric AS amount, 'member.profile' AS res_model,
                   p.id AS res_id
              FROM member_profile p
              JOIN res_partner pa ON pa.id = p.partner_id
             WHERE %(of)s
            """,
            source=self._label(SQL("p.source"), "member.profile", "source"),
            of=self._of(SQL("p.partner_id"), partner_ids),
        )

    # -------------------------------------------------------------------- action

    def action_open_document(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "views": [(False, "form")],
        }
