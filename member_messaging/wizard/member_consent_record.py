from odoo import fields, models
from odoo.exceptions import UserError

from ..models.member_consent import CHANNELS


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
        ],
        string="What They Said",
        required=True,
        default="refused",
    )
    wording = fields.Text(help="The words the member agreed to.")
    evidence = fields.Char(help="What proves it: form, recording, witness …")
    expiry_date = fields.Date(help="The grant ends on this day. Empty: no end.")

    def action_record(self):
        self.ensure_one()
        if self.state == "granted" and not self.evidence:
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
                "state": self.state,
                "source": "staff",
                "wording": self.wording,
                "evidence": self.evidence,
                "expiry_date": self.expiry_date,
            }
        )
        return {"type": "ir.actions.act_window_close"}
