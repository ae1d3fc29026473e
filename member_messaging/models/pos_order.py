from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    def action_pos_order_paid(self):
        result = super().action_pos_order_paid()
        # In the transaction of the order: what the till calls afterwards may get lost.
        # sudo: the record of the redemption, which a cashier has no right to write
        attributions = self.env["member.attribution"].sudo()
        returned = self.lines.filtered("refunded_orderline_id")
        attributions._redeem(self, (self.lines - returned).filtered("coupon_id"))
        attributions._refund(self)
        # A till never waits for a refresh that holds the member at this moment.
        # sudo: figures of the member, which a cashier has no right to write
        self.partner_id.sudo().member_profile_id.try_lock_for_update(
            allow_referencing=True
        )._refresh_own()
        return result
