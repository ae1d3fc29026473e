"""Official SDK ↔ simulator ↔ adapter, for each provider.

The vendor's own SDK sends through the simulator, which proves that the simulator
behaves like the vendor; then the adapter sends the same through it. The matrix of both
is printed: ``scripts/test tests/system -k gateways``.

The SDKs live in an environment of their own (tests/sdk-requirements.txt). Its
interpreter is ``SDK_PYTHON``, else ``.local/venv-sdk/bin/python``. The program it runs
for a provider is ``sdk_<code>.py``: it reads account, call and arguments as JSON and
writes the answer, or ``{"error": code}``.

A new provider is a ``Subject`` in ``SUBJECTS`` and its program. What only one provider
has is at the end.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from odoo.addons.member_messaging.gateways import ADAPTERS
from odoo.addons.member_messaging.gateways.errors import SignatureError
from odoo.addons.member_messaging.gateways.types import (
    GatewayConfig,
    Outbound,
    Outcome,
    WebhookRequest,
)

from simulators import aliyun, infobip, tencent, twilio
from simulators.listener import SECRET, Listener
from simulators.server import Simulator

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("SDK_PYTHON") or ROOT / ".local/venv-sdk/bin/python")


@dataclass
class Exchange:
    """A call of the SDK, and the messages for which an adapter makes the same call."""

    call: str
    arguments: dict
    messages: list[Outbound]


@dataclass
class Subject:
    """A provider.

    ``asks`` are calls of the SDK after it has sent the first of ``sends``, with what
    the answer contains. ``secret`` is the value of the account that proves the caller,
    ``refusal`` what the SDK says if it is not right.
    """

    simulator: type[Simulator]
    secret: str
    refusal: str
    sends: list[Exchange]
    asks: list[tuple[str, dict, str]] = field(default_factory=list)


PHONES = ["+8613800138000", "+8613900139000"]
NAMES = ["张三", "李四 *~/+&="]
#: Stands for the day in China, as ``yyyyMMdd``.
TODAY = "{today}"


def write(names, template="", get_params=lambda name: None, get_body=lambda name: ""):
    """Return a message for each of the phones, with these names in it."""
    return [
        Outbound(phone, phone, get_body(name), template, get_params(name))
        for phone, name in zip(PHONES, names, strict=True)
    ]


def name_aliyun(name):
    return {"name": name, "days": "3"}


def name_tencent(name):
    return {"1": name, "2": "3"}


def greet(name):
    return f"你好 {name} 😀"


SUBJECTS = {
    "aliyun": Subject(
        aliyun.AliyunSimulator,
        secret="api_secret",
        refusal="SignatureDoesNotMatch",
        sends=[
            Exchange(
                "SendBatchSms",
                {
                    "TemplateCode": aliyun.TEMPLATE,
                    "OutId": "camp-42",
                    "PhoneNumberJson": '["13800138000","13900139000"]',
                    "SignNameJson": '["云会员","云会员"]',
                    "TemplateParamJson": json.dumps(list(map(name_aliyun, NAMES))),
                },
                write(NAMES, aliyun.TEMPLATE, name_aliyun),
            ),
            Exchange(
                "SendSms",
                {
                    "TemplateCode": aliyun.TEMPLATE,
                    "OutId": "camp-43",
                    "PhoneNumbers": "13800138000,+8613900139000",
                    "SignName": "云会员",
                    "TemplateParam": '{"name":"李四 *~/+&=","days":"3"}',
                },
                write([NAMES[1]] * 2, aliyun.TEMPLATE, name_aliyun),
            ),
        ],
        asks=[
            (
                "QuerySendDetails",
                {
                    "PhoneNumber": "13800138000",
                    "SendDate": TODAY,
                    "PageSize": 10,
                    "CurrentPage": 1,
                },
                '"SendStatus": 3',
            ),
            ("QuerySmsTemplateList", {"PageIndex": 1, "PageSize": 1}, aliyun.TEMPLATE),
        ],
    ),
    "infobip": Subject(
        infobip.InfobipSimulator,
        secret="api_key",
        refusal="401",
        sends=[
            Exchange(
                "send",
                {
                    "messages": [
                        {
                            "sender": infobip.SENDER,
                            "destinations": [{"to": phone[1:], "messageId": phone}],
                            "content": {"text": greet(name)},
                        }
                        for phone, name in zip(PHONES, NAMES, strict=True)
                    ]
                },
                write(NAMES, get_body=greet),
            )
        ],
        asks=[
            (
                "logs",
                {"message_id": PHONES, "limit": 10},
                "DELIVERED_TO_HANDSET",
            )
        ],
    ),
    "tencent": Subject(
        tencent.TencentSimulator,
        secret="api_secret",
        refusal="AuthFailure.SignatureFailure",
        sends=[
            Exchange(
                "SendSms",
                {
                    "PhoneNumberSet": PHONES,
                    "SmsSdkAppId": tencent.APP_ID,
                    "TemplateId": tencent.TEMPLATE,
                    "SignName": "云会员",
                    "TemplateParamSet": [NAMES[1], "3"],
                    "SessionContext": "camp-42",
                },
                write([NAMES[1]] * 2, tencent.TEMPLATE, name_tencent),
            )
        ],
        asks=[
            (
                "PullSmsSendStatusByPhoneNumber",
                {
                    "BeginTime": 0,
                    "EndTime": 4102444800,
                    "Offset": 0,
                    "Limit": 10,
                    "PhoneNumber": PHONES[0],
                    "SmsSdkAppId": tencent.APP_ID,
                },
                '"SessionContext": "camp-42"',
            ),
            (
                "PullSmsSendStatus",
                {"Limit": 10, "SmsSdkAppId": tencent.APP_ID},
                '"Description": "DELIVRD"',
            ),
            (
                "SendStatusStatistics",
                {
                    "BeginTime": "2026011516",
                    "EndTime": "2026011516",
                    "SmsSdkAppId": tencent.APP_ID,
                    "Limit": 0,
                    "Offset": 0,
                },
                '"RequestCount": 2',
            ),
        ],
    ),
    "twilio": Subject(
        twilio.TwilioSimulator,
        secret="api_secret",
        refusal="20003",
        sends=[
            Exchange(
                "create",
                {
                    "to": message.address,
                    "body": message.body,
                    "messaging_service_sid": twilio.SERVICE,
                },
                [message],
            )
            for message in write(NAMES, get_body=greet)
        ],
        asks=[
            ("list", {"to": PHONES[0]}, '"status": "delivered"'),
            ("account", {}, '"status": "active"'),
        ],
    ),
}

COLUMNS = (
    "SDK sends",
    "SDK asks",
    "SDK, 1 byte off",
    "adapter sends",
    "adapter, 1 byte off",
)
matrix: dict[tuple[str, str], bool] = {}


@contextlib.contextmanager
def cell(code, column):
    """Note whether what follows works."""
    matrix[code, column] = False
    yield
    matrix[code, column] = True


@pytest.fixture(scope="module", autouse=True)
def print_matrix(request):
    yield
    words = {True: "yes", False: "NO", None: "-"}
    rows = [("", *COLUMNS)]
    rows += [
        (code, *(words[matrix.get((code, column))] for column in COLUMNS))
        for code in SUBJECTS
    ]
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print()
        for name, *cells in rows:
            print(f"{name:10}" + "".join(f"{word:20}" for word in cells))


@pytest.fixture(params=SUBJECTS)
def code(request):
    return request.param


@pytest.fixture
def subject(code):
    return SUBJECTS[code]


@pytest.fixture
def simulator(subject):
    with subject.simulator() as simulator:
        yield simulator


def call_sdk(code, simulator, call, arguments, **account):
    """Let the SDK make one call; return the decoded answer."""
    assert PYTHON.exists(), f"no SDK environment at {PYTHON}, see scripts/test"
    order = {
        **simulator.account,
        **account,
        "endpoint": simulator.endpoint,
        "call": call,
        "arguments": arguments,
    }
    program = Path(__file__).with_name(f"sdk_{code}.py")
    done = subprocess.run(
        [PYTHON, "-W", "ignore", program],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def change_byte(text):
    return text[:-1] + ("5" if text[-1] != "5" else "6")


def build_adapter(code, simulator, **account):
    account = {**simulator.account, **account}
    return ADAPTERS[code](GatewayConfig(endpoint=simulator.url, **account))


def read_messages(simulator):
    """Return who read what."""
    return sorted((message.phone, message.content) for message in simulator.messages)


def send_by_sdk(code, simulator, exchange, **account):
    return call_sdk(code, simulator, exchange.call, exchange.arguments, **account)


def test_sdk_sends(code, subject, simulator):
    with cell(code, "SDK sends"):
        for exchange in subject.sends:
            simulator.reset()
            answer = send_by_sdk(code, simulator, exchange)
            assert "error" not in answer
            assert set(simulator.accepted.values()) == {1}
            assert len(simulator.accepted) == len(exchange.messages)


def test_sdk_asks(code, subject, simulator):
    with cell(code, "SDK asks"):
        send_by_sdk(code, simulator, subject.sends[0])
        simulator.settle()
        today = simulator.state()["messages"][0]["sent"][:10].replace("-", "")
        for call, arguments, expected in subject.asks:
            arguments = {
                name: today if value == TODAY else value
                for name, value in arguments.items()
            }
            answer = call_sdk(code, simulator, call, arguments)
            assert expected in json.dumps(answer)


def test_sdk_with_one_changed_byte(code, subject, simulator):
    with cell(code, "SDK, 1 byte off"):
        changed = {subject.secret: change_byte(simulator.account[subject.secret])}
        for exchange in subject.sends:
            answer = send_by_sdk(code, simulator, exchange, **changed)
            assert answer == {"error": subject.refusal}
        assert not simulator.accepted


def test_adapter_sends_the_same(code, subject, simulator):
    with cell(code, "adapter sends"):
        adapter = build_adapter(code, simulator)
        for exchange in subject.sends:
            simulator.reset()
            send_by_sdk(code, simulator, exchange)
            by_sdk, calls = read_messages(simulator), dict(simulator.calls)
            simulator.reset()
            results = adapter.send(exchange.messages)
            assert {result.outcome for result in results} == {Outcome.OK}
            assert read_messages(simulator) == by_sdk
            assert simulator.calls == calls


def test_adapter_with_one_changed_byte(code, subject, simulator):
    with cell(code, "adapter, 1 byte off"):
        changed = {subject.secret: change_byte(simulator.account[subject.secret])}
        adapter = build_adapter(code, simulator, **changed)
        for exchange in subject.sends:
            results = adapter.send(exchange.messages)
            assert {result.outcome for result in results} == {Outcome.PAUSE}
        assert adapter.probe().outcome is Outcome.PAUSE
        assert not simulator.accepted


# Twilio --------------------------------------------------------------------------

#: Options of an account that sends with an API key.
TWILIO_KEY = {"key_sid": twilio.KEY_SID, "key_secret": twilio.KEY_SECRET}


@pytest.fixture
def twilio_simulator():
    with twilio.TwilioSimulator() as simulator:
        yield simulator


def create_by_twilio_sdk(simulator, values=None, **account):
    arguments = {"to": PHONES[0], "body": "Hello", "from_": twilio.SENDER}
    arguments = {
        name: value
        for name, value in (arguments | (values or {})).items()
        if value is not None
    }
    return call_sdk("twilio", simulator, "create", arguments, **account)


def test_twilio_failed_message(twilio_simulator):
    service = {"from_": None, "messaging_service_sid": twilio.SERVICE}
    created = create_by_twilio_sdk(twilio_simulator, service)
    assert (created["status"], created["body"]) == ("accepted", "Hello")
    twilio_simulator.receipt(PHONES[0], "30003")
    twilio_simulator.settle()
    arguments = {"sid": created["sid"]}
    fetched = call_sdk("twilio", twilio_simulator, "fetch", arguments)
    assert (fetched["status"], fetched["error_code"]) == ("undelivered", 30003)
    arguments = {"to": PHONES[0]}
    assert call_sdk("twilio", twilio_simulator, "list", arguments) == [fetched]


def test_twilio_api_key(twilio_simulator):
    created = create_by_twilio_sdk(twilio_simulator, options=TWILIO_KEY)
    assert created["status"] == "queued"


@pytest.mark.parametrize(
    "options",
    [
        {"key_sid": change_byte(twilio.ACCOUNT), "key_secret": twilio.TOKEN},
        {**TWILIO_KEY, "key_sid": change_byte(twilio.KEY_SID)},
        {**TWILIO_KEY, "key_secret": change_byte(twilio.KEY_SECRET)},
        {**TWILIO_KEY, "key_secret": twilio.TOKEN},
    ],
)
def test_twilio_wrong_api_key(twilio_simulator, options):
    answer = create_by_twilio_sdk(twilio_simulator, options=options)
    assert answer == {"error": "20003"}
    assert not twilio_simulator.accepted


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"from_": "+15005550001"}, "21606"),
        ({"to": "nobody"}, "21211"),
        ({"body": "a" * 1601}, "21617"),
        ({"from_": None, "messaging_service_sid": "MG1"}, "21701"),
    ],
)
def test_twilio_refusals(twilio_simulator, values, code):
    assert create_by_twilio_sdk(twilio_simulator, values) == {"error": code}


def test_twilio_signatures_of_callbacks(twilio_simulator):
    """Simulator, SDK and adapter agree on each signature, and on each forgery."""
    with Listener() as listener:
        gateway = build_adapter(
            "twilio",
            twilio_simulator,
            callback_secret=SECRET,
            callback_url=listener.url,
        )
        gateway.send([Outbound("1", PHONES[0], "Hello")])
        twilio_simulator.push_reports()
        twilio_simulator.push_replies(listener.url, [(PHONES[0], "退订 & +1=é")])
        twilio_simulator.push_json(listener.url, {"MessageSid": "SM3", "Body": "你好"})
    genuine = [WebhookRequest(**values) for values in listener.requests]
    forged = [
        dataclasses.replace(request, body=request.body.replace(b"S", b"T", 1))
        for request in genuine
    ]
    callbacks = [
        (request.url, request.body.decode(), request.header("X-Twilio-Signature"))
        for request in genuine + forged
    ]
    arguments = {"callbacks": callbacks}
    by_sdk = call_sdk("twilio", twilio_simulator, "validate", arguments)
    assert by_sdk == [True] * 4 + [False] * 4
    for request in genuine:
        gateway.verify(request)
    for request in forged:
        with pytest.raises(SignatureError):
            gateway.verify(request)
