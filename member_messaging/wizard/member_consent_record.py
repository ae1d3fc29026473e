from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..models.member_consent import CHANNELS

#: How long a consent is implied under Canada's anti-spam law (CASL 10(10)). Other laws
#: set no term; the date can be changed.
AFTER_PURCHASE = relativedelta(years=2)
AFTER_INQUIRY = relativedelta(months=6)


class MemberConsentRecord(models.TransientModel):
    """Staff write down what a member said in the shop or on the telephone."""

    _name = "member.consent.record"
    _description = "Record Consent"

    profile_id = fields.Many2one("member.profile", string="Member", required=True)
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    purpose = fields.Selection(
        selection=lambda self: (
            self.env["member.consent"]
            ._fields["purpose"]
            ._description_selection(self.env)
        ),
        required=True,
        default="promotion",
    )
    state = fields.Selection(
        [
            ("refused", "The member refuses"),
            ("granted", "The member agrees"),
            ("complaint", "The member complains about messages"),
        ],
        string="What They Said",
        required=True,
        default="refused",
    )
    wording = fields.Text(help="The words the member agreed to.")
    evidence = fields.Char(help="What proves it: form, recording, witness …")
    basis = fields.Selection(
        selection=lambda self: (
            self.env["member.consent"]._fields["basis"]._description_selection(self.env)
        ),
        required=True,
        default="express",
        help="Where the law takes a purchase or an inquiry for a consent to similar "
        "offers. It ends by itself, and does not undo a refusal.",
    )
    expiry_date = fields.Date(
        compute="_compute_expiry_date",
        store=True,
        readonly=False,
        help="The grant ends on this day. Empty: no end.",
    )

    @api.depends("basis", "profile_id")
    def _compute_expiry_date(self):
        for dialog in self:
            bought = dialog.profile_id.last_order_date
            dialog.expiry_date = dialog.basis == "implied" and (
                bought.date() + AFTER_PURCHASE
                if bought
                else fields.Date.context_today(dialog) + AFTER_INQUIRY
            )

    def action_record(self):
        self.ensure_one()
        if self.state == "granted" and not (self.evidence or "").strip():
            raise UserError(
                self.env._(
                    "A consent counts only with its proof: fill in the evidence."
                )
            )
        # sudo: the ledger is written by dialogs only, never by hand
        self.env["member.consent"].sudo().create(
            {
                "profile_id": self.profile_id.id,
                "channel": self.channel,
                "purpose": self.purpose,
                "state": "granted" if self.state == "granted" else "refused",
                "source": "complaint" if self.state == "complaint" else "staff",
                "evidence": self.evidence,
                **(self._prepare_grant() if self.state == "granted" else {}),
            }
        )
        return {"type": "ir.actions.act_window_close"}

    def _prepare_grant(self):
        return {
            "wording": self.wording,
            "basis": self.basis,
            "expiry_date": self.expiry_date,
        }
