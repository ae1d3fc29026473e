from datetime import date, timedelta

from odoo import Command, api, fields, models

from .member_consent import ADVERTISING
from .member_send_cap import Cap

#: What members put up with: content twice a week, and less of all for those who react
#: less.
USUAL_CAPS = (
    {"category": "content", "message_limit": 2, "days": 7},
    {"engagement": "medium", "message_limit": 1, "days": 7},
    {"engagement": "low", "message_limit": 1, "days": 14},
)


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
    gap_hours = fields.Integer(
        string="Hours Between Two",
        default=24,
        help="After a promotion a member is left in peace for so long. 0: no gap.",
    )
    cap_ids = fields.One2many(
        "member.send.cap",
        "policy_id",
        string="Further Limits",
        default=lambda self: [Command.create(values) for values in USUAL_CAPS],
        help="For promotions and content apart, and for members who react more or "
        "less often. Each limit holds beside the others.",
    )
    capped_action = fields.Selection(
        [("skip", "Leave the member out"), ("postpone", "Try again each day")],
        string="Who Has Had Enough",
        default="skip",
        required=True,
        help="Trying again goes on until the end of the offer; campaigns without an "
        "end leave the member out.",
    )

    approval_count = fields.Integer(
        string="Second Person Above Members",
        default=10_000,
        help="A campaign to more members is launched by another manager than the one "
        "who submitted it. 0: never.",
    )
    approval_cost = fields.Monetary(
        string="Second Person Above Costs",
        help="So is a campaign that costs more. 0: never.",
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    bad_number_limit = fields.Integer(
        string="Give Up a Number After",
        default=3,
        help="A number that so many campaigns found to be out of reach is left out for "
        "half a year. 0: never.",
    )
    uncertain_days = fields.Integer(
        string="Wait for an Outcome (Days)",
        default=3,
        required=True,
        help="A message whose answer got lost is settled by a delivery report. After "
        "so many days without one it stays uncertain for good.",
    )
    is_stopped = fields.Boolean(
        string="All Sending Stopped",
        help="While this is on nothing leaves, whatever was launched. What is being "
        "sent at this moment is the last batch.",
    )

    _company_uniq = models.Constraint(
        "UNIQUE (company_id)", "This company has a sending policy already."
    )
    _limit_check = models.Constraint(
        "CHECK (promotion_limit >= 0 AND gap_hours >= 0)",
        "The number of promotions and the hours between two cannot be negative.",
    )
    _days_check = models.Constraint(
        "CHECK (promotion_days BETWEEN 1 AND 366)",
        "Promotions are counted over 1 to 366 days.",
    )

    _wait_check = models.Constraint(
        "CHECK (uncertain_days >= 1 AND bad_number_limit >= 0 AND approval_count >= 0)",
        "Wait for an outcome for at least a day; a number of failures is not negative.",
    )

    @api.depends("company_id.name")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for policy in self:
            policy.display_name = self.env._(
                "Sending Policy of %s", policy.company_id.name
            )

    def action_stop_all(self):
        """Let nothing leave any more, in this company."""
        self.is_stopped = True

    def action_allow_all(self):
        self.is_stopped = False
        self.env["member.lane"]._wake()

    @api.model
    def _get_for(self, company):
        """:returns: the company's policy; an unsaved one with the defaults if nobody
        has changed them yet
        """
        # sudo: the limits hold whoever plans or asks for a forecast
        policy = self.sudo().search([("company_id", "=", company.id)])
        return policy or self.sudo().new({"company_id": company.id})

    def _get_caps(self, category):
        """Return everything that limits messages of a category to one member.

        Notices and care are limited by nothing.

        :rtype: list[odoo.addons.member_messaging.models.member_send_cap.Cap]
        """
        if category not in ADVERTISING:
            return []
        caps = []
        if limit := self.promotion_limit:
            if (self.lowered_until_date or date.min) >= fields.Date.today():
                # many have refused: see member_send_policy_safety
                limit = max(limit - 1, 1)
            caps.append(Cap(limit, timedelta(days=self.promotion_days)))
        if self.gap_hours:
            caps.append(Cap(1, timedelta(hours=self.gap_hours)))
        return caps + self.cap_ids._get_caps(category)

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
