from odoo import models


class PosOrder(models.Model):
    _inherit = "pos.order"

    # as for sales orders
    _member_write_date_idx = models.Index("USING brin (write_date)")

    def action_pos_order_paid(self):
        result = super().action_pos_order_paid()
        # In the transaction of the order: what the till calls afterwards may get lost.
        # sudo: the record of the redemption, which a cashier has no right to write
        attributions = self.env["member.attribution"].sudo()
        returned = self.lines.filtered("refunded_orderline_id")
        attributions._redeem(self, (self.lines - returned).filtered("coupon_id"))
        attributions._refund(self)
        self._refresh_member()
        return result

    def _refresh_member(self):
        """Bring the member up to date; a till never waits for another refresh.

        Whom somebody else holds at this moment the scheduler refreshes soon after.
        """
        partner_ids = self.env["member.order"]._map_partners(self.partner_id.ids)
        # sudo: figures of the member, which a cashier has no right to write
        members = self.env["res.partner"].sudo().browse(partner_ids).member_profile_id
        free = members.try_lock_for_update(allow_referencing=True)
        free._refresh_own()
        cron = self.env.ref(
            "member_messaging.ir_cron_member_messaging_refresh_recent",
            raise_if_not_found=False,
        )
        if cron and free != members:
            # sudo: cashiers may not see what is scheduled
            cron.sudo()._trigger()
