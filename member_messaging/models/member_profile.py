from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

from .member_consent import CHANNELS

LIFECYCLES = [
    ("prospect", "Prospect"),
    ("new", "New"),
    ("active", "Active"),
    ("sleeping", "Sleeping"),
    ("lost", "Lost"),
]
#: From so many members on, their facts are worth a table of their own.
MANY = 1000


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

    tier_id = fields.Many2one(
        "member.tier", index="btree_not_null", ondelete="set null"
    )
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
    tier_change_ids = fields.One2many(
        "member.tier.change", "profile_id", string="Tier History", readonly=True
    )
    first_order_date = fields.Datetime(string="First Order", readonly=True)
    last_order_date = fields.Datetime(string="Last Order", readonly=True, index=True)
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
    rfm_segment_id = fields.Many2one(
        "member.rfm.segment",
        string="RFM Segment",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    lifecycle = fields.Selection(
        LIFECYCLES, string="Life Cycle", readonly=True, default="prospect", index=True
    )
    engagement = fields.Selection(
        [("high", "High"), ("medium", "Medium"), ("low", "Low")],
        readonly=True,
        help="Clicks, replies and redemptions in the last 30 days: "
        "high from two on, medium from one on.",
    )
    engagement_count = fields.Integer(
        string="Actions in 30 Days",
        readonly=True,
        help="Clicks, replies and redemptions behind the engagement.",
    )
    preferred_hour = fields.Integer(
        string="Best Hour",
        readonly=True,
        aggregator=None,
        help="Hour of the day, 0 to 23, in the member's own time zone.",
    )
    preferred_hour_count = fields.Integer(
        string="Facts Behind the Best Hour",
        readonly=True,
        help="Purchases and clicks of the member it was learnt from. "
        "0: taken from similar members or from the line of business.",
    )
    preferred_channel = fields.Selection(
        CHANNELS, string="Best Channel", readonly=True
    )
    preferred_channel_count = fields.Integer(
        string="Facts Behind the Best Channel", readonly=True
    )
    favourite_category_id = fields.Many2one(
        "product.category",
        string="Favourite Category",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Product category the member bought most often.",
    )
    last_product_id = fields.Many2one(
        "product.product",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
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

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            if not vals.get("number"):
                vals["number"] = self.env["ir.sequence"].next_by_code(self._name)
        profiles = super().create(vals_list)
        for profile in profiles:
            # sudo: enrolling somebody needs no right to edit contacts
            profile.partner_id.sudo().member_profile_id = profile
        profiles._refresh_own()
        return profiles

    def action_refresh(self):
        """Refresh every member now instead of tonight."""
        self._refresh()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._(
                    "Tiers, RFM scores and life cycles are up to date."
                ),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_enrol(self):
        """Open the enrolment dialog from the list of members."""
        return self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_enrol_action"
        )

    def action_record_consent(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_consent_record_action"
        )
        return {**action, "context": {"default_profile_id": self.id}}

    @api.model
    def _cron_refresh(self):
        self._refresh()

    def _refresh_own(self):
        """Refresh these members alone, measured by the last full scale."""
        if self:
            self._refresh(self.partner_id.ids)

    @api.model
    def _refresh(self, partner_ids=None, now=None):
        """Recompute the figures of members from their orders, by set-based SQL.

        Only rows whose figures differ are written, so that running it twice changes
        nothing.

        :param list[int] | None partner_ids: contacts to refresh by the stored RFM
            scale; None refreshes everyone and rebuilds the scale first
        :param datetime now: naive UTC time by which ages are judged
        """
        self.env.flush_all()
        now = now or fields.Datetime.now()
        windows = sorted(set(self._get_tiers().mapped("window_days")))
        facts = SQL("(%s)", self._get_fact_sql(partner_ids, windows, now))
        if partner_ids is None or len(partner_ids) > MANY:
            facts = self._store_facts(facts)
        if partner_ids is None:
            # sudo: the scale belongs to the refresh; staff may only read it
            self.env["member.rfm.scale"].sudo()._rebuild(facts, now)
            self.env.flush_all()
        changed = self.env.execute_query(self._get_update_sql(facts, now))
        self._refresh_last_product([profile_id for (profile_id,) in changed])
        self.env.invalidate_all(flush=False)

    def _store_facts(self, facts):
        """Put the facts into a temporary table, so that they are added up once.

        :param SQL facts: subquery of :meth:`_get_fact_sql`
        :returns: name of the table
        :rtype: SQL
        """
        table = SQL("member_profile_fact")
        self.env.cr.execute(SQL("DROP TABLE IF EXISTS %s", table))
        self.env.cr.execute(
            SQL("CREATE TEMP TABLE %s ON COMMIT DROP AS %s", table, facts)
        )
        # PostgreSQL knows nothing of a new table, and little of members who were
        # enrolled in bulk a moment ago: it would join them row by row.
        self.env.cr.execute(SQL("ANALYZE %s, member_profile", table))
        return table

    def _get_fact_sql(self, partner_ids, windows, now):
        """:returns: SELECT of one row per member: ``id``, what the tier depends on,
        first and last order, count, revenue, and per tier window of d days the
        columns ``revenue_d`` and ``orders_d``
        """
        columns = [
            SQL(
                """COALESCE(SUM(o.amount) FILTER (WHERE %(since)s), 0) AS %(revenue)s,
                   COUNT(*) FILTER (WHERE o.amount >= 0 AND %(since)s) AS %(orders)s""",
                since=(
                    SQL("o.date >= %s", now - timedelta(days=days))
                    if days
                    else SQL("TRUE")
                ),
                revenue=SQL.identifier(f"revenue_{days}"),
                orders=SQL.identifier(f"orders_{days}"),
            )
            for days in windows
        ]
        return SQL(
            """
            SELECT p.id, pa.company_id, p.tier_id, p.tier_locked,
                   MIN(o.date) FILTER (WHERE o.amount >= 0) AS first_order_date,
                   MAX(o.date) FILTER (WHERE o.amount >= 0) AS last_order_date,
                   COUNT(*) FILTER (WHERE o.amount >= 0) AS order_count,
                   COALESCE(SUM(o.amount), 0) AS revenue%s
              FROM member_profile p
              JOIN res_partner pa ON pa.id = p.partner_id
              LEFT JOIN (%s) o ON o.partner_id = p.partner_id AND %s
             WHERE %s
          GROUP BY p.id, pa.id
            """,
            SQL("").join(SQL(", %s", column) for column in columns),
            self.env["member.order"]._get_order_sql(),
            # Said of the orders as well: else all of them are read for one partner.
            *(
                SQL("TRUE")
                if partner_ids is None
                else SQL(
                    "%s = ANY(%s)",
                    SQL.identifier(table, "partner_id"),
                    list(partner_ids),
                )
                for table in "op"
            ),
        )

    def _get_update_sql(self, facts, now):
        """:returns: UPDATE of the members whose figures changed, RETURNING their ids"""
        columns = (
            "first_order_date",
            "last_order_date",
            "order_count",
            "revenue",
            "average_order",
            "r_score",
            "f_score",
            "m_score",
            "rfm_segment_id",
            "lifecycle",
            "tier_id",
        )
        new, old = (
            SQL(", ").join(SQL.identifier(alias, column) for column in columns)
            for alias in ("n", "p")
        )
        return SQL(
            """
            WITH scored AS (%(scored)s),
                 named AS (SELECT s.*, %(segment)s AS rfm_segment_id FROM scored s)
            UPDATE member_profile p
               SET (%(targets)s) = ROW(%(new)s)
              FROM named n
             WHERE n.id = p.id AND (%(new)s) IS DISTINCT FROM (%(old)s)
         RETURNING p.id
            """,
            scored=self._get_scored_sql(facts, now),
            segment=self._get_rfm_segment_sql(),
            targets=SQL(", ").join(map(SQL.identifier, columns)),
            new=new,
            old=old,
        )

    def _get_scored_sql(self, facts, now):
        limits = self.env["member.rfm.scale"]._get_limits()
        days = SQL("floor(extract(epoch FROM %s - f.last_order_date) / 86400)", now)

        def score(value, operator, metric):
            passed = [
                SQL("(%s %s %s)::int", value, SQL(operator), limit)
                for limit in limits[metric]
            ]
            return SQL(
                "CASE WHEN f.order_count > 0 THEN 1 + %s ELSE 0 END",
                SQL(" + ").join([SQL("0"), *passed]),
            )

        return SQL(
            """
            SELECT f.id, f.first_order_date, f.last_order_date,
                   f.order_count::int4 AS order_count, f.revenue::numeric AS revenue,
                   ROUND(f.revenue::numeric / NULLIF(f.order_count, 0), 2)
                       AS average_order,
                   %(r)s AS r_score, %(f)s AS f_score, %(m)s AS m_score,
                   %(lifecycle)s AS lifecycle, %(tier)s AS tier_id
              FROM %(facts)s f
            """,
            r=score(days, "<=", "recency"),
            f=score(SQL("f.order_count"), ">", "frequency"),
            m=score(SQL("f.revenue"), ">", "monetary"),
            lifecycle=self._get_lifecycle_sql(now),
            tier=self._get_tier_sql(),
            facts=facts,
        )

    def _get_rfm_segment_sql(self):
        """The first segment, in order, whose ranges hold the member's scores."""
        # sudo: as for the tiers
        segments = self.env["member.rfm.segment"].sudo().search(
            [("active", "=", True)]
        )
        cases = [
            SQL(
                "WHEN s.r_score BETWEEN %s AND %s AND s.f_score BETWEEN %s AND %s"
                " AND s.m_score BETWEEN %s AND %s THEN %s",
                segment.r_min,
                segment.r_max,
                segment.f_min,
                segment.f_max,
                segment.m_min,
                segment.m_max,
                segment.id,
            )
            for segment in segments
        ]
        return SQL("CASE %s ELSE NULL END", SQL(" ").join([*cases, SQL("WHEN FALSE THEN NULL::int")]))

    @api.model
    def _get_lifecycle_days(self):
        """:returns: days a member stays new, active and sleeping
        :rtype: tuple[int, int, int]
        """
        # sudo: parameters are readable by administrators only
        get_param = self.env["ir.config_parameter"].sudo().get_param
        return tuple(
            int(get_param(f"member_messaging.{name}_days", default))
            for name, default in (("new", 30), ("active", 90), ("sleeping", 365))
        )

    def _get_lifecycle_sql(self, now):
        new, active, sleeping = (
            now - timedelta(days=days) for days in self._get_lifecycle_days()
        )
        return SQL(
            """
            CASE WHEN f.order_count = 0 THEN 'prospect'
                 WHEN f.first_order_date >= %s THEN 'new'
                 WHEN f.last_order_date >= %s THEN 'active'
                 WHEN f.last_order_date >= %s THEN 'sleeping'
                 ELSE 'lost' END
            """,
            new,
            active,
            sleeping,
        )

    @api.model
    def _get_tiers(self):
        # sudo: a refresh concerns members and tiers of every company, whoever asks
        return self.env["member.tier"].sudo().search([("active", "=", True)])

    def _get_tier_sql(self):
        """The highest tier whose conditions the member meets; a locked one stays."""
        cases = [
            SQL(
                "WHEN %s >= %s AND %s >= %s AND (%s OR f.company_id = %s) THEN %s",
                SQL.identifier("f", f"revenue_{tier.window_days}"),
                tier.min_revenue,
                SQL.identifier("f", f"orders_{tier.window_days}"),
                tier.min_orders,
                not tier.company_id,
                tier.company_id.id or None,
                tier.id,
            )
            for tier in reversed(self._get_tiers())
        ]
        return SQL(
            "CASE WHEN f.tier_locked THEN f.tier_id %s END",
            SQL(" ").join(cases),
        )

    def _refresh_last_product(self, profile_ids):
        if not profile_ids:
            return
        self.env.cr.execute(
            SQL(
                """
                UPDATE member_profile p SET last_product_id = l.product_id
                  FROM (SELECT DISTINCT ON (id) id, product_id FROM (
                            SELECT q.id, l.product_id, so.date_order, l.id AS line_id
                              FROM member_profile q
                              JOIN sale_order so ON so.partner_id = q.partner_id
                              JOIN sale_order_line l ON l.order_id = so.id
                             WHERE q.id = ANY(%(ids)s) AND so.state = 'sale'
                               AND l.product_id IS NOT NULL
                               AND l.product_uom_qty > 0 AND l.reward_id IS NULL
                         UNION ALL
                            SELECT q.id, l.product_id, po.date_order, l.id
                              FROM member_profile q
                              JOIN pos_order po ON po.partner_id = q.partner_id
                              JOIN pos_order_line l ON l.order_id = po.id
                             WHERE q.id = ANY(%(ids)s) AND po.state IN ('paid', 'done')
                               AND l.qty > 0 AND l.reward_id IS NULL
                         UNION ALL -- comes last: nothing is left of what was bought
                            SELECT unnest(%(ids)s::int[]), NULL, '-infinity', NULL
                        ) sold ORDER BY id, date_order DESC, line_id DESC) l
                 WHERE l.id = p.id AND p.last_product_id IS DISTINCT FROM l.product_id
                """,
                ids=profile_ids,
            )
        )
