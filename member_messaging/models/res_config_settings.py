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
    member_commercial_partner = fields.Boolean(
        string="Count Orders of a Company's Contacts Together",
        config_parameter="member_messaging.commercial_partner",
        help="What the contacts of a company buy counts for the company as the member. "
        "After a change all members are recomputed in the background.",
    )
    member_industry = fields.Selection(
        related="company_id.member_industry", readonly=False
    )
    member_hour_facts = fields.Integer(
        string="Facts for an Own Best Hour",
        default=5,
        config_parameter="member_messaging.hour_facts",
        help="From so many purchases, openings and clicks in a year on, a member's "
        "best hour is learnt from the member alone.",
    )
    member_auto_enrol = fields.Boolean(
        related="company_id.member_auto_enrol", readonly=False
    )

    def set_values(self):
        orders = self.env["member.order"]
        was_rolled_up = orders._is_rolled_up()
        result = super().set_values()
        if orders._is_rolled_up() != was_rolled_up:
            self.env.ref("member_messaging.ir_cron_member_messaging_refresh")._trigger()
        return result
