from datetime import timedelta
from itertools import pairwise
from math import inf
from typing import NamedTuple

from odoo import api, fields, models
from odoo.exceptions import ValidationError


class Goal(NamedTuple):
    """At least so much of something within so many days."""

    kind: str
    least: float
    days: float

    def comes_with(self, other):
        """Whether who reached the other goal has reached this one."""
        return (
            self.kind == other.kind
            and self.least <= other.least
            and self.days >= other.days
        )


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
    condition = fields.Selection(
        [("all", "Both"), ("any", "One of Them")],
        string="Needs",
        required=True,
        default="all",
        help="Whether a member needs the spending and the orders, or one of them.",
    )
    window_days = fields.Integer(
        string="Window (Days)",
        default=365,
        help="How far back orders count. 0: since the first order.",
    )
    validity_days = fields.Integer(
        string="Kept For (Days)",
        default=365,
        help="A member who reached the tier keeps it at least so long; then the tier "
        "is reviewed. Refunds take back what they had earned at once.",
    )
    grace_days = fields.Integer(
        string="Grace (Days)",
        default=30,
        help="So many days after the review a member may still catch up.",
    )
    member_count = fields.Integer(compute="_compute_member_count")

    _positive_check = models.Constraint(
        "CHECK (min_revenue >= 0 AND min_orders >= 0 AND window_days >= 0"
        " AND validity_days >= 0 AND grace_days >= 0)",
        "Spending, number of orders and days of a tier cannot be negative.",
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

    @api.constrains(
        "sequence",
        "active",
        "company_id",
        "min_revenue",
        "min_orders",
        "condition",
        "window_days",
    )
    def _check_order(self):
        """Each tier must be harder to reach than the one before it."""
        tiers = self._get_all()
        for company in tiers.company_id or [tiers.company_id]:
            ladder = tiers.filtered(
                lambda t, c=company: t.company_id in (c, c.browse())
            )
            for lower, higher in pairwise(ladder):
                if not higher._is_harder(lower):
                    raise ValidationError(
                        self.env._(
                            "%(higher)s comes after %(lower)s but is not harder to "
                            "reach, so that nobody would ever be %(lower)s. Ask for "
                            "more spending or more orders, or change the order of the "
                            "tiers.",
                            higher=higher.name,
                            lower=lower.name,
                        )
                    )

    def unlink(self):
        self.env["member.profile"]._forget("tier_id", self)
        return super().unlink()

    def _is_harder(self, lower):
        """Whether this tier asks for more than the one before it."""
        if (self.window_days, self.condition) != (lower.window_days, lower.condition):
            return not self._comes_with(lower)
        mine, others = ((tier.min_revenue, tier.min_orders) for tier in (self, lower))
        return mine != others and all(m >= o for m, o in zip(mine, others, strict=True))

    def _comes_with(self, lower):
        """Whether everybody who reaches a tier has reached this one, refunds aside."""
        wanted, given = self._get_goals(), lower._get_goals()
        known = [[goal] for goal in given] if lower.condition == "any" else [given]
        enough = any if self.condition == "any" else all
        return not wanted or (
            bool(given)
            and all(
                enough(any(goal.comes_with(g) for g in goals) for goal in wanted)
                for goals in known
            )
        )

    def _get_goals(self):
        """:returns: what there is to be reached, without conditions of 0"""
        days = self.window_days or inf
        goals = (
            Goal("revenue", self.min_revenue, days),
            Goal("orders", self.min_orders, days),
        )
        return [goal for goal in goals if goal.least]

    @api.model
    def _get_all(self):
        """:returns: the tiers of all companies from the lowest to the highest"""
        # sudo: a refresh concerns members and tiers of every company, whoever asks
        return self.sudo().search([("active", "=", True)])

    def _get_review_date(self, today):
        """:returns: day until which the tier is kept if it is reached today"""
        self.ensure_one()
        return today + timedelta(days=self.validity_days)

    def action_view_members(self):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "member_messaging.member_profile_action"
        )
        return {**action, "domain": [("tier_id", "=", self.id)], "context": {}}
