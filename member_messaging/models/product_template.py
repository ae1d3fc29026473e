from odoo import models


class ProductTemplate(models.Model):
    _inherit = "product.template"

    def unlink(self):
        # PostgreSQL deletes the variants along
        variants = self.with_context(active_test=False).product_variant_ids
        self.env["member.profile"]._forget("last_product_id", variants)
        return super().unlink()
