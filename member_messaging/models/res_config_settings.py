from odoo import fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    member_new_days = fields.Integer(
        string="New For",
        default=30,
        config_parameter="member_messaging.new_days",
        help="A member is new for so many days after the first order.",
    )
    member_active_days = fields.Integer(
        string="Active For",
        default=90,
        config_parameter="member_messaging.active_days",
        help="A member is active for so many days after the last order.",
    )
    member_sleeping_days = fields.Integer(
        string="Sleeping Until",
        default=365,
        config_parameter="member_messaging.sleeping_days",
        help="So many days after the last order a sleeping member counts as lost.",
    )
