from odoo import fields, models


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    tencent_app_id = fields.Char(
        string="SdkAppId",
        groups="base.group_system",
        help="Number of your SMS application, e.g. 1400006666. In Tencent Cloud's SMS "
        "console under Application Management, Application List.",
    )
    tencent_region = fields.Char(
        string="Region",
        groups="base.group_system",
        help="Region of the SMS service, e.g. ap-guangzhou, ap-beijing or ap-nanjing. "
        "Empty: ap-guangzhou.",
    )
    tencent_extend_code = fields.Char(
        string="Tencent Extension Code",
        groups="base.group_system",
        help="Digits behind the sender number. Leave empty unless Tencent Cloud's "
        "support has given you some.",
    )
    tencent_sender_id = fields.Char(
        string="Tencent Sender ID",
        groups="base.group_system",
        help="Who the message is from, for numbers outside mainland China. In the SMS "
        "console under Global SMS. Empty: Tencent Cloud's own.",
    )
    tencent_pull = fields.Boolean(
        string="Fetch Reports and Replies",
        groups="base.group_system",
        help="Tick this only if Tencent Cloud cannot reach the callback address, for "
        "example because this Odoo has no public address. Its support has to enable "
        "“pull status” for your application first. What is fetched is told only once: "
        "the callback address is the safer way.",
    )
