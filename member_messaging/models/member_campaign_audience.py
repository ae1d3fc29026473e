from odoo import fields, models

from ..fields import CharArray, IntegerArray, KeylessMany2one


class MemberCampaignAudience(models.Model):
    """A piece of a launched campaign's members, as decided at the launch, until its
    rows of the outbox are written. Empty most of the time.

    A row per member would be written, indexed and deleted again by the million; so
    there are arrays with an entry per member.
    """

    _name = "member.campaign.audience"
    _description = "Frozen Audience of a Campaign"
    _order = "campaign_id, position"
    _log_access = False

    campaign_id = KeylessMany2one("member.campaign", required=True)
    position = fields.Integer(required=True)
    size = fields.Integer(string="Members", required=True)
    profile_ids = IntegerArray(required=True)
    partner_ids = IntegerArray(required=True)
    tier_ids = IntegerArray(required=True)
    addresses = CharArray(required=True)
    reasons = CharArray(required=True)
    gateway_ids = IntegerArray(required=True)
    variant_ids = IntegerArray(required=True)

    _position_uniq = models.UniqueIndex("(campaign_id, position)")
