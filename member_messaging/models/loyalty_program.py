from odoo import models


class LoyaltyProgram(models.Model):
    _inherit = "loyalty.program"

    def _get_offer_text(self):
        """Return what the programme gives, in the language of the context."""
        return ", ".join(
            filter(None, (reward.description for reward in self.reward_ids))
        )
