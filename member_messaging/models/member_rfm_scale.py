from bisect import bisect_left, bisect_right

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

METRICS = ("recency", "frequency", "monetary")
SCORES = (2, 3, 4, 5)


class MemberRfmScale(models.Model):
    """The limits between the scores 1 to 5 of a company's members.

    By quintiles, every full refresh finds the limits anew; fixed ones are typed in.
    A member's score is one plus the number of limits passed, so that members with
    equal figures always have equal scores.
    """

    _name = "member.rfm.scale"
    _description = "RFM Scale"
    _order = "company_id, id"

    company_id = fields.Many2one(
        "res.company",
        ondelete="cascade",
        help="Leave empty for the members of companies without a scale of their own.",
    )
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    method = fields.Selection(
        [("quintile", "Fifths of All Buyers"), ("fixed", "Fixed Limits")],
        string="Limits",
        required=True,
        default="quintile",
        help="Fifths: each night the buyers are divided into five groups of about the "
        "same size. Fixed: you type the limits.",
    )
    recency_2 = fields.Integer(string="Days for Recency 2")
    recency_3 = fields.Integer(string="Days for Recency 3")
    recency_4 = fields.Integer(string="Days for Recency 4")
    recency_5 = fields.Integer(string="Days for Recency 5")
    frequency_2 = fields.Integer(string="Orders for Frequency 2")
    frequency_3 = fields.Integer(string="Orders for Frequency 3")
    frequency_4 = fields.Integer(string="Orders for Frequency 4")
    frequency_5 = fields.Integer(string="Orders for Frequency 5")
    monetary_2 = fields.Monetary(string="Spending for Monetary 2")
    monetary_3 = fields.Monetary(string="Spending for Monetary 3")
    monetary_4 = fields.Monetary(string="Spending for Monetary 4")
    monetary_5 = fields.Monetary(string="Spending for Monetary 5")
    percentiles = fields.Json(
        readonly=True,
        help="For each metric the 99 values that divide the buyers into hundredths.",
    )
    buyer_count = fields.Integer(string="Buyers", readonly=True)
    rebuilt_date = fields.Datetime(string="Last Counted", readonly=True)

    _company_uniq = models.UniqueIndex(
        "(company_id) NULLS NOT DISTINCT", "A company has one RFM scale."
    )

    @api.depends("company_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        # sudo: scales of companies the user does not see are exceptions as well
        has_others = self.sudo().search_count([("company_id", "!=", False)], limit=1)
        everybody = (
            self.env._("All other members") if has_others else self.env._("All Members")
        )
        for scale in self:
            scale.display_name = scale.company_id.name or everybody

    @api.depends("company_id")
    def _compute_currency_id(self):
        main_company = self.env["res.company"]._get_main_company()
        for scale in self:
            scale.currency_id = (scale.company_id or main_company).currency_id

    @api.constrains(
        "method", *(f"{metric}_{score}" for metric in METRICS for score in SCORES)
    )
    def _check_limits(self):
        for scale in self.filtered(lambda scale: scale.method == "fixed"):
            limits = scale._get_limits()
            if (
                limits["recency"] != sorted(limits["recency"], reverse=True)
                or limits["frequency"] != sorted(limits["frequency"])
                or limits["monetary"] != sorted(limits["monetary"])
            ):
                raise ValidationError(
                    self.env._(
                        "Each higher score must be harder to reach: fewer days since "
                        "the last order, more orders, more spending."
                    )
                )

    def _get_limits(self):
        """:returns: metric → limits of the scores 2, 3, 4 and 5: at most so many days
            since the last order, more than so many orders, more than so much spent
        :rtype: dict[str, list[float]]
        """
        self.ensure_one()
        return {
            metric: [self[f"{metric}_{score}"] for score in SCORES]
            for metric in METRICS
        }

    @api.model
    def _get_all(self):
        """:returns: the scales of companies first, the one for everybody else last"""
        # sudo: members of every company are scored, whoever asks
        return self.sudo().search(
            [("method", "!=", False)], order="company_id NULLS LAST, id"
        )

    def _get_member_sql(self, all_scales):
        """:returns: condition on the facts ``f`` of the members this scale is for"""
        if self.company_id:
            return SQL("f.company_id = %s", self.company_id.id)
        own = all_scales.company_id.ids
        return SQL("(f.company_id IS NULL OR f.company_id <> ALL(%s))", own)

    def _get_rank(self, metric, value):
        """Return the share of buyers in % with a strictly worse figure.

        :param str metric: recency (days since the last order), frequency or monetary
        """
        self.ensure_one()
        hundredths = (self.percentiles or {}).get(metric, [])
        if metric == "recency":
            # fewer days are better: all but those who have at most so many
            others = bisect_right(hundredths, value)
            return 100 - others if others < len(hundredths) else 0
        return bisect_left(hundredths, value)

    def _rebuild(self, facts, now):
        """Count the buyers in ``facts`` and divide them into fifths and hundredths.

        :param SQL facts: table with ``company_id``, ``order_count``, ``revenue`` and
            ``last_order_date``
        """
        for scale in self:
            [(count, *rows)] = self.env.execute_query(
                SQL(
                    """
                    WITH hundredth AS (
                        SELECT array_agg(i / 100.0::float8 ORDER BY i) AS list
                          FROM generate_series(1, 99) i)
                    SELECT COUNT(*),
                           percentile_disc((SELECT list FROM hundredth))
                               WITHIN GROUP (ORDER BY (%(days)s)::int),
                           percentile_disc((SELECT list FROM hundredth))
                               WITHIN GROUP (ORDER BY f.order_count::int),
                           percentile_disc((SELECT list FROM hundredth))
                               WITHIN GROUP (ORDER BY f.revenue::float8)
                      FROM %(facts)s f WHERE f.order_count > 0 AND %(members)s
                    """,
                    days=self._get_days_sql(now),
                    facts=facts,
                    members=scale._get_member_sql(self),
                )
            )
            hundredths = {
                metric: row or [] for metric, row in zip(METRICS, rows, strict=True)
            }
            vals = {
                "percentiles": hundredths,
                "buyer_count": count,
                "rebuilt_date": now,
            }
            if scale.method == "quintile" and count:
                for score, fifth in zip(SCORES, (20, 40, 60, 80), strict=True):
                    # the recency list ascends in days: its first fifth is the best
                    vals[f"recency_{score}"] = hundredths["recency"][99 - fifth]
                    vals[f"frequency_{score}"] = hundredths["frequency"][fifth - 1]
                    vals[f"monetary_{score}"] = hundredths["monetary"][fifth - 1]
            scale.write(vals)

    @staticmethod
    def _get_days_sql(now):
        """:returns: whole days since the last order of the facts ``f``"""
        return SQL("floor(date_part('epoch', %s - f.last_order_date) / 86400)", now)

    def _get_score_sql(self, metric, now):
        """:returns: expression of the score of the facts ``f``; 0 without an order"""
        cases = [
            SQL(
                "WHEN %s THEN 1 + %s",
                scale._get_member_sql(self),
                SQL(" + ").join(
                    SQL("(%s)::int", self._get_passing_sql(metric, limit, now))
                    for limit in scale._get_limits()[metric]
                )
                if scale.method == "fixed" or scale.buyer_count
                else SQL("0"),
            )
            for scale in self
        ]
        return SQL(
            "CASE WHEN f.order_count = 0 THEN 0 %s ELSE 1 END", SQL(" ").join(cases)
        )

    @staticmethod
    def _get_passing_sql(metric, limit, now):
        """:returns: condition that the facts ``f`` pass a limit of a score"""
        if metric == "recency":
            # at most so many whole days, without arithmetic for every row
            return SQL(
                "f.last_order_date > %s::timestamp - interval '1 day' * %s",
                now,
                limit + 1,
            )
        column = "order_count" if metric == "frequency" else "revenue"
        return SQL("%s > %s", SQL.identifier("f", column), limit)
