from odoo import fields, models

from ..fields import KeylessMany2one


class MemberCampaignAudience(models.Model):
    """A piece of a launched campaign's members, as decided at the launch, until its rows
    of the outbox are written. Empty most of the time.

    A row per member would be written, indexed and deleted again by the million; so each
    text is an array of PostgreSQL with an entry per member.
    """

    _name = "member.campaign.audience"
    _description = "Frozen Audience of a Campaign"
    _order = "campaign_id, position"
    _log_access = False

    campaign_id = KeylessMany2one("member.campaign", required=True)
    position = fields.Integer(required=True)
    size = fields.Integer(string="Members", required=True)
    profile_ids = fields.Text(required=True)
    partner_ids = fields.Text(required=True)
    tier_ids = fields.Text(required=True)
    addresses = fields.Text(required=True)
    reasons = fields.Text(required=True)
    gateway_ids = fields.Text(required=True)
    variant_ids = fields.Text(required=True)

    _position_uniq = models.UniqueIndex("(campaign_id, position)")
