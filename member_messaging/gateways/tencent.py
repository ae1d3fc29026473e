"""Tencent Cloud SMS (API version 2021-01-11).

Source: the vendor's API reference for SendSms, PullSmsSendStatus, PullSmsReplyStatus,
PullSmsSendStatusByPhoneNumber and SendStatusStatistics, its pages on "signature v3"
(TC3-HMAC-SHA256) and on callbacks, the error codes of the official Python SDK. What the
documentation leaves open is listed in ``README.md``.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from .base import failed_call, group_calls
from .carriers import (
    SHANGHAI,
    MainlandGateway,
    bare_signature,
    read_time,
    to_e164,
)
from .errors import ConfigError, PayloadError, TransportError
from .http import HttpClient, HttpResponse
from .reading import (
    clean_text,
    compact_json,
    get_object,
    objects,
    read_body,
    read_each,
    read_integer,
    read_parts,
    required,
)
from .types import (
    Capability,
    DeliveryReport,
    GatewayConfig,
    InboundMessage,
    Outbound,
    Outcome,
    PendingMessage,
    SendResult,
    WebhookRequest,
)

_logger = logging.getLogger(__name__)

SERVICE = "sms"
VERSION = "2021-01-11"
DEFAULT_ENDPOINT = "sms.tencentcloudapi.com"
DEFAULT_REGION = "ap-guangzhou"
ALGORITHM = "TC3-HMAC-SHA256"
JSON_TYPE = "application/json; charset=utf-8"
#: PullSmsSendStatusByPhoneNumber goes back this far.
QUERY_DAYS = 7
#: Most entries of an answer to a pull.
PULL_SIZE = 100
#: Answers that are fetched in one go. They are told once only and not stored yet.
PULL_PAGES = 5
#: With ``pull``, the vendor is asked about a single message after so long: what was
#: pulled may have got lost, or have come before the sender had written its result.
PULL_PATIENCE = timedelta(hours=1)
#: Mark of references we make up: the SessionContext of a call whose answer got lost.
CONTEXT_PREFIX = "ctx:"

#: Marketing messages leave from 08:00 to 22:00 only, Beijing time.
MARKETING_TIME = "FailedOperation.MarketingSendTimeConstraint"
MARKETING_HOUR = 8

#: Result class by ``Code`` of a number or of the answer as a whole; names ending in
#: ``*`` match a prefix.
ERROR_OUTCOMES = {
    "RequestLimitExceeded*": Outcome.RETRY,
    "ServiceUnavailable*": Outcome.RETRY,
    "LimitExceeded.GlobalSmsSendingRateLimit": Outcome.RETRY,
    "InternalError.OtherError": Outcome.RETRY,
    "LimitExceeded.PhoneNumberThirtySecondLimit": Outcome.POSTPONE,
    "LimitExceeded.PhoneNumberOneHourLimit": Outcome.POSTPONE,
    "LimitExceeded.PhoneNumberDailyLimit": Outcome.POSTPONE,
    "LimitExceeded.PhoneNumberSameContentDailyLimit": Outcome.POSTPONE,
    "LimitExceeded.DeliveryFrequencyLimit": Outcome.POSTPONE,
    MARKETING_TIME: Outcome.POSTPONE,
    "InvalidParameterValue.IncorrectPhoneNumber": Outcome.BADNUM,
    "FailedOperation.PhoneNumberParseFail": Outcome.BADNUM,
    "UnsupportedOperation.UnsupportedRegion": Outcome.BADNUM,
    "LimitExceeded.AppCountryOrRegionInBlacklist": Outcome.BADNUM,
    "FailedOperation.PhoneNumberInBlacklist": Outcome.OPTOUT,
    "FailedOperation.ContainSensitiveWord": Outcome.CONTENT,
    "InvalidParameter.DirtyWordFound": Outcome.CONTENT,
    "InvalidParameterValue.ContentLengthLimit": Outcome.CONTENT,
    "InvalidParameterValue.TemplateParameterLengthLimit": Outcome.CONTENT,
    "InvalidParameterValue.TemplateParameterFormatError": Outcome.CONTENT,
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": Outcome.CONTENT,
    "InvalidParameterValue.TemplateWithDirtyWords": Outcome.CONTENT,
    "FailedOperation.TemplateIncorrectOrUnapproved": Outcome.TEMPLATE,
    "FailedOperation.TemplateUnapprovedOrNotExist": Outcome.TEMPLATE,
    "FailedOperation.TemplateIdNotExist": Outcome.TEMPLATE,
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": Outcome.TEMPLATE,
    "FailedOperation.SignatureIncorrectOrUnapproved": Outcome.TEMPLATE,
    "FailedOperation.MissingSignature*": Outcome.TEMPLATE,
    "FailedOperation.MissingTemplate*": Outcome.TEMPLATE,
    "InvalidParameterValue.UnsupportedTemplateVariable": Outcome.TEMPLATE,
    "UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone": Outcome.TEMPLATE,
    "UnsupportedOperation.GlobalTemplateToChineseMainlandPhone": Outcome.TEMPLATE,
    "UnauthorizedOperation*": Outcome.PAUSE,
    "AuthFailure*": Outcome.PAUSE,
    "IpInBlacklist": Outcome.PAUSE,
    "IpNotInWhitelist": Outcome.PAUSE,
    "UnsupportedRegion": Outcome.PAUSE,
    "FailedOperation.NotEnterpriseCertification": Outcome.PAUSE,
    "FailedOperation.ProhibitSubAccountUse": Outcome.PAUSE,
    "FailedOperation.InsufficientBalanceInSmsPackage": Outcome.PAUSE,
    "LimitExceeded.AppDailyLimit": Outcome.PAUSE,
    "LimitExceeded.AppMainlandChinaDailyLimit": Outcome.PAUSE,
    "LimitExceeded.AppGlobalDailyLimit": Outcome.PAUSE,
    "LimitExceeded.AppCountryOrRegionDailyLimit": Outcome.PAUSE,
    "LimitExceeded.DailyLimit": Outcome.PAUSE,
    "InvalidParameterValue.SdkAppIdNotExist": Outcome.PAUSE,
    "InvalidParameter.AppidAndBizId": Outcome.PAUSE,
    "InternalError.RequestTimeException": Outcome.PAUSE,
    "InternalError.Sig*": Outcome.PAUSE,
    "LimitExceeded.PhoneNumberCountLimit": Outcome.BUG,
    "UnsupportedOperation*": Outcome.BUG,
    "MissingParameter*": Outcome.BUG,
    "InvalidParameter*": Outcome.BUG,
    "FailedOperation*": Outcome.BUG,
    "InternalError.JsonParseFail": Outcome.BUG,
    "InternalError.RestApiInterfaceNotExist": Outcome.BUG,
    # Timeout, SendAndRecvFail …: an answer got lost behind the vendor's door.
    "InternalError*": Outcome.AMBIGUOUS,
}

#: Seconds until a number may be tried again; what is not listed waits for the next day
#: (``…DailyLimit``) or an hour.
WINDOWS = {
    "LimitExceeded.PhoneNumberThirtySecondLimit": 30,
    "LimitExceeded.PhoneNumberOneHourLimit": 3600,
}
DEFAULT_WINDOW = 3600

#: One recipient might be the reason that a whole call is refused with these.
_ONE_FOR_ALL = {Outcome.BADNUM, Outcome.OPTOUT, Outcome.POSTPONE}
_PERHAPS_SENT = {Outcome.OK, Outcome.AMBIGUOUS}
#: What a report says, by the vendor's word.
_STATUSES = {"SUCCESS": "delivered", "FAIL": "failed"}
#: How much earlier or later than our call the vendor may have booked a message.
_EARLIER, _LATER = timedelta(minutes=1), timedelta(minutes=10)


# Signature ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedTC3:
    """A signature with the steps that led to it, for comparison with test vectors."""

    payload_hash: str
    canonical_hash: str
    signature: str
    authorization: str


def sign_tc3(
    headers: Mapping[str, str],
    body: bytes,
    timestamp: int,
    service: str,
    secret_id: str,
    secret_key: str,
) -> SignedTC3:
    """Sign a POST to ``/`` with TC3-HMAC-SHA256 ("signature v3" of the vendor).

    :param headers: those to sign, names in lower case; ``content-type`` and ``host``
        at least
    :param body: the exact bytes that will be sent
    :param timestamp: Unix time in seconds, also sent as ``X-TC-Timestamp``
    """
    payload_hash = hashlib.sha256(body).hexdigest()
    names = sorted(headers)
    signed_headers = ";".join(names)
    canonical_headers = "".join(
        f"{name}:{headers[name].strip().lower()}\n" for name in names
    )
    canonical = "\n".join(
        ("POST", "/", "", canonical_headers, signed_headers, payload_hash)
    )
    canonical_hash = hashlib.sha256(canonical.encode()).hexdigest()
    day = f"{datetime.fromtimestamp(timestamp, timezone.utc):%Y-%m-%d}"
    scope = f"{day}/{service}/tc3_request"
    key = f"TC3{secret_key}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{canonical_hash}"
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    authorization = (
        f"{ALGORITHM} Credential={secret_id}/{scope}, "
        f"SignedHeaders={signed_headers}, Signature={signature}"
    )
    return SignedTC3(payload_hash, canonical_hash, signature, authorization)


# The adapter -------------------------------------------------------------------------


class TencentGateway(MainlandGateway):
    """Tencent Cloud SMS with registered templates.

    Options: ``app_id`` (SdkAppId), ``region``, ``extend_code`` (digits appended to the
    sender number), ``sender_id`` (for numbers outside the mainland), ``pull`` (fetch
    reports and replies, because the vendor cannot reach us).
    """

    code = "tencent"
    name = "Tencent Cloud SMS"
    batch_size = 200
    error_outcomes = ERROR_OUTCOMES
    option_names = ("app_id", "region", "extend_code", "sender_id", "pull")
    required_options = ("app_id",)

    def __init__(
        self, config: GatewayConfig, http: HttpClient | None = None, **replacements
    ):
        super().__init__(config, http, **replacements)
        if config.options.get("pull"):
            # Then every message is asked about, not only those whose answer got lost.
            self.capabilities = self.capabilities - {Capability.WEBHOOK}

    # Sending ---------------------------------------------------------------------

    def group(self, batch: Sequence[Outbound]) -> list[tuple[int, Sequence[Outbound]]]:
        """Put messages with the same words together: a call has one set of them."""
        return [
            (min(len(group), self.batch_size), group)
            for group in group_calls(batch, _get_words)
        ]

    def _deliver(self, messages: Sequence[Outbound]) -> list[SendResult] | None:
        """Make one SendSms call; ``None`` if a single number may be what spoiled it."""
        context = self.nonce()
        try:
            response = self._call("SendSms", self._write_send(messages, context))
        except (TransportError, ConfigError) as error:
            whole, statuses = failed_call(error), {}
        else:
            whole, statuses = self._read_send(response)
        if len(messages) > 1 and _may_be_one(whole):
            return None
        results = []
        for message in messages:
            result = statuses.get(message.address, whole)
            if result.outcome in _PERHAPS_SENT and not result.provider_ref:
                result = replace(result, provider_ref=f"{CONTEXT_PREFIX}{context}")
            results.append(replace(result, key=message.key))
        return results

    def _write_send(self, messages: Sequence[Outbound], context: str) -> dict:
        options = self.config.options
        first = messages[0]
        content = {
            "PhoneNumberSet": [message.address for message in messages],
            "SmsSdkAppId": self._get_app_id(),
            "TemplateId": first.template_code,
            "SignName": bare_signature(self.config.signature),
            "TemplateParamSet": order_params(first.params),
            "SessionContext": context,
        }
        if extend_code := options.get("extend_code"):
            content["ExtendCode"] = str(extend_code)
        if not _is_mainland(first) and (sender_id := options.get("sender_id")):
            content["SenderId"] = str(sender_id)
        return content

    def _read_send(
        self, response: HttpResponse
    ) -> tuple[SendResult, dict[str, SendResult]]:
        """:returns: the result of numbers that are not named, and of those that are"""
        answer = _read_response(response)
        statuses = {
            to_e164(clean_text(status.get("PhoneNumber"))): self._read_status(status)
            for status in objects(answer.get("SendStatusSet"))
        }
        if statuses:
            # An answer came, and says nothing about this number.
            missing = SendResult("", Outcome.AMBIGUOUS, provider_code="local.missing")
            return missing, statuses
        return self._read_refusal(response, answer), {}

    def _read_status(self, status: Mapping) -> SendResult:
        """Read what became of one number."""
        code = clean_text(status.get("Code"))
        words = clean_text(status.get("Message"))
        outcome = Outcome.OK if code == "Ok" else self._outcome(200, code, words)
        is_sent = outcome in _PERHAPS_SENT
        return SendResult(
            "",
            outcome,
            provider_ref=(is_sent and clean_text(status.get("SerialNo"))) or None,
            provider_code=code or None,
            provider_message=words or None,
            parts=read_parts(status.get("Fee")) if is_sent else None,
            retry_after=self._get_window(outcome, code),
        )

    def _read_refusal(self, response: HttpResponse, answer: Mapping) -> SendResult:
        """Read an answer that names no number."""
        error = get_object(answer, "Error")
        code = clean_text(error.get("Code"))
        message = clean_text(error.get("Message"))
        outcome = self._outcome(response.status, code, message)
        wait = self._get_window(outcome, code)
        return SendResult(
            "",
            outcome,
            provider_code=code or f"http.{response.status}",
            provider_message=message or None,
            retry_after=wait if wait is not None else response.retry_after(),
        )

    def _get_window(self, outcome: Outcome, code: str) -> int | None:
        """:returns: seconds until a postponed number may be tried again"""
        if outcome is not Outcome.POSTPONE:
            return None
        if code == MARKETING_TIME:
            return self._seconds_until(MARKETING_HOUR)
        if code.endswith("DailyLimit"):
            return self._seconds_until(0)
        return WINDOWS.get(code, DEFAULT_WINDOW)

    def _seconds_until(self, hour: int) -> int:
        """:returns: seconds until it is next so late in China"""
        now = self.clock().astimezone(SHANGHAI)
        then = now.replace(hour=hour, minute=0, second=0, microsecond=0)
        if then <= now:
            then += timedelta(days=1)
        return int((then - now).total_seconds())

    def _get_app_id(self) -> str:
        return str(self.config.options.get("app_id", "")).strip()

    def _call(self, action: str, content: Mapping) -> HttpResponse:
        """Sign and make one call; the action is in a header."""
        scheme, separator, host = self.config.endpoint.strip().rpartition("://")
        host = host.rstrip("/") or DEFAULT_ENDPOINT
        body = compact_json(content).encode()
        timestamp = int(self.clock().timestamp())
        headers = {"content-type": JSON_TYPE, "host": host}
        # Keys are pasted, blanks come along.
        key, secret = self.config.api_key.strip(), self.config.api_secret.strip()
        signed = sign_tc3(headers, body, timestamp, SERVICE, key, secret)
        region = str(self.config.options.get("region") or DEFAULT_REGION).strip()
        headers |= {
            "X-TC-Action": action,
            "X-TC-Version": VERSION,
            "X-TC-Timestamp": str(timestamp),
            "X-TC-Region": region,
            "Authorization": signed.authorization,
        }
        url = f"{scheme if separator else 'https'}://{host}/"
        return self.http.request("POST", url, headers=headers, data=body)

    # Callbacks -------------------------------------------------------------------

    def acknowledge(self) -> tuple[int, dict[str, str], bytes]:
        body = compact_json({"result": 0, "errmsg": "OK"}).encode()
        return 200, {"Content-Type": "application/json; charset=utf-8"}, body

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read an array of reports or a single reply.

        An entry that cannot be read does not keep the others from being used.
        """
        if request.method == "GET":
            return []
        content = read_body(request.body)
        if isinstance(content, dict):
            return [_parse_reply(content)] if "mobile" in content else []
        return read_each(content, self._parse_report)

    def _parse_report(self, entry: Mapping) -> DeliveryReport | None:
        if "sid" not in entry:
            return None
        status = _STATUSES.get(clean_text(entry.get("report_status")))
        if not status:
            raise PayloadError("report_status is neither SUCCESS nor FAIL")
        context = clean_text(entry.get("ext"))
        return self._report(
            serial=required(entry, "sid"),
            address=_read_number(entry),
            status=status,
            code=clean_text(entry.get("errmsg")),
            message=clean_text(entry.get("description")),
            date=read_time(entry.get("user_receive_time")),
            alternative_ref=f"{CONTEXT_PREFIX}{context}" if context else None,
        )

    def _report(
        self, serial: str, address: str, status: str, code: str, message: str, **values
    ) -> DeliveryReport:
        return DeliveryReport(
            provider_ref=serial,
            address=address,
            status=status,
            # Push and pull tell the same fact in different words.
            event_ref=f"report:{serial}:{address}:{status}",
            outcome=self._receipt_outcome(code) if status == "failed" else None,
            provider_code=code or None,
            provider_message=message or None,
            **values,
        )

    # Questions -------------------------------------------------------------------

    def probe(self) -> SendResult:
        """Ask SendStatusStatistics for the present hour: that needs a valid key and an
        application that belongs to it."""
        hour = f"{self.clock().astimezone(SHANGHAI):%Y%m%d%H}"
        content = {
            "BeginTime": hour,
            "EndTime": hour,
            "SmsSdkAppId": self._get_app_id(),
            "Limit": 0,
            "Offset": 0,
        }
        try:
            response = self._call("SendStatusStatistics", content)
        except (TransportError, ConfigError) as error:
            return failed_call(error)
        answer = _read_response(response)
        if "SendStatusStatistics" in answer:
            return SendResult("", Outcome.OK, provider_code="Ok")
        return self._read_refusal(response, answer)

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Ask about single messages, and with the option ``pull`` for whatever is new.

        Stops at the first failure: the rest is asked next time. Messages older than 7
        days are unknown to the vendor and skipped.
        """
        events: list[DeliveryReport | InboundMessage] = []
        if not pending:
            return events
        pulls = bool(self.config.options.get("pull"))
        try:
            for message in pending:
                age = now - message.sent_date
                # The vendor told of the others as soon as it knew.
                is_open = not pulls or _is_lost(message) or age > PULL_PATIENCE
                if is_open and age <= timedelta(days=QUERY_DAYS):
                    events += self._query_one(message, now)
            if pulls:
                # Last, because it is told once only: it has to be stored soon.
                for event in self._pull():
                    events.append(event)
        except (TransportError, ConfigError, PayloadError) as error:
            _logger.warning("Tencent query stopped: %s", error)
        return events

    def _query_one(
        self, message: PendingMessage, now: datetime
    ) -> list[DeliveryReport]:
        content = {
            "BeginTime": int((message.sent_date - _EARLIER).timestamp()),
            "EndTime": int(now.timestamp()),
            "Offset": 0,
            "Limit": PULL_SIZE,
            "PhoneNumber": message.address,
            "SmsSdkAppId": self._get_app_id(),
        }
        action = "PullSmsSendStatusByPhoneNumber"
        found = [
            status
            for status in self._pull_once(action, "PullSmsSendStatusSet", content)
            if _is_about(status, message)
        ]
        # Without a reference, two messages at about the same time cannot be told
        # apart: better uncertain than wrong.
        if len(found) != 1:
            return []
        report = self._read_pulled(found[0])
        return [replace(report, key=message.key)] if report else []

    def _pull(self) -> Iterator[DeliveryReport | InboundMessage]:
        """Yield reports and replies that nobody has pulled yet."""
        for action, read in (
            ("PullSmsReplyStatus", _read_pulled_reply),
            ("PullSmsSendStatus", self._read_pulled),
        ):
            content = {"Limit": PULL_SIZE, "SmsSdkAppId": self._get_app_id()}
            for _page in range(PULL_PAGES):
                entries = self._pull_once(action, f"{action}Set", content)
                yield from filter(None, map(read, entries))
                if len(entries) < PULL_SIZE:
                    break

    def _pull_once(self, action: str, name: str, content: Mapping) -> list[dict]:
        """:returns: the array ``name`` of the answer

        :raises PayloadError: the vendor refuses
        """
        response = self._call(action, content)
        answer = _read_response(response)
        if name not in answer:
            refusal = self._read_refusal(response, answer)
            raise PayloadError(f"{action}: {refusal.provider_code}")
        return objects(answer[name])

    def _read_pulled(self, status: Mapping) -> DeliveryReport | None:
        """Read a report, ``None`` while the carrier has not said anything."""
        serial = clean_text(status.get("SerialNo"))
        known = _STATUSES.get(clean_text(status.get("ReportStatus")))
        if not serial or not known:
            return None
        context = clean_text(status.get("SessionContext"))
        return self._report(
            serial=serial,
            address=to_e164(clean_text(status.get("PhoneNumber"))),
            status=known,
            code=clean_text(status.get("Description")),
            message="",
            date=_read_seconds(status.get("UserReceiveTime")),
            alternative_ref=f"{CONTEXT_PREFIX}{context}" if context else None,
        )


# Reading and writing -----------------------------------------------------------------


def order_params(params: Mapping[str, str] | None) -> list[str]:
    """Return the values for ``{1}``, ``{2}`` … of the vendor's text.

    Parameters named by number stand in that order, others as they are.
    """
    params = params or {}
    names = sorted(params, key=int) if all(map(str.isdecimal, params)) else params
    return [str(params[name]) for name in names]


def _may_be_one(result: SendResult) -> bool:
    """Tell whether a single number can be what spoiled a call for several."""
    if result.provider_code == MARKETING_TIME:
        return False
    return result.outcome in _ONE_FOR_ALL


def _is_mainland(message: Outbound) -> bool:
    return message.address.startswith("+86")


def _get_words(message: Outbound) -> tuple:
    """Return what the messages of a call must have in common; the vendor takes numbers
    of the mainland and others in separate calls."""
    words = tuple(order_params(message.params))
    return message.template_code, words, _is_mainland(message)


def _is_lost(message: PendingMessage) -> bool:
    return (message.provider_ref or CONTEXT_PREFIX).startswith(CONTEXT_PREFIX)


def _is_about(status: Mapping, message: PendingMessage) -> bool:
    reference = message.provider_ref or ""
    if not _is_lost(message):
        return status.get("SerialNo") == reference
    if reference and (context := status.get("SessionContext")):
        return reference == f"{CONTEXT_PREFIX}{context}"
    # The account may not have SessionContext; then the time has to do.
    date = _read_seconds(status.get("UserReceiveTime"))
    return bool(date) and -_EARLIER <= date - message.sent_date <= _LATER


def _read_response(response: HttpResponse) -> dict:
    return get_object(response.json(), "Response")


def _read_number(entry: Mapping) -> str:
    return f"+{required(entry, 'nationcode').lstrip('+')}{required(entry, 'mobile')}"


def _read_seconds(value) -> datetime | None:
    """Read Unix time in seconds; 0 is none."""
    try:
        return datetime.fromtimestamp(int(value), timezone.utc) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _parse_reply(entry: Mapping) -> InboundMessage:
    return _reply(
        address=_read_number(entry),
        text=clean_text(entry.get("text")),
        seconds=entry.get("time"),
        extend_code=entry.get("extend"),
    )


def _read_pulled_reply(entry: Mapping) -> InboundMessage | None:
    number = clean_text(entry.get("PhoneNumber"))
    if not number:
        return None
    return _reply(
        address=to_e164(number),
        text=clean_text(entry.get("ReplyContent")),
        seconds=entry.get("ReplyTime"),
        extend_code=entry.get("ExtendCode"),
    )


def _reply(address: str, text: str, seconds, extend_code) -> InboundMessage:
    # A reply has no number of its own: what it says and when is all there is.
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return InboundMessage(
        address=address,
        text=text,
        event_ref=f"reply:{address}:{read_integer(seconds) or 0}:{digest}",
        date=_read_seconds(seconds),
        destination=clean_text(extend_code) or None,
    )
