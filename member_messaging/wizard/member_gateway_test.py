from odoo import Command, api, fields, models
from odoo.exceptions import UserError


class MemberGatewayTest(models.TransientModel):
    """One SMS to oneself, before members get any."""

    _name = "member.gateway.test"
    _description = "Test SMS"

    gateway_id = fields.Many2one("member.gateway", required=True, readonly=True)
    is_sandbox = fields.Boolean(related="gateway_id.is_sandbox")
    has_registration = fields.Boolean(related="gateway_id.has_registration")
    number = fields.Char(
        required=True,
        default=lambda self: self.env.user.phone,
        help="Yours, with the country's code: +86 138 0013 8000.",
    )
    body = fields.Text(
        string="Text",
        default=lambda self: self.env._("This is a test. Have a nice day!"),
    )
    registration_id = fields.Many2one(
        "member.template.registration",
        string="Registered Template",
        domain="[('gateway_id', '=', gateway_id)]",
        help="Any the provider has a number for, so that one being reviewed can be "
        "tried as well.",
    )
    value_ids = fields.One2many(
        "member.gateway.test.value",
        "test_id",
        string="Sample Values",
        compute="_compute_value_ids",
        store=True,
        readonly=False,
    )
    message_id = fields.Many2one("member.service.message", readonly=True)
    state = fields.Selection(related="message_id.state")
    outcome = fields.Char(related="message_id.outcome")

    @api.depends("registration_id")
    def _compute_value_ids(self):
        for test in self:
            registration = test.registration_id
            test.value_ids = [
                Command.clear(),
                *(
                    Command.create({"name": name, "value": value})
                    for name, value in registration._get_sample_params().items()
                ),
            ]

    def action_send(self):
        """Put the message into the outbox, once however often the button is pressed."""
        self.ensure_one()
        # serialises two presses at the same time; the second one then sees the message
        self.lock_for_update()
        if not self.message_id:
            self._check()
            # sudo: nobody writes the outbox by hand
            self.message_id = (
                self.env["member.service.message"]
                .sudo()
                ._enqueue(self.gateway_id, "test", [self._prepare_message()])
            )
        return self.action_refresh()

    def action_refresh(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Test SMS"),
            "res_model": self._name,
            "res_id": self.id,
            "views": [(False, "form")],
            "target": "new",
        }

    def _check(self):
        """:raises UserError: the message cannot be sent, and why"""
        self.gateway_id.check_access("write")
        self.gateway_id._check_account()
        if self.gateway_id._is_muted():
            raise UserError(
                self.env._(
                    "This is a neutralised copy of a database: nothing is sent. Use "
                    "the sandbox."
                )
            )
        if not self._get_address():
            raise UserError(
                self.env._(
                    "“%s” is no phone number. Write it with the country's code, e.g. "
                    "+86 138 0013 8000.",
                    self.number,
                )
            )

    def _get_address(self):
        company = self.gateway_id.company_id
        return company._phone_format(number=self.number, country=company.country_id)

    def _prepare_message(self):
        message = {"address": self._get_address(), "body": self.body or ""}
        if self.has_registration:
            registration = self.registration_id
            params = {line.name: line.value or "" for line in self.value_ids}
            message |= {
                "template_code": registration.code,
                "params": params,
                "body": registration._fill(params),
            }
        elif signature := self.gateway_id.signature:
            message["body"] = f"【{signature}】{message['body']}"
        return message


class MemberGatewayTestValue(models.TransientModel):
    _name = "member.gateway.test.value"
    _description = "Sample Value of a Test SMS"

    test_id = fields.Many2one("member.gateway.test", required=True, ondelete="cascade")
    name = fields.Char(string="Parameter", required=True, readonly=True)
    value = fields.Char()
