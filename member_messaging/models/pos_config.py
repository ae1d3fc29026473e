from odoo import models


class PosConfig(models.Model):
    _inherit = "pos.config"

    def use_coupon_code(self, code, creation_date, partner_id, pricelist_id):
        """Say why a member's coupon is refused, where stock only says “invalid”."""
        cards = self.env["loyalty.card"]
        card = cards._find_member_coupon(code)
        reason = cards._explain_refusal(
            code, self.env["res.partner"].browse(partner_id or [])
        )
        if not reason and card and card.program_id not in self._get_program_ids():
            reason = self.env._("Coupon %s is not valid in this shop today.", card.code)
        if reason:
            return {"successful": False, "payload": {"error_message": reason}}
        return super().use_coupon_code(
            card.code or code, creation_date, partner_id, pricelist_id
        )
