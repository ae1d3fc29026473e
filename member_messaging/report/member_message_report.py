from odoo import fields, models
from odoo.tools import SQL

#: Rate → (numerator, denominator). Every total is a ratio of sums.
RATES = {
    "delivery_rate": ("delivered_count", "sent_count"),
    "click_rate": ("clicked_count", "delivered_count"),
    "redemption_rate": ("redeemed_count", "delivered_count"),
    "unsubscribe_rate": ("unsubscribed_count", "delivered_count"),
    "roi_rate": ("profit", "cost"),
}


class MemberMessageReport(models.Model):
    """One row per message; every measure adds up."""

    _name = "member.message.report"
    _description = "Campaign Recap"
    _auto = False
    _order = "date desc"
    _rec_name = "campaign_id"

    message_id = fields.Many2one("member.message", readonly=True)
    campaign_id = fields.Many2one("member.campaign", readonly=True)
    variant_id = fields.Many2one("member.campaign.variant", readonly=True)
    category = fields.Selection(related="campaign_id.category")
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    tier_id = fields.Many2one("member.tier", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Contact", readonly=True)
    gateway_id = fields.Many2one("member.gateway", readonly=True)
    channel = fields.Selection(
        selection=lambda self: (
            self.env["member.message"]
            ._fields["channel"]
            ._description_selection(self.env)
        ),
        readonly=True,
    )
    state = fields.Selection(
        selection=lambda self: (
            self.env["member.message"]._fields["state"]._description_selection(self.env)
        ),
        readonly=True,
    )
    reason = fields.Selection(
        selection=lambda self: (
            self.env["member.message"]
            ._fields["reason"]
            ._description_selection(self.env)
        ),
        string="Why Not Reached",
        readonly=True,
    )
    date = fields.Datetime(string="Due", readonly=True)
    sent_hour = fields.Char(
        string="Hour", readonly=True, help="Hour of sending in your time zone."
    )

    planned_count = fields.Integer(string="Selected", readonly=True)
    skipped_count = fields.Integer(string="Not Reached", readonly=True)
    open_count = fields.Integer(string="Waiting", readonly=True)
    sent_count = fields.Integer(string="Sent", readonly=True)
    delivered_count = fields.Integer(string="Delivered", readonly=True)
    failed_count = fields.Integer(string="Failed", readonly=True)
    clicked_count = fields.Integer(
        string="Clicked", readonly=True, help="Members, not visits; machines left out."
    )
    redeemed_count = fields.Integer(string="Redeemed", readonly=True)
    unsubscribed_count = fields.Integer(string="Unsubscribed", readonly=True)
    revenue = fields.Monetary(readonly=True, help="Paid on orders that used a coupon.")
    discount = fields.Monetary(readonly=True)
    cost = fields.Monetary(readonly=True, help="Price of the messages.")
    profit = fields.Monetary(
        string="Revenue less Cost",
        readonly=True,
        help="Revenue less the price of the messages; cost of goods not counted.",
    )
    delivery_rate = fields.Float(
        string="Delivery Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Delivered of sent.",
    )
    click_rate = fields.Float(
        string="Click Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Clicked of delivered.",
    )
    redemption_rate = fields.Float(
        string="Redemption Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Redeemed of delivered.",
    )
    unsubscribe_rate = fields.Float(
        string="Unsubscribe Rate (%)",
        readonly=True,
        aggregator="avg",
        help="Unsubscribed of delivered.",
    )
    roi_rate = fields.Float(
        string="ROI (%)",
        readonly=True,
        aggregator="avg",
        help="Revenue less cost, of cost.",
    )

    _depends = {
        "member.message": [
            "campaign_id",
            "state",
            "sent_date",
            "clicked_date",
            "redeemed_date",
            "cost",
        ],
        "member.attribution": ["message_id", "amount", "discount"],
    }

    @property
    def _table_query(self):
        return SQL("SELECT m.*, %s FROM (%s) m", self._select_rates(), self._select())

    def _select(self):
        return SQL(
            """
            SELECT m.id, m.id AS message_id, m.campaign_id, m.variant_id, m.company_id,
                   m.tier_id, m.partner_id, m.gateway_id, m.channel, m.state, m.reason,
                   m.due_date AS date,
                   to_char(m.sent_date AT TIME ZONE 'UTC' AT TIME ZONE %(tz)s,
                           'HH24:00') AS sent_hour,
                   1 AS planned_count,
                   (m.state = 'skipped')::int AS skipped_count,
                   (m.state IN ('queued', 'claimed'))::int AS open_count,
                   (m.sent_date IS NOT NULL)::int AS sent_count,
                   (m.state = 'delivered')::int AS delivered_count,
                   (m.state = 'failed')::int AS failed_count,
                   (m.clicked_date IS NOT NULL)::int AS clicked_count,
                   (m.redeemed_date IS NOT NULL)::int AS redeemed_count,
                   (m.unsubscribed_date IS NOT NULL)::int AS unsubscribed_count,
                   COALESCE(m.cost, 0) AS cost,
                   COALESCE(a.amount, 0) AS revenue,
                   COALESCE(a.discount, 0) AS discount,
                   COALESCE(a.amount, 0) - COALESCE(m.cost, 0) AS profit
              FROM member_message m
              LEFT JOIN (SELECT message_id, SUM(amount) AS amount,
                                SUM(discount) AS discount
                           FROM member_attribution GROUP BY message_id) a
                ON a.message_id = m.id
            """,
            tz=self.env.user.tz or "UTC",
        )

    def _select_rates(self):
        return SQL(", ").join(
            SQL(
                "100.0 * %s / NULLIF(%s, 0) AS %s",
                SQL.identifier("m", part),
                SQL.identifier("m", whole),
                SQL.identifier(rate),
            )
            for rate, (part, whole) in RATES.items()
        )

    def _read_group_select(self, aggregate_spec, query):
        rate, _colon, function = aggregate_spec.partition(":")
        if rate not in RATES or function != "avg":
            return super()._read_group_select(aggregate_spec, query)
        part, whole = (
            self._field_to_sql(self._table, name, query) for name in RATES[rate]
        )
        return SQL("100.0 * SUM(%s) / NULLIF(SUM(%s), 0)", part, whole)

    def action_open_message(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "member.message",
            "res_id": self.message_id.id,
            "views": [(False, "form")],
        }
