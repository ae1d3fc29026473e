from odoo import models


class PosConfig(models.Model):
    _inherit = "pos.config"

    def use_coupon_code(self, code, creation_date, partner_id, pricelist_id):
        """Say why a member's coupon is refused, where stock only says “invalid”."""
        reason = self.env["loyalty.card"]._explain_refusal(
            code, self.env["res.partner"].browse(partner_id or [])
        )
        if reason:
            return {"successful": False, "payload": {"error_message": reason}}
        return super().use_coupon_code(code, creation_date, partner_id, pricelist_id)
