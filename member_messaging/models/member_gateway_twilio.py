from odoo import fields, models


class MemberGateway(models.Model):
    """Settings of Twilio."""

    _inherit = "member.gateway"

    twilio_messaging_service = fields.Char(
        string="Messaging Service SID",
        groups="base.group_system",
        help="Begins with MG. In Twilio's console under Messaging → Services. It "
        "chooses the sender; give either a service or a sender number.",
    )
    twilio_sender = fields.Char(
        string="Sender ID",
        groups="base.group_system",
        help="Without a Messaging Service: one of your numbers, as +1…, or a sender "
        "name where the country allows one. In Twilio's console under Phone "
        "Numbers → Active numbers.",
    )
    twilio_key_sid = fields.Char(
        string="API Key SID",
        groups="base.group_system",
        copy=False,
        help="Optional. Begins with SK. In Twilio's console under Account → API keys &"
        " tokens. With a key messages are sent without the Auth Token; the token "
        "is still needed, because Twilio signs callbacks with it.",
    )
    twilio_key_secret = fields.Char(
        string="API Key Secret",
        groups="base.group_system",
        copy=False,
        help="Shown once in Twilio's console, when the API key is made.",
    )
