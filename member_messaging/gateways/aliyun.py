"""Alibaba Cloud SMS (Dysmsapi, version 2017-05-25), mainland product.

Source: the vendor's API reference for SendSms, SendBatchSms, QuerySendDetails and
QuerySmsTemplateList, its pages on "signature V3" (ACS3-HMAC-SHA256) and HTTP batch push
(SmsReport, SmsUp), and the official Python SDK. What the documentation leaves open is
listed in ``README.md``.
"""

import hashlib
import hmac
import json
import logging
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from urllib.parse import quote

from .base import failed_call, group_calls
from .carriers import (
    SHANGHAI,
    MainlandGateway,
    bare_signature,
    is_number,
    read_time,
    to_e164,
)
from .errors import ConfigError, PayloadError, TransportError
from .http import HttpResponse, read_wait
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
    DeliveryReport,
    InboundMessage,
    Outbound,
    Outcome,
    PendingMessage,
    SendResult,
    WebhookRequest,
)

_logger = logging.getLogger(__name__)

VERSION = "2017-05-25"
DEFAULT_ENDPOINT = "dysmsapi.aliyuncs.com"
ALGORITHM = "ACS3-HMAC-SHA256"
FORM = "application/x-www-form-urlencoded"
#: Most numbers of a SendBatchSms call; SendSms takes ``batch_size``.
MAX_TEXTS = 100
#: QuerySendDetails goes back this far.
QUERY_DAYS = 30
QUERY_PAGE_SIZE = 50
#: More pages than a number can get messages on a day.
QUERY_PAGES = 20
#: Mark of references we make up: the OutId of a call whose BizId we never saw.
OUT_PREFIX = "out:"

#: Result class by ``Code`` of a response; names ending in ``*`` match a prefix.
ERROR_OUTCOMES = {
    "Throttling*": Outcome.RETRY,
    "isp.SYSTEM_ERROR": Outcome.RETRY,
    "isp.UNKNOWN": Outcome.RETRY,
    "ServiceUnavailable*": Outcome.RETRY,
    "InternalError*": Outcome.RETRY,
    # We never repeat a request at transport level, so the first one was refused; the
    # next attempt has a new nonce.
    "SignatureNonceUsed": Outcome.RETRY,
    "isv.BUSINESS_LIMIT_CONTROL": Outcome.POSTPONE,
    "isv.MOBILE_NUMBER_ILLEGAL": Outcome.BADNUM,
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": Outcome.BADNUM,
    "isv.SMS_CONTENT_ILLEGAL": Outcome.CONTENT,
    "isv.BLACK_KEY_CONTROL_LIMIT": Outcome.CONTENT,
    "isv.TEMPLATE_PARAMS_ILLEGAL": Outcome.CONTENT,
    "isv.PARAM_NOT_SUPPORT_URL": Outcome.CONTENT,
    "isv.PARAM_LENGTH_LIMIT": Outcome.CONTENT,
    "isv.SMS_TEMPLATE_ILLEGAL": Outcome.TEMPLATE,
    "isv.SMS_SIGNATURE_ILLEGAL": Outcome.TEMPLATE,
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": Outcome.TEMPLATE,
    "isv.SMS_SIGN_ILLEGAL": Outcome.TEMPLATE,
    "isv.SIGN_STATE_ILLEGAL": Outcome.TEMPLATE,
    "isv.OUT_OF_SERVICE": Outcome.PAUSE,
    "isv.AMOUNT_NOT_ENOUGH": Outcome.PAUSE,
    "isv.DAY_LIMIT_CONTROL": Outcome.PAUSE,
    "isv.MONTH_LIMIT_CONTROL": Outcome.PAUSE,
    "isv.PRODUCT_UN_SUBSCRIPT": Outcome.PAUSE,
    "isv.PRODUCT_UNSUBSCRIBE": Outcome.PAUSE,
    "isv.ACCOUNT_NOT_EXISTS": Outcome.PAUSE,
    "isv.ACCOUNT_ABNORMAL": Outcome.PAUSE,
    "isp.RAM_PERMISSION_DENY": Outcome.PAUSE,
    "isv.DENY_IP_RANGE": Outcome.PAUSE,
    "SignatureDoesNotMatch": Outcome.PAUSE,
    "InvalidAccessKeyId*": Outcome.PAUSE,
    "Forbidden*": Outcome.PAUSE,
    "InvalidTimeStamp*": Outcome.PAUSE,
    "isv.MOBILE_COUNT_OVER_LIMIT": Outcome.BUG,
    "isv.INVALID_PARAMETERS": Outcome.BUG,
    "isv.INVALID_JSON_PARAM": Outcome.BUG,
    "isv.TEMPLATE_MISSING_PARAMETERS": Outcome.BUG,
    "isv.EXTEND_CODE_ERROR": Outcome.BUG,
    "MissingParameter*": Outcome.BUG,
    "isv.INTERFACE_OFFLINE": Outcome.BUG,
}

#: Window named in the text of a flow-control refusal, seconds until it has passed.
FLOW_WINDOWS = (("天级", 86400), ("小时级", 3600), ("分钟级", 90))
FLOW_DEFAULT = 3600

#: One recipient can be the reason that a whole call is refused with these.
_ONE_FOR_ALL = {Outcome.BADNUM, Outcome.OPTOUT, Outcome.POSTPONE, Outcome.CONTENT}
#: So can the variables of one recipient.
_VARIABLES = {"isv.INVALID_JSON_PARAM", "isv.TEMPLATE_MISSING_PARAMETERS"}
_PERHAPS_SENT = {Outcome.OK, Outcome.AMBIGUOUS}


# Signatures --------------------------------------------------------------------------


def percent_encode(text: str) -> str:
    """Encode for a query or form by RFC 3986: all but ``A-Z a-z 0-9 - _ . ~``."""
    return quote(text, safe="~")


def canonical_query(params: Mapping[str, str]) -> str:
    """Return parameters sorted by name, encoded and joined with ``&``.

    Serves as query string, form body and part of both signatures.
    """
    return "&".join(
        f"{percent_encode(name)}={percent_encode(params[name])}"
        for name in sorted(params)
    )


@dataclass(frozen=True, slots=True)
class SignedV3:
    """A signature with the steps that led to it, for comparison with test vectors."""

    payload_hash: str
    canonical_request: str
    canonical_hash: str
    signed_headers: str
    signature: str
    authorization: str


def sign_v3(
    method: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    access_key_id: str,
    access_key_secret: str,
) -> SignedV3:
    """Sign a request with ACS3-HMAC-SHA256 ("signature V3" of the vendor).

    :param query: canonical query string, see :func:`canonical_query`
    :param headers: all headers to sign, names in lower case, with ``host`` and every
        ``x-acs-`` header; ``x-acs-content-sha256`` is added here
    :param body: the exact bytes that will be sent
    """
    payload_hash = hashlib.sha256(body).hexdigest()
    headers = {**headers, "x-acs-content-sha256": payload_hash}
    names = sorted(headers)
    signed_headers = ";".join(names)
    canonical_headers = "".join(f"{name}:{headers[name].strip()}\n" for name in names)
    canonical_request = "\n".join(
        (method, "/", query, canonical_headers, signed_headers, payload_hash)
    )
    canonical_hash = hashlib.sha256(canonical_request.encode()).hexdigest()
    signature = hmac.new(
        access_key_secret.encode(),
        f"{ALGORITHM}\n{canonical_hash}".encode(),
        hashlib.sha256,
    ).hexdigest()
    authorization = (
        f"{ALGORITHM} Credential={access_key_id},"
        f"SignedHeaders={signed_headers},Signature={signature}"
    )
    return SignedV3(
        payload_hash,
        canonical_request,
        canonical_hash,
        signed_headers,
        signature,
        authorization,
    )


def sign_v1(method: str, params: Mapping[str, str], access_key_secret: str) -> str:
    """Return the older RPC signature (HMAC-SHA1, base64).

    The adapter does not use it; it is here to check devices and proxies that do.

    :param params: common, query **and** form parameters, without ``Signature``
    """
    canonical = percent_encode(canonical_query(params))
    digest = hmac.new(
        f"{access_key_secret}&".encode(),
        f"{method}&%2F&{canonical}".encode(),
        hashlib.sha1,
    ).digest()
    return b64encode(digest).decode()


# Telephone numbers -------------------------------------------------------------------


def to_aliyun(address: str) -> str | None:
    """Return an E.164 number as the vendor wants it, ``None`` if it is not one.

    Mainland numbers lose +86, others the plus.
    """
    if not is_number(address):
        return None
    return address[3:] if address.startswith("+86") else address[1:]


# The adapter -------------------------------------------------------------------------


class AliyunGateway(MainlandGateway):
    """Alibaba Cloud SMS with registered templates.

    Options: ``extend_code`` (digits appended to the sender number).
    """

    code = "aliyun"
    name = "Alibaba Cloud SMS"
    batch_size = 1000
    error_outcomes = ERROR_OUTCOMES
    option_names = ("extend_code",)

    # Sending ---------------------------------------------------------------------

    def group(self, batch: Sequence[Outbound]) -> list[tuple[int, Sequence[Outbound]]]:
        """Put messages with one template together, and more of them if their words
        are the same."""
        return [
            (self.batch_size if _has_one_text(group) else MAX_TEXTS, group)
            for group in group_calls(batch, attrgetter("template_code"))
        ]

    def _refuse(self, message: Outbound) -> SendResult | None:
        refusal = super()._refuse(message)
        if not refusal and message.address.startswith("+1"):
            # +1 310 555 1234 and the mainland mobile 131 0555 1234 are the same digits.
            return SendResult(message.key, Outcome.BUG, provider_code="local.country")
        return refusal

    def _deliver(self, messages: Sequence[Outbound]) -> list[SendResult] | None:
        """Make one call; ``None`` if a single message may be what spoiled it.

        Whether one bad number does is not documented.
        """
        out_id = self.nonce()
        try:
            response = self._call_send(messages, out_id)
        except (TransportError, ConfigError) as error:
            result = failed_call(error)
        else:
            result = self._read_send(response)
        if _may_be_one(result, messages):
            return None
        if not result.provider_ref and result.outcome in _PERHAPS_SENT:
            result = replace(result, provider_ref=f"{OUT_PREFIX}{out_id}")
        return [replace(result, key=message.key) for message in messages]

    def _call_send(self, messages: Sequence[Outbound], out_id: str) -> HttpResponse:
        """Call SendSms if everybody gets the same words, else SendBatchSms."""
        query = {"OutId": out_id, "TemplateCode": messages[0].template_code}
        if not _has_one_text(messages):
            return self._call("SendBatchSms", query, self._columns(messages))
        query |= {
            "PhoneNumbers": ",".join(to_aliyun(each.address) for each in messages),
            "SignName": bare_signature(self.config.signature),
            "TemplateParam": compact_json(_texts(messages[0].params)),
        }
        if extend_code := self.config.options.get("extend_code"):
            query["SmsUpExtendCode"] = str(extend_code)
        return self._call("SendSms", query, {})

    def _columns(self, messages: Sequence[Outbound]) -> dict[str, str]:
        signature = bare_signature(self.config.signature)
        columns = {
            "PhoneNumberJson": [to_aliyun(message.address) for message in messages],
            "SignNameJson": [signature] * len(messages),
            "TemplateParamJson": [_texts(message.params) for message in messages],
        }
        if extend_code := self.config.options.get("extend_code"):
            columns["SmsUpExtendCodeJson"] = [str(extend_code)] * len(messages)
        return {name: compact_json(values) for name, values in columns.items()}

    def _read_send(self, response: HttpResponse) -> SendResult:
        answer = response.json()
        code = clean_text(answer.get("Code"))
        message = clean_text(answer.get("Message"))
        is_taken = code == "OK"
        outcome = (
            Outcome.OK if is_taken else self._outcome(response.status, code, message)
        )
        return SendResult(
            "",
            outcome,
            provider_ref=clean_text(answer.get("BizId")) or None,
            provider_code=code or f"http.{response.status}",
            provider_message=message or None,
            retry_after=_retry_after(outcome, message, response),
        )

    def _call(
        self, action: str, query: Mapping[str, str], form: Mapping[str, str]
    ) -> HttpResponse:
        """Sign and make one call (RPC style: path ``/``, action in a header)."""
        scheme, separator, host = self.config.endpoint.strip().rpartition("://")
        host = host.rstrip("/") or DEFAULT_ENDPOINT
        body = canonical_query(form).encode()
        canonical = canonical_query(query)
        headers = {
            "host": host,
            "x-acs-action": action,
            "x-acs-version": VERSION,
            "x-acs-date": self.clock().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self.nonce(),
        }
        if body:
            headers["content-type"] = FORM
        # Keys are pasted, blanks come along.
        key, secret = self.config.api_key.strip(), self.config.api_secret.strip()
        signed = sign_v3("POST", canonical, headers, body, key, secret)
        headers["x-acs-content-sha256"] = signed.payload_hash
        headers["Authorization"] = signed.authorization
        url = f"{scheme if separator else 'https'}://{host}/?{canonical}"
        return self.http.request("POST", url, headers=headers, data=body)

    # Callbacks -------------------------------------------------------------------

    def acknowledge(self) -> tuple[int, dict[str, str], bytes]:
        """Answer a push and the GET by which the console probes the address."""
        body = json.dumps({"code": 0, "msg": "成功"}, ensure_ascii=False).encode()
        return 200, {"Content-Type": "application/json; charset=utf-8"}, body

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read SmsReport and SmsUp; audit results and probes give nothing.

        An entry that cannot be read does not keep the others from being used.
        """
        if request.method == "GET":
            return []
        entries = read_body(request.body)
        if not isinstance(entries, list):
            raise PayloadError("body is not an array")
        return read_each(entries, self._parse_entry)

    def _parse_entry(self, entry: Mapping) -> DeliveryReport | InboundMessage | None:
        if "biz_id" in entry:
            return self._parse_report(entry)
        if "content" in entry and "phone_number" in entry:
            return _parse_inbound(entry)
        return None

    def _parse_report(self, entry: Mapping) -> DeliveryReport:
        biz_id = required(entry, "biz_id")
        delivered = _read_success(entry.get("success"))
        out_id = clean_text(entry.get("out_id"))
        return self._report(
            provider_ref=biz_id,
            address=to_e164(required(entry, "phone_number")),
            delivered=delivered,
            code=clean_text(entry.get("err_code")),
            message=clean_text(entry.get("err_msg")),
            date=read_time(entry.get("report_time")),
            parts=read_parts(entry.get("sms_size")),
            alternative_ref=f"{OUT_PREFIX}{out_id}" if out_id else None,
        )

    def _report(
        self,
        provider_ref: str,
        alternative_ref: str | None,
        address: str,
        delivered: bool,
        code: str,
        message: str = "",
        **values,
    ) -> DeliveryReport:
        status = "delivered" if delivered else "failed"
        outcome = None if delivered else self._receipt_outcome(code)
        return DeliveryReport(
            provider_ref=provider_ref,
            address=address,
            status=status,
            # Push and query tell the same fact with different times and texts; both
            # know the OutId, which stands for one call, and a number is once in a call.
            event_ref=f"report:{alternative_ref or provider_ref}:{address}:{status}",
            alternative_ref=alternative_ref,
            outcome=outcome,
            provider_code=code or None,
            provider_message=message or None,
            **values,
        )

    # Questions -------------------------------------------------------------------

    def probe(self) -> SendResult:
        """Ask QuerySmsTemplateList for one template."""
        try:
            page = {"PageIndex": "1", "PageSize": "1"}
            response = self._call("QuerySmsTemplateList", page, {})
        except (TransportError, ConfigError) as error:
            return failed_call(error)
        return self._read_send(response)

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Ask QuerySendDetails about each message, one call per message and day.

        Stops at the first failure: the rest is asked next time. Messages older than 30
        days are unknown to the vendor and skipped.
        """
        reports: list[DeliveryReport | InboundMessage] = []
        oldest = now - timedelta(days=QUERY_DAYS)
        try:
            for message in pending:
                if message.sent_date >= oldest:
                    reports += self._query_one(message)
        except (TransportError, ConfigError, PayloadError) as error:
            _logger.warning("Aliyun query stopped: %s", error)
        return reports

    def _query_one(self, message: PendingMessage) -> list[DeliveryReport]:
        number = to_aliyun(message.address)
        if not number:
            return []
        details = [
            detail
            for day in _days(message.sent_date)
            for detail in self._details(number, day, message.provider_ref)
            if _is_about(detail, message)
        ]
        # Without a reference, two messages at about the same time cannot be told
        # apart: better uncertain than wrong.
        if len(details) != 1 or str(details[0].get("SendStatus")) not in ("2", "3"):
            return []
        detail = details[0]
        out_id = clean_text(detail.get("OutId"))
        alternative = f"{OUT_PREFIX}{out_id}" if out_id else None
        return [
            self._report(
                provider_ref=message.provider_ref or alternative or "",
                address=message.address,
                delivered=str(detail["SendStatus"]) == "3",
                code=clean_text(detail.get("ErrCode")),
                date=read_time(detail.get("ReceiveDate")),
                alternative_ref=alternative,
                key=message.key,
            )
        ]

    def _details(self, number: str, day: str, reference: str | None) -> Iterator[dict]:
        """Yield what the vendor sent to a number on a day (``yyyyMMdd``)."""
        query = {
            "PhoneNumber": number,
            "SendDate": day,
            "PageSize": str(QUERY_PAGE_SIZE),
        }
        if reference and not reference.startswith(OUT_PREFIX):
            query["BizId"] = reference
        for page in range(1, QUERY_PAGES + 1):
            response = self._call(
                "QuerySendDetails", query | {"CurrentPage": f"{page}"}, {}
            )
            answer = response.json()
            if answer.get("Code") != "OK":
                raise PayloadError(f"{response.status} {answer.get('Code')}")
            found = get_object(answer, "SmsSendDetailDTOs").get("SmsSendDetailDTO")
            details = objects(found)
            yield from details
            total = read_integer(answer.get("TotalCount")) or 0
            if not details or total <= page * QUERY_PAGE_SIZE:
                break


# Reading and writing -----------------------------------------------------------------


def _has_one_text(messages: Sequence[Outbound]) -> bool:
    return all(message.params == messages[0].params for message in messages)


def _may_be_one(result: SendResult, messages: Sequence[Outbound]) -> bool:
    """Tell whether a single recipient can be what spoiled a call for several."""
    is_word = result.outcome is Outcome.CONTENT or result.provider_code in _VARIABLES
    if len(messages) < 2 or not (is_word or result.outcome in _ONE_FOR_ALL):
        return False
    # With the same words for everybody, the words are at fault.
    return not (is_word and _has_one_text(messages))


def _retry_after(outcome: Outcome, text: str, response: HttpResponse) -> int | None:
    if outcome is Outcome.POSTPONE:
        windows = (seconds for word, seconds in FLOW_WINDOWS if word in text)
        return next(windows, FLOW_DEFAULT)
    milliseconds = response.headers.get("x-acs-retry-after", "").strip()
    wait = read_wait(milliseconds, unit=1000)
    return response.retry_after() if wait is None else wait


def _texts(params: Mapping[str, str] | None) -> dict[str, str]:
    # Numbers are refused by the vendor (isv.INVALID_JSON_PARAM).
    return {name: str(value) for name, value in (params or {}).items()}


def _read_success(value) -> bool:
    """:raises PayloadError: it says neither yes nor no, as in half a report"""
    try:
        return {"true": True, "false": False}[str(value).lower()]
    except KeyError:
        raise PayloadError("success is neither true nor false") from None


def _parse_inbound(entry: Mapping) -> InboundMessage:
    number = required(entry, "phone_number")
    # A string in new documentation, a number in old.
    sequence = clean_text(entry.get("sequence_id"))
    if not sequence:
        content = compact_json(entry).encode(errors="replace")
        sequence = hashlib.sha256(content).hexdigest()[:32]
    return InboundMessage(
        address=to_e164(number),
        text=clean_text(entry.get("content")),
        event_ref=f"up:{sequence}",
        date=read_time(entry.get("send_time")),
        destination=clean_text(entry.get("dest_code")) or None,
    )


#: How much earlier or later than our claim the vendor may have booked a message.
_EARLIER, _LATER = timedelta(minutes=1), timedelta(minutes=10)


def _days(sent: datetime) -> list[str]:
    """Return the vendor's days on which a message may have been booked."""
    moments = (sent - _EARLIER, sent + _LATER)
    return sorted({f"{moment.astimezone(SHANGHAI):%Y%m%d}" for moment in moments})


def _is_about(detail: Mapping, message: PendingMessage) -> bool:
    reference = message.provider_ref or ""
    if reference.startswith(OUT_PREFIX):
        return detail.get("OutId") == reference.removeprefix(OUT_PREFIX)
    if reference:
        return True  # the vendor filtered by BizId
    booked = read_time(detail.get("SendDate"))
    return bool(booked) and -_EARLIER <= booked - message.sent_date <= _LATER
