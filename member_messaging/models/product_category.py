from odoo import models


class ProductCategory(models.Model):
    _inherit = "product.category"

    def unlink(self):
        # PostgreSQL deletes the categories below along
        below = self.search([("id", "child_of", self.ids)])
        self.env["member.profile"]._forget("favourite_category_id", below)
        return super().unlink()
