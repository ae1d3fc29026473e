"""Replacements for network, clock and chance."""

import itertools
import json
from datetime import datetime, timezone
from pathlib import Path

from gateways.http import HttpResponse
from gateways.types import GatewayConfig, Outbound

ADDON = Path(__file__).parents[2] / "member_messaging"
NOW = datetime(2026, 1, 15, 8, 0, 0, tzinfo=timezone.utc)
CONFIG = GatewayConfig(
    api_key="LTAIEXAMPLEKEYID",
    api_secret="exampleSecret123",
    signature="云会员",
    callback_secret="a-long-random-secret",
)


class FakeHttp:
    """Answers calls from a list; an exception in it is raised. The last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.calls = []

    def request(self, method, url, headers=None, data=b""):
        self.calls.append((method, url, headers or {}, data))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer = answer(url, data) if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer


def reply(body, status=200, **headers):
    """Return an answer with a JSON or raw body; ``_`` in header names is ``-``."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, names, raw)


def build(cls, *answers, config=CONFIG):
    """Return an adapter with a fake network and counted nonces."""
    counter = itertools.count(1)
    http = FakeHttp(*answers) if answers else FakeHttp(AssertionError("no call"))
    return cls(config, http=http, clock=lambda: NOW, nonce=lambda: f"n{next(counter)}")


def message(key="1", address="+8613800138000", **values):
    values = {
        "body": "Hello",
        "template_code": "SMS_123456789",
        "params": {"name": "张三", "days": "3"},
    } | values
    return Outbound(str(key), address, **values)
