from odoo import Command, api, fields, models
from odoo.exceptions import UserError

from ..tools.retention import FLOOR_MONTHS

#: What of a contact is about the person, by field of any application.
PERSONAL_FIELDS = (
    "phone",
    "email",
    "street",
    "street2",
    "zip",
    "city",
    "state_id",
    "website",
    "function",
    "vat",
    "ref",
    "barcode",
    "comment",
    "company_name",
    "image_1920",
)


class MemberProfileErase(models.TransientModel):
    """A member asks to be forgotten: what goes, what has to stay and why, and a second
    thought before it is done."""

    _name = "member.profile.erase"
    _description = "Erase a Member"

    # empty once it is done
    profile_id = fields.Many2one("member.profile", string="Member", ondelete="set null")
    partner_id = fields.Many2one(related="profile_id.partner_id", string="Contact")
    number = fields.Char(related="profile_id.number")
    reason = fields.Char(
        required=True,
        help="When and how the member asked, and how you made sure it was the member. "
        "Kept in the privacy log; write no name.",
    )
    coupon_action = fields.Selection(
        [("keep", "Stay valid"), ("void", "Are withdrawn")],
        string="Open Coupons",
        required=True,
        default="keep",
    )
    contact_action = fields.Selection(
        [
            ("keep", "Stays: other applications need it"),
            ("anonymise", "Is archived without name and address"),
        ],
        string="The Contact",
        required=True,
        default="keep",
    )
    contact_problem = fields.Char(
        string="Why the Contact Has to Stay", compute="_compute_contact_problem"
    )
    erased_summary = fields.Text(string="Goes", compute="_compute_summary")
    kept_summary = fields.Text(string="Stays", compute="_compute_summary")
    confirmation = fields.Char(
        string="Type the Member Number", help="Nothing can be brought back."
    )

    # --------------------------------------------------------------------- summary

    @api.depends("profile_id")
    def _compute_contact_problem(self):
        for erase in self:
            erase.contact_problem = erase._find_contact_problem()

    def _find_contact_problem(self):
        """:returns: why the contact cannot be anonymised, False if it can"""
        partner = self.partner_id
        if not partner.has_access("write"):
            return self.env._("You have no right to change contacts.")
        # sudo: the user may not see why, and need not
        partner_sudo = partner.sudo().with_context(active_test=False)
        if partner_sudo.user_ids:
            return self.env._("The contact has a user who can log in.")
        if partner_sudo.ref_company_ids or partner_sudo.child_ids:
            return self.env._("The contact is a company of yours, or has contacts.")
        if partner_sudo.bank_ids:
            return self.env._("The contact has bank accounts: delete them first.")
        invoices = partner_sudo.env["account.move"].search_count(
            [("partner_id", "=", partner.id), ("state", "=", "posted")], limit=1
        )
        if invoices:
            return self.env._(
                "There are invoices: tax law asks for the name and address on them."
            )
        return False

    @api.depends("profile_id", "contact_action", "coupon_action")
    def _compute_summary(self):
        for erase in self:
            if erase.profile_id:
                erase.erased_summary = erase._itemise(erase._list_erased())
                erase.kept_summary = erase._itemise(erase._list_kept())
            else:
                erase.erased_summary = erase.kept_summary = False

    @staticmethod
    def _itemise(lines):
        return "\n".join(f"• {line}" for line in lines)

    def _count(self, model, *domain):
        # sudo: what is counted concerns every company
        return self.env[model].sudo().search_count(list(domain))

    def _list_erased(self):
        own = ("profile_id", "=", self.profile_id.id)
        lines = [
            self.env._(
                "The member: number, birthday, tier and its history, figures, scores"
            ),
            self.env._(
                "Name, number and text of messages: %s. What waits is not sent",
                self._count("member.message", own),
            ),
            self.env._(
                "Replies, with their answers: %s", self._count("member.inbound", own)
            ),
            self.env._("Evidence of consents: %s", self._count("member.consent", own)),
            self.env._("Tags set by rules, rows of imported lists"),
        ]
        if self.coupon_action == "void":
            lines.append(self.env._("Open coupons: %s", len(self._get_coupons())))
        if self.contact_action == "anonymise":
            lines.append(self.env._("Name, address, notes and chatter of the contact"))
        return lines

    def _list_kept(self):
        lines = [
            self.env._(
                "What became of each message, without the member: the figures need it"
            ),
            self.env._(
                "Number and text of messages to mainland China, or from a company "
                "there, for %s months, apart and for an authority only: Chinese law "
                "asks for it. Other messages of the last 7 days until their delivery "
                "report",
                FLOOR_MONTHS,
            ),
            self.env._(
                "That somebody agreed or refused, when and to which words, without the "
                "member: you have to be able to prove it"
            ),
            self.env._("A hash of the number, so that nobody writes to it again"),
            self.env._(
                "Orders, invoices and points: other applications and tax law need them"
            ),
            self.env._(
                "A number on the block list; raw reports of providers and files of "
                "imported lists, until they are deleted after at most 180 and 30 days"
            ),
            self.env._("A line in the privacy log with your name and the reason"),
        ]
        if self.contact_action == "keep":
            lines.append(
                self.env._("The contact with name and number; it is no member any more")
            )
        return lines

    def _get_coupons(self):
        """:returns: coupons of the contact that can still be used"""
        # sudo: whoever erases members may not write coupons
        return (
            self.env["loyalty.card"]
            .sudo()
            .search(
                [
                    ("partner_id", "=", self.partner_id.id),
                    ("program_type", "=", "coupons"),
                    ("points", ">", 0),
                ]
            )
        )

    # ---------------------------------------------------------------------- action

    def action_erase(self):
        """Erase the member; pressed again it says that it is done."""
        self.ensure_one()
        profile = self.profile_id
        if not profile:
            return self._tell(self.env._("The member has been erased already."))
        profile.check_access("unlink")
        self._check()
        partner, coupons = self.partner_id, self._get_coupons()
        erasure = self.env["member.privacy.log"]._note(
            "erasure",
            reference=profile.number,
            reason=self.reason,
            details=f"{self.erased_summary}\n\n{self.kept_summary}",
        )
        profile._erase(erasure)
        if self.coupon_action == "void":
            coupons.active = False
        if self.contact_action == "anonymise":
            # whoever has a code may use it: there is nobody it belongs to
            coupons.partner_id = False
            self._anonymise(partner)
        return self._tell(
            self.env._(
                "Member %s has been erased. The privacy log says so.", erasure.reference
            )
        )

    def _check(self):
        """:raises UserError: the user has not thought twice, or lacks a right"""
        if (self.confirmation or "").strip() != self.number:
            raise UserError(
                self.env._(
                    "Type the member number %s to confirm. Nothing was erased.",
                    self.number,
                )
            )
        if self.contact_action == "anonymise" and self.contact_problem:
            raise UserError(
                self.env._(
                    "The contact has to stay: %s Choose that it stays. Nothing was "
                    "erased.",
                    self.contact_problem,
                )
            )

    def _anonymise(self, partner):
        """Leave of a contact what documents point at. By the user's own rights."""
        partner.write(
            {
                **{name: False for name in PERSONAL_FIELDS if name in partner._fields},
                "name": self.env._("Erased contact %s", partner.id),
                "category_id": [Command.clear()],
                "active": False,
            }
        )
        # sudo: chatter and files belong to whoever wrote them
        partner_sudo = partner.sudo()
        partner_sudo.activity_ids.unlink()
        partner_sudo.message_ids.unlink()
        partner_sudo.env["ir.attachment"].search(
            [("res_model", "=", "res.partner"), ("res_id", "=", partner.id)]
        ).unlink()

    def _tell(self, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": message,
                "next": self.env["ir.actions.act_window"]._for_xml_id(
                    "member_messaging.member_profile_action"
                ),
            },
        }
