from odoo import api, fields, models
from odoo.exceptions import UserError


class MemberCampaignVariant(models.Model):
    _name = "member.campaign.variant"
    _description = "Campaign Variant"
    _order = "campaign_id, sequence, id"

    name = fields.Char(string="Variant", required=True, default="A")
    sequence = fields.Integer(default=10)
    campaign_id = fields.Many2one(
        "member.campaign", required=True, ondelete="cascade", index=True
    )
    company_id = fields.Many2one(related="campaign_id.company_id", store=True)
    template_id = fields.Many2one("member.template", required=True, ondelete="restrict")
    share_rate = fields.Float(
        string="Share (%)", default=100.0, help="Part of the audience that gets it."
    )

    _share_check = models.Constraint(
        "CHECK (share_rate > 0 AND share_rate <= 100)",
        "The share of a variant lies between 0 and 100 %.",
    )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_launched(self):
        if self.campaign_id.filtered("frozen_date"):
            raise UserError(
                self.env._(
                    "The campaign has been launched: its variants are part of the "
                    "proof of what was sent."
                )
            )
