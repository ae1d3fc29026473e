from odoo import fields, models
from odoo.exceptions import UserError

from ..models.member_consent import CHANNELS


class MemberProfileEnrol(models.TransientModel):
    _name = "member.profile.enrol"
    _description = "Enrol Members"

    partner_ids = fields.Many2many(
        "res.partner",
        string="Contacts",
        required=True,
        domain="[('member_profile_id', '=', False)]",
    )
    source = fields.Selection(
        selection=lambda self: (
            self.env["member.profile"]
            ._fields["source"]
            ._description_selection(self.env)
        ),
        string="Joined Through",
        required=True,
        default="staff",
    )
    # Never ticked beforehand: consent is a positive act of the member.
    is_granted = fields.Boolean(
        string="They agreed to receive promotions",
        help="Without their consent, members get no promotions.",
    )
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    wording = fields.Text(
        default=lambda self: self.env.company._get_consent_wording(),
        help="The words the members agreed to.",
    )
    evidence = fields.Char(
        help="Where the proof is kept: paper form, recording, screenshot …"
    )

    def action_enrol(self):
        """Make the contacts members; those who are members already stay as they are."""
        self.ensure_one()
        if self.is_granted and not self.evidence:
            raise UserError(
                self.env._(
                    "Note where the proof of the consent is kept, or untick the "
                    "consent: the contacts become members either way."
                )
            )
        joining = self.partner_ids.filtered(
            lambda partner: not partner.member_profile_id
        )
        profiles = self.env["member.profile"]._enrol(joining.ids, self.source)
        if self.is_granted:
            # sudo: the ledger is written by dialogs only, never by hand
            self.env["member.consent"].sudo().create(
                [
                    {
                        "profile_id": profile.id,
                        "channel": self.channel,
                        "purpose": "promotion",
                        "state": "granted",
                        "source": self.source,
                        "evidence": self.evidence,
                        "wording": self.wording,
                    }
                    for profile in profiles
                ]
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("%s new members.", len(profiles)),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }
