from base64 import b64encode

from reportlab.graphics.barcode import createBarcodeDrawing

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..tools.domains import get_required_ids

STAFF = "member_messaging.group_member_messaging_user"
#: So many rows of each list stand on the member's page; its buttons show all.
LATEST = 20
#: Programmes whose cards are coupons. The others keep points or money.
COUPON_TYPES = ("coupons", "next_order_coupons", "promotion", "promo_code", "gift_card")


class MemberProfile(models.Model):
    """What the page of a member shows beside the member's own figures.

    Every count is one query, whatever the number of members.
    """

    _inherit = "member.profile"

    tier_color = fields.Integer(related="tier_id.color")
    is_birthday_month = fields.Boolean(
        string="Birthday This Month",
        compute="_compute_is_birthday_month",
        search="_search_is_birthday_month",
    )
    number_barcode = fields.Char(
        string="Barcode of the Card",
        compute="_compute_number_barcode",
        help="Scanned at the till, it chooses the member.",
    )
    preferred_hour_text = fields.Char(
        string="Best Time",
        compute="_compute_preferred_hour_text",
        help="When to write, by the member's own clock, and how we know.",
    )
    preferred_channel_text = fields.Char(
        string="Reached Best By", compute="_compute_preferred_channel_text"
    )
    consent_state = fields.Selection(
        [
            ("granted", "Agreed to Promotions"),
            ("refused", "Refused Promotions"),
            ("expired", "Consent Expired"),
            ("never", "Never Asked"),
        ],
        string="Promotions",
        compute="_compute_consent_state",
        help="The member's latest word on promotions. Whoever did not agree gets "
        "service messages only.",
    )
    consent_date = fields.Datetime(string="Since", compute="_compute_consent_state")
    timeline_ids = fields.One2many(
        "member.timeline", compute="_compute_timeline_ids", string="Time Line"
    )
    sent_message_ids = fields.One2many(
        "member.message", compute="_compute_sent_message_ids", string="Messages"
    )
    coupon_ids = fields.One2many(
        "loyalty.card", compute="_compute_coupon_ids", string="Coupons"
    )
    timeline_count = fields.Integer(compute="_compute_timeline_count")
    sale_count = fields.Integer(
        string="Orders and Refunds", compute="_compute_sale_count"
    )
    message_count = fields.Integer(compute="_compute_message_count")
    coupon_count = fields.Integer(compute="_compute_coupon_count")
    consent_count = fields.Integer(compute="_compute_consent_count")

    @api.depends("birthday")
    def _compute_is_birthday_month(self):
        month = fields.Date.context_today(self).month
        for profile in self:
            profile.is_birthday_month = bool(
                profile.birthday and profile.birthday.month == month
            )

    def _search_is_birthday_month(self, operator, value):
        if operator != "in":
            return NotImplemented
        return Domain(
            "birthday.month_number", "=", fields.Date.context_today(self).month
        )

    # ---------------------------------------------------------------------- words

    @api.depends("number")
    def _compute_number_barcode(self):
        for profile in self:
            profile.number_barcode = profile.number and self._draw_barcode(
                profile.number
            )

    @staticmethod
    def _draw_barcode(number):
        """Lines instead of dots: sharp on paper, and no graphics library needed.

        :rtype: str
        """
        drawing = createBarcodeDrawing(
            "Code128", value=number, width=300, height=60, quiet=0
        )
        image = b64encode(drawing.asString("svg").encode()).decode()
        return f"data:image/svg+xml;base64,{image}"

    @api.depends("preferred_hour", "preferred_hour_count", "preferred_hour_source")
    def _compute_preferred_hour_text(self):
        for profile in self:
            values = {
                "hour": f"{profile.preferred_hour:02d}:00",
                "count": profile.preferred_hour_count,
            }
            profile.preferred_hour_text = {
                "own": self.env._(
                    "%(hour)s, learnt from %(count)s purchases and answers", **values
                ),
                "segment": self.env._("%(hour)s, as similar members do", **values),
                "industry": self.env._("%(hour)s, usual in our business", **values),
            }.get(profile.preferred_hour_source, False)

    @api.depends("preferred_channel", "preferred_channel_count")
    def _compute_preferred_channel_text(self):
        labels = dict(
            self._fields["preferred_channel"]._description_selection(self.env)
        )
        for profile in self:
            channel = labels.get(profile.preferred_channel, False)
            if channel and profile.preferred_channel_count:
                channel = self.env._(
                    "%(channel)s, answered %(count)s times",
                    channel=channel,
                    count=profile.preferred_channel_count,
                )
            profile.preferred_channel_text = channel

    @api.depends("consent_ids.is_current")
    def _compute_consent_state(self):
        today = fields.Date.today()
        consents = self.env["member.consent"].search(
            [
                ("profile_id", "in", self.ids),
                ("purpose", "=", "promotion"),
                ("is_current", "=", True),
            ]
        )
        by_profile = consents.grouped("profile_id")
        for profile in self:
            states = {}
            for consent in by_profile.get(profile, ()):
                is_over = (consent.expiry_date or today) < today
                is_expired = is_over and consent.state == "granted"
                states["expired" if is_expired else consent.state] = consent
            # Of several channels, one that may be used is the good news.
            state = next(
                (s for s in ("granted", "refused", "expired") if s in states), "never"
            )
            profile.consent_state = state
            profile.consent_date = states[state].date if states else False

    # ---------------------------------------------------------------------- lists

    def _compute_timeline_ids(self):
        self._compute_latest("timeline_ids", [])

    def _compute_sent_message_ids(self):
        self._compute_latest("sent_message_ids", [])

    def _compute_coupon_ids(self):
        self._compute_latest("coupon_ids", self._get_coupon_domain())

    def _compute_latest(self, name, domain):
        """A page shows one member: a query each is as good as it gets."""
        model = self.env[self._fields[name].comodel_name]
        for profile in self:
            profile[name] = model.search(
                [("partner_id", "=", profile.partner_id.id), *domain], limit=LATEST
            )

    # --------------------------------------------------------------------- pivots

    def _field_to_sql(self, alias, field_expr, query=None):
        """Money adds up in pivots only where its currency can be grouped, and this
        one is stored nowhere: it is that of the contact's company."""
        if field_expr != "currency_id" or query is None:
            return super()._field_to_sql(alias, field_expr, query)
        partner = query.left_join(
            alias, "partner_id", "res_partner", "id", "partner_id"
        )
        company = query.left_join(
            partner, "company_id", "res_company", "id", "company_id"
        )
        return SQL(
            "COALESCE(%s, %s)",
            SQL.identifier(company, "currency_id"),
            self.env["res.company"]._get_main_company().currency_id.id,
        )

    # --------------------------------------------------------------------- counts

    def _compute_timeline_count(self):
        self._count("timeline_count", "member.timeline", [])

    def _compute_sale_count(self):
        self._count("sale_count", "member.order", [])

    def _compute_message_count(self):
        self._count("message_count", "member.message", [])

    def _compute_coupon_count(self):
        self._count("coupon_count", "loyalty.card", self._get_coupon_domain())

    def _compute_consent_count(self):
        counts = dict(
            self.env["member.consent"]._read_group(
                [("profile_id", "in", self.ids)], ["profile_id"], ["__count"]
            )
        )
        for profile in self:
            profile.consent_count = counts.get(profile, 0)

    def _count(self, name, model, domain):
        counts = dict(
            self.env[model]._read_group(
                [("partner_id", "in", self.partner_id.ids), *domain],
                ["partner_id"],
                ["__count"],
            )
        )
        for profile in self:
            profile[name] = counts.get(profile.partner_id, 0)

    @api.model
    def _get_coupon_domain(self):
        return [("program_type", "in", COUPON_TYPES)]

    # -------------------------------------------------------------------- actions

    def action_view_timeline(self):
        return self._open_list("member_timeline_action")

    def action_view_orders(self):
        return self._open_list("member_order_action_member")

    def action_view_messages(self):
        return self._open_list("res_partner_action_messages")

    def action_view_coupons(self):
        return self._open_list("loyalty_card_action_member", self._get_coupon_domain())

    def action_view_consents(self):
        return self._open_list("member_consent_action")

    def _open_list(self, xmlid, domain=()):
        """Open a list that other screens use as well, on the rows of this member."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"member_messaging.{xmlid}"
        )
        return {
            **action,
            "domain": [("partner_id", "=", self.partner_id.id), *domain],
            "context": {"create": False},
        }


class LoyaltyCard(models.Model):
    _inherit = "loyalty.card"

    coupon_state = fields.Selection(
        [
            ("open", "Can Be Used"),
            ("used", "Used"),
            ("expired", "Expired"),
            ("withdrawn", "Withdrawn"),
        ],
        string="State of the Coupon",
        compute="_compute_coupon_state",
    )

    @api.depends("points", "expiration_date", "active", "program_id")
    def _compute_coupon_state(self):
        today = fields.Date.context_today(self)
        for card in self:
            rewards = card.program_id.reward_ids
            if not card.active:
                card.coupon_state = "withdrawn"
            elif card.points < min(rewards.mapped("required_points"), default=1):
                card.coupon_state = "used"
            elif card.expiration_date and card.expiration_date < today:
                card.coupon_state = "expired"
            else:
                card.coupon_state = "open"


class MemberOrder(models.Model):
    """Orders of some members are found by index, and so are orders by their ids."""

    _inherit = "member.order"

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
        if (partner_ids := self._get_wanted_partner_ids(domain)) is not None:
            self = self.with_context(member_order_partner_ids=partner_ids)
        return super()._search(
            domain,
            offset,
            limit,
            order,
            active_test=active_test,
            bypass_access=bypass_access,
        )

    @property
    def _table_query(self):
        return self._get_order_sql(self.env.context.get("member_order_partner_ids"))

    @api.model
    def _get_wanted_partner_ids(self, domain):
        """:returns: contacts whose orders a domain asks for, None: anybody's"""
        domain = list(Domain(domain))
        partner_ids = get_required_ids(domain, "partner_id")
        if partner_ids is None and (ids := get_required_ids(domain, "id")) is not None:
            partner_ids = self._get_partner_ids(ids)
        return partner_ids

    @api.model
    def _get_partner_ids(self, ids):
        """:returns: contacts for whom the orders with these ids count"""
        sales = [order_id // 4 for order_id in ids if order_id % 2 == 0]
        pos = [order_id // 4 for order_id in ids if order_id % 2]
        # sudo: the rules of this model say which orders the user may see
        partners = (
            self.env["sale.order"].sudo().browse(sales).exists().partner_id
            | self.env["pos.order"].sudo().browse(pos).exists().partner_id
        )
        return self._map_partners(partners.ids)


class ResPartner(models.Model):
    _inherit = "res.partner"

    # For staff only: the lists behind them are read with the rights of the user.
    member_timeline_ids = fields.One2many(
        related="member_profile_id.timeline_ids", related_sudo=False, groups=STAFF
    )
    member_timeline_count = fields.Integer(
        related="member_profile_id.timeline_count", related_sudo=False, groups=STAFF
    )
    member_sale_count = fields.Integer(
        related="member_profile_id.sale_count", related_sudo=False, groups=STAFF
    )
    member_message_count = fields.Integer(
        related="member_profile_id.message_count", related_sudo=False, groups=STAFF
    )
    member_coupon_count = fields.Integer(
        related="member_profile_id.coupon_count", related_sudo=False, groups=STAFF
    )
    member_consent_count = fields.Integer(
        related="member_profile_id.consent_count", related_sudo=False, groups=STAFF
    )
    member_consent_state = fields.Selection(
        related="member_profile_id.consent_state", related_sudo=False, groups=STAFF
    )
    member_consent_date = fields.Datetime(
        related="member_profile_id.consent_date", related_sudo=False, groups=STAFF
    )
    member_number_barcode = fields.Char(
        related="member_profile_id.number_barcode", groups=STAFF
    )
    member_source = fields.Selection(related="member_profile_id.source", groups=STAFF)
    member_tier_date = fields.Date(related="member_profile_id.tier_date", groups=STAFF)
    member_tier_locked = fields.Boolean(
        related="member_profile_id.tier_locked", groups=STAFF
    )
    member_next_tier_id = fields.Many2one(
        related="member_profile_id.next_tier_id", groups=STAFF
    )
    member_next_tier_progress = fields.Float(
        related="member_profile_id.next_tier_progress", groups=STAFF
    )
    member_next_tier_hint = fields.Char(
        related="member_profile_id.next_tier_hint", groups=STAFF
    )
    member_rfm_explanation = fields.Text(
        related="member_profile_id.rfm_explanation", groups=STAFF
    )
    member_preferred_hour_text = fields.Char(
        related="member_profile_id.preferred_hour_text", groups=STAFF
    )
    member_preferred_channel_text = fields.Char(
        related="member_profile_id.preferred_channel_text", groups=STAFF
    )
    member_last_product_id = fields.Many2one(
        related="member_profile_id.last_product_id", groups=STAFF
    )

    def action_view_member_timeline(self):
        return self.member_profile_id.action_view_timeline()

    def action_view_member_orders(self):
        return self.member_profile_id.action_view_orders()

    def action_view_member_messages(self):
        return self.member_profile_id.action_view_messages()

    def action_view_member_coupons(self):
        return self.member_profile_id.action_view_coupons()

    def action_view_member_consents(self):
        return self.member_profile_id.action_view_consents()

    def action_member_set_tier(self):
        return self.member_profile_id.action_set_tier()

    def action_member_record_consent(self):
        return self.member_profile_id.action_record_consent()


class MemberInbound(models.Model):
    """Who answers a reply sees beside it who the member is, and what has happened."""

    _inherit = "member.inbound"

    member_tier_id = fields.Many2one(related="profile_id.tier_id", related_sudo=False)
    member_lifecycle = fields.Selection(
        related="profile_id.lifecycle", related_sudo=False
    )
    member_consent_state = fields.Selection(
        related="profile_id.consent_state", related_sudo=False
    )
    member_order_count = fields.Integer(
        related="profile_id.order_count", related_sudo=False
    )
    member_currency_id = fields.Many2one(
        related="profile_id.currency_id", related_sudo=False
    )
    member_revenue = fields.Monetary(
        related="profile_id.revenue",
        related_sudo=False,
        currency_field="member_currency_id",
    )
    member_last_order_date = fields.Datetime(
        related="profile_id.last_order_date", related_sudo=False
    )
    member_last_product_id = fields.Many2one(
        related="profile_id.last_product_id", related_sudo=False
    )
    member_timeline_ids = fields.One2many(
        related="profile_id.timeline_ids", related_sudo=False
    )
