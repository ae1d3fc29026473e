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

    member_complaint_contact = fields.Char(
        related="company_id.member_complaint_contact", readonly=False
    )
    member_join_wording = fields.Text(
        related="company_id.member_join_wording", readonly=False
    )
    member_has_join_page = fields.Boolean(
        related="company_id.member_has_join_page", readonly=False
    )
    member_join_url = fields.Char(related="company_id.member_join_url")

    member_sms_gateway_id = fields.Many2one(
        related="company_id.member_sms_gateway_id",
        readonly=False,
        domain="[('channel', '=', 'sms'), ('company_id', '=', company_id)]",
    )
    member_lane_count = fields.Integer(
        string="Senders",
        default=lambda self: self.env["member.lane"]._get_count(),
        help="Scheduled actions that send at the same time, 1 to 16. Each needs one of "
        "the server's cron threads (max_cron_threads).",
    )

    def action_print_join_poster(self):
        """Open the page with the code for the shop window."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"{self.company_id.member_join_url}/poster",
            "target": "new",
        }

    def set_values(self):
        self.env["member.lane"]._set_count(self.member_lane_count)
        orders = self.env["member.order"]
        was_rolled_up = orders._is_rolled_up()
        result = super().set_values()
        if orders._is_rolled_up() != was_rolled_up:
            self.env.ref("member_messaging.ir_cron_member_messaging_refresh")._trigger()
        return result
