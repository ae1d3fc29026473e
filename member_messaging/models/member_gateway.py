import secrets

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.tools import SQL, LazyTranslate, ormcache

from ..gateways import ADAPTERS
from ..gateways.errors import UnsupportedFeature
from ..gateways.types import GatewayConfig, Outcome
from .member_consent import CHANNELS

_lt = LazyTranslate(__name__)

#: Providers whose names are words; the others are called as they call themselves.
PROVIDER_NAMES = {
    "aliyun": _lt("Alibaba Cloud SMS"),
    "tencent": _lt("Tencent Cloud SMS"),
    "generic": _lt("Generic HTTP"),
    "sandbox": _lt("Sandbox"),
}
#: What every provider needs, as ``GatewayConfig`` calls it too.
CONFIG_FIELDS = ("api_key", "api_secret", "endpoint", "signature", "callback_secret")


class MemberGateway(models.Model):
    """An account at a provider; the wire protocol lives in ``gateways/``."""

    _name = "member.gateway"
    _description = "Message Gateway"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "priority, price, id"

    name = fields.Char(required=True, translate=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        default=lambda self: not self.env.user._is_superuser() and self.env.user,
        help="Gets an activity when the account cannot send any more.",
    )
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
    # how fast, and for whom
    rate_per_second = fields.Integer(
        string="Messages per Second",
        compute="_compute_rate_per_second",
        store=True,
        readonly=False,
        help="Never exceeded, however many servers send. 0: no limit.",
    )
    daily_limit = fields.Integer(
        string="Messages per Day",
        help="The rest waits for the next day. 0: no limit.",
    )
    connection_count = fields.Integer(
        string="Parallel Connections",
        default=8,
        required=True,
        help="Calls under way at the same time, of each sender. More of them help with "
        "providers that take one message per call.",
    )
    prefixes = fields.Char(
        string="Only Numbers From",
        help="Beginnings of the phone numbers this gateway serves, e.g. +86, +852. "
        "Numbers of other countries go through the next gateway that serves them. "
        "Empty: all numbers.",
    )
    is_stand_in = fields.Boolean(
        string="Stands In for Others",
        help="Takes over messages of a gateway that is paused or does not answer, "
        "provided they have certainly not left there, the texts are registered here "
        "if they have to be, and promotions say how to refuse more.",
    )
    registration_ids = fields.One2many(
        "member.template.registration", "gateway_id", string="Registered Templates"
    )
    load_ids = fields.One2many("member.gateway.load", "gateway_id", readonly=True)
    rest_until_date = fields.Datetime(related="load_ids.rest_until_date")
    last_error = fields.Char(related="load_ids.last_error")
    state = fields.Selection(
        [("active", "In Use"), ("paused", "Paused")],
        required=True,
        # whoever enters one on the screen tests it first
        default=lambda self: self.env.context.get("member_gateway_state", "active"),
    )
    pause_reason = fields.Char(readonly=True, copy=False)
    probe_state = fields.Selection(
        [("ok", "Accepted"), ("failed", "Refused"), ("unsupported", "Cannot Be Asked")],
        string="Last Connection Test",
        readonly=True,
        copy=False,
    )
    probe_date = fields.Datetime(string="Tested On", readonly=True, copy=False)
    probe_text = fields.Char(string="Result of the Test", readonly=True, copy=False)

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

    _limits_check = models.Constraint(
        "CHECK (rate_per_second >= 0 AND daily_limit >= 0)",
        "Messages per second and per day cannot be negative. 0 means: no limit.",
    )
    _connection_check = models.Constraint(
        "CHECK (connection_count BETWEEN 1 AND 64)",
        "A sender makes 1 to 64 calls at the same time.",
    )

    @api.model
    def _selection_provider(self):
        return [
            (code, self.env._(PROVIDER_NAMES[code]))
            if code in PROVIDER_NAMES
            else (code, adapter.name)
            for code, adapter in ADAPTERS.items()
        ]

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
    def _compute_rate_per_second(self):
        for gateway in self:
            adapter = ADAPTERS.get(gateway.provider)
            gateway.rate_per_second = adapter.default_rate if adapter else 0

    @api.constrains("prefixes")
    def _check_prefixes(self):
        for gateway in self:
            for prefix in gateway._get_prefixes():
                if not (prefix.startswith("+") and prefix[1:].isdecimal()):
                    raise ValidationError(
                        self.env._(
                            "“%s” is no beginning of a phone number: write e.g. "
                            "+86, +852.",
                            prefix,
                        )
                    )

    @api.depends("provider")
    def _compute_is_sandbox(self):
        for gateway in self:
            gateway.is_sandbox = gateway.provider == "sandbox"

    @api.model_create_multi
    def create(self, vals_list):
        gateways = super().create(vals_list)
        # sudo: senders write there, nobody else does
        self.env["member.gateway.load"].sudo().create(
            [{"gateway_id": gateway.id} for gateway in gateways]
        )
        return gateways

    def copy_data(self, default=None):
        return [
            {**vals, "callback_secret": secrets.token_urlsafe(24)}
            for vals in super().copy_data(default)
        ]

    def write(self, vals):
        if vals.get("state") == "active":
            vals = {**vals, "pause_reason": False}
        result = super().write(vals)
        # options are named after their provider
        prefixes = ("provider", *(f"{code}_" for code in ADAPTERS))
        if any(name in CONFIG_FIELDS or name.startswith(prefixes) for name in vals):
            self._forget_accounts()
        return result

    def unlink(self):
        self._forget_accounts()
        return super().unlink()

    def action_probe(self):
        """Ask the provider, without sending anything, whether it accepts the account;
        tell the outcome and keep it on the form."""
        self.ensure_one()
        self._check_account()
        state, text = self._probe()
        self.write(
            {
                "probe_state": state,
                "probe_text": text,
                "probe_date": fields.Datetime.now(),
            }
        )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": {"ok": "success", "failed": "danger"}.get(state, "warning"),
                "message": text,
                "sticky": state != "ok",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _probe(self):
        """:returns: ``probe_state``, and a sentence about it"""
        provider = dict(self._selection_provider())[self.provider]
        try:
            result = self._get_adapter().probe()
        except UnsupportedFeature:
            return "unsupported", self.env._(
                "%s cannot be asked about an account without sending: send a test SMS "
                "to yourself.",
                provider,
            )
        if result.outcome is Outcome.OK:
            return "ok", self.env._("%s accepts the account.", provider)
        return "failed", self._explain(
            result.provider_code, result.provider_message, result.outcome
        )

    def action_fast_forward(self):
        """Let the time pass that the sandbox takes for its reports and replies."""
        self.sandbox_forward_date = fields.Datetime.now()
        self.env.ref(
            "member_messaging.ir_cron_member_messaging_apply"
        ).sudo()._trigger()  # sudo: waking a cron needs no right to change it

    def action_pause(self):
        self.write({"state": "paused", "pause_reason": self.env._("Paused by hand.")})

    def action_activate(self):
        """Let the gateway send again, if its account is complete."""
        self._check_account()
        self.state = "active"
        self.env["member.lane"]._wake()

    def _check_account(self):
        """:raises UserError: the provider needs something that is not filled in"""
        for gateway in self:
            missing = gateway._get_adapter().check_config()
            if not missing:
                continue
            values = {
                "gateway": gateway.name,
                "fields": ", ".join(map(gateway._get_label, missing)),
            }
            if self.env.user.has_group("base.group_system"):
                raise UserError(
                    self.env._(
                        "Gateway %(gateway)s cannot send yet. Fill in first: "
                        "%(fields)s.",
                        **values,
                    )
                )
            raise UserError(
                self.env._(
                    "Gateway %(gateway)s cannot send yet. Ask an administrator to fill "
                    "in: %(fields)s.",
                    **values,
                )
            )

    @api.model
    def _propose(self, company, channel):
        """:returns: what new campaigns leave through: the first gateway in the list
        that can send, so that one somebody is setting up is in nobody's way; if none
        can, the first one, which says what is missing
        """
        gateways = self.search(
            [("company_id", "=", company.id), ("channel", "=", channel)]
        )
        ready = gateways.filtered(
            lambda gateway: (
                gateway.state == "active" and not gateway._get_adapter().check_config()
            )
        )
        return (ready or gateways)[:1]

    def _get_label(self, name):
        """:returns: label of a field of the account, as its provider says
        :rtype: str
        """
        return self._fields[name]._description_string(self.env)

    def _get_adapter(self):
        """Return the provider's adapter with this account's credentials.

        :rtype: odoo.addons.member_messaging.gateways.base.Gateway
        """
        self.ensure_one()
        return self._make_adapter(*self._read_account())

    def _get_callback_adapter(self):
        """As :meth:`_get_adapter`, for requests only: an account is read once and kept
        until somebody changes it. Long runs, which do not look for what other servers
        have changed, ask for an adapter each time."""
        return self._make_adapter(*self._keep_account())

    @staticmethod
    def _make_adapter(provider, config):
        return ADAPTERS[provider](config)

    @ormcache("self.id")
    def _keep_account(self):
        return self._read_account()

    def _read_account(self):
        """:returns: the provider, and its ``GatewayConfig``"""
        # sudo: credentials are closed to the staff whose messages need them
        gateway_sudo = self.sudo()
        return gateway_sudo.provider, GatewayConfig(
            **{name: gateway_sudo[name] or "" for name in CONFIG_FIELDS},
            callback_url=gateway_sudo.report_url or "",
            options=gateway_sudo._get_options(),
        )

    @api.model
    def _forget_accounts(self):
        """Let every server read the accounts again."""
        self.env.registry.clear_cache()
        # Until the change is committed, another thread still reads the old account.
        self.env.cr.postcommit.add(self.env.registry.clear_cache)

    def _get_option_fields(self):
        """:returns: the provider's own fields, and what its adapter calls them
        :rtype: dict
        """
        return {
            f"{self.provider}_{name}": name
            for name in ADAPTERS[self.provider].option_names
        }

    def _get_options(self):
        """:returns: what is filled in of the provider's own fields, see
            :attr:`~odoo.addons.member_messaging.gateways.base.Gateway.option_names`
        :rtype: dict
        """
        options = {
            name: self[field] for field, name in self._get_option_fields().items()
        }
        # 0 is a setting, False is none
        return {
            name: value
            for name, value in options.items()
            if value is not False and value != ""
        }

    def _pause(self, reason):
        """Stop sending through this account until somebody has looked at it."""
        self.write({"state": "paused", "pause_reason": reason})
        for gateway in self._speaking():
            gateway.activity_schedule(
                "mail.mail_activity_data_warning",
                summary=gateway.env._("Gateway %s cannot send", gateway.name),
                note=gateway.env._(
                    "%s What has not left waits. Put the account right, then activate "
                    "the gateway.",
                    reason,
                ),
                user_id=(gateway.user_id or self.env.user).id,
            )

    def _speaking(self):
        """:returns: each gateway, texts for whom are in the language of who is
        responsible for it: what senders note, people read
        """
        for gateway in self:
            lang = gateway.user_id.lang or gateway.company_id.partner_id.lang
            yield gateway.with_context(lang=lang) if lang else gateway

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used(self):
        if self.env["member.campaign"].search_count(
            [("gateway_id", "in", self.ids), ("frozen_date", "!=", False)], limit=1
        ) or any(load.day_count for load in self.load_ids):
            raise UserError(
                self.env._(
                    "Messages left through this gateway: they are the proof of what "
                    "was sent. Archive it instead."
                )
            )

    def _needs_registration(self):
        return ADAPTERS[self.provider].requires_registered_template

    def _is_muted(self):
        """:returns: whether messages would reach people from a copy of a database that
        was made not to
        :rtype: bool
        """
        # sudo: the parameter is nobody's secret
        parameters = self.env["ir.config_parameter"].sudo()
        return not ADAPTERS[self.provider].is_simulation and bool(
            parameters.get_param("database.is_neutralized")
        )

    def _get_today(self, moment=None):
        """:param datetime moment: naive UTC time; None: now
        :returns: its day in the time zone of the gateway's company
        """
        self.ensure_one()
        zone = self.company_id.partner_id.tz or "UTC"
        return fields.Date.context_today(self.with_context(tz=zone), moment)

    def _get_prefixes(self):
        """:rtype: list[str]"""
        self.ensure_one()
        return [
            part.strip() for part in (self.prefixes or "").split(",") if part.strip()
        ]

    def _serves_sql(self, address):
        """:returns: condition that the gateway serves a number

        :param SQL address: expression of the number in E.164
        """
        prefixes = [f"{prefix}%" for prefix in self._get_prefixes()]
        return SQL("%s LIKE ANY(%s)", address, prefixes) if prefixes else SQL("TRUE")
