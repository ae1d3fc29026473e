from odoo import api, fields, models


class MemberAttribution(models.Model):
    """One order credited to one message."""

    _name = "member.attribution"
    _description = "Order Credited to a Message"
    _order = "id desc"
    _rec_name = "message_id"

    message_id = fields.Many2one(
        "member.message", required=True, ondelete="cascade", index=True
    )
    campaign_id = fields.Many2one(
        related="message_id.campaign_id", store=True, index=True
    )
    company_id = fields.Many2one(related="message_id.company_id", store=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    order_model = fields.Selection(
        [("sale.order", "Sales"), ("pos.order", "Point of Sale")], required=True
    )
    order_id = fields.Many2oneReference(model_field="order_model", required=True)
    date = fields.Datetime(required=True)
    amount = fields.Monetary(help="What the customer paid, taxes included.")
    discount = fields.Monetary(help="What the coupon took off.")
    kind = fields.Selection(
        [
            ("redeemed", "Coupon Redeemed"),
            ("clicked", "Bought After a Click"),
            ("delivered", "Bought After Delivery"),
        ],
        required=True,
    )

    _order_uniq = models.Constraint(
        "UNIQUE (order_model, order_id, message_id)",
        "An order is credited to a message once.",
    )

    @api.model
    def _redeem(self, order, reward_lines):
        """Credit an order to the messages whose coupons it used.

        Called again for the same order it adds nothing: tills repeat their calls.

        :param order: a ``sale.order`` or ``pos.order`` that counts
        :param reward_lines: its lines that come from coupons
        """
        messages = self.env["member.message"].search(
            [("card_id", "in", reward_lines.coupon_id.ids)]
        )
        added = self._credit(
            order,
            [
                {
                    "message_id": message.id,
                    "amount": order.amount_total - self._get_returned(order),
                    "discount": -sum(
                        self._get_line_total(line)
                        for line in reward_lines
                        if line.coupon_id == message.card_id
                    ),
                    "kind": "redeemed",
                }
                for message in messages
            ],
        )
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "redeemed",
                    "date": order.date_order,
                    "ref": f"{order._name},{order.id}",
                }
                for message in added.message_id
            ]
        )

    @api.model
    def _refund(self, order):
        """Take back what a POS order returns of orders that are credited to a message.

        It is a credit of its own with negative amounts, on the day of the return. The
        message stays redeemed: the member did use the coupon.
        """
        returned = order.lines.filtered("refunded_orderline_id").grouped(
            lambda line: line.refunded_orderline_id.order_id.id
        )
        credits = self.search(
            [("order_model", "=", order._name), ("order_id", "in", list(returned))]
        )
        self._credit(
            order,
            [
                {
                    "message_id": credit.message_id.id,
                    "amount": sum(map(self._get_line_total, returned[credit.order_id])),
                    "discount": -sum(
                        self._get_line_total(line)
                        for line in returned[credit.order_id]
                        if line.refunded_orderline_id.coupon_id
                        == credit.message_id.card_id
                    ),
                    "kind": credit.kind,
                }
                for credit in credits
            ],
        )

    def _credit(self, order, vals_list):
        """Store credits of an order to messages that have none of it yet.

        :param list[dict] vals_list: values with amounts in the currency of the order
        :returns: the new credits
        """
        known = self.search(
            [("order_model", "=", order._name), ("order_id", "=", order.id)]
        ).message_id
        rate = order.currency_rate or 1
        return self.create(
            [
                {
                    **vals,
                    "order_model": order._name,
                    "order_id": order.id,
                    "date": order.date_order,
                    "amount": vals["amount"] / rate,
                    "discount": vals["discount"] / rate,
                }
                for vals in vals_list
                if vals["message_id"] not in known.ids
            ]
        )

    def _get_returned(self, order):
        """:returns: the (negative) amount of goods an order takes back from others"""
        if order._name != "pos.order":
            return 0
        return sum(
            map(self._get_line_total, order.lines.filtered("refunded_orderline_id"))
        )

    @staticmethod
    def _get_line_total(line):
        return (
            line.price_subtotal_incl
            if line._name == "pos.order.line"
            else line.price_total
        )

    @api.model
    def _withdraw(self, orders):
        """Take back the credit of orders that were cancelled."""
        self.search(
            [("order_model", "=", orders._name), ("order_id", "in", orders.ids)]
        ).unlink()
