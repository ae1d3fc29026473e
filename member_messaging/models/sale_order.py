from odoo import models


class SaleOrder(models.Model):
    _inherit = "sale.order"

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
        self.env["member.profile"].sudo()._refresh(confirmed.partner_id.ids)
        return result

    def _action_cancel(self):
        result = super()._action_cancel()
        # sudo: as in action_confirm
        self.env["member.attribution"].sudo()._withdraw(self)
        self.env["member.profile"].sudo()._refresh(self.partner_id.ids)
        return result
