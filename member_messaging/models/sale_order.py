from odoo import models


class SaleOrder(models.Model):
    _inherit = "sale.order"

    # What was written a moment ago is found without reading years of orders.
    _member_write_date_idx = models.Index("USING brin (write_date)")

    def _try_apply_code(self, code):
        """Refuse a member's coupon to anybody else; stock looks at the code only."""
        card = self.env["loyalty.card"]
        if reason := card._explain_refusal(code, self.partner_id):
            return {"error": reason}
        return super()._try_apply_code(card._find_member_coupon(code).code or code)

    def action_confirm(self):
        result = super().action_confirm()
        confirmed = self.filtered(lambda order: order.state == "sale")
        for order in confirmed:
            # sudo: salespeople have no right to write messages and members
            self.env["member.attribution"].sudo()._redeem(
                order, order.order_line.filtered("coupon_id")
            )
        confirmed._refresh_members()
        return result

    def _action_cancel(self):
        result = super()._action_cancel()
        # sudo: as in action_confirm
        self.env["member.attribution"].sudo()._withdraw(self)
        self._refresh_members()
        return result

    def _create_down_payment_lines_from_base_lines(self, *args, **kwargs):
        result = super()._create_down_payment_lines_from_base_lines(*args, **kwargs)
        # What a till gives back is known only now to be a down payment.
        self._refresh_members()
        return result

    def _refresh_members(self):
        partner_ids = self.env["member.order"]._map_partners(self.partner_id.ids)
        # sudo: figures of the members, which salespeople have no right to write
        self.env["member.profile"].sudo()._refresh(partner_ids)
