from odoo import fields, models

from ..fields import KeylessMany2one


class MemberCampaignAudience(models.Model):
    """One member of a launched campaign, as decided at the launch, until the row of
    the outbox is written. Empty most of the time."""

    _name = "member.campaign.audience"
    _description = "Frozen Audience of a Campaign"
    _order = "campaign_id, position"
    _log_access = False

    campaign_id = KeylessMany2one("member.campaign", required=True)
    position = fields.Integer(required=True)
    profile_id = KeylessMany2one("member.profile", required=True)
    partner_id = KeylessMany2one("res.partner", required=True)
    tier_id = KeylessMany2one("member.tier")
    address = fields.Char()
    reason = fields.Char()
    gateway_id = KeylessMany2one("member.gateway")
    variant_id = KeylessMany2one("member.campaign.variant")

    _position_uniq = models.UniqueIndex("(campaign_id, position)")
