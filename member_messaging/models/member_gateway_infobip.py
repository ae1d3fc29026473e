from odoo import fields, models


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    infobip_sender = fields.Char(
        groups="base.group_system",
        help="Name or number the message is from, as registered for your account. In "
        "Infobip's web interface under Channels and Numbers. Empty: the account's own.",
    )
    # Told with each message, so that nothing has to be set up at Infobip.
    infobip_callback_url = fields.Char(related="report_url", string="Reports Go To")
