"""Infobip SMS (API version 3).

Source: the vendor's OpenAPI documents of ``/sms/3/messages`` and ``/sms/3/logs`` as its
Python SDK holds them, its pages on push, on message status codes and on error codes.
What the documentation leaves open is listed in ``README.md``.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode

from .base import Gateway, failed_call
from .carriers import E164
from .errors import ConfigError, PayloadError, TransportError
from .http import HttpResponse
from .reading import (
    clean_text,
    compact_json,
    get_object,
    objects,
    outcome_by_status,
    read_body,
    read_each,
    read_integer,
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

JSON_TYPE = "application/json"
#: Logs go back this far, and hold at most so many messages in an answer.
LOG_HOURS = 48
LOG_SIZE = 1000
#: Group of a status, first digit of what happened to a message.
PENDING, UNDELIVERABLE, DELIVERED, EXPIRED, REJECTED = range(1, 6)
#: Group of an error: the phone or the subscription of the recipient.
HANDSET = 1
TO_OPERATOR = "DELIVERED_TO_OPERATOR"

#: Result class by name of a status; the list of the vendor grows, so a status that is
#: not here is judged by its group.
STATUS_OUTCOMES = {
    # Ours, and only once: the first time it was accepted.
    "REJECTED_DUPLICATE_MESSAGE_ID": Outcome.OK,
    "REJECTED_SYSTEM_ERROR": Outcome.RETRY,
    "REJECTED_FLOODING_FILTER": Outcome.POSTPONE,
    "EXPIRED_EXPIRED": Outcome.POSTPONE,
    "SIGNALS_BLOCKED": Outcome.POSTPONE,
    "REJECTED_PREFIX_MISSING": Outcome.BADNUM,
    "REJECTED_NETWORK": Outcome.BADNUM,
    "MISSING_TO": Outcome.BADNUM,
    "REJECTED_DESTINATION": Outcome.BADNUM,
    "REJECTED_DND": Outcome.OPTOUT,
    "REJECTED_DESTINATION_BLOCKLISTED": Outcome.OPTOUT,
    "REJECTED_MESSAGE_TOO_LONG": Outcome.CONTENT,
    "REJECTED_SOURCE": Outcome.TEMPLATE,
    "REJECTED_SENDER": Outcome.TEMPLATE,
    "REJECTED_ROUTE_NOT_AVAILABLE": Outcome.TEMPLATE,
    "UNDELIVERABLE_REJECTED_PLATFORM": Outcome.TEMPLATE,
    "REJECTED_NOT_ENOUGH_CREDITS": Outcome.PAUSE,
    "REJECTED_PREPAID_PACKAGE_EXPIRED": Outcome.PAUSE,
    "REJECTED_DESTINATION_NOT_REGISTERED": Outcome.PAUSE,
    "REJECTED_INVALID_UDH": Outcome.BUG,
}
#: Same by name of the error that explains why a message did not arrive.
ERROR_OUTCOMES = {
    **dict.fromkeys(
        (
            "EC_SC_BLOCKED_BY_END_USER",
            "EC_CONTENT_BLOCKED",  # an answer "STOP"
            "EC_BLOCKED_BY_CAMPAIGN_BLACKLIST",
            "EC_BLACKLISTED_DESTINATIONADDRESS",
            "EC_DEST_ADDRESS_BLACKLISTED",
        ),
        Outcome.OPTOUT,
    ),
    **dict.fromkeys(
        (
            "EC_INVALID_REQUEST_DESTINATION",
            "EC_DEACTIVATED_LIST",
            "EC_DESTINATION_NOT_SMS_PROVISIONED",
            "EC_DEST_ADDRESS_SUSPENDED",
        ),
        Outcome.BADNUM,
    ),
    **dict.fromkeys(
        (
            "EC_MSG_TEXT_TOO_LONG",
            "EC_REJECTED_SPAM_BY_OPERATOR",
            "EC_CONTENT_BLOCKED_BY_OPERATOR",
        ),
        Outcome.CONTENT,
    ),
    **dict.fromkeys(
        (
            "EC_INVALID_SOURCE_ADDRESS",
            "EC_BLACKLISTED_SENDERADDRESS",
            "EC_SC_NOT_PROVISIONED",
            "EC_SC_EXPIRED",
            "EC_SC_BLOCKED",
        ),
        Outcome.TEMPLATE,
    ),
    **dict.fromkeys(
        (
            "EC_TEMPORARY_HANDSET_FAILURE",  # "permanent", whatever the name says
            "EC_DESTINATION_FLOODING",
            "EC_DESTINATION_TXT_FLOODING",
            "EC_VALIDITY_EXPIRED",
            "EC_MESSAGE_EXPIRED",
        ),
        Outcome.POSTPONE,
    ),
    **dict.fromkeys(
        ("EC_ACCOUNT_ACCESS_DENIED", "EC_MONTHLY_LIMIT_REACHED"), Outcome.PAUSE
    ),
}
#: Seconds until a number may be tried again that got too much in an hour.
FLOOD_SECONDS = 3600

_PERHAPS_SENT = {Outcome.OK, Outcome.AMBIGUOUS}
#: Which message of the request a violation is about.
_INDEX = re.compile(r"messages\[(\d+)\]")
#: An offset without a colon, which older Pythons do not read.
_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$")
#: How much earlier or later than our call the vendor may have booked a message.
_EARLIER, _LATER = timedelta(minutes=1), timedelta(minutes=10)


class InfobipGateway(Gateway):
    """Infobip SMS: any texts in one call, each with an id of ours.

    ``endpoint`` is the base URL of the account, ``xxxxx.api.infobip.com``. Options:
    ``sender``, ``callback_url`` (where reports go; without it the account's own
    settings decide).
    """

    code = "infobip"
    name = "Infobip"
    capabilities = frozenset(
        {
            Capability.REPORTS,
            Capability.INBOUND,
            Capability.WEBHOOK,
            Capability.QUERY,
        }
    )
    batch_size = 500
    # Their ids have to fit into the address of a question.
    query_size = 50
    default_rate = 100
    required_fields = ("api_key", "endpoint", "callback_secret")
    option_names = ("sender", "callback_url")

    # Sending ---------------------------------------------------------------------

    def _refuse(self, message: Outbound) -> SendResult | None:
        if E164.fullmatch(message.address):
            return None
        return SendResult(message.key, Outcome.BADNUM, provider_code="local.number")

    def _deliver(self, messages: Sequence[Outbound]) -> list[SendResult] | None:
        """Make one call; ``None`` if it was refused because of some of its messages."""
        ids = {message.key: self.nonce() for message in messages}
        try:
            response = self._post("/sms/3/messages", self._write_send(messages, ids))
        except (TransportError, ConfigError) as error:
            whole, statuses = failed_call(error), {}
        else:
            if _is_spoilt(response, len(messages)):
                return None
            whole, statuses = self._read_send(response)
        results = []
        for message in messages:
            reference = ids[message.key]
            result = statuses.get(reference, whole)
            if result.outcome in _PERHAPS_SENT:
                result = replace(result, provider_ref=reference)
            results.append(replace(result, key=message.key))
        return results

    def _write_send(self, messages: Sequence[Outbound], ids: Mapping[str, str]) -> dict:
        options = self.config.options
        shared = {}
        if sender := options.get("sender"):
            shared["sender"] = str(sender).strip()
        if url := options.get("callback_url"):
            delivery = {"url": str(url)}
            shared["webhooks"] = {"delivery": delivery, "contentType": JSON_TYPE}
        return {
            "messages": [
                {
                    "destinations": [
                        {"to": message.address[1:], "messageId": ids[message.key]}
                    ],
                    "content": {"text": message.body},
                    **shared,
                }
                for message in messages
            ],
            "options": {"includeSmsCountInResponse": True},
        }

    def _read_send(
        self, response: HttpResponse
    ) -> tuple[SendResult, dict[str, SendResult]]:
        """:returns: the result of messages that are not named, and of those that are"""
        answer = response.json()
        statuses = {
            clean_text(entry.get("messageId")): self._read_status(entry)
            for entry in objects(answer.get("messages"))
        }
        if statuses:
            # An answer came, and says nothing about this message.
            missing = SendResult("", Outcome.AMBIGUOUS, provider_code="local.missing")
            return missing, statuses
        return self._read_refusal(response), {}

    def _read_status(self, entry: Mapping) -> SendResult:
        """Read what became of one message."""
        status = get_object(entry, "status")
        name = clean_text(status.get("name"))
        outcome = self._lookup("send_outcomes", STATUS_OUTCOMES, name)
        if outcome is None:
            outcome = _outcome_by_group(read_integer(status.get("groupId")))
        if outcome is Outcome.BUG:
            _logger.error("Infobip refused a message of ours: %s", name)
        return SendResult(
            "",
            outcome,
            provider_code=name or None,
            provider_message=clean_text(status.get("description")) or None,
            parts=read_parts(get_object(entry, "details").get("messageCount")),
            retry_after=FLOOD_SECONDS if outcome is Outcome.POSTPONE else None,
        )

    def _read_refusal(self, response: HttpResponse) -> SendResult:
        """Read an answer that names no message."""
        code, text = _read_error(response)
        is_ours = response.status == 400 and bool(code)
        outcome = outcome_by_status(response.status, has_code=is_ours)
        if response.status < 500:
            # Behind 5xx nobody knows what was done, whatever the code says.
            outcome = self._lookup("send_outcomes", {}, code) or outcome
        if outcome is Outcome.BUG:
            _logger.error("Infobip refused our request: %s %s", code, text)
        return SendResult(
            "",
            outcome,
            provider_code=code or f"http.{response.status}",
            provider_message=text or None,
            retry_after=response.retry_after(),
        )

    # Calls -----------------------------------------------------------------------

    def _post(self, path: str, content: Mapping) -> HttpResponse:
        headers = self._headers() | {"Content-Type": JSON_TYPE}
        body = compact_json(content).encode()
        return self.http.request("POST", self._url(path), headers=headers, data=body)

    def _get(self, path: str) -> HttpResponse:
        return self.http.request("GET", self._url(path), headers=self._headers())

    def _headers(self) -> dict[str, str]:
        # Keys are pasted, blanks come along.
        key = self.config.api_key.strip()
        return {"Authorization": f"App {key}", "Accept": JSON_TYPE}

    def _url(self, path: str) -> str:
        scheme, separator, host = self.config.endpoint.strip().rpartition("://")
        return f"{scheme if separator else 'https'}://{host.rstrip('/')}{path}"

    # Callbacks -------------------------------------------------------------------

    def parse(self, request: WebhookRequest) -> list[DeliveryReport | InboundMessage]:
        """Read delivery reports and replies; both come as ``results``.

        An entry that cannot be read does not keep the others from being used.
        """
        if request.method == "GET":
            return []
        content = read_body(request.body)
        results = content.get("results") if isinstance(content, dict) else None
        if not isinstance(results, list):
            raise PayloadError("results is not an array")
        return read_each(results, self._parse_result)

    def _parse_result(self, result: Mapping) -> DeliveryReport | InboundMessage | None:
        if "status" in result:
            return self._read_report(result, result.get("to"))
        return _parse_inbound(result) if "from" in result else None

    def _read_report(self, entry: Mapping, number) -> DeliveryReport | None:
        """Read a delivery report or an entry of the logs, ``None`` while the message
        is under way."""
        reference = required(entry, "messageId")
        code = get_object(entry, "status")
        status = _get_status(code)
        if not status:
            return None
        error = get_object(entry, "error")
        failed = status == "failed"
        name = clean_text(code.get("name"))
        reason = clean_text(error.get("name"))
        if not failed or reason in ("", "NO_ERROR"):
            reason = name
        return DeliveryReport(
            provider_ref=reference,
            address=_to_address(number),
            status=status,
            event_ref=f"report:{reference}:{status}",
            outcome=self._failure_outcome(name, error) if failed else None,
            provider_code=reason or None,
            provider_message=(
                clean_text((error if reason != name else code).get("description"))
                or None
            ),
            date=_read_time(entry.get("doneAt")),
            parts=read_parts(entry.get("messageCount")),
        )

    def _failure_outcome(self, status: str, error: Mapping) -> Outcome | None:
        name = clean_text(error.get("name"))
        known = self._lookup("report_outcomes", ERROR_OUTCOMES, name) or self._lookup(
            "report_outcomes", STATUS_OUTCOMES, status
        )
        if known or read_integer(error.get("groupId")) != HANDSET:
            return known
        return Outcome.BADNUM if error.get("permanent") is True else Outcome.POSTPONE

    # Questions -------------------------------------------------------------------

    def probe(self) -> SendResult:
        """Ask for the balance of the account."""
        try:
            response = self._get("/account/1/balance")
        except (TransportError, ConfigError) as error:
            return failed_call(error)
        if "balance" in response.json():
            return SendResult("", Outcome.OK, provider_code="OK")
        return self._read_refusal(response)

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Look messages up in the logs: those with a reference in one call, the others
        in one call each.

        Stops at the first failure: the rest is asked next time. Messages older than 48
        hours are unknown to the vendor and skipped.
        """
        oldest = now - timedelta(hours=LOG_HOURS)
        known = [message for message in pending if message.sent_date >= oldest]
        reports: list[DeliveryReport | InboundMessage] = []
        try:
            reports += self._query_references([m for m in known if m.provider_ref])
            for message in known:
                if not message.provider_ref:
                    reports += self._query_number(message)
        except (TransportError, ConfigError, PayloadError) as error:
            _logger.warning("Infobip query stopped: %s", error)
        return reports

    def _query_references(
        self, pending: Sequence[PendingMessage]
    ) -> Iterator[DeliveryReport]:
        if not pending:
            return
        by_reference = {message.provider_ref: message for message in pending}
        for entry in self._get_logs({"messageId": ",".join(by_reference)}):
            message = by_reference.get(clean_text(entry.get("messageId")))
            if message:
                yield from self._read_log(entry, message)

    def _query_number(self, message: PendingMessage) -> Iterator[DeliveryReport]:
        """Find a message of which only number and time are known."""
        entries = self._get_logs(
            {
                "destination": message.address[1:],
                "sentSince": _write_time(message.sent_date - _EARLIER),
                "sentUntil": _write_time(message.sent_date + _LATER),
            }
        )
        # Two messages at about the same time cannot be told apart: better uncertain
        # than wrong.
        if len(entries) == 1:
            yield from self._read_log(entries[0], message)

    def _read_log(
        self, entry: Mapping, message: PendingMessage
    ) -> Iterator[DeliveryReport]:
        if report := self._read_report(entry, entry.get("destination")):
            yield replace(report, key=message.key, address=message.address)

    def _get_logs(self, conditions: Mapping[str, str]) -> list[dict]:
        """:raises PayloadError: the vendor refuses"""
        query = urlencode({**conditions, "limit": LOG_SIZE})
        response = self._get(f"/sms/3/logs?{query}")
        answer = response.json()
        if not isinstance(answer.get("results"), list):
            raise PayloadError(f"logs: {self._read_refusal(response).provider_code}")
        return objects(answer["results"])


# Reading and writing -----------------------------------------------------------------


def _outcome_by_group(group: int | None) -> Outcome:
    if group in (0, PENDING, DELIVERED):
        return Outcome.OK
    return Outcome.BUG if group else Outcome.AMBIGUOUS


def _get_status(status: Mapping) -> str | None:
    """Return what a report says, ``None`` if that is not the last word."""
    group = read_integer(status.get("groupId"))
    if group == DELIVERED:
        return "sent" if status.get("name") == TO_OPERATOR else "delivered"
    return "failed" if group in (UNDELIVERABLE, EXPIRED, REJECTED) else None


def _is_spoilt(response: HttpResponse, count: int) -> bool:
    """Tell whether a call was refused because of some of its messages, not of all."""
    if response.status != 400:
        return False
    violations = objects(response.json().get("violations"))
    named = {
        match[1]
        for violation in violations
        if (match := _INDEX.search(clean_text(violation.get("property"))))
    }
    return 0 < len(named) < count


def _read_error(response: HttpResponse) -> tuple[str, str]:
    """Return code and text of a refusal, which comes in an older and a newer form."""
    answer = response.json()
    older = get_object(get_object(answer, "requestError"), "serviceException")
    code = clean_text(answer.get("errorCode") or older.get("messageId"))
    text = clean_text(answer.get("description") or older.get("text"))
    return code, text


def _parse_inbound(result: Mapping) -> InboundMessage:
    return InboundMessage(
        address=_to_address(required(result, "from")),
        text=clean_text(result.get("text")),
        event_ref=f"inbound:{required(result, 'messageId')}",
        date=_read_time(result.get("receivedAt")),
        destination=clean_text(result.get("to")) or None,
    )


def _to_address(number) -> str:
    """:raises PayloadError: it is no telephone number"""
    address = f"+{clean_text(number).lstrip('+')}"
    if not E164.fullmatch(address):
        raise PayloadError("not a telephone number")
    return address


def _read_time(value) -> datetime | None:
    """Read ``2026-01-15T08:00:05.123+0000`` as aware UTC."""
    try:
        date = datetime.fromisoformat(_OFFSET.sub(r"\1:\2", str(value)))
        return date.astimezone(timezone.utc) if date.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _write_time(date: datetime) -> str:
    utc = date.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}+0000"
