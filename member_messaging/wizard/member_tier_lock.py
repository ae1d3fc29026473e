from odoo import fields, models
from odoo.exceptions import UserError


class MemberTierLock(models.TransientModel):
    """Staff set a tier by hand, for a reason and a time."""

    _name = "member.tier.lock"
    _description = "Set Tier by Hand"

    profile_id = fields.Many2one("member.profile", string="Member", required=True)
    company_id = fields.Many2one(related="profile_id.company_id")
    tier_id = fields.Many2one(
        "member.tier",
        required=True,
        domain="[('company_id', 'in', [company_id, False])]",
    )
    reason = fields.Char(
        required=True, help="Why this member has a tier that orders do not explain."
    )
    end_date = fields.Date(
        string="Until", help="From then on orders decide again. Empty: no end."
    )

    def action_lock(self):
        self.ensure_one()
        today = fields.Date.context_today(self)
        if self.end_date and self.end_date < today:
            raise UserError(self.env._("The last day must not be in the past."))
        self.profile_id.write(
            {
                "tier_id": self.tier_id.id,
                "tier_date": today,
                # What was given by hand is not kept when the time is over.
                "tier_review_date": False,
                "tier_locked": True,
                "tier_lock_reason": self.reason,
                "tier_lock_end_date": self.end_date,
            }
        )
        return {"type": "ir.actions.act_window_close"}
