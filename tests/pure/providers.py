"""Each provider with its simulator, and what tests over real HTTP need beside it."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qsl, urlsplit

from fakes import message

from gateways.aliyun import AliyunGateway
from gateways.base import Gateway
from gateways.http import HttpClient
from gateways.infobip import InfobipGateway
from gateways.tencent import TencentGateway
from gateways.twilio import TwilioGateway
from gateways.types import GatewayConfig, PendingMessage, WebhookRequest
from simulators import aliyun, infobip, tencent, twilio
from simulators.server import Simulator


@dataclass
class Provider:
    """An adapter and its simulator.

    ``write`` makes message ``n`` to an address, ``get_phone`` writes an address as
    the simulator counts it. ``bad_number`` and ``bad_receipt`` are codes for a number
    that does not exist, ``wrong_key`` that of a call with another key. ``told_before``
    are statuses the vendor pushes of each message before the last one, ``is_dated``
    tells whether its pushes have a date.
    """

    adapter: type[Gateway]
    simulator: type[Simulator]
    write: Callable
    get_phone: Callable[[str], str]
    bad_number: str
    bad_receipt: str
    wrong_key: str
    told_before: tuple[str, ...] = ()
    is_dated: bool = True

    def build(self, simulator, **values) -> Gateway:
        account = {
            "endpoint": simulator.url,
            "callback_secret": "a-long-random-secret",
            **self.simulator.account,
            **values,
        }
        return self.adapter(GatewayConfig(**account), http=HttpClient(timeout=(2, 2)))

    def count_pushes(self, n):
        """Return how many calls tell what became of ``n`` messages."""
        return -(-n // self.simulator.push_size) * (1 + len(self.told_before))

    def batch(self, n):
        return [self.write(i, f"+86138{i:08d}") for i in range(n)]


def write_aliyun(n, address):
    return message(n, address, params={"name": f"会员{n} *~/+&=", "days": f"{n}"})


def write_tencent(n, address):
    params = {"2": f"{n}", "1": f"会员{n} *~/"}
    return message(n, address, template_code=tencent.TEMPLATE, params=params)


def write_text(n, address):
    return message(n, address, body=f"你好 {n} 😀", template_code=None, params=None)


PROVIDERS = {
    "aliyun": Provider(
        AliyunGateway,
        aliyun.AliyunSimulator,
        write_aliyun,
        lambda address: address.removeprefix("+86"),
        bad_number="isv.MOBILE_NUMBER_ILLEGAL",
        bad_receipt="MK:0001",
        wrong_key="SignatureDoesNotMatch",
    ),
    "infobip": Provider(
        InfobipGateway,
        infobip.InfobipSimulator,
        write_text,
        lambda address: address.removeprefix("+"),
        bad_number="REJECTED_DESTINATION",
        bad_receipt="EC_UNKNOWN_SUBSCRIBER",
        wrong_key="UNAUTHORIZED",
    ),
    "tencent": Provider(
        TencentGateway,
        tencent.TencentSimulator,
        write_tencent,
        lambda address: address,
        bad_number="InvalidParameterValue.IncorrectPhoneNumber",
        bad_receipt="MK:0001",
        wrong_key="AuthFailure.SignatureFailure",
    ),
    "twilio": Provider(
        TwilioGateway,
        twilio.TwilioSimulator,
        write_text,
        lambda address: address,
        bad_number="21211",
        bad_receipt="30005",
        wrong_key="20003",
        told_before=("sent",),
        is_dated=False,
    ),
}


def outcomes(results):
    return Counter(result.outcome for result in results)


def pending(results, messages):
    now = datetime.now(timezone.utc)
    return [
        PendingMessage(result.key, message.address, result.provider_ref, now)
        for result, message in zip(results, messages, strict=True)
    ]


def change_calls(gateway, change):
    """Let ``change`` have every call of an adapter before it leaves.

    It gets and returns method, URL, headers and body.
    """
    honest = gateway.http.request

    def request(method, url, headers=None, data=b""):
        method, url, headers, data = change(method, url, dict(headers), data)
        return honest(method, url, headers, data)

    gateway.http.request = request


def change_last_byte(method, url, headers, data):
    """Change what proves the caller by one byte."""
    value = headers["Authorization"]
    headers["Authorization"] = value[:-1] + ("0" if value[-1] != "0" else "1")
    return method, url, headers, data


class Callback:
    """A shop's callback address, which fails a number of times first."""

    def __init__(self, gateway, failures=0):
        self.events, self.failures, self.requests = [], failures, 0
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                callback.requests += 1
                status, headers, answer = gateway.acknowledge()
                if callback.requests <= callback.failures:
                    status = 500
                else:
                    query = dict(parse_qsl(urlsplit(self.path).query))
                    request = WebhookRequest(body=body, query=query)
                    callback.events += gateway.parse(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
