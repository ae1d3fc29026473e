from odoo import fields, models

from .sms_sms import SmsApiGateway


class ResCompany(models.Model):
    _inherit = "res.company"

    member_sms_gateway_id = fields.Many2one(
        "member.gateway",
        string="Gateway of All Other SMS",
        domain="[('channel', '=', 'sms'), ('company_id', '=', id)]",
        ondelete="restrict",
        help="SMS of sales, stock, calendar and other applications leave through it. "
        "Empty: through Odoo's own service.",
    )

    def _get_sms_api_class(self):
        # sudo: whoever sends an SMS need not see gateways
        if self.sudo().member_sms_gateway_id:
            return SmsApiGateway
        return super()._get_sms_api_class()
