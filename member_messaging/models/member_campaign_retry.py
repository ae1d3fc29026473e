from odoo import models


class MemberCampaign(models.Model):
    _inherit = "member.campaign"

    def action_retry_failed(self):
        """Queue again what has provably not left."""
        self._check_manager()
        for campaign in self:
            campaign._move({"sending", "paused", "done"}, {})
            count = self.env["member.message"]._retry_failed(campaign)
            if count and campaign.state == "done":
                # it has been planned: the next run of a sender takes it up
                campaign.write({"state": "scheduled", "done_date": False})
        self._wake_crons()
