from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def action_pos_order_paid(self):
        result = super().action_pos_order_paid()
        # sudo: figures of the member, which a cashier has no right to write
        self.env["member.profile"].sudo()._refresh(self.partner_id.ids)
        return result

    def confirm_coupon_programs(self, coupon_data):
        result = super().confirm_coupon_programs(coupon_data)
        # sudo: the record of the redemption, which a cashier has no right to write
        self.env["member.attribution"].sudo()._redeem(
            self, self.lines.filtered("coupon_id")
        )
        return result
