from odoo import fields, models


class MemberGateway(models.Model):
    """Promotions of an account can be stopped while all else goes on."""

    _inherit = "member.gateway"

    promotion_stop_date = fields.Datetime(
        string="Promotions Stopped", readonly=True, copy=False
    )
    promotion_stop_reason = fields.Char(readonly=True, copy=False)
    complaint_since_date = fields.Datetime(
        readonly=True,
        copy=False,
        help="Complaints before have been looked into and do not count any more.",
    )

    def action_allow_promotions(self):
        """Somebody has looked into the complaints: promotions leave again."""
        stopped = self.filtered("promotion_stop_date")
        stopped.write(
            {
                "promotion_stop_date": False,
                "promotion_stop_reason": False,
                "complaint_since_date": fields.Datetime.now(),
            }
        )
        self.env["member.lane"]._wake()

    def _stop_promotions(self, reason):
        """Let no promotion leave any more, from the next claim on. Notices and care go
        on: nobody complains about the receipt they waited for.

        :returns: whether they were not stopped already
        """
        self.ensure_one()
        if self.promotion_stop_date:
            return False
        self.write(
            {
                "promotion_stop_date": fields.Datetime.now(),
                "promotion_stop_reason": reason,
            }
        )
        return True
