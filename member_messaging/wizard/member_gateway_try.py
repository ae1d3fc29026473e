from odoo import fields, models
from odoo.exceptions import UserError

from ..gateways.types import Outbound
from ..tools import sms
from ..transaction import commit_short

#: Characters of an answer that are shown.
SHOWN = 5000


class MemberGatewayTry(models.TransientModel):
    """One message through a gateway, with everything to see that goes over the wire.

    Nothing gets into the outbox. The gateway's chatter keeps that a message was sent.
    """

    _name = "member.gateway.try"
    _description = "Try a Gateway"

    gateway_id = fields.Many2one("member.gateway", required=True)
    number = fields.Char(
        required=True,
        default=lambda self: self.env.user.phone,
        help="With the country code, e.g. +86 138 0013 8000.",
    )
    text = fields.Char(
        required=True,
        default=lambda self: self.env._("Test message of %s", self.env.company.name),
    )
    state = fields.Selection(
        [("draft", "To Send"), ("sent", "Sent")], required=True, default="draft"
    )
    request = fields.Text(readonly=True, help="Secrets are hidden.")
    answer = fields.Text(readonly=True)
    outcome = fields.Selection(
        [
            ("ok", "Accepted"),
            ("retry", "Not sent: try again"),
            ("postpone", "Not sent: too many messages to this number, try later"),
            ("badnum", "Refused: the number does not exist"),
            ("optout", "Refused: this number wants no messages"),
            ("content", "Refused: the text"),
            ("template", "Refused: the sender or the template"),
            ("pause", "Refused: the account or its settings"),
            ("bug", "Refused: the request, or an error code that is not listed"),
            ("ambiguous", "Perhaps sent: the answer cannot be read"),
        ],
        string="What We Read",
        readonly=True,
    )
    provider_ref = fields.Char(string="Message ID", readonly=True)
    provider_code = fields.Char(string="Result Code", readonly=True)
    provider_message = fields.Char(string="In Words", readonly=True)

    def action_preview(self):
        """Show the request; nothing leaves this server."""
        self.ensure_one()
        self.gateway_id._check_account()
        adapter = self.gateway_id._get_adapter()
        self._clear()
        self.request = self._show_call(adapter.preview(self._prepare_message()))
        return self._reopen()

    def action_send(self):
        """Send the message, once however often the button is pressed."""
        self.ensure_one()
        self.gateway_id._check_account()
        message = self._prepare_message()
        country = self.gateway_id.company_id.country_id
        drawn = {"parts": sms.size(self.text, country.code).parts}
        if not commit_short(self.env, self._claim, drawn):
            raise UserError(
                self.env._(
                    "This message has been sent. Choose “Another Message” to send one "
                    "more."
                )
            )
        trial = self.gateway_id._get_adapter().try_out(message)
        commit_short(self.env, self._give_back, drawn, trial.result)
        self._show_trial(trial)
        self.gateway_id.message_post(
            body=self.env._(
                "Test message to %(number)s: %(outcome)s (%(code)s).",
                number=message.address,
                outcome=dict(self._fields["outcome"]._description_selection(self.env))[
                    self.outcome
                ],
                code=self.provider_code or self.provider_message,
            )
        )
        return self._reopen()

    def action_another(self):
        self.ensure_one()
        self._clear()
        self.state = "draft"
        return self._reopen()

    def _claim(self, drawn):
        """:param dict drawn: the message, for ``member.gateway.load``
        :returns: whether this call is the one that sends
        :raises UserError: the SMS of the month are used up

        Committed before anything is sent: a request may be repeated by the browser, and
        by Odoo.
        """
        self.flush_recordset()
        self.env.cr.execute(
            "UPDATE member_gateway_try SET state = 'sent'"
            " WHERE id = %s AND state = 'draft'",
            (self.id,),
        )
        is_first = bool(self.env.cr.rowcount)
        self.invalidate_recordset()
        loads = self.env["member.gateway.load"]
        if is_first and any(loads._draw(self.gateway_id, [drawn])):
            raise UserError(
                loads._describe_wait(self.gateway_id, False, drawn["parts"])
            )
        return is_first

    def _give_back(self, drawn, result):
        bill = self.env["member.message"]._get_bill(drawn, result)
        self.env["member.gateway.load"]._give_back(self.gateway_id, [(drawn, *bill)])

    def _prepare_message(self):
        number = self.env.user._phone_format(
            number=self.number, country=self.gateway_id.company_id.country_id
        )
        if not number:
            raise UserError(
                self.env._(
                    "“%s” is no phone number. Write it with the country code, e.g. "
                    "+86 138 0013 8000.",
                    self.number,
                )
            )
        return Outbound(f"try-{self.id}", number, self.text)

    def _clear(self):
        self.update(
            dict.fromkeys(
                (
                    "request",
                    "answer",
                    "outcome",
                    "provider_ref",
                    "provider_code",
                    "provider_message",
                ),
                False,
            )
        )

    def _show_trial(self, trial):
        result = trial.result
        self.update(
            {
                "request": self._show_call(trial.call),
                "answer": self._show_response(trial.response),
                "outcome": result.outcome.value,
                "provider_ref": result.provider_ref,
                "provider_code": result.provider_code,
                "provider_message": result.provider_message,
            }
        )

    def _show_call(self, call):
        lines = [f"{name}: {value}" for name, value in call.headers.items()]
        return "\n".join([f"{call.method} {call.url}", *lines, "", call.body]).strip()

    def _show_response(self, response):
        if response is None:
            return self.env._("No answer came.")
        # sudo: to hide the secret it has to be known
        gateway_sudo = self.gateway_id.sudo()
        charset = gateway_sudo.generic_charset or "utf-8"
        text = response.body.decode(charset, errors="replace").replace("\0", "")
        if secret := gateway_sudo.api_secret:  # some servers repeat what they got
            text = text.replace(secret, "***")
        return f"HTTP {response.status}\n\n{text[:SHOWN]}".strip()

    def _reopen(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Try It"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "new",
        }
