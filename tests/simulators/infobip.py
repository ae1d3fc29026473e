"""Infobip SMS (version 3) on this computer.

Checks keys and arguments, in code of its own.
"""

import hmac
import json
import re
import uuid
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs

from .server import DELIVERED, FAILED, UNDER_WAY, Message, Refusal, Simulator

API_KEY = "d1f0c3a5b7e94f62-8c2e4a6b-EXAMPLE"
SENDER = "ServiceSMS"
#: Number, group and name of a status.
STATUSES = {
    "REJECTED_NETWORK": (6, 5),
    "REJECTED_PREFIX_MISSING": (8, 5),
    "REJECTED_DND": (10, 5),
    "REJECTED_SOURCE": (11, 5),
    "REJECTED_NOT_ENOUGH_CREDITS": (12, 5),
    "REJECTED_SENDER": (13, 5),
    "REJECTED_DESTINATION_BLOCKLISTED": (14, 5),
    "REJECTED_ROUTE_NOT_AVAILABLE": (19, 5),
    "REJECTED_FLOODING_FILTER": (20, 5),
    "REJECTED_SYSTEM_ERROR": (21, 5),
    "REJECTED_DUPLICATE_MESSAGE_ID": (23, 5),
    "REJECTED_MESSAGE_TOO_LONG": (25, 5),
    "PENDING_ACCEPTED": (26, 1),
    "REJECTED_DESTINATION": (52, 5),
    "DELIVERED_TO_HANDSET": (5, 3),
    "UNDELIVERABLE_NOT_DELIVERED": (9, 2),
}
#: Number, group and permanence of an error.
ERRORS = {
    "NO_ERROR": (0, 0, False),
    "EC_UNKNOWN_SUBSCRIBER": (1, 1, True),
    "EC_ABSENT_SUBSCRIBER": (27, 1, False),
    "EC_SC_BLOCKED_BY_END_USER": (573, 1, True),
    "EC_REJECTED_SPAM_BY_OPERATOR": (607, 2, True),
    "EC_MOBILE_OPERATOR_NETWORK_ERROR": (631, 3, True),
}
MAX_BYTES = 4000
LOG_SIZE = 1000


class InfobipSimulator(Simulator):
    """The service.

    ``keys`` are the API keys; ``senders`` those of the account, ``None``: any. With
    ``fail_phone`` a number gets one of :data:`STATUSES`, with ``receipt`` one of
    :data:`ERRORS`.
    """

    name = "Infobip"
    account = {"api_key": API_KEY, "options": {"sender": SENDER}}
    delivered = "NO_ERROR"
    # One minute, and a minute times the square of the retry. How many retries there
    # are is not documented.
    push_retries = (120, 300, 600)

    def __init__(self, keys=(API_KEY,), senders=None, **values):
        super().__init__(**values)
        self.keys = set(keys)
        self.senders = senders
        self.ids: set[str] = set()

    def get_setup(self):
        return {
            "Provider": self.name,
            "Access Key": API_KEY,
            "Base URL": self.url,
            "Sender ID": SENDER,
        }

    # Calls -----------------------------------------------------------------------

    def get_name(self, call):
        return f"{call.method} {call.path}"

    def verify(self, call):
        scheme, _blank, key = call.headers.get("authorization", "").partition(" ")
        if scheme != "App" or not any(
            hmac.compare_digest(key.encode(), known.encode()) for known in self.keys
        ):
            raise Refusal("UNAUTHORIZED", "Invalid login details", 401)

    def answer(self, name, call):
        if name == "POST /sms/3/messages":
            return self._send(_read_json(call))
        query = {key: value for key, (value, *_more) in parse_qs(call.query).items()}
        if name == "GET /sms/3/logs":
            return self._get_logs(query)
        if name == "GET /account/1/balance":
            return {"balance": 47.79134, "currency": "EUR"}
        raise Refusal("NOT_FOUND", "Requested URL not found", 404)

    def refuse(self, refusal):
        # Both forms are in use.
        if refusal.status in (401, 404):
            cause = {"messageId": refusal.code, "text": refusal.message}
            return {"requestError": {"serviceException": cause}}
        index = re.fullmatch(r"messages\[\d+\].*", refusal.message)
        return {
            "errorCode": refusal.code,
            "description": refusal.message,
            "action": "Check the request",
            "violations": [
                {"property": match, "violation": "not valid"}
                for match in (refusal.message.split(",") if index else ())
            ],
            "resources": [],
        }

    def throttle(self):
        return Refusal("E429", "Too many requests", 429, {"Retry-After": "2"})

    # Sending ---------------------------------------------------------------------

    def _send(self, content):
        messages = content.get("messages")
        if not isinstance(messages, list) or not messages:
            raise Refusal("E400", "messages", 400)
        _check(messages)
        counts = (content.get("options") or {}).get("includeSmsCountInResponse")
        entries = []
        for message in messages:
            for destination in message["destinations"]:
                entries.append(self._send_one(message, destination, counts))
        return {"bulkId": uuid.uuid4().hex, "messages": entries}

    def _send_one(self, message, destination, counts):
        to = destination["to"].removeprefix("+")
        reference = destination.get("messageId") or uuid.uuid4().hex
        text = message["content"]["text"]
        sender = message.get("sender", SENDER)
        name = self._judge(to, reference, text, sender)
        entry = {"messageId": reference, "destination": to, "status": _status(name)}
        if name != "PENDING_ACCEPTED":
            return entry
        delivery = (message.get("webhooks") or {}).get("delivery") or {}
        params = {"sender": sender, "callback_url": delivery.get("url")}
        accepted = Message(to, text, reference, params=params)
        self.accept([accepted])
        details = {"details": {"messageCount": accepted.parts}} if counts else {}
        return entry | details

    def _judge(self, to, reference, text, sender):
        with self.lock:
            if reference in self.ids:
                return "REJECTED_DUPLICATE_MESSAGE_ID"
            self.ids.add(reference)
        if to in self.bad_phones:
            return self.bad_phones[to][0]
        if not re.fullmatch(r"[1-9]\d{6,14}", to):
            return "REJECTED_DESTINATION"
        if self.senders is not None and sender not in self.senders:
            return "REJECTED_SOURCE"
        if len(text.encode()) > MAX_BYTES:
            return "REJECTED_MESSAGE_TOO_LONG"
        return "PENDING_ACCEPTED"

    # Questions and pushes --------------------------------------------------------

    def _get_logs(self, query):
        limit = int(query.get("limit", 50))
        if limit > LOG_SIZE or len(query.get("messageId", "")) > 2048:
            raise Refusal("E400", "limit", 400)
        ids = query["messageId"].split(",") if "messageId" in query else None
        since = _read_time(query.get("sentSince"), datetime.now(timezone.utc) - _LOGS)
        until = _read_time(query.get("sentUntil"), datetime.now(timezone.utc))
        with self.lock:
            found = [
                message
                for message in self.messages
                if (ids is None or message.reference in ids)
                and query.get("destination") in (None, message.phone)
                and since <= message.sent <= until
            ][:limit]
        return {
            "results": [
                _outcome(message) | {"destination": message.phone} for message in found
            ]
        }

    def write_reports(self, messages):
        return {
            "results": [
                _outcome(message) | {"to": message.phone, "callbackData": ""}
                for message in messages
            ]
        }

    def write_replies(self, replies):
        results = [
            {
                "messageId": f"{self.next_number():019d}",
                "from": phone,
                "to": "447860099299",
                "text": text,
                "cleanText": text,
                "keyword": "",
                "receivedAt": _write_time(datetime.now(timezone.utc)),
                "smsCount": 1,
                "price": {"pricePerMessage": 0, "currency": "EUR"},
                "callbackData": "",
            }
            for phone, text in replies
        ]
        return [
            {
                "results": results,
                "messageCount": len(results),
                "pendingMessageCount": 0,
            }
        ]


# Protocol, in code of its own ----------------------------------------------------

_LOGS = timedelta(hours=48)


def _read_json(call):
    try:
        return json.loads(call.body)
    except ValueError:
        raise Refusal("E400", "not JSON", 400) from None


def _check(messages):
    """Refuse a request whose shape is not that of the documentation."""
    wrong = []
    for index, message in enumerate(messages):
        text = (message.get("content") or {}).get("text")
        if not isinstance(text, str) or not text:
            wrong.append(f"messages[{index}].content.text")
        for place, destination in enumerate(message.get("destinations") or [{}]):
            name = f"messages[{index}].destinations[{place}]"
            if not 0 < len(destination.get("to") or "") <= 64:
                wrong.append(f"{name}.to")
            if len(destination.get("messageId") or "") > 200:
                wrong.append(f"{name}.messageId")
    if wrong:
        raise Refusal("E400", ",".join(wrong), 400)


def _status(name):
    number, group = STATUSES[name]
    groups = ("OK", "PENDING", "UNDELIVERABLE", "DELIVERED", "EXPIRED", "REJECTED")
    return {
        "groupId": group,
        "groupName": groups[group],
        "id": number,
        "name": name,
        "description": name.replace("_", " ").capitalize(),
    }


def _error(name):
    number, group, permanent = ERRORS[name]
    groups = ("OK", "HANDSET_ERRORS", "USER_ERRORS", "OPERATOR_ERRORS")
    return {
        "groupId": group,
        "groupName": groups[group],
        "id": number,
        "name": name,
        "description": name,
        "permanent": permanent,
    }


def _outcome(message):
    """What reports and logs have in common."""
    names = {
        UNDER_WAY: "PENDING_ACCEPTED",
        DELIVERED: "DELIVERED_TO_HANDSET",
        FAILED: "UNDELIVERABLE_NOT_DELIVERED",
    }
    outcome = {
        "bulkId": "",
        "messageId": message.reference,
        "sender": message.params["sender"],
        "sentAt": _write_time(message.sent),
        "messageCount": message.parts,
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": _status(names[message.status]),
        "error": _error(message.receipt or "NO_ERROR"),
    }
    done = message.received
    return outcome | ({"doneAt": _write_time(done)} if done else {})


def _write_time(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _read_time(text, default):
    if not text:
        return default
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
