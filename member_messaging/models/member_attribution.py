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
        known = self.search(
            [
                ("order_model", "=", order._name),
                ("order_id", "=", order.id),
                ("message_id", "in", messages.ids),
            ]
        ).message_id
        rate = order.currency_rate or 1
        self.create(
            [
                {
                    "message_id": message.id,
                    "order_model": order._name,
                    "order_id": order.id,
                    "date": order.date_order,
                    "amount": order.amount_total / rate,
                    "discount": -sum(
                        self._get_line_total(line)
                        for line in reward_lines
                        if line.coupon_id == message.card_id
                    )
                    / rate,
                    "kind": "redeemed",
                }
                for message in messages - known
            ]
        )
        self.env["member.event"]._record(
            [
                {
                    "message_id": message.id,
                    "type": "redeemed",
                    "date": order.date_order,
                    "ref": f"{order._name},{order.id}",
                }
                for message in messages - known
            ]
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
