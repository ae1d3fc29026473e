import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError

from ..gateways import ADAPTERS
from ..gateways.types import GatewayConfig
from .member_consent import CHANNELS


class MemberGateway(models.Model):
    """An account at a provider; the wire protocol lives in ``gateways/``."""

    _name = "member.gateway"
    _description = "Message Gateway"
    _order = "priority, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    provider = fields.Selection(
        selection="_selection_provider", required=True, default="sandbox"
    )
    channel = fields.Selection(CHANNELS, required=True, default="sms")
    priority = fields.Integer(default=10, help="The lowest number is used first.")
    signature = fields.Char(
        help="Registered sender signature without brackets. Recipients read it in "
        "front of the text: 【Signature】…"
    )
    optout_text = fields.Char(
        string="Opt-out Text",
        translate=True,
        help="Put behind every promotion that has no unsubscribe link of its own. "
        "Use the words your provider recognises, e.g. 拒收请回复R.",
    )
    price = fields.Float(
        string="Price per SMS", digits=(16, 4), help="What one part costs."
    )
    state = fields.Selection(
        [("active", "In Use"), ("paused", "Paused")], required=True, default="active"
    )
    pause_reason = fields.Char(readonly=True)

    # Only administrators read or write what opens the account.
    api_key = fields.Char(string="Access Key", groups="base.group_system", copy=False)
    api_secret = fields.Char(
        string="Access Secret", groups="base.group_system", copy=False
    )
    endpoint = fields.Char(
        groups="base.group_system",
        help="Leave empty for the provider's own address.",
    )
    callback_secret = fields.Char(
        groups="base.group_system",
        copy=False,
        required=True,
        default=lambda self: secrets.token_urlsafe(24),
    )
    report_url = fields.Char(
        string="Callback Address",
        compute="_compute_report_url",
        groups="base.group_system",
        help="Enter it in the provider's console for delivery reports and replies. "
        "Whoever knows it can post reports: keep it secret.",
    )
    is_sandbox = fields.Boolean(compute="_compute_is_sandbox")

    _callback_secret_uniq = models.Constraint(
        "UNIQUE (callback_secret)", "Two gateways cannot share a callback secret."
    )

    @api.model
    def _selection_provider(self):
        return [(code, adapter.name) for code, adapter in ADAPTERS.items()]

    @api.depends("callback_secret")
    def _compute_report_url(self):
        for gateway in self:
            gateway.report_url = (
                f"{gateway.get_base_url()}/member_messaging/callback/"
                f"{gateway.id}/{gateway.callback_secret}"
                if gateway.id
                else False
            )

    @api.depends("provider")
    def _compute_is_sandbox(self):
        for gateway in self:
            gateway.is_sandbox = gateway.provider == "sandbox"

    def copy_data(self, default=None):
        return [
            {**vals, "callback_secret": secrets.token_urlsafe(24)}
            for vals in super().copy_data(default)
        ]

    def write(self, vals):
        if vals.get("state") == "active":
            vals = {**vals, "pause_reason": False}
        return super().write(vals)

    def action_pause(self):
        self.write({"state": "paused", "pause_reason": self.env._("Paused by hand.")})

    def action_activate(self):
        """Let the gateway send again, if its account is complete."""
        self._check_account()
        self.state = "active"
        self.env.ref("member_messaging.ir_cron_member_messaging_send")._trigger()

    def _check_account(self):
        """:raises UserError: the provider needs something that is not filled in"""
        for gateway in self:
            if missing := gateway._get_adapter().check_config():
                raise UserError(
                    self.env._(
                        "Gateway %(gateway)s cannot send yet. Ask an administrator to "
                        "fill in: %(fields)s.",
                        gateway=gateway.name,
                        fields=", ".join(
                            gateway._fields[name]._description_string(self.env)
                            if name in gateway._fields
                            else name
                            for name in missing
                        ),
                    )
                )

    def _get_adapter(self):
        """Return the provider's adapter with this account's credentials.

        :rtype: odoo.addons.member_messaging.gateways.base.Gateway
        """
        self.ensure_one()
        # sudo: credentials are closed to the staff whose messages need them
        gateway_sudo = self.sudo()
        return ADAPTERS[self.provider](
            GatewayConfig(
                api_key=gateway_sudo.api_key or "",
                api_secret=gateway_sudo.api_secret or "",
                endpoint=gateway_sudo.endpoint or "",
                signature=self.signature or "",
                callback_secret=gateway_sudo.callback_secret or "",
                options={},
            )
        )

    def _pause(self, reason):
        """Stop sending through this account until somebody has looked at it."""
        self.write({"state": "paused", "pause_reason": reason})
