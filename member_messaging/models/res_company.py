from odoo import fields, models

from ..tools.hours import DEFAULT_INDUSTRY

INDUSTRIES = [
    ("retail", "Shops: 10:00–12:00 and 17:00–20:00"),
    ("catering", "Restaurants: 10:30–11:30 and 16:00–17:00"),
    ("ecommerce", "Online Shops: 20:00–22:00"),
    ("education", "Education: 9:00–11:00 at the weekend"),
    ("office", "Office Workers: 12:00–13:30 and 18:00–20:00"),
]


class ResCompany(models.Model):
    _inherit = "res.company"

    member_industry = fields.Selection(
        INDUSTRIES,
        string="Line of Business",
        default=DEFAULT_INDUSTRY,
        help="When customers of this business read offers. It is the best hour of "
        "members nothing else is known of.",
    )
    member_auto_enrol = fields.Boolean(
        string="Enrol Customers Automatically",
        help="Whoever buys and has a phone number becomes a member. "
        "It is no consent: promotions still go only to those who agreed.",
    )
