from odoo import fields, models

from .member_consent import ADVERTISING


class MemberCampaign(models.Model):
    _inherit = "member.campaign"

    unsubscribe_warned_date = fields.Datetime(
        string="Warned About Refusals",
        readonly=True,
        copy=False,
        help="The manager has been told that far more members than usual refused "
        "further promotions after this campaign.",
    )

    def _find_gateway_problems(self):
        problems = super()._find_gateway_problems()
        gateway = self.gateway_id
        if gateway.promotion_stop_date and self.category in ADVERTISING:
            problems.append(
                self.env._(
                    "Promotions through %(gateway)s are stopped: %(reason)s A manager "
                    "can allow them again on the gateway.",
                    gateway=gateway.name,
                    reason=gateway.promotion_stop_reason,
                )
            )
        return problems
