from datetime import timedelta
from functools import partial

from odoo import api, fields, models
from odoo.service.model import retrying
from odoo.tools import SQL

#: From so many members on, their facts are worth a table of their own …
MANY = 100
#: … and are written in steps of so many rows, so that nobody waits for a lock.
STEP = 20_000
#: Share of the members from which on all order lines are read.
MANY_CHANGED = 0.1
#: For each of two processes: sums of a million members take four times as much.
WORK_MEM, HASH_MEM = "128MB", 4
#: How far back the catch-up looks for orders that were written.
RECENT = timedelta(hours=3)

FIGURES = (
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
    "tier_date",
    "tier_review_date",
    "tier_locked",
)
#: Written along, but not looked at for changes: they follow from the same orders.
PRODUCTS = ("last_product_id", "favourite_category_id")


class MemberProfile(models.Model):
    """Orders become figures, by set-based SQL:

    facts (added up per member) → tier earned → tier kept → scores and names → changes
    (rows that differ) → one UPDATE, which notes changes of tier as it goes.
    """

    _inherit = "member.profile"

    @api.model
    def _cron_refresh(self):
        """Refresh everybody, in steps that are committed one by one."""
        self._refresh(commit=True)

    @api.model
    def _cron_refresh_recent(self):
        """Catch up with orders, refunds and credit notes of the last hours.

        Most were taken in at once. This finds what a busy till did not wait for and
        what came in by other ways than our buttons.
        """
        since = fields.Datetime.now() - RECENT
        partner_ids = self.env["member.order"]._get_changed_partner_ids(since)
        if partner_ids:
            self._refresh(partner_ids, commit=True)

    def _refresh_own(self):
        """Refresh these members alone, measured by the last full scale."""
        if self:
            self._refresh(self.partner_id.ids)

    @api.model
    def _refresh(self, partner_ids=None, now=None, commit=False):
        """Recompute the figures of members from their orders.

        Only rows whose figures differ are written, so that running it twice changes
        nothing.

        :param list[int] | None partner_ids: contacts to refresh by the stored RFM
            scale; None refreshes everyone and rebuilds the scale first
        :param datetime now: naive UTC time by which ages are judged
        :param bool commit: commit each step, so that no row stays locked for long
        """
        self.env.flush_all()
        now = now or fields.Datetime.now()
        if partner_ids is None or len(partner_ids) > MANY:
            self._refresh_many(partner_ids, now, commit)
        else:
            facts = SQL("(%s)", self._get_fact_sql(partner_ids, now))
            changes = SQL("(%s)", self._get_change_sql(facts, now))
            products = SQL("(%s)", self._get_product_sql(partner_ids))
            self._write_changes(self._add_products_sql(changes, products), now)
        self.env.invalidate_all(flush=False)

    def _refresh_many(self, partner_ids, now, commit):
        def run(method, *args):
            work = partial(method, *args)
            # Another refresh may be at work, or a till: what loses tries again.
            return retrying(work, self.env) if commit else work()

        if commit:
            # Before the first snapshot of a new transaction, so that a refresh that
            # has to wait for the scale sees what the other one made of it.
            self.env.cr.commit()  # pylint: disable=invalid-commit
            self.env.cr.execute(
                SQL("LOCK TABLE member_rfm_scale IN SHARE ROW EXCLUSIVE MODE")
            )
        count = run(self._prepare_steps, partner_ids, now)
        missed = []
        for start in range(0, count, STEP):
            missed += run(self._refresh_step, start, now)
        if missed:
            self._refresh(missed, now, commit)

    def _prepare_steps(self, partner_ids, now):
        """Compare everything, in one snapshot.

        :returns: number of rows in the table ``member_profile_step``
        """
        self.env.cr.execute(SQL("SET LOCAL work_mem = %s", WORK_MEM))
        self.env.cr.execute(SQL("SET LOCAL hash_mem_multiplier = %s", HASH_MEM))
        self.env.cr.execute(SQL("SET LOCAL jit = off"))  # costs more than it saves
        # One helper adds up in half the time; each further one brings sums of its own
        # of nearly every member, and takes a core away from the tills.
        self.env.cr.execute(SQL("SET LOCAL max_parallel_workers_per_gather = 1"))
        # PostgreSQL knows little of members who were enrolled in bulk a moment ago.
        if partner_ids is None:
            self.env.cr.execute(SQL("ANALYZE member_profile (id, partner_id)"))
        facts = self._store(
            "fact", self._get_fact_sql(partner_ids, now), ("id", "partner_id")
        )
        if partner_ids is None:
            self.env["member.rfm.scale"]._get_all()._rebuild(facts, now)
            self.env.flush_all()
        changes, chosen = SQL("(%s)", self._get_change_sql(facts, now)), None
        if partner_ids is not None or not self._have_many_bought(facts):
            changes = self._store("change", changes)
            chosen = self._choose_partners(partner_ids, facts, changes)
        products = self._store("product", self._get_product_sql(chosen))
        steps = self._store(
            "step", self._add_products_sql(changes, products), ("id", "position")
        )
        self.env.cr.execute(SQL("CREATE INDEX ON %s (position)", steps))
        [(count,)] = self.env.execute_query(SQL("SELECT COUNT(*) FROM %s", steps))
        return count

    def _refresh_step(self, start, now):
        """:returns: contacts whose profile somebody else wrote since the comparison"""
        step = SQL(
            "SELECT * FROM member_profile_step WHERE position > %s AND position <= %s",
            start,
            start + STEP,
        )
        return self._write_changes(step, now)

    def _have_many_bought(self, facts):
        """:returns: whether it is clear without a comparison of all figures that many
        members have changed
        """
        [(bought, members)] = self.env.execute_query(
            SQL("SELECT COUNT(*) FILTER (WHERE has_bought), COUNT(*) FROM %s", facts)
        )
        return bought > members * MANY_CHANGED

    def _choose_partners(self, partner_ids, facts, changes):
        """:returns: contacts whose lines are worth an index look-up each; None if so
        many of all members changed that all lines are read faster
        """
        [(changed, members)] = self.env.execute_query(
            SQL(
                "SELECT (SELECT COUNT(*) FROM %s), (SELECT COUNT(*) FROM %s)",
                changes,
                facts,
            )
        )
        if partner_ids is None and changed > members * MANY_CHANGED:
            return None
        rows = self.env.execute_query(SQL("SELECT partner_id FROM %s", changes))
        return [partner_id for (partner_id,) in rows]

    def _store(self, name, query, keys=("partner_id",)):
        """Put rows into a temporary table, which outlives the commits of the steps.

        :param keys: names of the columns it is searched and joined by
        :returns: name of the table
        :rtype: SQL
        """
        table = SQL.identifier(f"member_profile_{name}")
        self.env.cr.execute(SQL("DROP TABLE IF EXISTS %s", table))
        self.env.cr.execute(SQL("CREATE TEMP TABLE %s AS %s", table, query))
        # It knows nothing of a new table, and would join it row by row.
        columns = SQL(", ").join(map(SQL.identifier, keys))
        self.env.cr.execute(SQL("ANALYZE %s (%s)", table, columns))
        return table

    # --------------------------------------------------------------------- facts

    def _get_fact_sql(self, partner_ids, now):
        """:returns: SELECT of one row per member: ``id``, ``partner_id``, the present
        tier, first and last order, count, revenue, per tier window of d days the
        columns ``revenue_d`` and ``orders_d``, and ``has_bought`` if last order or
        count are not those of the profile
        """
        windows = self._get_windows()
        sums = [
            SQL(
                """, SUM(o.member_amount) FILTER (WHERE %(since)s) AS %(revenue)s,
                     SUM(o.order_count) FILTER (WHERE %(since)s) AS %(orders)s""",
                since=SQL("o.date >= %s", now - timedelta(days=days)),
                revenue=SQL.identifier(f"revenue_{days}"),
                orders=SQL.identifier(f"orders_{days}"),
            )
            for days in windows
        ]
        columns = [
            SQL(
                ", COALESCE(a.%(name)s, 0) AS %(name)s",
                name=SQL.identifier(f"{name}_{days}"),
            )
            for days in windows
            for name in ("revenue", "orders")
        ]
        return SQL(
            """
            SELECT p.id, p.partner_id, %(company)s AS company_id, p.tier_id,
                   p.tier_date, p.tier_review_date,
                   p.tier_locked
                       AND COALESCE(p.tier_lock_end_date >= %(today)s, TRUE)
                       AS tier_locked,
                   a.first_order_date, a.last_order_date,
                   COALESCE(a.order_count, 0)::int AS order_count,
                   COALESCE(a.revenue, 0) AS revenue %(columns)s,
                   (a.last_order_date, COALESCE(a.order_count, 0)) IS DISTINCT FROM
                       (p.last_order_date, COALESCE(p.order_count, 0)) AS has_bought
              FROM member_profile p %(company_join)s
              LEFT JOIN (
                    SELECT o.partner_id,
                           MIN(o.date) FILTER (WHERE o.order_count > 0)
                               AS first_order_date,
                           MAX(o.date) FILTER (WHERE o.order_count > 0)
                               AS last_order_date,
                           SUM(o.order_count) AS order_count,
                           SUM(o.member_amount) AS revenue %(sums)s
                      FROM (%(orders)s) o
                  GROUP BY o.partner_id) a ON a.partner_id = p.partner_id
             WHERE %(chosen)s
            """,
            today=now.date(),
            columns=SQL("").join(columns),
            sums=SQL("").join(sums),
            orders=self.env["member.order"]._get_order_sql(partner_ids),
            chosen=(
                SQL("TRUE")
                if partner_ids is None
                else SQL("p.partner_id = ANY(%s)", list(partner_ids))
            ),
            **self._get_company_sql(),
        )

    def _get_company_sql(self):
        """The member's company costs a join: only where something depends on it."""
        rules = ("member.tier", "member.rfm.segment", "member.rfm.scale")
        if not any(self.env[name]._get_all().company_id for name in rules):
            return {"company": SQL("NULL::int"), "company_join": SQL("")}
        return {
            "company": SQL("pa.company_id"),
            "company_join": SQL("JOIN res_partner pa ON pa.id = p.partner_id"),
        }

    def _get_windows(self):
        """:returns: days of the tiers' windows; 0, everything, is no window"""
        tiers = self.env["member.tier"]._get_all()
        return sorted(set(tiers.mapped("window_days")) - {0})

    # --------------------------------------------------------------------- tiers

    def _get_ladder_sql(self):
        """:returns: the tiers as rows ``(id, rank, validity_days, grace_days)``"""
        tiers = self.env["member.tier"]._get_all()
        return SQL(
            "unnest(%s::int[], %s::int[], %s::int[], %s::int[])"
            " AS ladder (id, rank, validity_days, grace_days)",
            tiers.ids,
            list(range(1, len(tiers) + 1)),
            tiers.mapped("validity_days"),
            tiers.mapped("grace_days"),
        )

    @staticmethod
    def _get_condition_sql(tier, revenue, orders):
        """:returns: condition that revenue and orders are enough for a tier"""
        conditions = [
            SQL("%s >= %s", value, least)
            for value, least in (
                (revenue, tier.min_revenue),
                (orders, tier.min_orders),
            )
            if least
        ]
        joint = SQL(" AND " if tier.condition == "all" else " OR ")
        return SQL("(%s)", joint.join(conditions)) if conditions else SQL("TRUE")

    def _get_earned_sql(self, facts):
        """:returns: SELECT of the facts with the tier they are enough for today,
        ``earned_id``, and the ranks of that tier and of the present one
        """
        cases = []
        for tier in reversed(self.env["member.tier"]._get_all()):
            suffix = f"_{tier.window_days}" if tier.window_days else ""
            revenue = SQL.identifier("f", f"revenue{suffix}")
            orders = SQL.identifier("f", f"orders{suffix}" if suffix else "order_count")
            company = (
                SQL(" AND f.company_id = %s", tier.company_id.id)
                if tier.company_id
                else SQL("")
            )
            condition = self._get_condition_sql(tier, revenue, orders)
            cases.append(SQL("WHEN %s%s THEN %s", condition, company, tier.id))
        earned = SQL("CASE %s END", SQL(" ").join(cases)) if cases else SQL("NULL::int")
        return SQL(
            """
            SELECT e.*, COALESCE(reached.rank, 0) AS earned_rank,
                   reached.validity_days, COALESCE(present.rank, 0) AS tier_rank,
                   present.grace_days
              FROM (SELECT f.*, %(earned)s AS earned_id FROM %(facts)s f) e
              LEFT JOIN %(ladder)s reached ON reached.id = e.earned_id
              LEFT JOIN %(ladder)s present ON present.id = e.tier_id
            """,
            earned=earned,
            facts=facts,
            ladder=SQL("(SELECT * FROM %s)", self._get_ladder_sql()),
        )

    def _get_kept(self, facts, now):
        """Find the tier of members who do not meet the conditions of theirs any more.

        A tier that was reached is kept until its review and the grace after it, as
        long as the orders it was earned by still count: refunds and cancellations take
        it back at once, and the tier before it comes back if that is still good.

        :returns: rows of profile, tier, date it was reached, date of its review
        :rtype: list[tuple]
        """
        falling = self.env.execute_query(
            SQL(
                """
                SELECT s.id, s.partner_id, s.earned_rank, s.tier_id, s.tier_date,
                       s.tier_review_date,
                       COALESCE(s.tier_review_date + s.grace_days >= %s, FALSE)
                  FROM (%s) s
                 WHERE s.earned_rank < s.tier_rank AND NOT s.tier_locked
                """,
                now.date(),
                self._get_earned_sql(facts),
            )
        )
        if not falling:
            return []
        columns = list(map(list, zip(*falling, strict=True)))
        tiers = self.env["member.tier"]._get_all()
        revenue = SQL("COALESCE(SUM(o.member_amount), 0)")
        orders = SQL("COALESCE(SUM(o.order_count), 0)")
        return self.env.execute_query(
            SQL(
                """
                WITH falling AS (
                    SELECT * FROM unnest(%(ids)s::int[], %(partners)s::int[],
                               %(ranks)s::int[], %(tiers)s::int[], %(dates)s::date[],
                               %(reviews)s::date[], %(early)s::bool[])
                        AS f (id, partner_id, earned_rank, tier_id, date, review_date,
                              is_early)
                ), reached AS (
                    SELECT * FROM falling
                     UNION
                    SELECT f.id, f.partner_id, f.earned_rank, h.previous_tier_id,
                           h.previous_date, h.previous_review_date, f.is_early
                      FROM falling f JOIN member_tier_change h ON h.profile_id = f.id
                )
                SELECT DISTINCT ON (r.id) r.id, r.tier_id, r.date, r.review_date
                  FROM reached r
                  JOIN (SELECT * FROM %(ladder)s) t
                       ON t.id = r.tier_id
                          AND t.rank + r.is_early::int > r.earned_rank
                  LEFT JOIN (%(orders)s) o
                       ON o.partner_id = r.partner_id AND o.date >= %(start)s
                 WHERE r.review_date + t.grace_days >= %(today)s
              GROUP BY r.id, r.tier_id, r.date, r.review_date, t.rank
                HAVING %(condition)s
              ORDER BY r.id, t.rank DESC, r.review_date DESC
                """,
                **dict(
                    zip(
                        (
                            "ids",
                            "partners",
                            "ranks",
                            "tiers",
                            "dates",
                            "reviews",
                            "early",
                        ),
                        columns,
                        strict=True,
                    )
                ),
                ladder=self._get_ladder_sql(),
                orders=self.env["member.order"]._get_order_sql(columns[1]),
                today=now.date(),
                start=SQL(
                    "CASE r.tier_id %s END",
                    SQL(" ").join(
                        SQL(
                            "WHEN %s THEN %s",
                            tier.id,
                            SQL("r.date - %s", tier.window_days)
                            if tier.window_days
                            else SQL("'-infinity'::date"),
                        )
                        for tier in tiers
                    ),
                ),
                condition=SQL(
                    "CASE r.tier_id %s END",
                    SQL(" ").join(
                        SQL(
                            "WHEN %s THEN %s",
                            tier.id,
                            self._get_condition_sql(tier, revenue, orders),
                        )
                        for tier in tiers
                    ),
                ),
            )
        )

    def _get_tier_sql(self, facts, now):
        """:returns: SELECT of the facts with the new tier and its dates, the present
        ones renamed to ``previous_*``
        """
        kept = self._get_kept(facts, now)
        ids, tiers, dates, reviews = (
            map(list, zip(*kept, strict=True)) if kept else [[]] * 4
        )
        return SQL(
            """
            SELECT e.id, e.partner_id, e.company_id, e.first_order_date,
                   e.last_order_date, e.order_count, e.revenue, e.tier_locked,
                   e.tier_id AS previous_tier_id, e.tier_date AS previous_date,
                   e.tier_review_date AS previous_review_date,
                   CASE WHEN e.tier_locked THEN e.tier_id
                        WHEN e.earned_rank >= e.tier_rank THEN e.earned_id
                        ELSE COALESCE(k.tier_id, e.earned_id) END AS tier_id,
                   CASE WHEN e.tier_locked OR e.earned_rank = e.tier_rank
                        THEN COALESCE(e.tier_date, %(reached)s)
                        WHEN e.earned_rank > e.tier_rank THEN %(reached)s
                        ELSE COALESCE(k.date, %(reached)s) END AS tier_date,
                   CASE WHEN e.tier_locked THEN e.tier_review_date
                        WHEN e.earned_rank = e.tier_rank
                             AND e.tier_review_date >= %(today)s
                        THEN e.tier_review_date
                        WHEN e.earned_rank >= e.tier_rank
                        THEN %(today)s + e.validity_days
                        ELSE COALESCE(k.review_date, %(today)s + e.validity_days)
                        END AS tier_review_date
              FROM (%(earned)s) e
              LEFT JOIN unnest(%(ids)s::int[], %(tiers)s::int[], %(dates)s::date[],
                               %(reviews)s::date[])
                   AS k (id, tier_id, date, review_date) ON k.id = e.id
            """,
            earned=self._get_earned_sql(facts),
            reached=SQL(
                "CASE WHEN COALESCE(e.earned_id, e.tier_id) IS NOT NULL"
                " THEN %s::date END",
                now.date(),
            ),
            today=SQL("%s::date", now.date()),
            ids=ids,
            tiers=tiers,
            dates=dates,
            reviews=reviews,
        )

    # ----------------------------------------------------------- scores and names

    def _get_change_sql(self, facts, now):
        """:returns: SELECT of the members whose figures differ from the stored ones:
        the new figures, what the history of tiers needs, and ``version`` of the row
        that was compared
        """
        scales = self.env["member.rfm.scale"]._get_all()
        return SQL(
            """
            SELECT n.*, p.xmin AS version
              FROM (
                SELECT s.*, %(segment)s AS rfm_segment_id
                  FROM (
                    SELECT f.*, ROUND(f.revenue / NULLIF(f.order_count, 0), 2)
                                AS average_order,
                           %(r)s AS r_score, %(f)s AS f_score, %(m)s AS m_score,
                           %(lifecycle)s AS lifecycle
                      FROM (%(tiers)s) f
                    -- keeps each score from being worked out for every use of it
                    OFFSET 0) s OFFSET 0) n
              JOIN member_profile p ON p.id = n.id
             WHERE (%(new)s) IS DISTINCT FROM (%(old)s)
            """,
            segment=self._get_rfm_segment_sql(),
            r=scales._get_score_sql("recency", now),
            f=scales._get_score_sql("frequency", now),
            m=scales._get_score_sql("monetary", now),
            lifecycle=self._get_lifecycle_sql(now),
            tiers=self._get_tier_sql(facts, now),
            new=self._get_columns("n"),
            old=self._get_columns("p"),
        )

    @staticmethod
    def _get_columns(alias, columns=FIGURES):
        return SQL(", ").join(SQL.identifier(alias, column) for column in columns)

    def _get_rfm_segment_sql(self):
        """The first segment, in order, whose ranges hold the member's scores."""
        cases = [
            SQL(
                "WHEN s.r_score BETWEEN %s AND %s AND s.f_score BETWEEN %s AND %s"
                " AND s.m_score BETWEEN %s AND %s%s THEN %s",
                segment.r_min,
                segment.r_max,
                segment.f_min,
                segment.f_max,
                segment.m_min,
                segment.m_max,
                SQL(" AND s.company_id = %s", segment.company_id.id)
                if segment.company_id
                else SQL(""),
                segment.id,
            )
            for segment in self.env["member.rfm.segment"]._get_all()
        ]
        return SQL("CASE %s END", SQL(" ").join(cases)) if cases else SQL("NULL::int")

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

    # ------------------------------------------------------------------- products

    def _get_product_sql(self, partner_ids):
        """:returns: SELECT of ``partner_id``, ``last_product_id`` and
        ``favourite_category_id``, that of most lines, the latest of equals
        """
        # What has a maximum and compares fast: second and product in one number, as
        # a row would compare, and the few rows that remain as arrays.
        return SQL(
            """
            SELECT partner_id, (MAX(last) & 2147483647)::int AS last_product_id,
                   -(MAX(ARRAY[times, last >> 31, -categ_id])
                        FILTER (WHERE categ_id IS NOT NULL))[3]::int
                       AS favourite_category_id
              FROM (SELECT l.partner_id, t.categ_id, COUNT(*) AS times,
                           MAX(date_part('epoch', l.date)::bigint << 31
                               | l.product_id) AS last
                      FROM (%s) l
                      -- OFFSET 0: together, before they meet the lines
                      JOIN (SELECT pp.id, pt.categ_id
                              FROM product_product pp
                              JOIN product_template pt ON pt.id = pp.product_tmpl_id
                            OFFSET 0) t ON t.id = l.product_id
                  GROUP BY l.partner_id, t.categ_id) c
          GROUP BY partner_id
            """,
            self.env["member.order"]._get_line_sql(partner_ids),
        )

    @staticmethod
    def _add_products_sql(changes, products):
        return SQL(
            """
            SELECT *, row_number() OVER () AS position
              FROM %s c LEFT JOIN %s products USING (partner_id)
            """,
            changes,
            products,
        )

    # -------------------------------------------------------------------- writing

    def _write_changes(self, changes, now):
        """Write changed figures and note changes of tier.

        :param SQL changes: SELECT of :meth:`_get_change_sql` with the products
        :returns: contacts of members that somebody else wrote since they were
            compared; these are left
        :rtype: list[int]
        """
        self.env.cr.execute(
            SQL(
                """
                WITH figures AS MATERIALIZED (%(changes)s), changed AS (
                    UPDATE member_profile p SET (%(targets)s) = ROW(%(values)s)
                      FROM figures n
                     WHERE p.id = n.id AND p.xmin = n.version
                 RETURNING p.id, p.tier_id, n.previous_tier_id, n.previous_date,
                           n.previous_review_date
                ), noted AS (
                    INSERT INTO member_tier_change (profile_id, date, kind, tier_id,
                           previous_tier_id, previous_date, previous_review_date,
                           create_uid, create_date, write_uid, write_date)
                    SELECT c.id, %(now)s, %(kind)s, c.tier_id, c.previous_tier_id,
                           c.previous_date, c.previous_review_date,
                           %(uid)s, %(now)s, %(uid)s, %(now)s
                      FROM changed c
                      LEFT JOIN (SELECT * FROM %(ladder)s) t ON t.id = c.tier_id
                      LEFT JOIN (SELECT * FROM %(ladder)s) b
                             ON b.id = c.previous_tier_id
                     WHERE c.previous_tier_id IS NOT NULL
                       AND c.tier_id IS DISTINCT FROM c.previous_tier_id
                )
                SELECT partner_id FROM figures
                 WHERE id NOT IN (SELECT id FROM changed)
                """,
                targets=SQL(", ").join(map(SQL.identifier, FIGURES + PRODUCTS)),
                values=self._get_columns("n", FIGURES + PRODUCTS),
                changes=changes,
                kind=SQL(
                    """
                    CASE WHEN COALESCE(t.rank, 0) > COALESCE(b.rank, 0) THEN 'upgrade'
                         WHEN COALESCE(c.previous_review_date + b.grace_days < %s, TRUE)
                         THEN 'downgrade' ELSE 'refund' END
                    """,
                    now.date(),
                ),
                ladder=self._get_ladder_sql(),
                now=now,
                uid=self.env.uid,
            ),
            # Losing against somebody else is no error: the step is tried again.
            log_exceptions=False,
        )
        return [partner_id for (partner_id,) in self.env.cr.fetchall()]
