from odoo import fields, models


class MemberTierChange(models.Model):
    """One change of a member's tier. Rows are only ever added."""

    _name = "member.tier.change"
    _description = "Change of a Member's Tier"
    _order = "id desc"
    _rec_name = "tier_id"

    profile_id = fields.Many2one(
        "member.profile", string="Member", required=True, ondelete="cascade", index=True
    )
    partner_id = fields.Many2one(related="profile_id.partner_id")
    company_id = fields.Many2one(related="profile_id.company_id")
    date = fields.Datetime(required=True, default=fields.Datetime.now)
    kind = fields.Selection(
        [
            ("upgrade", "Upgrade"),
            ("downgrade", "Downgrade at the Review"),
            ("refund", "Taken Back after a Refund"),
            ("manual", "Set by Hand"),
        ],
        required=True,
    )
    previous_tier_id = fields.Many2one(
        "member.tier", string="From", ondelete="set null"
    )
    previous_date = fields.Date(string="Tier Before Since")
    previous_review_date = fields.Date(string="Review of the Tier Before")
    tier_id = fields.Many2one("member.tier", string="To", ondelete="set null")
    reason = fields.Char()
    user_id = fields.Many2one("res.users", string="By", ondelete="set null")
