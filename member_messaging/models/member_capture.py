from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

#: Who may write down on a sales order what a customer says.
CAPTURING_GROUPS = ",".join(
    (
        "sales_team.group_sale_salesman",
        "point_of_sale.group_pos_user",
        "member_messaging.group_member_messaging_user",
    )
)


class ResPartner(models.Model):
    """A box on the contact, which the till shows as well: this person wants offers."""

    _inherit = "res.partner"

    member_agrees = fields.Boolean(
        string="Agrees to Receive Offers",
        compute="_compute_member_agrees",
        inverse="_inverse_member_agrees",
        help="Tick it only if the customer says so. It makes them a member, too.",
    )
    member_is_refusing = fields.Boolean(compute="_compute_member_agrees")
    member_consent_wording = fields.Text(compute="_compute_member_consent_wording")

    @api.depends("member_profile_id")
    def _compute_member_agrees(self):
        granted, refused = (
            self._find_promotion_words(s) for s in ("granted", "refused")
        )
        for partner in self:
            # the origin: in a form that is being edited the contact is a draft
            partner.member_agrees = partner._origin in granted
            partner.member_is_refusing = partner._origin in refused

    def _find_promotion_words(self, state):
        """:returns: those of the contacts whose last word on promotions by SMS it is"""
        today = fields.Date.context_today(self)
        # sudo: a cashier has no right to read the ledger
        consents = (
            self.env["member.consent"]
            .sudo()
            .search(
                [
                    ("profile_id.partner_id", "in", self.ids),
                    ("channel", "=", "sms"),
                    ("purpose", "=", "promotion"),
                    ("state", "=", state),
                    ("is_current", "=", True),
                    "|",
                    ("expiry_date", "=", False),
                    ("expiry_date", ">=", today),
                ]
            )
        )
        return consents.profile_id.partner_id.sudo(self.env.su)

    @api.depends_context("lang", "company")
    def _compute_member_consent_wording(self):
        self.member_consent_wording = self.env.company._get_consent_wording()

    def _inverse_member_agrees(self):
        granted = self._find_promotion_words("granted")
        agreeing = self.filtered("member_agrees") - granted
        stopping = granted - self.filtered("member_agrees")
        agreeing._check_not_refusing()
        if agreeing:
            agreeing._enrol_by_hand()
            agreeing._grant(
                "pos",
                self.env._(
                    "Ticked in the customer's presence by %s", self.env.user.name
                ),
            )
        if stopping:
            # sudo: a cashier has no right to write the ledger
            self.env["member.consent"].sudo()._refuse(
                stopping.sudo().member_profile_id,
                "sms",
                "pos",
                self.env._("Unticked by %s", self.env.user.name),
            )
        self.invalidate_recordset(["member_agrees", "member_is_refusing"])

    def _check_not_refusing(self):
        """:raises UserError: one of them refused offers; a box does not undo that"""
        if refusing := self._find_promotion_words("refused") & self:
            raise UserError(
                self.env._(
                    "%s refused offers. Staff can record that they want them again, "
                    "with evidence: on the member, Record Consent or Refusal.",
                    refusing[:1].display_name,
                )
            )

    def _grant(self, source, evidence, wording=None):
        """Record that members agree to promotions.

        :param str source: of ``member.consent``
        :param str wording: what they were shown; None: that of the contact
        """
        # sudo: who ticks a box has no right to write the ledger
        self.env["member.consent"].sudo().create(
            [
                {
                    "profile_id": partner.sudo().member_profile_id.id,  # sudo: as above
                    "channel": "sms",
                    "purpose": "promotion",
                    "state": "granted",
                    "source": source,
                    "wording": wording or partner.member_consent_wording,
                    "evidence": evidence,
                }
                for partner in self
            ]
        )


class SaleOrder(models.Model):
    """The same box on a quotation or sales order, for customers nobody has asked."""

    _inherit = "sale.order"

    member_agrees = fields.Boolean(
        string="Agrees to Receive Offers",
        compute="_compute_member_agrees",
        inverse="_inverse_member_agrees",
        help="Tick it only if the customer says so. It makes them a member, too.",
    )
    member_word = fields.Selection(
        [("granted", "Gets offers"), ("refused", "Refused offers")],
        string="Offers by SMS",
        compute="_compute_member_agrees",
        help="What the customer said about offers. Empty: nobody has asked.",
    )
    member_consent_wording = fields.Text(compute="_compute_member_consent_wording")

    @api.depends("partner_id")
    def _compute_member_agrees(self):
        customers = self.partner_id._origin
        granted, refused = (
            customers._find_promotion_words(s) for s in ("granted", "refused")
        )
        for order in self:
            customer = order.partner_id._origin
            order.member_agrees = customer in granted
            order.member_word = (
                (customer in granted and "granted")
                or (customer in refused and "refused")
                or False
            )

    @api.depends("company_id")
    @api.depends_context("lang")
    def _compute_member_consent_wording(self):
        for order in self:
            company = order.company_id or self.env.company
            order.member_consent_wording = company._get_consent_wording()

    def _inverse_member_agrees(self):
        """An empty box says nothing: a refusal is recorded on the member."""
        for order in self.filtered("member_agrees"):
            customer = order.partner_id
            if customer & customer._find_promotion_words("granted"):
                continue
            customer._check_not_refusing()
            if not self.env.user.has_groups(CAPTURING_GROUPS):
                raise AccessError(
                    self.env._("Only salespeople, cashiers and staff record consent.")
                )
            customer.check_access("read")
            # sudo: a salesperson has no right to write members
            self.env["member.profile"].sudo()._enrol(customer.ids, "staff")
            customer._grant(
                "sale",
                self.env._(
                    "Ticked on %(order)s by %(user)s",
                    order=order.name,
                    user=self.env.user.name,
                ),
                order.member_consent_wording,
            )
        self.invalidate_recordset(["member_agrees", "member_word"])
        self.partner_id.invalidate_recordset(["member_agrees", "member_is_refusing"])
