"""What the simulators of providers have in common: a server on this computer that keeps
what it accepted, misbehaves on demand, and posts reports and replies.

A provider is a subclass of :class:`Simulator`. State and faults are also reached from
other processes, see :meth:`_Handler.control`.
"""

import itertools
import json
import re
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

SHANGHAI = timezone(timedelta(hours=8))
UNDER_WAY, FAILED, DELIVERED = 1, 2, 3


class Refusal(Exception):
    """An error answer: code, text and HTTP status; 0: the vendor's usual one."""

    def __init__(self, code: str, message: str = "", status: int = 0, headers=()):
        super().__init__(code)
        self.code = code
        self.message = message or code
        self.status = status
        self.headers = dict(headers)


@dataclass
class Call:
    """A request. ``headers`` have names in lower case, ``query`` is as it came."""

    method: str
    path: str
    query: str
    headers: dict
    body: bytes


@dataclass
class Message:
    """A message that was accepted.

    ``phone`` is written as in the vendor's reports, ``content`` is what the member
    reads, ``reference`` the vendor's, ``own_reference`` what the client gave for it.
    """

    phone: str
    content: str
    reference: str
    own_reference: str = ""
    template: str = ""
    params: dict | list = field(default_factory=dict)
    sent: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    status: int = UNDER_WAY
    receipt: str = ""
    received: datetime | None = None
    is_pushed: bool = False
    is_pulled: bool = False

    @property
    def parts(self) -> int:
        """Billed segments, as counted in mainland China."""
        units = len(self.content)
        return 1 if units <= 70 else -(-units // 67)


@dataclass
class Fault:
    """What happens to one of the next calls.

    ``kind`` is ``"error"`` (with code, message, status, headers), ``"delay"`` (with
    seconds) or ``"drop"`` (connection closed without an answer, after the messages
    were taken if ``accept``).
    """

    kind: str
    code: str = ""
    message: str = ""
    status: int = 0
    headers: dict = field(default_factory=dict)
    seconds: float = 0.0
    accept: bool = True


class Simulator:
    """A provider; use it as a context manager.

    ``rate`` is how many calls it takes in any second, ``sleep`` is called between two
    attempts of a push, ``show`` with each accepted message.
    """

    name = ""
    #: The account it knows: values of ``GatewayConfig``.
    account: dict = {}
    content_type = "application/json;charset=utf-8"
    #: HTTP status of a refusal that says no other.
    error_status = 200
    #: Receipt of a message that arrived.
    delivered = "DELIVERED"
    #: Calls in a second; 0: as many as there are.
    default_rate = 0
    #: Seconds until the vendor tries a push again, and how long it waits for an answer.
    push_retries: tuple[int, ...] = ()
    push_timeout = 5.0
    #: Further tries at once when there was no answer at all.
    connection_retries = 0
    #: Most reports in a push.
    push_size = 100

    def __init__(
        self,
        port=0,
        host="127.0.0.1",
        rate=None,
        sleep=time.sleep,
        show=lambda message: None,
    ):
        self.rate = self.default_rate if rate is None else rate
        self.sleep = sleep
        self.show = show
        self.messages: list[Message] = []
        self.accepted: Counter = Counter()
        self.calls: Counter = Counter()
        self.refused: Counter = Counter()
        self.bad_phones: dict[str, tuple[str, str]] = {}
        self.receipts: dict[str, str] = {}
        self.faults: deque[Fault] = deque()
        self.lock = threading.RLock()
        self._times: deque[float] = deque()
        self._numbers = itertools.count(1)
        self._server = _Server((host, port), _Handler)
        self._server.simulator = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    # What a provider has to say --------------------------------------------------

    def get_name(self, call: Call) -> str:
        """Return what a call asks for, as it is counted."""
        raise NotImplementedError

    def verify(self, call: Call) -> None:
        """:raises Refusal: the call does not prove who makes it"""
        raise NotImplementedError

    def answer(self, name: str, call: Call) -> dict:
        """Do what a verified call asks for.

        :raises Refusal: it cannot be done
        """
        raise NotImplementedError

    def get_status(self, name: str) -> int:
        """Return the HTTP status of a call that went well."""
        return 200

    def refuse(self, refusal: Refusal) -> dict:
        """Return the body of an error answer."""
        raise NotImplementedError

    def throttle(self) -> Refusal:
        """Return the refusal of a call too many."""
        raise NotImplementedError

    def write_reports(self, messages: list[Message]):
        """Return the body of a push of delivery reports."""
        raise NotImplementedError

    def write_replies(self, replies) -> list:
        """Return bodies that push texts from members, given as number and text."""
        raise NotImplementedError

    def write_push(self, url: str, content) -> tuple[dict[str, str], bytes]:
        """Return headers and body of a push."""
        body = json.dumps(content, ensure_ascii=False).encode()
        return {"Content-Type": "application/json;charset=utf-8"}, body

    def is_acknowledged(self, status: int, body: bytes) -> bool:
        """Tell whether the vendor takes an answer to a push for an acknowledgement."""
        return 200 <= status < 300

    def get_setup(self) -> dict[str, str]:
        """Return what to enter into the form of a gateway: label of a field, value."""
        raise NotImplementedError

    # Life ------------------------------------------------------------------------

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        """``host:port``, as SDKs want it."""
        host, port = self._server.server_address[:2]
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    def next_number(self) -> int:
        return next(self._numbers)

    # Orders from a test ----------------------------------------------------------

    def fail_phone(self, phone, code, message=""):
        """Refuse whatever is for ``phone``."""
        self.bad_phones[phone] = (code, message)

    def fail_next(self, n, code, message="", status=0, headers=None):
        """Answer the next ``n`` calls with an error."""
        fault = Fault("error", code, message, status, headers or {})
        self.faults.extend([fault] * n)

    def throttle_next(self, n):
        """Answer the next ``n`` calls as if there had been too many."""
        refusal = self.throttle()
        self.fail_next(n, refusal.code, "", refusal.status, refusal.headers)

    def delay_next(self, n, seconds):
        """Take the next ``n`` calls and answer late."""
        self.faults.extend([Fault("delay", seconds=seconds)] * n)

    def drop_next(self, n, accept=True):
        """Read the next ``n`` calls and close the connection without an answer."""
        self.faults.extend([Fault("drop", accept=accept)] * n)

    def receipt(self, phone, code):
        """Let messages to ``phone`` fail at the carrier with ``code``."""
        self.receipts[phone] = code

    def reset(self):
        """Forget everything that happened and was ordered."""
        with self.lock:
            self.messages.clear()
            self.faults.clear()
            for mapping in (self.accepted, self.calls, self.refused):
                mapping.clear()
            for mapping in (self.bad_phones, self.receipts):
                mapping.clear()

    def state(self) -> dict:
        """Return counters and messages, fit for JSON."""
        with self.lock:
            return {
                "accepted": dict(self.accepted),
                "calls": dict(self.calls),
                "refused": dict(self.refused),
                "messages": [
                    {**asdict(m), "sent": local_time(m.sent), "received": None}
                    for m in self.messages
                ],
            }

    # Calls -----------------------------------------------------------------------

    def handle(self, call: Call):
        """Answer a call with status, headers and body; ``None``: hang up."""
        name = self.get_name(call)
        with self.lock:
            self.calls[name] += 1
        try:
            self.verify(call)
            self._limit_rate()
            return self._handle_verified(name, call)
        except Refusal as refusal:
            with self.lock:
                self.refused[refusal.code] += 1
            refusal.status = refusal.status or self.error_status
            return refusal.status, refusal.headers, self.refuse(refusal)

    def _handle_verified(self, name, call):
        with self.lock:
            fault = self.faults.popleft() if self.faults else None
        if fault and fault.kind == "error":
            raise Refusal(fault.code, fault.message, fault.status, fault.headers)
        answer = None
        if not fault or fault.accept:
            answer = self.answer(name, call)
        if fault and fault.kind == "drop":
            return None
        if fault:
            self.sleep(fault.seconds)
        return self.get_status(name), {}, answer

    def _limit_rate(self):
        if not self.rate:
            return
        now = time.monotonic()
        with self.lock:
            while self._times and self._times[0] <= now - 1:
                self._times.popleft()
            if len(self._times) >= self.rate:
                raise self.throttle()
            self._times.append(now)

    def accept(self, messages: list[Message]):
        """Keep messages; from here on they are sent."""
        with self.lock:
            self.messages += messages
            self.accepted.update(message.phone for message in messages)
        for message in messages:
            self.show(message)

    # What happens to messages ----------------------------------------------------

    def settle(self):
        """Let the carrier decide about all messages under way."""
        with self.lock:
            for message in self.messages:
                if message.status == UNDER_WAY:
                    message.receipt = self.receipts.get(message.phone, self.delivered)
                    arrived = message.receipt == self.delivered
                    message.status = DELIVERED if arrived else FAILED
                    message.received = datetime.now(timezone.utc)

    def push_reports(self, url, size=None):
        """Settle, then post what was not posted yet, ``size`` reports a call.

        Return how many calls were acknowledged and how many given up.
        """
        self.settle()
        with self.lock:
            due = [m for m in self.messages if not m.is_pushed]
            for message in due:
                message.is_pushed = True
        size = size or self.push_size
        batches = [due[start : start + size] for start in range(0, len(due), size)]
        return Counter(self.push(url, self.write_reports(batch)) for batch in batches)

    def push_replies(self, url, replies) -> bool:
        """Post texts from members, given as pairs of number and text."""
        return all([self.push(url, body) for body in self.write_replies(replies)])

    def push(self, url, content) -> bool:
        """Post until acknowledged or given up; tell whether it was acknowledged."""
        headers, body = self.write_push(url, content)
        for pause in (0, *self.push_retries):
            if pause:
                self.sleep(pause)
            if self.post(url, headers, body):
                return True
        return False

    def post(self, url, headers, body) -> bool:
        """Post once, redirects not followed; tell whether it was acknowledged."""
        request = Request(url, data=body, headers=headers, method="POST")
        opener = build_opener(ProxyHandler({}), _NoRedirect())
        for _try in range(1 + self.connection_retries):
            try:
                with opener.open(request, timeout=self.push_timeout) as answer:
                    return self.is_acknowledged(answer.status, answer.read())
            except HTTPError as error:
                error.close()
                return False
            except OSError:
                continue
            except (ValueError, AttributeError):
                return False
        return False


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None


def local_time(moment: datetime) -> str:
    """Write a time as vendors in China do."""
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def fill_template(text: str, pattern: str, values) -> str:
    """Put values in the place of what ``pattern`` finds; its group is their name."""
    return re.sub(pattern, lambda match: values[match[1]], text)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    simulator: Simulator


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        if parts.path.startswith("/simulator/"):
            self._answer(*self.control(parts.path.removeprefix("/simulator/"), body))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(self.command, parts.path, parts.query, headers, body)
        answer = self.server.simulator.handle(call)
        if answer is None:
            self.close_connection = True
            return
        self._answer(*answer)

    def control(self, order, body):
        """Orders from another process.

        ``GET /simulator/state``; ``POST /simulator/reset``; ``POST /simulator/faults``
        with ``{"n": 1, "kind": …}`` as :class:`Fault`; ``POST /simulator/phones`` with
        ``{phone: [code, message]}``; ``POST /simulator/receipts`` with
        ``{phone: code}``; ``POST /simulator/reports`` with ``{"url": …}``;
        ``POST /simulator/replies`` with ``{"url": …, "replies": [[phone, text]]}``.
        """
        simulator = self.server.simulator
        values = json.loads(body or b"{}")
        if order == "state":
            return 200, {}, simulator.state()
        if order == "reset":
            simulator.reset()
        elif order == "faults":
            n = values.pop("n", 1)
            simulator.faults.extend([Fault(**values)] * n)
        elif order == "phones":
            for phone, (code, message) in values.items():
                simulator.fail_phone(phone, code, message)
        elif order == "receipts":
            simulator.receipts.update(values)
        elif order == "reports":
            pushed = simulator.push_reports(values["url"])
            return 200, {}, {"acknowledged": pushed[True], "given_up": pushed[False]}
        elif order == "replies":
            return 200, {}, {"acknowledged": simulator.push_replies(**values)}
        else:
            return 404, {}, {}
        return 200, {}, {}

    def _answer(self, status, headers, content):
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", self.server.simulator.content_type)
        self.send_header("Content-Length", str(len(body)))
        self._headers_buffer.append(b"\r\n")
        # One packet: a second one would wait for the acknowledgement of the first.
        self.wfile.write(b"".join(self._headers_buffer) + body)
        self._headers_buffer = []

    def log_message(self, format, *args):
        pass
