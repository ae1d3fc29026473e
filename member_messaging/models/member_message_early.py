from odoo import api, models


class MemberMessage(models.Model):
    """Reports that were quicker than the sender."""

    _inherit = "member.message"

    @api.model
    def _record(self, gateway, results):
        outcome = super()._record(gateway, results)
        self.env["member.callback"]._wake_early(gateway)
        return outcome
