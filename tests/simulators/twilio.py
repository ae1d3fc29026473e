"""Twilio's Messages API (2010-04-01) on this computer.

Checks credentials, senders and texts, in code of its own.
"""

import hashlib
import hmac
import json
import re
import uuid
from base64 import b64decode, b64encode
from collections import Counter
from dataclasses import dataclass, field
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode, urlsplit

from . import server
from .server import DELIVERED, FAILED, UNDER_WAY, Refusal, Simulator

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "auth-token-of-the-simulator"
KEY_SID, KEY_SECRET = "SK0123456789abcdef0123456789abcdef", "secret-of-the-key"
SERVICE = "MG0123456789abcdef0123456789abcdef"
SENDER = "+15005550006"
MAX_BODY = 1600
#: Characters of the GSM alphabet; those in the second row count twice.
GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_TWICE = "^{}\\[~]|€\f"


@dataclass
class Message(server.Message):
    """A message with the sender or messaging service it left through."""

    sender: str = ""
    service: str = ""
    #: Address that is told what becomes of it.
    callback: str = ""
    #: Statuses that were told.
    told: list[str] = field(default_factory=list)

    @property
    def word(self) -> str:
        """Its status, as Twilio says it."""
        if self.status == UNDER_WAY:
            return "accepted" if self.service else "queued"
        return {DELIVERED: "delivered", FAILED: "undelivered"}[self.status]

    @property
    def parts(self) -> int:
        return _segments(self.content)


class TwilioSimulator(Simulator):
    """The service.

    ``keys`` maps SIDs of API keys to secrets; the token of the account signs callbacks.
    ``senders`` are numbers, ``services`` messaging services of the account. ``status``
    is that of the account, ``answers`` what callbacks were answered.
    """

    name = "Twilio"
    account = {
        "api_key": ACCOUNT,
        "api_secret": TOKEN,
        "options": {"messaging_service": SERVICE},
    }
    content_type = "application/json"
    error_status = 400
    delivered = ""
    # An answer is never asked for again, whatever it says.
    connection_retries = 1
    push_timeout = 15.0
    push_size = 1

    def __init__(self, keys=None, senders=(SENDER,), services=(SERVICE,), **values):
        super().__init__(**values)
        self.keys = {ACCOUNT: TOKEN, **(keys or {KEY_SID: KEY_SECRET})}
        self.senders = set(senders)
        self.services = set(services)
        self.status = "active"
        self.stopped: set[str] = set()
        self.answers: list[bytes] = []

    def get_setup(self):
        return {
            "Provider": self.name,
            "Access Key": ACCOUNT,
            "Access Secret": TOKEN,
            "Endpoint": self.url,
            "Messaging Service SID": SERVICE,
        }

    def reset(self):
        super().reset()
        with self.lock:
            self.status = "active"
            self.stopped.clear()
            self.answers.clear()

    # Calls -----------------------------------------------------------------------

    def get_name(self, call):
        return f"{call.method} {call.path.rpartition('/')[2]}"

    def verify(self, call):
        value = call.headers.get("authorization", "")
        scheme, _separator, value = value.partition(" ")
        try:
            user, _separator, secret = b64decode(value).decode().partition(":")
        except ValueError:
            user, secret = "", ""
        expected = self.keys.get(user)
        if scheme != "Basic" or expected is None:
            raise Refusal("20003", "Authenticate", 401)
        if not hmac.compare_digest(expected.encode(), secret.encode()):
            raise Refusal("20003", "Authenticate", 401)

    def answer(self, name, call):
        root = f"/2010-04-01/Accounts/{ACCOUNT}"
        if not call.path.startswith(root):
            raise Refusal("20404", "The requested resource was not found", 404)
        target = f"{call.method} {call.path.removeprefix(root)}"
        if target == "GET .json":
            return {"sid": ACCOUNT, "status": self.status}
        if self.status != "active":
            raise Refusal("10001", "Account is not active")
        if target == "POST /Messages.json":
            if call.headers.get("content-type") != "application/x-www-form-urlencoded":
                raise Refusal("21604", "A 'To' phone number is required.")
            form = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
            return _show(self._send(form))
        if target == "GET /Messages.json":
            return self._list(dict(parse_qsl(call.query)))
        if match := re.fullmatch(r"GET /Messages/(.+).json", target):
            for message in self.messages:
                if message.reference == match[1]:
                    return _show(message)
        raise Refusal("20404", "The requested resource was not found", 404)

    def get_status(self, name):
        return 201 if name.startswith("POST") else 200

    def refuse(self, refusal):
        return {
            "code": int(refusal.code),
            "message": refusal.message,
            "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}",
            "status": refusal.status,
        }

    def throttle(self):
        return Refusal("20429", "Too Many Requests", 429, {"Retry-After": "2"})

    # Sending ---------------------------------------------------------------------

    def _send(self, form):
        to, body = form.get("To", ""), form.get("Body", "")
        service, sender = form.get("MessagingServiceSid", ""), form.get("From", "")
        if not to:
            raise Refusal("21604", "A 'To' phone number is required.")
        if not body:
            raise Refusal("21602", "Message body is required.")
        if len(body) > MAX_BODY:
            raise Refusal("21617", "The concatenated message body exceeds 1600.")
        if not (service or sender):
            raise Refusal("21603", "A 'From' phone number is required.")
        if service and service not in self.services:
            raise Refusal("21701", "The Messaging Service does not exist.")
        if sender and sender not in self.senders:
            raise Refusal("21606", "The 'From' phone number is not valid.")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            raise Refusal("21211", "Invalid 'To' Phone Number")
        if to in self.bad_phones:
            raise Refusal(*self.bad_phones[to])
        if to in self.stopped:
            raise Refusal("21610", "Attempt to send to unsubscribed recipient")
        callback = form.get("StatusCallback", "")
        host = urlsplit(callback).hostname or ""
        if callback and (not host or "_" in host):
            raise Refusal("21609", "Invalid 'StatusCallback' URL")
        reference = f"SM{uuid.uuid4().hex}"
        message = Message(
            to, body, reference, sender=sender, service=service, callback=callback
        )
        self.accept([message])
        return message

    def _list(self, query):
        with self.lock:
            found = [
                message
                for message in reversed(self.messages)
                if query.get("To") in (None, message.phone)
                and query.get("From") in (None, message.sender)
                and _is_sent_in(message, query)
            ]
        size = int(query.get("PageSize", 50))
        more = "/next-page" if len(found) > size else None
        return {
            "messages": [_show(message) for message in found[:size]],
            "next_page_uri": more,
            "page": 0,
            "page_size": size,
        }

    # Callbacks -------------------------------------------------------------------

    def push_reports(self, url="", size=None):
        """Settle, then tell "sent" and what became of each message.

        Told is the address that came along with the message, else ``url``. Return how
        many were acknowledged and how many given up.
        """
        self.settle()
        results: Counter = Counter()
        for message in list(self.messages):
            address = message.callback or url
            for status in ("sent", message.word):
                if address and status not in message.told:
                    message.told.append(status)
                    results[self.push(address, write_report(message, status))] += 1
        return results

    def write_replies(self, replies):
        """Texts from members; some words stop or start sending, as Twilio does."""
        return [self._write_reply(phone, text) for phone, text in replies]

    def _write_reply(self, phone, text):
        understood = {"STOP": "STOP", "START": "START"}.get(text.strip().upper())
        if understood == "STOP":
            self.stopped.add(phone)
        elif understood:
            self.stopped.discard(phone)
        sid = f"SM{uuid.uuid4().hex}"
        form = {
            "ToCountry": "US",
            "MessageSid": sid,
            "SmsMessageSid": sid,
            "SmsSid": sid,
            "SmsStatus": "received",
            "FromCity": "",
            "FromCountry": "",
            "Body": text,
            "To": SENDER,
            "From": phone,
            "NumMedia": "0",
            "NumSegments": str(_segments(text)),
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
        }
        return form | ({"OptOutType": understood} if understood else {})

    def write_push(self, url, content):
        return {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": sign(TOKEN, url, content),
            "I-Twilio-Idempotency-Token": str(uuid.uuid4()),
        }, urlencode(content).encode()

    def push_json(self, url, content) -> bool:
        """Post JSON, signed by the hash of the body in the address."""
        body = json.dumps(content, ensure_ascii=False).encode()
        separator = "&" if "?" in url else "?"
        url = f"{url}{separator}bodySHA256={hashlib.sha256(body).hexdigest()}"
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Signature": sign(TOKEN, url, {}),
        }
        return self.post(url, headers, body)

    def is_acknowledged(self, status, body):
        self.answers.append(body)
        return super().is_acknowledged(status, body)


def sign(token, url, form):
    """Return ``X-Twilio-Signature``; the fragment of the address is not signed."""
    text = url.partition("#")[0]
    for name in sorted(form):
        text += f"{name}{form[name]}"
    digest = hmac.new(token.encode(), text.encode(), "sha1").digest()
    return b64encode(digest).decode()


def _error_code(message):
    return int(message.receipt) if message.receipt else None


def _show(message):
    sent = format_datetime(message.sent)
    is_over = message.status != UNDER_WAY
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": message.content,
        "date_created": sent,
        "date_sent": sent if is_over else None,
        "date_updated": sent,
        "direction": "outbound-api",
        "error_code": _error_code(message),
        "error_message": None,
        "from": message.sender or (SENDER if is_over else None),
        "messaging_service_sid": message.service or None,
        "num_media": "0",
        "num_segments": "0" if message.word == "accepted" else str(message.parts),
        "price": None,
        "price_unit": "USD",
        "sid": message.reference,
        "status": message.word,
        "subresource_uris": {},
        "to": message.phone,
        "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{message.reference}.json",
    }


def write_report(message, status):
    """Return the fields of a status callback, which tells one word of a message."""
    form = {
        "SmsSid": message.reference,
        "SmsStatus": status,
        "MessageStatus": status,
        "To": message.phone,
        "MessageSid": message.reference,
        "AccountSid": ACCOUNT,
        "From": message.sender or SENDER,
        "ApiVersion": "2010-04-01",
    }
    if message.service:
        form["MessagingServiceSid"] = message.service
    if status == "undelivered":
        form["ErrorCode"] = message.receipt
    return form


def _segments(text):
    if all(char in GSM or char in GSM_TWICE for char in text):
        units = len(text) + sum(char in GSM_TWICE for char in text)
        return 1 if units <= 160 else -(-units // 153)
    units = len(text.encode("utf-16-le")) // 2
    return 1 if units <= 70 else -(-units // 67)


def _is_sent_in(message, query):
    """Filters by the time of sending; what has not left yet has none."""
    sent = message.sent.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not {"DateSent>", "DateSent<"} & set(query):
        return True
    earliest, latest = query.get("DateSent>", ""), query.get("DateSent<", "9")
    return message.status != UNDER_WAY and earliest <= sent <= latest
