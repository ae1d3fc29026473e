from odoo import api, fields, models

from ..tools import replies


class MemberInbound(models.Model):
    _name = "member.inbound"
    _description = "Reply"
    _order = "date desc, id desc"
    _rec_name = "text"

    gateway_id = fields.Many2one("member.gateway", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="gateway_id.company_id", store=True)
    message_id = fields.Many2one(
        "member.message",
        string="In Answer To",
        ondelete="set null",
        index="btree_not_null",
    )
    profile_id = fields.Many2one(
        "member.profile",
        string="Member",
        ondelete="set null",
        index="btree_not_null",
    )
    partner_id = fields.Many2one(related="profile_id.partner_id", string="Contact")
    address = fields.Char(string="From", required=True)
    text = fields.Text(required=True)
    date = fields.Datetime(string="Received", required=True)
    intent = fields.Selection(
        [("refuse", "Refusal"), ("help", "Help"), ("subscribe", "Subscription")],
        string="Understood As",
    )
    is_handled = fields.Boolean(string="Handled")
    provider_event_ref = fields.Char(required=True)

    _ref_uniq = models.Constraint(
        "UNIQUE (gateway_id, provider_event_ref)", "A reply is stored once."
    )

    @api.model
    def _receive(self, gateway, inbound):
        """Store replies and act on refusals at once.

        :param inbound: list of ``gateways.types.InboundMessage``
        """
        for reply in inbound:
            known = self.search_count(
                [
                    ("gateway_id", "=", gateway.id),
                    ("provider_event_ref", "=", reply.event_ref),
                ],
                limit=1,
            )
            if not known:
                self._receive_one(gateway, reply)

    def _receive_one(self, gateway, reply):
        message = self._find_answered(gateway, reply.address)
        profile = message.profile_id or self._find_profile(reply.address)
        date = reply.date.replace(tzinfo=None) if reply.date else fields.Datetime.now()
        intent = replies.intent(reply.text)
        record = self.create(
            {
                "gateway_id": gateway.id,
                "message_id": message.id,
                "profile_id": profile.id,
                "address": reply.address,
                "text": reply.text,
                "date": date,
                "intent": intent,
                "is_handled": intent == "refuse",
                "provider_event_ref": reply.event_ref,
            }
        )
        types = ["replied"]
        if intent == "refuse":
            types.append("unsubscribed")
            self.env["member.consent"]._refuse(
                profile | self._find_profiles(reply.address),
                gateway.channel,
                "reply",
                reply.text,
            )
        if message:
            self.env["member.event"]._record(
                [
                    {
                        "message_id": message.id,
                        "type": event_type,
                        "date": date,
                        "ref": reply.event_ref,
                    }
                    for event_type in types
                ]
            )
        return record

    def _find_answered(self, gateway, address):
        """The last message that went to a number is the one it answers."""
        return self.env["member.message"].search(
            [
                ("address", "=", address),
                ("company_id", "=", gateway.company_id.id),
                ("state", "in", ["sent", "delivered", "uncertain"]),
            ],
            order="sent_date desc, id desc",
            limit=1,
        )

    def _find_profiles(self, address):
        """Everybody who uses this number: a refusal counts for the number."""
        return self.env["member.profile"].search(
            [("partner_id.phone_sanitized", "=", address)]
        )

    def _find_profile(self, address):
        return self._find_profiles(address)[:1]

    def action_handled(self):
        self.is_handled = True

    def action_open_member(self):
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "member.profile",
            "res_id": self.profile_id.id,
            "views": [(False, "form")],
        }
