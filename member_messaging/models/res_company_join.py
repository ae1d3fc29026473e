from odoo import api, fields, models
from odoo.exceptions import UserError

from ..tools.codes import TOKEN_LENGTH, generate_tokens
from .sms_sms import SmsApiGateway


class ResCompany(models.Model):
    """What the public pages of a company say."""

    _inherit = "res.company"

    member_complaint_contact = fields.Char(
        string="Complaint Contact",
        translate=True,
        help="Whom members tell that they are not content with messages: a person, a "
        "phone number, an e-mail address. Shown on every public page.",
    )
    member_join_wording = fields.Text(
        string="Wording of the Consent",
        translate=True,
        help="What members agree to, in each language. Say what you send, how often, "
        "and how they stop it. Empty: a text that does, with your sending policy.",
    )
    member_join_key = fields.Char(readonly=True, copy=False)
    member_has_join_page = fields.Boolean(
        string="Join Page",
        compute="_compute_member_has_join_page",
        inverse="_inverse_member_has_join_page",
        help="A public page on which customers become members. Switched off and on "
        "again it gets another address, and posters have to be printed again.",
    )
    member_join_url = fields.Char(
        string="Address of the Join Page", compute="_compute_member_join_url"
    )

    _join_key_uniq = models.UniqueIndex(
        "(member_join_key) WHERE member_join_key IS NOT NULL"
    )

    @api.depends("member_join_key")
    def _compute_member_has_join_page(self):
        for company in self:
            company.member_has_join_page = bool(company.member_join_key)

    def _inverse_member_has_join_page(self):
        for company in self:
            if not company.member_has_join_page:
                company.member_join_key = False
            elif not company.member_join_key:
                [company.member_join_key] = generate_tokens(1)
                company._check_join_gateway()

    def _check_join_gateway(self):
        """:raises UserError: the confirmation could not be sent"""
        gateway = self._get_join_gateway()
        if not gateway:
            raise UserError(
                self.env._(
                    "The join page sends an SMS to confirm each number: first activate "
                    "a gateway for SMS under Member Messaging > Configuration > "
                    "Gateways. The page stays off."
                )
            )
        text = self._get_join_text("x" * TOKEN_LENGTH)
        if SmsApiGateway._match(gateway, text) is None:
            raise UserError(
                self.env._(
                    "%(gateway)s sends registered texts only. Register this one there, "
                    "with a variable in place of the link, and enter it under "
                    "Registrations of the gateway. The page stays off.\n\n%(text)s",
                    gateway=gateway.name,
                    text=text,
                )
            )

    def _get_join_gateway(self):
        """:returns: the account that sends confirmations: that of all other SMS, or
        the first active one
        """
        # sudo: managers who switch the page on see accounts, visitors do not
        company_sudo = self.sudo()
        return company_sudo.member_sms_gateway_id or company_sudo.env[
            "member.gateway"
        ].search(
            [
                ("company_id", "=", self.id),
                ("channel", "=", "sms"),
                ("state", "=", "active"),
            ],
            limit=1,
        )

    def _get_join_text(self, token):
        """:returns: the SMS that confirms, in the language of the context; it is a
        service message without marketing
        """
        return self.env._(
            "%(company)s: please confirm that you want to join: %(link)s If it was not "
            "you, ignore this message.",
            company=self.name,
            link=f"{self.get_base_url()}/member/join/{self.member_join_key}/{token}",
        )

    @api.depends("member_join_key")
    def _compute_member_join_url(self):
        for company in self:
            key = company.member_join_key
            company.member_join_url = key and (
                f"{company.get_base_url()}/member/join/{key}"
            )

    def _get_consent_wording(self):
        """:returns: what members agree to, in the language of the context

        The default says what laws ask for: who sends what, how often, until when, how
        to stop, that nothing depends on it, and that it may cost.
        """
        self.ensure_one()
        if self.member_join_wording:
            return self.member_join_wording
        policy = self.env["member.send.policy"]._get_for(self)
        values = {
            "company": self.name,
            "limit": policy.promotion_limit,
            "days": policy.promotion_days,
        }
        frequency = (
            self.env._("at most %(limit)s within %(days)s days", **values)
            if policy.promotion_limit
            else self.env._("several a month")
        )
        return self.env._(
            "I would like to receive offers from %(company)s by SMS, %(frequency)s, "
            "until I stop them. I can do so at any time and free of charge by replying "
            "TD or STOP, or through the link in each message. It is not a condition of "
            "any purchase. Message and data rates may apply; reply HELP for help.",
            frequency=frequency,
            **values,
        )
