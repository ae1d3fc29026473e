from odoo import fields, models
from odoo.tools import SQL

from ..models.member_template import CATEGORIES
from ..tools import origins

#: Rate → (numerator, denominator, factor). Every total is a ratio of sums.
RATES = {
    "delivery_rate": ("delivered_count", "accepted_count", 100.0),
    "refusal_rate": ("refusal_count", "delivered_count", 100.0),
    "complaint_rate": ("complaint_count", "delivered_count", 100.0),
    # 0.03 % is what carriers tolerate
    "complaint_limit_rate": ("complaint_count", "delivered_count", 100.0 / 0.0003),
}
#: Measure → which part of the messages has arrived by then.
PERCENTILES = {"delay_median": 0.5, "delay_p95": 0.95}
DAYS = 92


class MemberGatewayReport(models.Model):
    """How well and how fast gateways deliver: one row per message handed over within
    three months, of campaigns and others.

    Rates are ratios of sums and percentiles are exact in every total, because both are
    computed from the rows of a group (``_read_group_select``), never from figures of
    smaller groups.
    """

    _name = "member.gateway.report"
    _description = "Gateway Quality"
    _auto = False
    _order = "date desc"
    _rec_name = "gateway_id"

    gateway_id = fields.Many2one("member.gateway", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    category = fields.Selection(
        [*CATEGORIES, ("service", "Outside of Campaigns")], readonly=True
    )
    date = fields.Datetime(string="Handed Over", readonly=True)
    hour = fields.Char(readonly=True, help="Of handing over, in your time zone.")
    weekday = fields.Selection(
        [
            ("1", "Monday"),
            ("2", "Tuesday"),
            ("3", "Wednesday"),
            ("4", "Thursday"),
            ("5", "Friday"),
            ("6", "Saturday"),
            ("7", "Sunday"),
        ],
        readonly=True,
    )
    day_type = fields.Selection(
        [("holiday", "Public Holiday"), ("weekend", "Weekend"), ("work", "Other Day")],
        string="Kind of Day",
        readonly=True,
        help="Public holidays are those of the company's working schedules.",
    )
    country_id = fields.Many2one(
        "res.country",
        readonly=True,
        help="By the calling code; countries that share one count as the largest.",
    )
    carrier = fields.Char(
        readonly=True,
        help="Of mainland numbers, by their first digits: the carrier that gave out "
        "the number, whatever its owner has moved to since.",
    )

    message_count = fields.Integer(string="Messages", readonly=True)
    accepted_count = fields.Integer(
        string="Accepted",
        readonly=True,
        help="The provider has taken it, or perhaps has.",
    )
    delivered_count = fields.Integer(string="Delivered", readonly=True)
    failed_count = fields.Integer(
        string="Failed", readonly=True, help="Refused, or reported as not delivered."
    )
    open_count = fields.Integer(
        string="Without Report", readonly=True, help="No delivery report so far."
    )
    refusal_count = fields.Integer(
        string="Refusals",
        readonly=True,
        help="Recipients who refused more messages, by reply or link.",
    )
    complaint_count = fields.Integer(
        string="Complaints",
        readonly=True,
        help="Complaints about the messages that were entered here. What people tell "
        "their carrier or the 12321 centre no provider reports by itself: enter it "
        "under Messages > Complaints.",
    )
    cost = fields.Monetary(readonly=True)
    delay = fields.Float(
        string="Average Delay (s)",
        readonly=True,
        aggregator="avg",
        help="Seconds from handing over to the delivery report.",
    )
    delay_median = fields.Float(
        string="Median Delay (s)",
        readonly=True,
        aggregator="avg",
        help="Half of the delivered messages had arrived after so many seconds.",
    )
    delay_p95 = fields.Float(
        string="Delay of 95 % (s)",
        readonly=True,
        aggregator="avg",
        help="95 of 100 delivered messages had arrived after so many seconds.",
    )
    delivery_rate = fields.Float(
        string="Delivery Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Delivered of accepted.",
    )
    refusal_rate = fields.Float(
        string="Refusal Rate (%)",
        readonly=True,
        aggregator="avg",
        digits=(16, 3),
        help="Refusals of delivered.",
    )
    complaint_rate = fields.Float(
        string="Complaint Rate (%)",
        readonly=True,
        aggregator="avg",
        digits=(16, 3),
        help="Complaints of delivered.",
    )
    complaint_limit_rate = fields.Float(
        string="Of the Complaint Limit (%)",
        readonly=True,
        aggregator="avg",
        help="Carriers tolerate complaints of 0.03 % of the delivered messages: at 100 "
        "the limit is reached.",
    )

    _depends = {
        "member.message": [
            "gateway_id",
            "state",
            "sent_date",
            "delivered_date",
            "unsubscribed_date",
            "cost",
        ],
        "member.complaint": ["message_id"],
        "member.service.message": [
            "gateway_id",
            "company_id",
            "state",
            "claimed_date",
            "sent_date",
            "delivered_date",
            "cost",
        ],
    }

    @property
    def _table_query(self):
        return SQL(
            """
            SELECT m.id, m.gateway_id, m.company_id, m.category, m.claimed_date AS date,
                   to_char(local.date, 'HH24:00') AS hour,
                   to_char(local.date, 'ID') AS weekday,
                   CASE WHEN EXISTS (
                             SELECT FROM resource_calendar_leaves l
                              WHERE l.resource_id IS NULL
                                AND COALESCE(l.company_id, m.company_id) = m.company_id
                                AND m.claimed_date BETWEEN l.date_from AND l.date_to)
                        THEN 'holiday'
                        WHEN to_char(local.date, 'ID') IN ('6', '7') THEN 'weekend'
                        ELSE 'work' END AS day_type,
                   country.id AS country_id, carrier.name AS carrier,
                   1 AS message_count,
                   (m.sent_date IS NOT NULL)::int AS accepted_count,
                   (m.state = 'delivered')::int AS delivered_count,
                   (m.state = 'failed')::int AS failed_count,
                   (m.state IN ('sent', 'uncertain'))::int AS open_count,
                   (m.unsubscribed_date IS NOT NULL)::int AS refusal_count,
                   COALESCE(complaint.count, 0)::int AS complaint_count,
                   COALESCE(m.cost, 0) AS cost, %(delays)s, %(rates)s
              FROM (%(messages)s) m
             CROSS JOIN LATERAL (
                   SELECT m.claimed_date AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s AS date,
                          date_part('epoch', m.delivered_date - m.sent_date) AS delay
                   ) local
              LEFT JOIN (SELECT message_id, COUNT(*) FROM member_complaint
                          WHERE message_id IS NOT NULL GROUP BY message_id) complaint
                ON complaint.message_id = m.id
              LEFT JOIN unnest(%(country_starts)s::varchar[], %(codes)s::varchar[])
                        AS origin (start, code)
                ON origin.start = LEFT(m.address, %(country_length)s)
              LEFT JOIN res_country country ON country.code = origin.code
              LEFT JOIN unnest(%(carrier_starts)s::varchar[], %(names)s::varchar[])
                        AS carrier (start, name)
                ON carrier.start = LEFT(m.address, %(carrier_length)s)
            """,
            messages=self._select_messages(),
            delays=SQL(", ").join(
                SQL("local.delay AS %s", SQL.identifier(name))
                for name in ("delay", *PERCENTILES)
            ),
            # of one message; those of a group are made by _read_group_select
            rates=SQL(", ").join(
                SQL("NULL::float AS %s", SQL.identifier(name)) for name in RATES
            ),
            tz=self.env.user.tz or "UTC",
            **self._get_origins(),
        )

    def _select_messages(self):
        since = fields.Datetime.subtract(fields.Datetime.now(), days=DAYS)
        return SQL(
            """
            SELECT m.id, m.gateway_id, m.company_id, c.category, m.address, m.state,
                   m.claimed_date, m.sent_date, m.delivered_date, m.unsubscribed_date,
                   m.cost
              FROM member_message m JOIN member_campaign c ON c.id = m.campaign_id
             WHERE m.claimed_date > %(since)s AND m.gateway_id IS NOT NULL
               AND m.state IN ('sent', 'delivered', 'failed', 'uncertain')
         UNION ALL
            SELECT -id, gateway_id, company_id, 'service', address, state, claimed_date,
                   sent_date, delivered_date, NULL, cost
              FROM member_service_message
             WHERE claimed_date > %(since)s
               AND state IN ('sent', 'delivered', 'failed', 'uncertain')
            """,
            since=since,
        )

    def _get_origins(self):
        countries = origins.countries()
        carriers = origins.carriers((self.env.lang or "en")[:2])
        return {
            "country_starts": list(countries),
            "codes": list(countries.values()),
            "country_length": origins.COUNTRY_LENGTH,
            "carrier_starts": list(carriers),
            "names": list(carriers.values()),
            "carrier_length": origins.CARRIER_LENGTH,
        }

    def _read_group_select(self, aggregate_spec, query):
        name, _colon, function = aggregate_spec.partition(":")
        if function == "avg" and name in RATES:
            part, whole, factor = RATES[name]
            return SQL(
                "%s * SUM(%s) / NULLIF(SUM(%s), 0)",
                factor,
                self._field_to_sql(self._table, part, query),
                self._field_to_sql(self._table, whole, query),
            )
        if function == "avg" and name in PERCENTILES:
            return SQL(
                "percentile_cont(%s) WITHIN GROUP (ORDER BY %s)",
                PERCENTILES[name],
                self._field_to_sql(self._table, name, query),
            )
        return super()._read_group_select(aggregate_spec, query)
