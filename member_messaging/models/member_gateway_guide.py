from odoo import api, fields, models
from odoo.tools import LazyTranslate

from ..gateways import ADAPTERS
from ..gateways.types import Capability
from ..tools.links import is_public

_lt = LazyTranslate(__name__)

REGISTERED = _lt(
    "As registered, without brackets. Recipients read it in front of the text: "
    "【Signature】…"
)
IN_FRONT = _lt("Stands in front of the text, if filled in.")

#: What a provider's console calls the fields of an account, and where it shows them.
#: Fields an adapter does not require are hidden; a provider without an entry shows all
#: under their general names. ``callback`` says where the callback address goes and
#: ``template`` where texts are registered.
GUIDES = {
    "aliyun": {
        "api_key": (
            _lt("AccessKey ID"),
            _lt(
                "Alibaba Cloud console: RAM > Users, a user with the permission "
                "AliyunDysmsFullAccess > Create AccessKey."
            ),
        ),
        "api_secret": (
            _lt("AccessKey Secret"),
            _lt("Shown once only, when the AccessKey is created."),
        ),
        "signature": (_lt("Signature"), REGISTERED),
        "callback": _lt(
            "Short Message Service console > General Settings > Message Receipts: HTTP "
            "batch push, this address for SmsReport (delivery reports) and for SmsUp "
            "(replies)."
        ),
        "template": _lt(
            "Short Message Service console > Domestic Messages > Templates and "
            "Signatures."
        ),
    },
    "tencent": {
        "api_key": (
            _lt("SecretId"),
            _lt("Tencent Cloud console: Access Management (CAM) > API Keys."),
        ),
        "api_secret": (
            _lt("SecretKey"),
            _lt("Shown once only, when the key is created."),
        ),
        "signature": (_lt("Signature"), REGISTERED),
        "callback": _lt(
            "SMS console > Application Management > your application > Callbacks: this "
            "address for delivery status and for replies."
        ),
        "template": _lt(
            "SMS console > Chinese Mainland SMS > Templates and Signatures."
        ),
    },
    "twilio": {
        "api_key": (
            _lt("Account SID"),
            _lt("Twilio Console > Account Dashboard > Account Info; begins with AC."),
        ),
        "api_secret": (
            _lt("Auth Token"),
            _lt("Twilio Console > Account Dashboard > Account Info > Show."),
        ),
        "signature": (_lt("Brand"), IN_FRONT),
        "callback": _lt(
            "Delivery reports find their way by themselves. For replies: Twilio "
            "Console > Phone Numbers > your number, or Messaging > Services > "
            "Integration: “A message comes in”, Webhook, HTTP POST."
        ),
    },
    "infobip": {
        "api_key": (
            _lt("API Key"),
            _lt("Infobip portal > Developer Tools > API Keys, with the scope for SMS."),
        ),
        "endpoint": (
            _lt("Base URL"),
            _lt(
                "Infobip portal, home page; it is your account's own, such as "
                "y3kq5n.api.infobip.com."
            ),
        ),
        "signature": (_lt("Brand"), IN_FRONT),
        "callback": _lt(
            "Delivery reports find their way by themselves. For replies: Infobip "
            "portal > Channels and Numbers > Numbers > your number > Forward to HTTP."
        ),
    },
    "generic": {
        "api_key": (
            _lt("API Key"),
            _lt(
                "Is put where {{ api_key }} stands in the call. Empty if there is none."
            ),
        ),
        "api_secret": (
            _lt("API Secret"),
            _lt("Is put where {{ api_secret }} stands in the call, and never shown."),
        ),
        "signature": (_lt("Brand"), IN_FRONT),
        "callback": _lt(
            "Give this address to the provider, in its console or by its support, for "
            "delivery reports and for replies. Describe further up what it posts there."
        ),
    },
}
#: Names of the fields where a provider has no names of its own.
GENERAL = {
    "api_key": _lt("Access Key"),
    "api_secret": _lt("Access Secret"),
    "endpoint": _lt("Address of the Service"),
    "signature": _lt("Signature"),
}


class MemberGateway(models.Model):
    """The form speaks the language of the provider's console."""

    _inherit = "member.gateway"

    api_key_label = fields.Char(compute="_compute_guide")
    api_key_hint = fields.Char(compute="_compute_guide")
    api_secret_label = fields.Char(compute="_compute_guide")
    api_secret_hint = fields.Char(compute="_compute_guide")
    endpoint_label = fields.Char(compute="_compute_guide")
    endpoint_hint = fields.Char(compute="_compute_guide")
    signature_label = fields.Char(compute="_compute_guide")
    signature_hint = fields.Char(compute="_compute_guide")
    callback_hint = fields.Char(compute="_compute_guide")
    template_hint = fields.Char(compute="_compute_guide")
    has_callback = fields.Boolean(compute="_compute_guide")
    has_registration = fields.Boolean(compute="_compute_guide")
    is_callback_public = fields.Boolean(
        compute="_compute_is_callback_public", groups="base.group_system"
    )

    @api.depends("provider")
    @api.depends_context("lang")
    def _compute_guide(self):
        for gateway in self:
            adapter = ADAPTERS.get(gateway.provider)
            guide = GUIDES.get(gateway.provider, {})
            for name in GENERAL:
                is_shown = adapter and gateway._is_shown(name, adapter)
                _label, hint = guide.get(name, ("", ""))
                gateway[f"{name}_label"] = is_shown and gateway._get_label(name)
                gateway[f"{name}_hint"] = is_shown and hint and self.env._(hint)
            for name in ("callback", "template"):
                gateway[f"{name}_hint"] = name in guide and self.env._(guide[name])
            can = adapter.capabilities if adapter else ()
            gateway.has_callback = Capability.WEBHOOK in can
            gateway.has_registration = Capability.REGISTERED_TEMPLATES in can

    @api.depends("report_url")
    def _compute_is_callback_public(self):
        for gateway in self:
            gateway.is_callback_public = is_public(gateway.report_url)

    def _is_shown(self, name, adapter):
        """:returns: whether the provider has a use for a field"""
        return (
            name == "signature"
            or name in adapter.required_fields
            or name
            in GUIDES.get(self.provider, () if adapter.is_simulation else GENERAL)
        )

    def _get_label(self, name):
        if name not in GENERAL:
            return super()._get_label(name)
        label, _hint = GUIDES.get(self.provider, {}).get(name, (GENERAL[name], ""))
        return self.env._(label)
