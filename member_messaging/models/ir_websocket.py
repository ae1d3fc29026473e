from odoo import models

#: What a form on a campaign subscribes to, followed by the campaign's id.
CHANNEL = "member.campaign_"


class IrWebsocket(models.AbstractModel):
    _inherit = "ir.websocket"

    def _build_bus_channel_list(self, channels):
        """A campaign's progress is for those who may read the campaign."""
        wanted = {
            channel: channel.removeprefix(CHANNEL)
            for channel in channels
            if channel.startswith(CHANNEL)
        }
        channels = [channel for channel in channels if channel not in wanted]
        ids = [int(record_id) for record_id in wanted.values() if record_id.isdecimal()]
        campaigns = self.env["member.campaign"]
        if ids and campaigns.has_access("read"):
            channels += campaigns.search([("id", "in", ids)])
        return super()._build_bus_channel_list(channels)
