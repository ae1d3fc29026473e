from odoo import api, fields, models
from odoo.tools import SQL


class MemberRfmScale(models.Model):
    """The limits between the scores 1 to 5, found anew by every full refresh.

    Each limit is a quintile of the members who have bought. A member's score is one
    plus the number of limits passed, so that members with equal figures always have
    equal scores.
    """

    _name = "member.rfm.scale"
    _description = "RFM Scale"
    _order = "metric, score"
    _rec_name = "metric"

    metric = fields.Selection(
        [
            ("recency", "Recency (days since the last order)"),
            ("frequency", "Frequency (number of orders)"),
            ("monetary", "Monetary (revenue)"),
        ],
        required=True,
    )
    score = fields.Integer(
        required=True, aggregator=None, help="The score that begins at this limit."
    )
    limit = fields.Float(
        required=True,
        aggregator=None,
        help="Recency: at most so many days. Frequency and monetary: more than this.",
    )

    _metric_score_uniq = models.Constraint(
        "UNIQUE (metric, score)", "A score has one limit per metric."
    )

    @api.model
    def _get_limits(self):
        """:returns: metric → limits of the scores 2, 3, 4 and 5
        :rtype: dict[str, list[float]]
        """
        limits = {"recency": [], "frequency": [], "monetary": []}
        for row in self.search([("score", ">", 1)]):
            limits[row.metric].append(row.limit)
        return limits

    @api.model
    def _rebuild(self, facts, now):
        """Store the quintiles of the members in ``facts`` who have bought.

        :param SQL facts: table with ``order_count``, ``revenue``, ``last_order_date``
        """
        [row] = self.env.execute_query(
            SQL(
                """
                SELECT percentile_disc(ARRAY[0.8, 0.6, 0.4, 0.2]) WITHIN GROUP (
                           ORDER BY floor(extract(epoch FROM %s - last_order_date)
                                          / 86400)),
                       percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (
                           ORDER BY order_count),
                       percentile_disc(ARRAY[0.2, 0.4, 0.6, 0.8]) WITHIN GROUP (
                           ORDER BY revenue)
                  FROM %s WHERE order_count > 0
                """,
                now,
                facts,
            )
        )
        self.search([("score", ">", 1)]).unlink()
        self.create(
            [
                {"metric": metric, "score": score, "limit": limit}
                for metric, limits in zip(
                    ("recency", "frequency", "monetary"), row, strict=True
                )
                for score, limit in enumerate(limits or [], start=2)
            ]
        )
