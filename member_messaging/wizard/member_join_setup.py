from odoo import api, fields, models

#: What managers may set of a company, and nothing else of it.
SETTINGS = (
    "member_auto_enrol",
    "member_complaint_contact",
    "member_join_wording",
    "member_has_join_page",
)


class MemberJoinSetup(models.TransientModel):
    """The public pages of a company, for managers: the form of the company and the page
    of all settings are an administrator's."""

    _name = "member.join.setup"
    _description = "Join Page"

    company_id = fields.Many2one(
        "res.company",
        required=True,
        readonly=True,
        default=lambda self: self.env.company,
    )
    member_has_join_page = fields.Boolean(
        string="Join Page",
        help="Switched off and on again it gets another address, and posters have to "
        "be printed again.",
    )
    member_join_url = fields.Char(related="company_id.member_join_url")
    member_join_wording = fields.Text(
        string="Wording of the Consent",
        help="What members agree to, in the language you work in. Empty: a text that "
        "says what laws ask for, with your sending policy.",
    )
    member_complaint_contact = fields.Char(
        string="Complaint Contact",
        help="A person, a phone number or an e-mail address, shown on public pages.",
    )
    member_auto_enrol = fields.Boolean(
        string="Enrol Customers Automatically",
        help="Whoever buys and has a phone number becomes a member. It is no consent.",
    )

    @api.model
    def default_get(self, fields):
        company = self.env.company
        settings = {name: company[name] for name in SETTINGS if name in fields}
        return {**super().default_get(fields), **settings}

    def action_save(self):
        """Store the settings of the current company."""
        self.ensure_one()
        # sudo: managers may not write companies; these fields are theirs
        company_sudo = self.env.company.sudo()
        changed = {
            name: self[name] for name in SETTINGS if company_sudo[name] != self[name]
        }
        if changed:
            company_sudo.write(changed)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("Saved."),
                "next": self.env["ir.actions.act_window"]._for_xml_id(
                    "member_messaging.member_join_setup_action"
                ),
            },
        }

    def action_print_poster(self):
        """Open the page with the code for the shop window."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_url",
            "url": f"{self.env.company.member_join_url}/poster",
            "target": "new",
        }
