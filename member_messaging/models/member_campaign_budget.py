from odoo import api, fields, models
from odoo.tools import format_amount

from ..tools.quota import get_least_rest
from .member_consent import ADVERTISING


class MemberCampaign(models.Model):
    """What a campaign may cost. Its senders draw on it, see ``member.gateway.load``."""

    _inherit = "member.campaign"

    budget = fields.Monetary(
        tracking=True,
        help="The campaign is not launched if it is expected to cost more, and pauses "
        "before it costs more. 0: no limit.",
    )
    spent = fields.Monetary(compute="_compute_spent")

    _budget_check = models.Constraint(
        "CHECK (budget >= 0)", "A budget is not negative. 0 means: no limit."
    )

    @api.depends("load_ids.cost")
    def _compute_spent(self):
        for campaign in self:
            campaign.spent = sum(campaign.load_ids.mapped("cost"))

    def write(self, vals):
        if "budget" in vals and self.filtered("frozen_date"):
            # what was launched spends it at once
            self._check_manager()
        return super().write(vals)

    def _count_reachable(self):
        """:returns: members who would get the campaign if it was planned now"""
        messages = self.env["member.message"]
        return messages._count_reach(messages._get_campaign_decision_sql(self)).get(
            None, 0
        )

    def _find_problems(self):
        return super()._find_problems() + self._find_budget_problems()

    def _find_budget_problems(self):
        if not self.budget or not self.gateway_id or not self.segment_ids:
            return []
        is_planned = bool(self.planned_date)
        count = 1 if is_planned else self._count_reachable()
        cost = self.spent + count * self._get_parts() * self.gateway_id.price
        if round(cost - self.budget, 4) <= 0:
            return []
        values = {
            "cost": format_amount(self.env, cost, self.currency_id),
            "spent": format_amount(self.env, self.spent, self.currency_id),
            "budget": format_amount(self.env, self.budget, self.currency_id),
        }
        if is_planned:
            return [
                self.env._(
                    "The budget of %(budget)s is used up, %(spent)s are spent: raise "
                    "it.",
                    **values,
                )
            ]
        return [
            self.env._(
                "It would cost about %(cost)s, its budget is %(budget)s: raise the "
                "budget, choose fewer members or a shorter text.",
                **values,
            )
        ]

    def _pause_for_budget(self):
        """The next message would cost more than there is."""
        # somebody may have cancelled it since this sender read it
        self.invalidate_recordset()
        for campaign in self:
            if campaign.state != "sending":
                continue
            [speaking] = campaign._speaking()
            reason = speaking.env._(
                "The budget of %(budget)s is used up, %(spent)s are spent.",
                budget=format_amount(
                    speaking.env, campaign.budget, campaign.currency_id
                ),
                spent=format_amount(speaking.env, campaign.spent, campaign.currency_id),
            )
            campaign.write({"state": "paused", "pause_reason": reason})
            campaign.activity_schedule(
                "mail.mail_activity_data_warning",
                summary=speaking.env._("Budget used up"),
                note=speaking.env._(
                    "%s What has not left waits. Raise the budget and resume, or "
                    "cancel the rest.",
                    reason,
                ),
                user_id=(campaign.user_id or self.env.user).id,
            )

    def action_view_quota(self):
        """Open what limits the SMS of the month: the gateway's own quota if that is the
        tighter one, else the company's policy."""
        self.ensure_one()
        gateway = self.gateway_id
        is_advertising = self.category in ADVERTISING
        own, company = self.env["member.gateway.load"]._get_quotas(gateway)
        rest = own.get_rest(is_advertising)
        if rest is not None and rest == get_least_rest([own, company], is_advertising):
            return {
                "type": "ir.actions.act_window",
                "res_model": "member.gateway",
                "res_id": gateway.id,
                "views": [(False, "form")],
            }
        return self.env["member.send.policy"].action_open()
