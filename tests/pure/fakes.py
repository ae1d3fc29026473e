"""Replacements for network, clock and chance."""

import itertools
import json
from dataclasses import replace
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
#: Options without which a provider does not work, by its code.
OPTIONS = {
    "generic": {
        "url": "https://sms.example.com/send?app={{ api_key }}",
        "headers": "Authorization: Bearer {{ api_secret }}",
        "body": '{"to": "{{ to_digits }}", "text": "{{ text }}", "id": "{{ key }}"}',
        "code_path": "code",
        "success_codes": "0, ok",
        "ref_path": "data[0].id",
        "message_path": "msg",
        "error_outcomes": "1 = badnum\n8 = retry\nU* = postpone",
        "country": "CN",
        "report_entries": "reports",
        "report_number": "mobile",
        "report_ref": "id",
        "report_reference": "ours",
        "report_status": "status",
        "report_code": "err",
        "delivered_words": "DELIVRD, true",
        "failed_words": "UNDELIV,false",
        "inbound_entries": "replies",
        "inbound_number": "from",
        "inbound_text": "text",
        "inbound_id": "id",
        "answer": '{"code": 0}',
    },
    "tencent": {"app_id": "1400006666"},
    "twilio": {"messaging_service": "MG0123456789abcdef0123456789abcdef"},
}
#: Fields without which a provider does not work, beyond those of CONFIG.
FIELDS = {"infobip": {"endpoint": "y3kq5n.api.infobip.com"}}


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


def build(cls, *answers, config=None):
    """Return an adapter with a fake network and counted nonces."""
    config = config or replace(CONFIG, **FIELDS.get(cls.code, {}))
    counter = itertools.count(1)
    http = FakeHttp(*answers) if answers else FakeHttp(AssertionError("no call"))
    if options := OPTIONS.get(cls.code):
        config = replace(config, options={**options, **config.options})
    return cls(config, http=http, clock=lambda: NOW, nonce=lambda: f"n{next(counter)}")


def message(key="1", address="+8613800138000", **values):
    values = {
        "body": "Hello",
        "template_code": "SMS_123456789",
        "params": {"name": "张三", "days": "3"},
    } | values
    return Outbound(str(key), address, **values)


def send_all(gateway, batch):
    """Send in batches the provider takes."""
    size = gateway.batch_size
    parts = [batch[start : start + size] for start in range(0, len(batch), size)]
    return [result for part in parts for result in gateway.send(part)]
