from odoo import fields, models


class MemberInbound(models.Model):
    _inherit = "member.inbound"

    complaint_ids = fields.One2many("member.complaint", "inbound_id", readonly=True)

    def action_record_complaint(self):
        """Record what the reply says as a complaint, once."""
        self.ensure_one()
        self.lock_for_update()
        if not self.complaint_ids:
            self.env["member.complaint"].create(
                {
                    "source": "reply",
                    "date": self.date,
                    "channel": self.gateway_id.channel,
                    "company_id": self.company_id.id,
                    "address": self.address,
                    "profile_id": self.profile_id.id,
                    "message_id": self.message_id.id,
                    "campaign_id": self.message_id.campaign_id.id,
                    "gateway_id": self.gateway_id.id,
                    "inbound_id": self.id,
                    "note": self.text,
                }
            )
        self.action_handled()
