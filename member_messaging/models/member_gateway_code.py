from odoo import api, fields, models
from odoo.tools import LazyTranslate

from ..gateways.carriers import RECEIPT_OUTCOMES
from ..gateways.types import Outcome

_lt = LazyTranslate(__name__)

OUTCOMES = [
    ("retry", "Try Again"),
    ("postpone", "Later for This Number"),
    ("badnum", "Number Cannot Be Reached"),
    ("optout", "Recipient Refuses"),
    ("content", "Text Is Refused"),
    ("template", "Template or Signature Is Refused: Pause the Campaign"),
    ("pause", "Account Is Refused: Pause the Gateway"),
    ("bug", "Wrong Request: Fail"),
    ("ambiguous", "Perhaps Sent"),
]

BALANCE = _lt("The balance is used up: top up the account at the provider.")
KEYS = _lt("The provider does not know these keys: copy them from its console again.")
CLOSED = _lt("The provider has closed the account or the product: ask its support.")
RIGHTS = _lt("The keys lack the permission to send SMS: grant it at the provider.")
SOURCE = _lt(
    "The provider refuses the address of this server: allow it in the provider's "
    "console."
)
CLOCK = _lt("The clock of this server is wrong: set it by a time server.")
CAP = _lt("The limit set for the account at the provider is reached: raise it there.")
SIGNATURE = _lt(
    "The signature is not approved for this kind of message: check it at the provider."
)
TEMPLATE = _lt(
    "The provider does not know the template or has not approved it: check its number "
    "and its variables."
)
SENDER = _lt("The sender cannot be used: check the sender's number or name.")
WORDS = _lt("The provider refuses words of the text: write it differently.")
LINK = _lt(
    "A variable must not hold a link: put the beginning of the link into the "
    "registered text and only its last part into the variable."
)
LENGTH = _lt("A text or a variable is too long: shorten it.")
NUMBER = _lt("There is no such mobile number: correct the contact.")
COUNTRY = _lt("The account does not send to this country: enable it at the provider.")
OFTEN = _lt("The number has got too many messages lately: it is tried again later.")
BLOCKED = _lt("The recipient or the carrier has blocked messages of this kind.")
AWAY = _lt("The phone was off or out of reach for too long.")
TRIAL = _lt("A trial account sends to verified numbers only: upgrade the account.")

#: What carriers say in delivery reports, by its class.
CARRIER_ADVICE = {
    Outcome.BADNUM: NUMBER,
    Outcome.OPTOUT: BLOCKED,
    Outcome.CONTENT: WORDS,
    Outcome.TEMPLATE: SIGNATURE,
}
#: Provider → its code → what it means and what to do; a ``*`` at the end stands for
#: anything. The empty provider are codes of ours and of carriers.
ADVICE_BY_CODE = {
    "aliyun": {
        "isv.OUT_OF_SERVICE": BALANCE,
        "isv.AMOUNT_NOT_ENOUGH": BALANCE,
        "SignatureDoesNotMatch": KEYS,
        "InvalidAccessKeyId*": KEYS,
        "isp.RAM_PERMISSION_DENY": RIGHTS,
        "Forbidden*": RIGHTS,
        "isv.DENY_IP_RANGE": SOURCE,
        "InvalidTimeStamp*": CLOCK,
        "isv.DAY_LIMIT_CONTROL": CAP,
        "isv.MONTH_LIMIT_CONTROL": CAP,
        "isv.PRODUCT_UN*": CLOSED,
        "isv.ACCOUNT_*": CLOSED,
        "isv.SMS_TEMPLATE_ILLEGAL": TEMPLATE,
        "isv.SMS_SIGN*": SIGNATURE,
        "isv.SIGN_STATE_ILLEGAL": SIGNATURE,
        "isv.SMS_CONTENT_ILLEGAL": WORDS,
        "isv.BLACK_KEY_CONTROL_LIMIT": WORDS,
        "isv.PARAM_NOT_SUPPORT_URL": LINK,
        "isv.PARAM_LENGTH_LIMIT": LENGTH,
        "isv.MOBILE_NUMBER_ILLEGAL": NUMBER,
        "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": COUNTRY,
        "isv.BUSINESS_LIMIT_CONTROL": OFTEN,
    },
    "tencent": {
        "UnauthorizedOperation.ServiceSuspendDueToArrears": BALANCE,
        "FailedOperation.InsufficientBalanceInSmsPackage": BALANCE,
        "AuthFailure*": KEYS,
        "UnauthorizedOperation.RequestIpNotInWhitelist": SOURCE,
        "UnauthorizedOperation.RequestPermissionDeny": RIGHTS,
        "UnauthorizedOperation.IndividualUserMarketingSmsPermissionDeny": RIGHTS,
        "UnauthorizedOperation.*": CLOSED,
        "LimitExceeded.App*": CAP,
        "FailedOperation.Template*": TEMPLATE,
        "FailedOperation.SignatureIncorrectOrUnapproved": SIGNATURE,
        "FailedOperation.ContainSensitiveWord": WORDS,
        "InvalidParameter.DirtyWordFound": WORDS,
        "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": LINK,
        "InvalidParameterValue.ContentLengthLimit": LENGTH,
        "InvalidParameterValue.TemplateParameterLengthLimit": LENGTH,
        "InvalidParameterValue.IncorrectPhoneNumber": NUMBER,
        "FailedOperation.PhoneNumberParseFail": NUMBER,
        "UnsupportedOperation.UnsupportedRegion": COUNTRY,
        "LimitExceeded.*": OFTEN,
        "FailedOperation.PhoneNumberInBlacklist": BLOCKED,
    },
    "twilio": {
        "20003": KEYS,
        "401": KEYS,
        "30002": CLOSED,
        "10001": CLOSED,
        "21608": TRIAL,
        "21408": COUNTRY,
        "21211": NUMBER,
        "21614": NUMBER,
        "21610": BLOCKED,
        "30004": BLOCKED,
        "30003": AWAY,
        "30005": NUMBER,
        "30006": NUMBER,
        "30007": WORDS,
        "21617": LENGTH,
        "21606": SENDER,
        "21603": SENDER,
        "21266": SENDER,
        "21612": SENDER,
        "30034": SENDER,
    },
    "infobip": {
        "UNAUTHORIZED*": KEYS,
        "REJECTED_NOT_ENOUGH_CREDITS": BALANCE,
        "REJECTED_DESTINATION_NOT_REGISTERED": TRIAL,
        "REJECTED_SENDER": SENDER,
        "REJECTED_SOURCE": SENDER,
        "REJECTED_DND": BLOCKED,
        "REJECTED_DESTINATION_BLOCKLISTED": BLOCKED,
        "REJECTED_DESTINATION*": NUMBER,
        "REJECTED_FLOODING_FILTER": OFTEN,
        "EC_UNKNOWN_SUBSCRIBER": NUMBER,
        "EC_ABSENT_SUBSCRIBER*": AWAY,
    },
    "": {
        "local.template": TEMPLATE,
        "local.country": COUNTRY,
        "local.number": NUMBER,
        "http.401": KEYS,
        "http.403": RIGHTS,
        **{
            code: CARRIER_ADVICE[outcome]
            for code, outcome in RECEIPT_OUTCOMES.items()
            if outcome in CARRIER_ADVICE
        },
        **dict.fromkeys(("MK:0010", "MK:0023", "EXPIRED", "UNDELIV"), AWAY),
    },
}
#: For codes nobody has written about.
ADVICE_BY_OUTCOME = {
    Outcome.PAUSE: _lt("The provider refuses the account: look into its console."),
    Outcome.TOKEN: KEYS,
    Outcome.TEMPLATE: _lt("The provider refuses the template, signature or sender."),
    Outcome.CONTENT: WORDS,
    Outcome.BADNUM: NUMBER,
    Outcome.OPTOUT: BLOCKED,
    Outcome.POSTPONE: OFTEN,
    Outcome.RETRY: _lt("The provider gave no usable answer; nothing has left."),
    Outcome.AMBIGUOUS: _lt("The provider's answer got lost: it may have left."),
    Outcome.BUG: _lt("The provider cannot read the request: tell your administrator."),
}


def _find(table, code):
    """:returns: entry of a code, exact before prefix; None if there is none"""
    if code in table:
        return table[code]
    matches = (
        entry
        for name, entry in table.items()
        if name.endswith("*") and code.startswith(name[:-1])
    )
    return next(matches, None)


class MemberGatewayCode(models.Model):
    """What one of a provider's codes means, where the tables of the addon are wrong or
    silent."""

    _name = "member.gateway.code"
    _description = "Provider Code"
    _order = "gateway_id, kind, code"
    _rec_name = "code"

    gateway_id = fields.Many2one(
        "member.gateway", required=True, ondelete="cascade", index=True
    )
    kind = fields.Selection(
        [("send", "When Sending"), ("report", "In Delivery Reports")],
        string="Met",
        required=True,
        default="send",
    )
    code = fields.Char(
        required=True,
        help="As the provider writes it; a * at the end: all that begin so.",
    )
    outcome = fields.Selection(
        OUTCOMES, string="Treat As", help="Empty: as the addon does."
    )
    advice = fields.Char(
        string="What to Do",
        translate=True,
        help="Shown wherever the code is. Empty: the words of the addon.",
    )

    _code_uniq = models.Constraint(
        "UNIQUE (gateway_id, kind, code)", "A code has one line of each kind."
    )

    @api.onchange("code")
    def _onchange_code(self):
        self.code = self.code and self.code.strip()

    @api.model_create_multi
    def create(self, vals_list):
        codes = super().create(vals_list)
        self.env["member.gateway"]._forget_accounts()
        return codes

    def write(self, vals):
        result = super().write(vals)
        self.env["member.gateway"]._forget_accounts()
        return result

    def unlink(self):
        self.env["member.gateway"]._forget_accounts()
        return super().unlink()


class MemberGateway(models.Model):
    _inherit = "member.gateway"

    code_ids = fields.One2many(
        "member.gateway.code", "gateway_id", string="Provider Codes"
    )

    def _get_options(self):
        """Codes judged on the screen overrule the adapter's tables."""
        options = super()._get_options()
        for kind in ("send", "report"):
            lines = self.code_ids.filtered(
                lambda line, kind=kind: line.kind == kind and line.outcome
            )
            if lines:
                options[f"{kind}_outcomes"] = {
                    line.code: line.outcome for line in lines
                }
        return options

    def _explain(self, code, words=None, outcome=None):
        """Say what a provider's refusal means and what to do about it.

        :param str code: the provider's code, may be empty
        :param str words: the provider's words
        :param Outcome outcome: class of the refusal, if known
        :returns: one or two sentences, the provider's own code and words in brackets
        :rtype: str
        """
        self.ensure_one()
        original = " ".join(filter(None, (code, words)))
        advice = self._get_advice(code or "", outcome)
        if advice and original:
            return self.env._(
                "%(advice)s (%(original)s)", advice=advice, original=original
            )
        return advice or original

    def _get_advice(self, code, outcome):
        own = _find({line.code: line.advice for line in self.code_ids}, code)
        if own:
            return own
        advice = (
            _find(ADVICE_BY_CODE.get(self.provider, {}), code)
            or _find(ADVICE_BY_CODE[""], code)
            or ADVICE_BY_OUTCOME.get(outcome)
        )
        return advice and self.env._(advice)
