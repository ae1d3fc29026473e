from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL, format_amount

from ..fields import KeylessMany2one
from .member_consent import CHANNELS
from .member_rfm_scale import METRICS

ENGAGEMENTS = [("high", "High"), ("medium", "Medium"), ("low", "Low")]
LIFECYCLES = [
    ("prospect", "Prospect"),
    ("new", "New"),
    ("active", "Active"),
    ("sleeping", "Sleeping"),
    ("lost", "Lost"),
]


#: Up to so many members, a refresh takes no longer than a user waits.
ATONCE = 20_000


class MemberProfile(models.Model):
    """What the orders of one member say about them.

    Every computed figure lives here and not on ``res_partner``: a refresh must not
    lock or rewrite the row a cashier is editing.
    """

    _name = "member.profile"
    _description = "Member"
    _order = "id desc"
    _rec_name = "partner_id"
    _rec_names_search = ["partner_id", "number"]

    partner_id = fields.Many2one(
        "res.partner", string="Contact", required=True, ondelete="cascade"
    )
    # Not stored: editing a contact must never wait for a refresh of its profile.
    company_id = fields.Many2one(related="partner_id.company_id")
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    number = fields.Char(string="Member Number", required=True, copy=False)
    joined_date = fields.Date(
        string="Member Since", required=True, default=fields.Date.context_today
    )
    source = fields.Selection(
        [
            ("staff", "Staff"),
            ("pos", "Point of Sale"),
            ("web", "Website"),
            ("import", "Import"),
        ],
        string="Joined Through",
        required=True,
        default="staff",
    )
    birthday = fields.Date()
    phone = fields.Char(related="partner_id.phone")
    email = fields.Char(related="partner_id.email")

    # No figure is indexed or has a foreign key: every refresh would pay for it.
    tier_id = KeylessMany2one("member.tier")
    tier_date = fields.Date(string="Tier Since", readonly=True)
    tier_review_date = fields.Date(
        string="Tier Review",
        readonly=True,
        help="Until this day the tier is kept, whatever the member buys.",
    )
    tier_locked = fields.Boolean(
        string="Keep Tier", help="No refresh changes the tier while it is locked."
    )
    tier_lock_reason = fields.Char(string="Reason for Keeping", readonly=True)
    tier_lock_end_date = fields.Date(
        string="Keep Until", readonly=True, help="Empty: until somebody unlocks it."
    )
    next_tier_id = fields.Many2one("member.tier", compute="_compute_next_tier")
    next_tier_progress = fields.Float(
        compute="_compute_next_tier",
        string="Progress to the Next Tier",
        help="How much of the next tier's conditions is met, in %.",
    )
    next_tier_hint = fields.Char(
        compute="_compute_next_tier", string="Missing for the Next Tier"
    )
    tier_change_ids = fields.One2many(
        "member.tier.change", "profile_id", string="Tier History", readonly=True
    )
    first_order_date = fields.Datetime(string="First Order", readonly=True)
    last_order_date = fields.Datetime(string="Last Order", readonly=True)
    order_count = fields.Integer(string="Orders", readonly=True)
    revenue = fields.Monetary(
        string="Total Spent",
        readonly=True,
        help="Everything the member paid, net of refunds.",
    )
    average_order = fields.Monetary(
        readonly=True, help="Total spent divided by orders.", aggregator="avg"
    )
    r_score = fields.Integer(
        string="Recency",
        readonly=True,
        aggregator="avg",
        help="5: among the fifth of buyers who bought most recently.",
    )
    f_score = fields.Integer(
        string="Frequency",
        readonly=True,
        aggregator="avg",
        help="5: among the fifth of buyers who bought most often.",
    )
    m_score = fields.Integer(
        string="Monetary",
        readonly=True,
        aggregator="avg",
        help="5: among the fifth of buyers who spent most.",
    )
    rfm_segment_id = KeylessMany2one(
        "member.rfm.segment", string="RFM Segment", readonly=True
    )
    rfm_explanation = fields.Text(
        compute="_compute_rfm_explanation", string="RFM Explained"
    )
    lifecycle = fields.Selection(
        LIFECYCLES, string="Life Cycle", readonly=True, default="prospect"
    )
    engagement = fields.Selection(
        ENGAGEMENTS,
        readonly=True,
        help="What the member did with messages in the last 30 days: opened, clicked, "
        "replied, redeemed. High from two actions on, medium: one, low: none. Empty: "
        "no message reached the member in this time.",
    )
    engagement_count = fields.Integer(
        string="Actions in 30 Days",
        readonly=True,
        help="Messages opened, clicks, replies and redemptions. A message that was "
        "clicked does not count as opened as well; machines and a reply that asks us "
        "to stop do not count.",
    )
    preferred_hour = fields.Integer(
        string="Best Hour",
        readonly=True,
        aggregator=None,
        help="Hour of the day, in the member's own time zone, around which the member "
        "buys, opens and clicks most. Never at night, whatever the member does then.",
    )
    preferred_hour_count = fields.Integer(
        string="Facts Behind the Best Hour",
        readonly=True,
        help="Purchases, openings and clicks of the member in a year; all within one "
        "hour are one. 0: taken from similar members or from the line of business.",
    )
    preferred_hour_source = fields.Selection(
        [
            ("own", "The Member"),
            ("segment", "Similar Members"),
            ("industry", "Line of Business"),
        ],
        string="Best Hour Learnt From",
        readonly=True,
        help="The member, as soon as there are enough facts; until then members of the "
        "same RFM segment or life cycle; until these did enough, the line of business "
        "chosen in the settings.",
    )
    preferred_channel = fields.Selection(
        CHANNELS,
        string="Best Channel",
        readonly=True,
        help="Where the member answers the largest share of our messages, of the "
        "channels the member agreed to. Else the only one on which the member can be "
        "reached.",
    )
    preferred_channel_count = fields.Integer(
        string="Facts Behind the Best Channel",
        readonly=True,
        help="Messages the member answered there in the last 180 days. "
        "0: it is the only channel.",
    )
    favourite_category_id = KeylessMany2one(
        "product.category",
        readonly=True,
        help="Product category the member bought most often.",
    )
    last_product_id = KeylessMany2one("product.product", readonly=True)
    order_ids = fields.One2many(
        "member.order", compute="_compute_order_ids", string="Order List"
    )
    consent_ids = fields.One2many("member.consent", "profile_id", readonly=True)

    _partner_uniq = models.Constraint(
        "UNIQUE (partner_id)", "This contact is a member already."
    )
    _number_uniq = models.Constraint(
        "UNIQUE (number)", "Another member has this number."
    )

    def init(self):
        """Leave half of each page free: a refresh then writes the new version of a row
        beside the old one and has no index to update."""
        self.env.cr.execute("ALTER TABLE member_profile SET (fillfactor = 50)")
        return super().init()

    @api.model
    def _forget(self, column, targets):
        """Clear a column in which members point at records about to be deleted.

        :param str column: name of a many2one without foreign key
        """
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE member_profile SET %(column)s = NULL"
                " WHERE %(column)s = ANY(%(ids)s)",
                column=SQL.identifier(column),
                ids=targets.ids,
            )
        )
        self.invalidate_model([column])

    @api.depends("company_id")
    def _compute_currency_id(self):
        main_company = self.env["res.company"]._get_main_company()
        for profile in self:
            profile.currency_id = (profile.company_id or main_company).currency_id

    def _compute_order_ids(self):
        orders = self.env["member.order"].search(
            [("partner_id", "in", self.partner_id.ids)]
        )
        by_partner = orders.grouped("partner_id")
        for profile in self:
            profile.order_ids = by_partner.get(profile.partner_id, orders.browse())

    @api.constrains("tier_locked", "tier_lock_reason")
    def _check_tier_lock_reason(self):
        if self.filtered(lambda p: p.tier_locked and not p.tier_lock_reason):
            raise ValidationError(
                self.env._("Say why the tier is kept: colleagues will ask.")
            )

    @api.constrains("birthday", "joined_date")
    def _check_dates(self):
        # A colleague or cron may work in a zone where it is still yesterday: only a day
        # that has begun nowhere on earth (UTC+14 is the first) is in the future.
        today = (fields.Datetime.now() + timedelta(hours=14)).date()
        for profile in self:
            if profile.birthday and profile.birthday > today:
                raise ValidationError(
                    self.env._("The birthday of %s is in the future.", profile.number)
                )
            if profile.joined_date > today:
                raise ValidationError(
                    self.env._("%s joins in the future.", profile.number)
                )

    def _compute_next_tier(self):
        figures = self._get_window_figures()
        tiers = self.env["member.tier"]._get_all()
        for profile in self:
            ladder = tiers.filtered(
                lambda t, p=profile: t.company_id in (p.company_id, p.company_id[:0])
            )
            rank = {tier.id: rank for rank, tier in enumerate(ladder, start=1)}
            above = ladder[rank.get(profile.tier_id.id, 0) :][:1]
            profile.next_tier_id = above
            profile.next_tier_progress = 100.0
            profile.next_tier_hint = False
            if above:
                profile._describe_next_tier(above, figures.get(profile.id, {}))

    def _describe_next_tier(self, tier, figures):
        suffix = f"_{tier.window_days}" if tier.window_days else ""
        orders = figures.get(f"orders{suffix}" if suffix else "order_count", 0)
        revenue = float(figures.get(f"revenue{suffix}", 0))
        parts, missing = [], []
        if tier.min_revenue:
            parts.append(revenue / tier.min_revenue)
            if revenue < tier.min_revenue:
                amount = tier.min_revenue - revenue
                missing.append(
                    self.env._(
                        "%s more spending",
                        format_amount(self.env, amount, self.currency_id),
                    )
                )
        if tier.min_orders:
            parts.append(orders / tier.min_orders)
            if orders < tier.min_orders:
                missing.append(
                    self.env._("%s more orders", int(tier.min_orders - orders))
                )
        choose = min if tier.condition == "all" else max
        self.next_tier_progress = 100 * max(0.0, min(1.0, choose(parts or [0.0])))
        joint = self.env._(" and ") if tier.condition == "all" else self.env._(" or ")
        self.next_tier_hint = joint.join(missing) or self.env._("with the next order")

    def _get_window_figures(self):
        """:returns: id → facts of the member, with those per window of the tiers
        :rtype: dict[int, dict]
        """
        if not self.ids:
            return {}
        self.env.flush_all()
        self.env.cr.execute(
            self._get_fact_sql(self.partner_id.ids, fields.Datetime.now())
        )
        return {row["id"]: row for row in self.env.cr.dictfetchall()}

    @api.depends("r_score", "f_score", "m_score")
    def _compute_rfm_explanation(self):
        scales = self.env["member.rfm.scale"]._get_all()
        now = fields.Datetime.now()
        for profile in self:
            scale = scales.filtered(
                lambda s, p=profile: s.company_id in (p.company_id, p.company_id[:0])
            )[:1]
            profile.rfm_explanation = (
                profile._explain_rfm(scale, now) if profile.order_count else False
            )

    def _explain_rfm(self, scale, now):
        days = (now - self.last_order_date).days
        ranks = {
            metric: scale._get_rank(metric, value) if scale else 0
            for metric, value in zip(
                METRICS, (days, self.order_count, self.revenue), strict=True
            )
        }
        return "\n".join(
            (
                (
                    self.env._(
                        "R%(score)s: last order %(days)s days ago, more recent than "
                        "%(rank)s %% of members who bought",
                        score=self.r_score,
                        days=days,
                        rank=ranks["recency"],
                    )
                    if days > 0
                    else self.env._(
                        "R%(score)s: last order today, more recent than %(rank)s %% "
                        "of members who bought",
                        score=self.r_score,
                        rank=ranks["recency"],
                    )
                ),
                self.env._(
                    "F%(score)s: %(orders)s orders, more than %(rank)s %% of members "
                    "who bought",
                    score=self.f_score,
                    orders=self.order_count,
                    rank=ranks["frequency"],
                ),
                self.env._(
                    "M%(score)s: %(revenue)s spent, more than %(rank)s %% of members "
                    "who bought",
                    score=self.m_score,
                    revenue=format_amount(self.env, self.revenue, self.currency_id),
                    rank=ranks["monetary"],
                ),
            )
        )

    @api.model_create_multi
    def create(self, vals_list):
        unnumbered = [vals for vals in vals_list if not vals.get("number")]
        numbers = self._get_next_numbers(len(unnumbered))
        for vals, number in zip(unnumbered, numbers, strict=True):
            vals["number"] = number
        profiles = super().create(vals_list)
        profiles._link_partners()
        profiles._refresh_own()
        return profiles

    @api.model
    def _get_next_numbers(self, count):
        """:returns: so many new member numbers, drawn in one statement"""
        if not count:
            return []
        # sudo: whoever may enrol a member may draw a number
        sequence = (
            self.env["ir.sequence"]
            .sudo()
            .search(
                [
                    ("code", "=", self._name),
                    ("company_id", "in", [self.env.company.id, False]),
                ],
                order="company_id",
                limit=1,
            )
        )
        if sequence.implementation != "standard" or sequence.use_date_range:
            return [sequence.next_by_id() for _index in range(count)]
        rows = self.env.execute_query(
            SQL(
                "SELECT nextval(%s) FROM generate_series(1, %s)",
                f"ir_sequence_{sequence.id:03d}",
                count,
            )
        )
        return [sequence.get_next_char(number) for (number,) in rows]

    def _link_partners(self):
        """Let the contacts know their profiles: the only write to a contact."""
        if not self:
            return
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                """
                UPDATE res_partner pa SET member_profile_id = p.id
                  FROM member_profile p
                 WHERE p.partner_id = pa.id AND p.id = ANY(%s)
                   AND pa.member_profile_id IS DISTINCT FROM p.id
                """,
                self.ids,
            )
        )
        self.env["res.partner"].invalidate_model()

    def write(self, vals):
        """Changes of tier by hand are noted in the history, with their reason."""
        before = (
            {profile: profile.tier_id for profile in self} if "tier_id" in vals else {}
        )
        states = {
            profile: (profile.tier_date, profile.tier_review_date) for profile in before
        }
        result = super().write(vals)
        changed = [p for p, tier in before.items() if p.tier_id != tier]
        # sudo: the history is written along with the tier, never by hand
        self.env["member.tier.change"].sudo().create(
            [
                {
                    "profile_id": profile.id,
                    "kind": "manual",
                    "tier_id": profile.tier_id.id,
                    "previous_tier_id": before[profile].id,
                    "previous_date": states[profile][0],
                    "previous_review_date": states[profile][1],
                    "reason": vals.get("tier_lock_reason"),
                    "user_id": self.env.uid,
                }
                for profile in changed
            ]
        )
        return result

    def action_refresh(self):
        """Refresh every member: at once, or in the background if there are many."""
        if self.search_count([("id", ">", 0)], limit=ATONCE + 1) > ATONCE:
            self.env.ref("member_messaging.ir_cron_member_messaging_refresh")._trigger()
            message = self.env._(
                "All members are being refreshed in the background. You can go on "
                "working; the figures will be up to date in a few minutes."
            )
        else:
            self._refresh()
            message = self.env._("Tiers, RFM scores and life cycles are up to date.")
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_set_tier(self):
        """Open the dialog that sets the tier by hand."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_tier_lock_action"
        )
        return {
            **action,
            "context": {
                "default_profile_id": self.id,
                "default_tier_id": self.tier_id.id,
            },
        }

    def action_unlock_tier(self):
        """Let orders decide about the tier again."""
        self.write(
            {
                "tier_locked": False,
                "tier_lock_reason": False,
                "tier_lock_end_date": False,
            }
        )
        self._refresh_own()

    def action_enrol(self):
        """Open the enrolment dialog from the list of members."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_enrol_action"
        )

    def action_export_consents(self):
        """Download the member's consents as evidence."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"/member_messaging/consents?profile_id={self.id}",
            "target": "download",
        }

    def action_record_consent(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_consent_record_action"
        )
        return {**action, "context": {"default_profile_id": self.id}}
