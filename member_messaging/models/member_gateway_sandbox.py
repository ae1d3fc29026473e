from odoo import fields, models

from ..gateways.sandbox import DEFAULTS


class MemberGateway(models.Model):
    """How the simulated carrier behaves."""

    _inherit = "member.gateway"

    sandbox_badnum_rate = fields.Float(
        string="Bad Numbers",
        default=DEFAULTS["badnum_rate"],
        digits=(16, 4),
        help="Part of all messages that is refused at once.",
    )
    sandbox_delivered_rate = fields.Float(
        string="Delivered",
        default=DEFAULTS["delivered_rate"],
        digits=(16, 4),
        help="Part of the accepted messages that arrives; the others fail with codes "
        "of carriers.",
    )
    sandbox_refuse_rate = fields.Float(
        string="Reply “TD”",
        default=DEFAULTS["refuse_rate"],
        digits=(16, 4),
        help="Part of the delivered messages whose member refuses more of them.",
    )
    sandbox_yes_rate = fields.Float(
        string="Reply “Y”",
        default=DEFAULTS["yes_rate"],
        digits=(16, 4),
        help="Part of the delivered messages whose member answers Y.",
    )
    sandbox_delay_seconds = fields.Integer(
        string="Reports Within (Seconds)",
        default=DEFAULTS["delay_seconds"],
        help="Longest time until a delivery report. 0: at once.",
    )
    sandbox_forward_date = fields.Datetime(
        string="Fast-forwarded",
        readonly=True,
        copy=False,
        help="What was sent before is reported by then.",
    )

    _sandbox_check = models.Constraint(
        "CHECK (LEAST(sandbox_badnum_rate, sandbox_delivered_rate, sandbox_refuse_rate,"
        " sandbox_yes_rate) >= 0 AND GREATEST(sandbox_badnum_rate,"
        " sandbox_delivered_rate, sandbox_refuse_rate + sandbox_yes_rate) <= 1"
        " AND sandbox_delay_seconds >= 0)",
        "The sandbox's rates are parts of a whole: from 0 to 100 %, both replies "
        "together at most 100 %. Seconds cannot be negative.",
    )
