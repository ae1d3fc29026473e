from odoo import api, fields, models


class MemberSendPolicy(models.Model):
    """What a company allows itself towards its members. One row per company."""

    _name = "member.send.policy"
    _description = "Sending Policy"
    _rec_name = "company_id"

    company_id = fields.Many2one(
        "res.company",
        required=True,
        default=lambda self: self.env.company,
        ondelete="cascade",
    )
    promotion_limit = fields.Integer(
        string="Promotions per Member",
        default=3,
        help="A member who got so many promotions is left out of further ones for a "
        "while. Notices and care are not counted and always go out. 0: no limit.",
    )
    promotion_days = fields.Integer(
        string="Within Days",
        default=30,
        required=True,
        help="Promotions in any stretch of so many days are counted together.",
    )

    _company_uniq = models.Constraint(
        "UNIQUE (company_id)", "This company has a sending policy already."
    )
    _limit_check = models.Constraint(
        "CHECK (promotion_limit >= 0)", "The number of promotions cannot be negative."
    )
    _days_check = models.Constraint(
        "CHECK (promotion_days BETWEEN 1 AND 366)",
        "Promotions are counted over 1 to 366 days.",
    )

    @api.model
    def _get_for(self, company):
        """:returns: the company's policy; an unsaved one with the defaults if nobody
        has changed them yet
        """
        # sudo: the limits hold whoever plans or asks for a forecast
        policy = self.sudo().search([("company_id", "=", company.id)])
        return policy or self.sudo().new({"company_id": company.id})

    @api.model
    def action_open(self):
        """Open the policy of the current company, made on the first visit."""
        company = self.env.company
        policy = self.search([("company_id", "=", company.id)]) or self.create(
            {"company_id": company.id}
        )
        return {
            **self.env["ir.actions.act_window"]._for_xml_id(
                "member_messaging.member_send_policy_action"
            ),
            "res_id": policy.id,
        }
