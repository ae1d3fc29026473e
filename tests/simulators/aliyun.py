"""Alibaba Cloud SMS (Dysmsapi 2017-05-25) on this computer.

Checks V3 signatures, arguments and registered templates, remembers every message it
accepted, answers with errors on demand, pushes reports and replies. As a program::

    cd tests && python -m simulators.aliyun --port 8070

State and faults are then reached over HTTP, see :meth:`_Handler.control`.
"""

import argparse
import hashlib
import hmac
import json
import re
import threading
import time
import uuid
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.parse import parse_qsl, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

SHANGHAI = timezone(timedelta(hours=8))
KEY_ID, KEY_SECRET = "LTAIEXAMPLEKEYID", "exampleSecret123"
SIGNATURE = "云会员"
TEMPLATE = "SMS_123456789"
TEMPLATES = {TEMPLATE: "尊敬的${name},您的会员将于${days}天后到期。"}
MAX_NUMBERS = {"SendSms": 1000, "SendBatchSms": 100}
#: Headers every V3 request has to sign.
SIGNED = {
    "host",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
}
#: Seconds until the vendor tries a push again, and how long it waits for an answer.
PUSH_RETRIES = (60, 300, 600)
PUSH_TIMEOUT = 0.7


class Refusal(Exception):
    """An error answer: code, text and HTTP status."""

    def __init__(self, code: str, message: str = "", status: int = 200, headers=()):
        super().__init__(code)
        self.code = code
        self.message = message or code
        self.status = status
        self.headers = dict(headers)


@dataclass
class Message:
    """A message that was accepted. ``status``: 1 under way, 2 failed, 3 delivered."""

    phone: str
    signature: str
    template: str
    params: dict
    content: str
    biz_id: str
    out_id: str
    sent: datetime
    status: int = 1
    receipt: str = ""
    received: datetime | None = None
    is_pushed: bool = False


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
    status: int = 200
    headers: dict = field(default_factory=dict)
    seconds: float = 0.0
    accept: bool = True


class AliyunSimulator:
    """The service; use it as a context manager.

    ``keys`` maps access key ids to secrets, ``templates`` codes to texts with
    ``${variables}``. ``sleep`` is called between two attempts of a push.
    """

    def __init__(
        self,
        keys=None,
        signatures=(SIGNATURE,),
        templates=None,
        port=0,
        host="127.0.0.1",
        max_param_length=35,
        sleep=time.sleep,
    ):
        self.keys = dict(keys or {KEY_ID: KEY_SECRET})
        self.signatures = set(signatures)
        self.templates = dict(templates or TEMPLATES)
        self.max_param_length = max_param_length
        self.sleep = sleep
        self.messages: list[Message] = []
        self.accepted: Counter = Counter()
        self.calls: Counter = Counter()
        self.refused: Counter = Counter()
        self.bad_phones: dict[str, tuple[str, str]] = {}
        self.receipts: dict[str, str] = {}
        self.faults: deque[Fault] = deque()
        self.nonces: set[str] = set()
        self.lock = threading.RLock()
        self._sequence = 0
        self._server = _Server((host, port), _Handler)
        self._server.simulator = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

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
        """``host:port``, as the SDK wants it."""
        host, port = self._server.server_address[:2]
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    # Orders from a test ----------------------------------------------------------

    def fail_phone(self, phone, code, message=""):
        """Refuse each call that contains ``phone``."""
        self.bad_phones[phone] = (code, message)

    def fail_next(self, n, code, message="", status=200, headers=None):
        """Answer the next ``n`` calls with an error."""
        fault = Fault("error", code, message, status, headers or {})
        self.faults.extend([fault] * n)

    def throttle_next(self, n, retry_after_ms=1500):
        """Answer the next ``n`` calls with 429."""
        headers = {"x-acs-retry-after": str(retry_after_ms)}
        self.fail_next(n, "Throttling.User", "Request was denied", 429, headers)

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
                    {**asdict(m), "sent": _local(m.sent), "received": None}
                    for m in self.messages
                ],
            }

    # Calls -----------------------------------------------------------------------

    def handle(self, method, raw_query, headers, body):
        """Answer one API call with (status, headers, JSON object)."""
        request_id = str(uuid.uuid4()).upper()
        action = headers.get("x-acs-action", "")
        with self.lock:
            self.calls[action] += 1
        try:
            self._verify(method, raw_query, headers, body)
            params = dict(parse_qsl(raw_query, keep_blank_values=True))
            params.update(parse_qsl(body.decode(), keep_blank_values=True))
            fault = self._next_fault()
            if fault and fault.kind == "error":
                raise Refusal(fault.code, fault.message, fault.status, fault.headers)
            answer = None
            if not fault or fault.accept:
                answer = self._dispatch(action, params)
            if fault and fault.kind == "drop":
                return None
            if fault:
                self.sleep(fault.seconds)
            return 200, {}, answer | {"Code": "OK", "RequestId": request_id}
        except Refusal as refusal:
            with self.lock:
                self.refused[refusal.code] += 1
            answer = {"Code": refusal.code, "Message": refusal.message}
            answer["RequestId"] = request_id
            if refusal.status >= 400:
                answer["HostId"] = self.endpoint
            return refusal.status, refusal.headers, answer

    def _next_fault(self):
        with self.lock:
            return self.faults.popleft() if self.faults else None

    def _dispatch(self, action, params):
        calls = {
            "SendSms": self._send_sms,
            "SendBatchSms": self._send_batch_sms,
            "QuerySendDetails": self._query_send_details,
        }
        if action not in calls:
            raise Refusal("InvalidAction.NotFound", status=404)
        return calls[action](params)

    # Signature -------------------------------------------------------------------

    def _verify(self, method, raw_query, headers, body):
        match = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),"
            r"Signature=([0-9a-f]{64})",
            headers.get("authorization", ""),
        )
        if not match:
            raise Refusal("MissingParameter.Authorization", status=400)
        key_id, names, signature = match.groups()
        if key_id not in self.keys:
            raise Refusal("InvalidAccessKeyId.NotFound", status=404)
        self._check_headers(headers, names.split(";"), body)
        canonical = _canonical_request(method, raw_query, headers, names, body)
        expected = _hex_hmac(self.keys[key_id], _string_to_sign(canonical))
        if not hmac.compare_digest(expected, signature):
            raise Refusal("SignatureDoesNotMatch", status=400)
        self._check_nonce(headers["x-acs-signature-nonce"])

    def _check_headers(self, headers, names, body):
        needed = SIGNED | ({"content-type"} if body else set())
        if names != sorted(names) or not needed <= set(names) <= set(headers):
            raise Refusal("SignatureDoesNotMatch", "signed headers", 400)
        unsigned = {name for name in headers if name.startswith("x-acs-")} - set(names)
        if unsigned:
            raise Refusal("SignatureDoesNotMatch", f"not signed: {unsigned}", 400)
        if headers["x-acs-content-sha256"] != hashlib.sha256(body).hexdigest():
            raise Refusal("SignatureDoesNotMatch", "content hash", 400)
        if headers["x-acs-version"] != "2017-05-25":
            raise Refusal("InvalidVersion", status=400)
        sent = datetime.strptime(headers["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ")
        age = datetime.now(timezone.utc) - sent.replace(tzinfo=timezone.utc)
        if abs(age) > timedelta(minutes=15):
            raise Refusal("InvalidTimeStamp.Expired", status=400)

    def _check_nonce(self, nonce):
        with self.lock:
            if nonce in self.nonces:
                raise Refusal("SignatureNonceUsed", status=400)
            self.nonces.add(nonce)

    # Sending ---------------------------------------------------------------------

    def _send_sms(self, params):
        phones = params.get("PhoneNumbers", "").split(",")
        texts = [json.loads(params.get("TemplateParam") or "{}")] * len(phones)
        signatures = [params.get("SignName", "")] * len(phones)
        return self._accept("SendSms", params, phones, signatures, texts)

    def _send_batch_sms(self, params):
        names = ("PhoneNumberJson", "SignNameJson", "TemplateParamJson")
        columns = [_array(params, name) for name in names]
        extend = "SmsUpExtendCodeJson" in params
        checked = (
            [*columns, _array(params, "SmsUpExtendCodeJson")] if extend else columns
        )
        if len({len(column) for column in checked}) != 1:
            raise Refusal("isv.INVALID_PARAMETERS", "arrays differ in length")
        return self._accept("SendBatchSms", params, *columns)

    def _accept(self, action, params, phones, signatures, texts):
        if not 0 < len(phones) <= MAX_NUMBERS[action]:
            raise Refusal("isv.MOBILE_COUNT_OVER_LIMIT")
        template = params.get("TemplateCode", "")
        out_id = params.get("OutId", "")
        if template not in self.templates:
            raise Refusal("isv.SMS_TEMPLATE_ILLEGAL")
        if len(out_id) > 255:
            raise Refusal("isv.INVALID_PARAMETERS", "OutId")
        numbers = [self._check_phone(phone) for phone in phones]
        for signature in signatures:
            if signature not in self.signatures:
                raise Refusal("isv.SMS_SIGNATURE_ILLEGAL")
        contents = [
            f"【{signature}】{self._fill(template, text)}"
            for signature, text in zip(signatures, texts, strict=True)
        ]
        with self.lock:
            self._sequence += 1
            biz_id = f"{self._sequence:018d}^0"
            now = datetime.now(timezone.utc)
            for values in zip(numbers, signatures, texts, contents, strict=True):
                number, signature, text, content = values
                self.accepted[number] += 1
                self.messages.append(
                    Message(
                        number, signature, template, text, content, biz_id, out_id, now
                    )
                )
        return {"Message": "OK", "BizId": biz_id}

    def _check_phone(self, phone):
        digits = re.sub(r"^(?:\+|00)?86(?=1\d{10}$)", "", str(phone))
        if not re.fullmatch(r"1[3-9]\d{9}|[2-9]\d{6,14}", digits):
            raise Refusal("isv.MOBILE_NUMBER_ILLEGAL")
        if digits in self.bad_phones:
            raise Refusal(*self.bad_phones[digits])
        return digits

    def _fill(self, template, params):
        if not isinstance(params, dict):
            raise Refusal("isv.INVALID_JSON_PARAM")
        if not all(isinstance(value, str) for value in params.values()):
            raise Refusal("isv.INVALID_JSON_PARAM")
        text = self.templates[template]
        names = re.findall(r"\$\{(\w+)\}", text)
        if not set(names) <= set(params):
            raise Refusal("isv.TEMPLATE_MISSING_PARAMETERS")
        if not all(1 <= len(params[name]) <= self.max_param_length for name in names):
            raise Refusal("isv.PARAM_LENGTH_LIMIT")
        return re.sub(r"\$\{(\w+)\}", lambda match: params[match[1]], text)

    # Details and pushes ----------------------------------------------------------

    def _query_send_details(self, params):
        size, page = int(params["PageSize"]), int(params["CurrentPage"])
        if not 1 <= size <= 50 or page < 1:
            raise Refusal("isv.INVALID_PARAMETERS", "page")
        with self.lock:
            found = [
                m
                for m in self.messages
                if m.phone == params["PhoneNumber"]
                and m.sent.astimezone(SHANGHAI).strftime("%Y%m%d") == params["SendDate"]
                and params.get("BizId") in (None, m.biz_id)
            ]
        details = [_detail(m) for m in found[size * (page - 1) : size * page]]
        return {
            "Message": "OK",
            "TotalCount": len(found),
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": details},
        }

    def settle(self):
        """Let the carrier decide about all messages under way."""
        with self.lock:
            for message in self.messages:
                if message.status == 1:
                    message.receipt = self.receipts.get(message.phone, "DELIVERED")
                    message.status = 3 if message.receipt == "DELIVERED" else 2
                    message.received = datetime.now(timezone.utc)

    def push_reports(self, url, size=100):
        """Settle, then post what was not posted yet, ``size`` reports a call.

        Return how many calls were acknowledged and how many given up.
        """
        self.settle()
        with self.lock:
            due = [m for m in self.messages if not m.is_pushed]
            for message in due:
                message.is_pushed = True
        reports = [_report(message) for message in due]
        batches = [reports[i : i + size] for i in range(0, len(reports), size)]
        return Counter(self.push(url, batch) for batch in batches)

    def push_replies(self, url, replies, destination="10690000123"):
        """Post texts from members, given as pairs of number and text."""
        entries = []
        for phone, text in replies:
            with self.lock:
                self._sequence += 1
            entries.append(
                {
                    "phone_number": phone,
                    "content": text,
                    "send_time": _local(datetime.now(timezone.utc)),
                    "dest_code": destination,
                    "sequence_id": str(self._sequence),
                }
            )
        return self.push(url, entries)

    def push(self, url, entries) -> bool:
        """Post until acknowledged, at most four times; tell whether it was."""
        body = json.dumps(entries, ensure_ascii=False).encode()
        for pause in (0, *PUSH_RETRIES):
            if pause:
                self.sleep(pause)
            if _post(url, body):
                return True
        return False


# Protocol, in code of its own ----------------------------------------------------


def _encode(text):
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
    return "".join(
        chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode()
    )


def _canonical_request(method, raw_query, headers, names, body):
    pairs = sorted(parse_qsl(raw_query, keep_blank_values=True))
    query = "&".join(f"{_encode(name)}={_encode(value)}" for name, value in pairs)
    lines = [method, "/", query]
    lines += [f"{name}:{headers[name].strip()}" for name in names.split(";")]
    return "\n".join([*lines, "", names, hashlib.sha256(body).hexdigest()])


def _string_to_sign(canonical):
    return f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _hex_hmac(secret, text):
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _array(params, name):
    try:
        values = json.loads(params[name])
    except KeyError:
        raise Refusal(f"MissingParameter.{name}", status=400) from None
    except ValueError:
        raise Refusal("isv.INVALID_JSON_PARAM", name) from None
    if not isinstance(values, list):
        raise Refusal("isv.INVALID_JSON_PARAM", name)
    return values


def _local(moment):
    return moment.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")


def _detail(message):
    return {
        "Content": message.content,
        "ErrCode": message.receipt,
        "OutId": message.out_id,
        "PhoneNum": message.phone,
        "ReceiveDate": _local(message.received) if message.received else "",
        "SendDate": _local(message.sent),
        "SendStatus": message.status,
        "TemplateCode": message.template,
    }


def _report(message):
    units = len(message.content)
    return {
        "phone_number": message.phone,
        "send_time": _local(message.sent),
        "report_time": _local(message.received),
        "success": message.status == 3,
        "err_code": message.receipt,
        "err_msg": "用户接收成功" if message.status == 3 else message.receipt,
        "sms_size": str(1 if units <= 70 else -(-units // 67)),
        "biz_id": message.biz_id,
        "out_id": message.out_id,
    }


def _post(url, body):
    """Post once; the vendor looks at the status and the numeric ``code`` only."""
    headers = {"Content-Type": "application/json;charset=utf-8"}
    request = Request(url, data=body, headers=headers, method="POST")
    try:
        with build_opener(ProxyHandler({})).open(
            request, timeout=PUSH_TIMEOUT
        ) as answer:
            code = json.loads(answer.read()).get("code")
            return answer.status == 200 and type(code) is int and code == 0
    except (URLError, OSError, ValueError, AttributeError):
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    simulator: AliyunSimulator


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
        simulator = self.server.simulator
        answer = simulator.handle(self.command, parts.query, headers, body)
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
        self.send_header("Content-Type", "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self._headers_buffer.append(b"\r\n")
        # One packet: a second one would wait for the acknowledgement of the first.
        self.wfile.write(b"".join(self._headers_buffer) + body)
        self._headers_buffer = []

    def log_message(self, format, *args):
        pass


def _pair(text):
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("name=value expected")
    return name, value


def main():
    parser = argparse.ArgumentParser(description="Simulate Alibaba Cloud SMS.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8070)
    parser.add_argument("--key", type=_pair, action="append", metavar="ID=SECRET")
    parser.add_argument("--signature", action="append", metavar="NAME")
    parser.add_argument("--template", type=_pair, action="append", metavar="CODE=TEXT")
    parser.add_argument("--callback", metavar="URL", help="post reports every second")
    args = parser.parse_args()
    simulator = AliyunSimulator(
        keys=dict(args.key or ()),
        signatures=args.signature or (SIGNATURE,),
        templates=dict(args.template or ()),
        host=args.host,
        port=args.port,
    )
    with simulator:
        print(f"{simulator.url}  key {', '.join(simulator.keys)}", flush=True)
        while True:
            time.sleep(1)
            if args.callback:
                simulator.push_reports(args.callback)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
