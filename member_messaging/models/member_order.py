from odoo import fields, models
from odoo.tools import SQL


class MemberOrder(models.Model):
    """The one place that says which orders count, for whom and for how much.

    A confirmed sales order or a paid POS order is one row. ``amount`` is what the
    customer paid, taxes included, in the currency of the order's company at the
    order's own rate; a POS refund is a row with a negative amount.
    """

    _name = "member.order"
    _description = "Order of a Member"
    _auto = False
    _order = "date desc, id desc"

    name = fields.Char(string="Order", readonly=True)
    order_model = fields.Selection(
        [("sale.order", "Sales"), ("pos.order", "Point of Sale")],
        string="Sold At",
        readonly=True,
    )
    order_id = fields.Many2oneReference(
        string="Document", model_field="order_model", readonly=True
    )
    partner_id = fields.Many2one("res.partner", string="Customer", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    date = fields.Datetime(readonly=True)
    amount = fields.Monetary(readonly=True)

    # Flushed before this model is read, since the query below bypasses the ORM.
    _depends = {
        "sale.order": [
            "name",
            "state",
            "partner_id",
            "company_id",
            "date_order",
            "amount_total",
            "currency_rate",
        ],
        "pos.order": [
            "name",
            "state",
            "partner_id",
            "company_id",
            "date_order",
            "amount_total",
            "currency_rate",
        ],
    }

    @property
    def _table_query(self):
        return self._get_order_sql()

    def _get_order_sql(self):
        """Return a SELECT of every order that counts.

        :returns: columns ``id, name, order_model, order_id, partner_id, company_id,
            date, amount``; ``id`` is even for sales and odd for POS orders
        :rtype: SQL
        """
        return SQL(
            """
            SELECT so.id * 2 AS id, so.name, 'sale.order' AS order_model,
                   so.id AS order_id, so.partner_id, so.company_id,
                   so.date_order AS date,
                   so.amount_total / COALESCE(NULLIF(so.currency_rate, 0), 1) AS amount
              FROM sale_order so
             WHERE so.state = 'sale'
         UNION ALL
            SELECT po.id * 2 + 1, po.name, 'pos.order', po.id, po.partner_id,
                   po.company_id, po.date_order,
                   po.amount_total / COALESCE(NULLIF(po.currency_rate, 0), 1)
              FROM pos_order po
             WHERE po.state IN ('paid', 'done') AND po.partner_id IS NOT NULL
            """
        )

    def action_open_order(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self.order_model,
            "res_id": self.order_id,
            "views": [(False, "form")],
        }
