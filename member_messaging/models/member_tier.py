from odoo import api, fields, models


class MemberTier(models.Model):
    _name = "member.tier"
    _description = "Member Tier"
    _order = "sequence, id"

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(
        default=10, help="From the lowest tier to the highest one."
    )
    active = fields.Boolean(default=True)
    color = fields.Integer()
    company_id = fields.Many2one(
        "res.company", help="Leave empty to use the tier in every company."
    )
    currency_id = fields.Many2one("res.currency", compute="_compute_currency_id")
    min_revenue = fields.Monetary(
        string="Spent From",
        help="Least revenue a member must have made in the window. 0: no condition.",
    )
    min_orders = fields.Integer(
        string="Orders From",
        help="Least number of orders a member must have placed in the window. "
        "0: no condition.",
    )
    window_days = fields.Integer(
        string="Window (Days)",
        default=365,
        help="How far back orders count. 0: since the first order.",
    )
    member_count = fields.Integer(compute="_compute_member_count")

    _positive_check = models.Constraint(
        "CHECK (min_revenue >= 0 AND min_orders >= 0 AND window_days >= 0)",
        "Spending, number of orders and window of a tier cannot be negative.",
    )

    @api.depends("company_id")
    def _compute_currency_id(self):
        main_company = self.env["res.company"]._get_main_company()
        for tier in self:
            tier.currency_id = (tier.company_id or main_company).currency_id

    def _compute_member_count(self):
        counts = dict(
            self.env["member.profile"]._read_group(
                [("tier_id", "in", self.ids)], ["tier_id"], ["__count"]
            )
        )
        for tier in self:
            tier.member_count = counts.get(tier, 0)

    def action_view_members(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_action"
        )
        return {**action, "domain": [("tier_id", "=", self.id)], "context": {}}
