from dataclasses import dataclass
from datetime import timedelta

from odoo import fields, models

from .member_consent import ADVERTISING
from .member_profile import ENGAGEMENTS


@dataclass(frozen=True)
class Cap:
    """At most ``limit`` messages of these categories within a period, for members of
    this engagement; None: for all."""

    limit: int
    period: timedelta
    categories: tuple[str, ...] = ADVERTISING
    engagement: str | None = None


class MemberSendCap(models.Model):
    """A limit beside that of all promotions (C3), for one kind of message or member."""

    _name = "member.send.cap"
    _description = "Limit of Messages"
    _order = "id"

    policy_id = fields.Many2one("member.send.policy", required=True, ondelete="cascade")
    company_id = fields.Many2one(related="policy_id.company_id", store=True)
    category = fields.Selection(
        [("promotion", "Promotions"), ("content", "Content")],
        help="Only messages of this category are counted and limited. Empty: both.",
    )
    engagement = fields.Selection(
        ENGAGEMENTS,
        string="Members",
        help="Only for members who react so often. Empty: all members.",
    )
    message_limit = fields.Integer(
        string="At Most", default=1, required=True, help="0: no limit."
    )
    days = fields.Integer(string="Within Days", default=7, required=True)

    _limit_check = models.Constraint(
        "CHECK (message_limit >= 0 AND days BETWEEN 1 AND 366)",
        "A limit is not negative and counts messages over 1 to 366 days.",
    )

    def _get_caps(self, category):
        """:returns: those that concern messages of a category
        :rtype: list[Cap]
        """
        return [
            Cap(
                cap.message_limit,
                timedelta(days=cap.days),
                (cap.category,) if cap.category else ADVERTISING,
                cap.engagement or None,
            )
            for cap in self
            if cap.message_limit and cap.category in (False, category)
        ]
