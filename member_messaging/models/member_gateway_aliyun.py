from odoo import fields, models


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    aliyun_extend_code = fields.Char(
        string="Extension Code",
        groups="base.group_system",
        help="Digits behind the sender number, so that replies to this account can be "
        "told from others. Leave empty unless Alibaba Cloud has given you some: one "
        "code belongs to one signature.",
    )
