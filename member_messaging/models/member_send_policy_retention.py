from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..tools.retention import FLOOR_MONTHS, months_before


class MemberSendPolicy(models.Model):
    """How long the records of messages are kept."""

    _inherit = "member.send.policy"

    retention_months = fields.Integer(
        string="Keep Texts and Numbers (Months)",
        default=24,
        required=True,
        help="Then texts and numbers of messages are blanked, and replies deleted, in "
        "the night. What became of each message stays, so that no figure changes. At "
        "least 6: China's rule on SMS (MIIT Order 31) asks for 5. Other laws may ask "
        "for more, or let members sue for longer.",
    )

    @api.constrains("retention_months")
    def _check_retention_months(self):
        if any(policy.retention_months < FLOOR_MONTHS for policy in self):
            raise ValidationError(
                self.env._(
                    "Texts and numbers of messages are kept for at least %s months: "
                    "China's rule on SMS (MIIT Order 31 of 2015) makes senders keep "
                    "number, time and text for 5 months at least, and complaints come "
                    "late. Nothing was changed.",
                    FLOOR_MONTHS,
                )
            )

    def _get_retention_limit(self):
        """:returns: records from before are not kept any more
        :rtype: datetime
        """
        return months_before(fields.Datetime.now(), self.retention_months)
