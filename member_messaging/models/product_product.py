from odoo import models


class ProductProduct(models.Model):
    _inherit = "product.product"

    def unlink(self):
        self.env["member.profile"]._forget("last_product_id", self)
        return super().unlink()
