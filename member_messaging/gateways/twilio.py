"""Twilio Programmable Messaging (API version 2010-04-01).

Source: the vendor's reference of the Message resource, its pages on status callbacks
and on webhook security (``X-Twilio-Signature``), its dictionary of errors, and the
official Python SDK. What the documentation leaves open is listed in ``README.md``.
"""

import hashlib
import hmac
import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from .base import Gateway, failed_call
from .errors import ConfigError, PayloadError, SignatureError, TransportError
from .http import HttpResponse
from .reading import (
    clean_text,
    objects,
    outcome_by_status,
    read_body,
    read_parts,
    required,
)
from .types import (
    Capability,
    DeliveryReport,
    InboundMessage,
    Outbound,
    Outcome,
    PendingMessage,
    SendResult,
    WebhookRequest,
)

_logger = logging.getLogger(__name__)

DEFAULT_ENDPOINT = "https://api.twilio.com"
FORM = "application/x-www-form-urlencoded"
#: Mark of references we make up; they travel in the address of the status callback.
OWN_PREFIX = "ref:"

#: Result class by error code: of an answer, of a status callback, of a message.
ERROR_OUTCOMES = {
    "20429": Outcome.RETRY,
    "21611": Outcome.RETRY,
    "30001": Outcome.RETRY,
    "63017": Outcome.RETRY,
    "30003": Outcome.POSTPONE,
    "30008": Outcome.POSTPONE,
    "21211": Outcome.BADNUM,
    "21217": Outcome.BADNUM,
    "21265": Outcome.BADNUM,
    "21614": Outcome.BADNUM,
    "21635": Outcome.BADNUM,
    "30005": Outcome.BADNUM,
    "30006": Outcome.BADNUM,
    "21610": Outcome.OPTOUT,
    "30004": Outcome.OPTOUT,
    "21602": Outcome.CONTENT,
    "21617": Outcome.CONTENT,
    "30007": Outcome.CONTENT,
    "21266": Outcome.TEMPLATE,
    "21603": Outcome.TEMPLATE,
    "21606": Outcome.TEMPLATE,
    "21612": Outcome.TEMPLATE,
    "21659": Outcome.TEMPLATE,
    "30034": Outcome.TEMPLATE,
    "21701": Outcome.TEMPLATE,
    "21703": Outcome.TEMPLATE,
    "21704": Outcome.TEMPLATE,
    "10001": Outcome.PAUSE,
    "20003": Outcome.PAUSE,
    "20404": Outcome.PAUSE,
    # The callback address is none that Twilio can reach, e.g. localhost.
    "21609": Outcome.PAUSE,
    "21608": Outcome.PAUSE,
    "30002": Outcome.PAUSE,
    # One country is not enabled: nothing is wrong with the number or the account.
    "21408": Outcome.BUG,
    "21604": Outcome.BUG,
}
#: What became of a message, by the statuses after which something is known.
STATUSES = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
#: How much earlier or later than our claim Twilio may have created a message.
_EARLIER, _LATER = timedelta(minutes=1), timedelta(minutes=10)


# Signatures --------------------------------------------------------------------------


def sign(token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """Return the ``X-Twilio-Signature`` of a callback (HMAC-SHA1, base64).

    :param url: whole public address, query included
    :param fields: names and values of a posted form, those without value included;
        none for GET and for bodies that are covered by ``bodySHA256`` in the query
    """
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    return b64encode(digest).decode()


def with_and_without_port(url: str) -> tuple[str, str]:
    """Return an address without and with its scheme's own port: Twilio signs either."""
    parts = urlsplit(url)
    port = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
    bare = parts.netloc.removesuffix(port)
    if bare.rpartition("]")[2].count(":"):
        return url, url  # another port is always named
    return tuple(
        parts._replace(netloc=netloc).geturl() for netloc in (bare, bare + port)
    )


# The adapter -------------------------------------------------------------------------


class TwilioGateway(Gateway):
    """Twilio: one call for each message, signed callbacks.

    ``api_key`` is the Account SID, ``api_secret`` the primary Auth Token, which also
    signs callbacks. Options: ``messaging_service`` (SID) or ``sender`` (number or
    name); ``key_sid`` and ``key_secret`` of an API key that is used for calls instead
    of the token.
    """

    code = "twilio"
    name = "Twilio"
    capabilities = frozenset(
        {
            Capability.REPORTS,
            Capability.INBOUND,
            Capability.WEBHOOK,
            Capability.QUERY,
        }
    )
    default_rate = 1
    query_size = 20
    reads_query = True
    required_fields = ("api_key", "api_secret", "callback_secret")
    option_names = ("messaging_service", "sender", "key_sid", "key_secret")

    def check_config(self) -> list[str]:
        """See base; one of the two kinds of sender is needed as well."""
        missing = super().check_config()
        if not (self._option("messaging_service") or self._option("sender")):
            missing.append(f"{self.code}_messaging_service")
        return missing

    def _option(self, name: str) -> str:
        return str(self.config.options.get(name) or "").strip()

    # Sending ---------------------------------------------------------------------

    def _send(self, batch: Sequence[Outbound]) -> Iterator[SendResult]:
        for message in batch:
            yield self._send_one(message)

    def _send_one(self, message: Outbound) -> SendResult:
        own_ref = self.nonce()
        try:
            response = self._call(
                "POST", "/Messages.json", form=self._form(message, own_ref)
            )
        except (TransportError, ConfigError) as error:
            result = replace(failed_call(error), key=message.key)
        else:
            result = self._read_send(message.key, response)
        if result.outcome is Outcome.AMBIGUOUS:
            return replace(result, provider_ref=f"{OWN_PREFIX}{own_ref}")
        return result

    def _read_send(self, key: str, response: HttpResponse) -> SendResult:
        answer = response.json()
        sid = clean_text(answer.get("sid"))
        if not (200 <= response.status < 300 and sid):
            return self._read_refusal(key, response)
        code = clean_text(answer.get("error_code"))
        outcome = self._lookup("send_outcomes", ERROR_OUTCOMES, code)
        return SendResult(
            key,
            (outcome or Outcome.BUG) if code else Outcome.OK,
            provider_ref=sid,
            provider_code=code or clean_text(answer.get("status")) or None,
            provider_message=clean_text(answer.get("error_message")) or None,
            # 0 while a messaging service has not chosen the sender
            parts=read_parts(answer.get("num_segments")),
        )

    def _read_refusal(self, key: str, response: HttpResponse) -> SendResult:
        answer = response.json()
        code, message = (
            clean_text(answer.get("code")),
            clean_text(answer.get("message")),
        )
        outcome = outcome_by_status(response.status, bool(code))
        if response.status == 401:
            outcome = Outcome.PAUSE
        elif response.status < 500:
            # Behind 5xx nobody knows what was done, whatever the code says.
            outcome = self._lookup("send_outcomes", ERROR_OUTCOMES, code) or outcome
        if outcome is Outcome.BUG:
            _logger.error("Twilio refused our request: %s %s", code, message)
        return SendResult(
            key,
            outcome,
            provider_code=code or f"http.{response.status}",
            provider_message=message or None,
            retry_after=response.retry_after(),
        )

    def _form(self, message: Outbound, own_ref: str) -> dict[str, str]:
        form = {"To": message.address, "Body": message.body}
        if service := self._option("messaging_service"):
            form["MessagingServiceSid"] = service
        else:
            form["From"] = self._option("sender")
        if url := self.config.callback_url:
            # Signed as a whole, so nobody can change the reference on its way back.
            form["StatusCallback"] = f"{url}?{urlencode({'ref': own_ref})}"
        return form

    def _call(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """Make one call; ``path`` is below the account."""
        endpoint = self.config.endpoint.strip().rstrip("/") or DEFAULT_ENDPOINT
        if "://" not in endpoint:
            endpoint = f"https://{endpoint}"
        account = self.config.api_key.strip()
        url = f"{endpoint}/2010-04-01/Accounts/{account}{path}"
        if query:
            url = f"{url}?{urlencode(query)}"
        user = self._option("key_sid") or account
        secret = self._option("key_secret") or self.config.api_secret.strip()
        credentials = b64encode(f"{user}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}"}
        if form is None:
            return self.http.request(method, url, headers=headers)
        headers["Content-Type"] = FORM
        return self.http.request(method, url, headers, urlencode(form).encode())

    # Callbacks -------------------------------------------------------------------

    def verify(self, request: WebhookRequest) -> None:
        """Check secret and signature. Form posts sign their fields, other bodies are
        covered by the hash ``bodySHA256`` in the signed address.

        :raises SignatureError: one of them is wrong
        """
        self.verify_secret(request)
        fields: list[tuple[str, str]] = []
        digest = parse_qs(urlsplit(request.url).query).get("bodySHA256")
        if digest:
            actual = hashlib.sha256(request.body).hexdigest()
            if not hmac.compare_digest(digest[0].lower().encode(), actual.encode()):
                raise SignatureError("body does not match bodySHA256")
        elif request.method != "GET":
            fields = _pairs(request.body)
        token = self.config.api_secret.strip()
        given = request.header("X-Twilio-Signature").encode()
        expected = [
            sign(token, url, fields).encode()
            for url in with_and_without_port(request.url)
        ]
        # both are compared, so that the time does not tell them apart
        if not token or not sum([hmac.compare_digest(given, e) for e in expected]):
            raise SignatureError("signature does not match")

    def acknowledge(self) -> tuple[int, dict[str, str], bytes]:
        """Answer with TwiML that orders nothing, above all no reply."""
        return 200, {"Content-Type": "text/xml; charset=utf-8"}, b"<Response/>"

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read a status callback or a reply; statuses on the way give nothing."""
        fields = _fields(request)
        sid = fields.get("MessageSid") or fields.get("SmsSid")
        if not sid:
            raise PayloadError("MessageSid is missing")
        status = fields.get("MessageStatus") or fields.get("SmsStatus") or ""
        if status.lower() == "received" or (not status and "Body" in fields):
            return [_parse_inbound(sid, fields)]
        own_ref = request.query.get("ref")
        report = self._report(
            sid,
            status,
            address=required(fields, "To"),
            code=fields.get("ErrorCode", ""),
            message=fields.get("ErrorMessage", ""),
            alternative_ref=f"{OWN_PREFIX}{own_ref}" if own_ref else None,
        )
        return [report] if report else []

    def _report(
        self, sid: str, status: str, address: str, code: str, message: str, **values
    ) -> DeliveryReport | None:
        """Return what a status tells, ``None`` as long as the message is under way."""
        known = STATUSES.get(status.lower())
        if not known:
            return None
        outcome = self._lookup("report_outcomes", ERROR_OUTCOMES, code)
        return DeliveryReport(
            provider_ref=sid,
            address=address,
            status=known,
            event_ref=f"report:{sid}:{known}",
            outcome=outcome if known == "failed" else None,
            provider_code=code or status,
            provider_message=message or None,
            **values,
        )

    # Questions -------------------------------------------------------------------

    def probe(self) -> SendResult:
        """Ask for the account itself; an API key may be too narrow for that."""
        try:
            response = self._call("GET", ".json")
        except (TransportError, ConfigError) as error:
            return failed_call(error)
        answer = response.json()
        status = clean_text(answer.get("status"))
        if response.status == 200 and status == "active":
            return SendResult("", Outcome.OK, provider_code=status)
        if response.status == 200 and status:
            return SendResult("", Outcome.PAUSE, provider_code=status)
        return self._read_refusal("", response)

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Ask about each message: by its SID, else in the list of what its number got.

        Stops at the first failure: the rest is asked next time.
        """
        reports: list[DeliveryReport | InboundMessage] = []
        try:
            for message in pending:
                if report := self._query_one(message):
                    reports.append(report)
        except (TransportError, ConfigError, PayloadError) as error:
            _logger.warning("Twilio query stopped: %s", error)
        return reports

    def _query_one(self, message: PendingMessage) -> DeliveryReport | None:
        reference = message.provider_ref or ""
        if reference and not reference.startswith(OWN_PREFIX):
            found = self._get(f"/Messages/{reference}.json")
        else:
            found = self._find(message)
        if not found:
            return None
        return self._report(
            required(found, "sid"),
            clean_text(found.get("status")),
            address=message.address,
            code=clean_text(found.get("error_code")),
            message=clean_text(found.get("error_message")),
            date=_rfc_date(found.get("date_updated")),
            parts=read_parts(found.get("num_segments")),
            key=message.key,
        )

    def _find(self, message: PendingMessage) -> dict | None:
        """Return the one message to a number that can be the one whose answer got lost.

        Its SID is not known. Of several, none is taken: better uncertain than wrong.
        """
        earliest, latest = message.sent_date - _EARLIER, message.sent_date + _LATER
        answer = self._get(
            "/Messages.json",
            {
                "To": message.address,
                "DateSent>": earliest.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "PageSize": "100",
            },
        )
        if not isinstance(answer.get("messages"), list):
            raise PayloadError("list of messages is missing")
        candidates = []
        for entry in objects(answer["messages"]):
            created = _rfc_date(entry.get("date_created"))
            if created and earliest <= created <= latest and self._is_ours(entry):
                candidates.append(entry)
        # a further page may hold another one
        is_all = not answer.get("next_page_uri")
        return candidates[0] if is_all and len(candidates) == 1 else None

    def _is_ours(self, entry: Mapping) -> bool:
        """Tell whether a message left through our sender; an account may have more."""
        if not str(entry.get("direction") or "").startswith("outbound"):
            return False
        if service := self._option("messaging_service"):
            return entry.get("messaging_service_sid") == service
        return entry.get("from") == self._option("sender")

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict:
        """:raises PayloadError: the answer is not 200"""
        response = self._call("GET", path, query=query)
        answer = response.json()
        if response.status != 200 or not answer:
            raise PayloadError(f"{response.status} {answer.get('code')}")
        return answer


# Reading -----------------------------------------------------------------------------


def _parse_inbound(sid: str, fields: Mapping[str, str]) -> InboundMessage:
    # With Advanced Opt-Out the account has words of its own for STOP and START, and
    # Twilio acts on them: what it understood counts.
    understood = fields.get("OptOutType", "").upper()
    text = fields.get("Body", "")
    return InboundMessage(
        address=required(fields, "From"),
        text=understood if understood in ("STOP", "START") else text,
        event_ref=f"up:{sid}",
        destination=fields.get("To") or None,
    )


def _fields(request: WebhookRequest) -> dict[str, str]:
    """Return the fields of a callback: a form, a JSON object or a query."""
    if not request.body:
        fields = request.query
    elif request.body.lstrip().startswith(b"{"):
        fields = read_body(request.body)
    else:
        fields = dict(_pairs(request.body))
    return {name: clean_text(value) for name, value in fields.items()}


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(errors="replace"), keep_blank_values=True)


def _rfc_date(text) -> datetime | None:
    """Read a date of the API: RFC 2822, with a zone."""
    try:
        return parsedate_to_datetime(str(text)).astimezone(timezone.utc)
    except (TypeError, ValueError, OverflowError):
        return None
