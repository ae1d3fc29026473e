"""What holds for every provider.

A new adapter is done when it has a case here and passes.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import pytest
from fakes import CONFIG, FIELDS, NOW, build, message, reply, send_all

from gateways import ADAPTERS
from gateways.base import Gateway
from gateways.errors import (
    ConfigError,
    MaybeSent,
    NotSent,
    PayloadError,
    SignatureError,
    UnsupportedFeature,
)
from gateways.types import (
    Capability,
    DeliveryReport,
    InboundMessage,
    Outcome,
    PendingMessage,
    WebhookRequest,
)
from simulators import twilio


@dataclass
class Case:
    """What a provider's server answers; empty for one that needs no network."""

    accepted: object = None
    rejected: object = None
    throttled: object = None
    #: Answer to the question about the account, if there is one.
    probed: object = None
    #: A callback that tells a failure with a code.
    failed: bytes = b""
    #: Genuine callback bodies, number of events in each.
    callbacks: dict = field(default_factory=dict)
    #: Callback body → what else a genuine request has, e.g. the headers of a signature.
    sign: object = lambda body: {}


#: Address under which the providers know us.
URL = "https://erp.example.com/callback/7/a-long-random-secret"


def sign_twilio(body):
    form = dict(parse_qsl(body.decode()))
    signature = twilio.sign(CONFIG.api_secret, URL, form)
    return {"url": URL, "headers": {"X-Twilio-Signature": signature}}


def infobip_answer(name, group):
    """Answer each message of a call alike."""

    def answer(_url, data):
        status = {"groupId": group, "name": name}
        ids = [
            message["destinations"][0]["messageId"]
            for message in json.loads(data)["messages"]
        ]
        return reply({"messages": [{"messageId": n, "status": status} for n in ids]})

    return answer


def tencent_answer(code):
    """Answer each number of a call alike."""

    def answer(_url, data):
        statuses = [
            {"PhoneNumber": number, "SerialNo": f"7:{number}", "Code": code, "Fee": 1}
            for number in json.loads(data)["PhoneNumberSet"]
        ]
        return reply({"Response": {"SendStatusSet": statuses, "RequestId": "R"}})

    return answer


CASES = {
    "aliyun": Case(
        accepted=reply({"Code": "OK", "Message": "OK", "BizId": "9^0"}),
        rejected=reply({"Code": "isv.MOBILE_NUMBER_ILLEGAL", "Message": "bad"}),
        throttled=reply({"Code": "Throttling.User"}, 429, x_acs_retry_after="1500"),
        probed=reply({"Code": "OK", "SmsTemplateList": []}),
        failed=b'[{"phone_number":"13800138000","success":false,"err_code":"MA:0001",'
        b'"biz_id":"9^0"}]',
        callbacks={
            b'[{"phone_number":"13800138000","success":true,"err_code":"DELIVERED",'
            b'"biz_id":"9^0","report_time":"2026-01-15 16:00:05"}]': 1,
            b'[{"phone_number":"13800138000","content":"TD","sequence_id":7}]': 1,
            b"[]": 0,
        },
    ),
    "generic": Case(
        accepted=reply({"code": 0, "data": [{"id": 77}]}),
        rejected=reply({"code": 1, "msg": "bad"}),
        throttled=reply({"code": 8}, 429, retry_after="2"),
        failed=b'{"reports": [{"mobile": "13800138000", "id": 7, "status": "UNDELIV",'
        b'"err": "E99"}]}',
        callbacks={
            b'{"reports": [{"mobile": "13800138000", "id": 7, "status": true}]}': 1,
            b'{"reports": [{"mobile": "13800138000", "id": 7, "status": "way"}]}': 0,
            b'{"replies": [{"from": "8613800138000", "text": "TD"}]}': 1,
        },
    ),
    "twilio": Case(
        accepted=reply({"sid": "SM1", "status": "queued", "num_segments": "1"}, 201),
        rejected=reply({"code": 21211, "message": "bad", "status": 400}, 400),
        throttled=reply({"code": 20429, "status": 429}, 429, retry_after="2"),
        probed=reply({"status": "active"}),
        failed=b"MessageSid=SM1&MessageStatus=failed&To=%2B13105551234&ErrorCode=39999",
        callbacks={
            b"MessageSid=SM1&MessageStatus=delivered&To=%2B13105551234": 1,
            b"MessageSid=SM1&MessageStatus=sending&To=%2B13105551234": 0,
            b"MessageSid=SM2&SmsStatus=received&From=%2B13105551234&Body=STOP": 1,
        },
        sign=sign_twilio,
    ),
    "infobip": Case(
        accepted=infobip_answer("PENDING_ACCEPTED", 1),
        rejected=infobip_answer("REJECTED_DESTINATION", 5),
        throttled=reply({"errorCode": "E429"}, 429, retry_after="2"),
        probed=reply({"balance": 47.79, "currency": "EUR"}),
        failed=b'{"results":[{"messageId":"n1","to":"8613800138000","status":'
        b'{"groupId":2,"name":"UNDELIVERABLE_NOT_DELIVERED"},"error":{"groupId":2,'
        b'"name":"EC_SOMETHING_NEW"}}]}',
        callbacks={
            b'{"results":[{"messageId":"n1","to":"8613800138000","status":'
            b'{"groupId":3,"id":5,"name":"DELIVERED_TO_HANDSET"},"error":{"groupId":0,'
            b'"name":"NO_ERROR"},"doneAt":"2026-01-15T08:00:05.000+0000"}]}': 1,
            b'{"results":[{"messageId":"i1","from":"8613800138000","to":"447860099299",'
            b'"text":"STOP","receivedAt":"2026-01-15T08:00:05.000+0000"}],'
            b'"messageCount":1,"pendingMessageCount":0}': 1,
            b'{"results":[]}': 0,
        },
    ),
    "sandbox": Case(),
    "tencent": Case(
        accepted=tencent_answer("Ok"),
        rejected=tencent_answer("InvalidParameterValue.IncorrectPhoneNumber"),
        throttled=reply(
            {"Response": {"Error": {"Code": "RequestLimitExceeded"}}}, retry_after="2"
        ),
        probed=reply({"Response": {"SendStatusStatistics": {"RequestCount": 0}}}),
        failed=b'[{"nationcode":"86","mobile":"13800138000","report_status":"FAIL",'
        b'"errmsg":"MA:0001","sid":"7"}]',
        callbacks={
            b'[{"user_receive_time":"2026-01-15 16:00:05","nationcode":"86",'
            b'"mobile":"13800138000","report_status":"SUCCESS","errmsg":"DELIVRD",'
            b'"sid":"7"}]': 1,
            b'{"extend":"01","mobile":"13800138000","nationcode":"86","text":"R",'
            b'"time":1768464005}': 1,
            b"[]": 0,
        },
    ),
}
BATCH = [message(n, f"+86138001380{n:02d}") for n in range(1, 6)]

codes = pytest.mark.parametrize("code", ADAPTERS)
networked = pytest.mark.parametrize(
    "code", [code for code, case in CASES.items() if case.accepted]
)


def outcomes(code, *answers, batch=BATCH):
    results = send_all(build(ADAPTERS[code], *answers), batch)
    assert [result.key for result in results] == [m.key for m in batch]
    return {result.outcome for result in results}


def test_every_adapter_has_a_case():
    assert set(CASES) == set(ADAPTERS)


@codes
def test_attributes(code):
    cls = ADAPTERS[code]
    assert issubclass(cls, Gateway) and cls.code == code
    assert cls.name and cls.channel and cls.batch_size >= 1 and cls.default_rate >= 0
    registered = Capability.REGISTERED_TEMPLATES in cls.capabilities
    assert cls.requires_registered_template is registered
    names = {field.name for field in dataclasses.fields(CONFIG)}
    assert set(cls.required_fields) <= names
    assert set(cls.required_options) <= set(cls.option_names)


@codes
def test_check_config(code):
    cls = ADAPTERS[code]
    assert build(cls).check_config() == []
    empty = dataclasses.replace(
        CONFIG,
        api_key="",
        api_secret="",
        endpoint="",
        signature="",
        callback_secret="",
    )
    assert build(cls, config=empty).check_config() == list(cls.required_fields)


@codes
def test_batch_limits(code):
    gateway = build(ADAPTERS[code])
    assert gateway.send([]) == []
    many = [message(n) for n in range(gateway.batch_size + 1)]
    with pytest.raises(ValueError):
        gateway.send(many)
    with pytest.raises(ValueError):
        gateway.send([message(1), message(1)])
    assert gateway.http.calls == []


@codes
def test_accepted(code):
    gateway = build(ADAPTERS[code], CASES[code].accepted or AssertionError("no call"))
    results = send_all(gateway, BATCH)
    assert [result.key for result in results] == [m.key for m in BATCH]
    assert {result.outcome for result in results} == {Outcome.OK}
    assert all(result.provider_ref for result in results)


@networked
def test_rejected(code):
    result = outcomes(code, CASES[code].rejected)
    assert result == {Outcome.BADNUM}


@networked
def test_nothing_left(code):
    assert outcomes(code, NotSent("refused")) == {Outcome.RETRY}


@networked
def test_answer_lost(code):
    result = outcomes(code, MaybeSent("timeout"), batch=BATCH[:1])
    assert result == {Outcome.AMBIGUOUS}


@networked
def test_settings_cannot_work(code):
    assert outcomes(code, ConfigError("bad URL")) == {Outcome.PAUSE}


@networked
def test_throttled(code):
    gateway = build(ADAPTERS[code], CASES[code].throttled)
    (result,) = gateway.send(BATCH[:1])
    assert (result.outcome, result.retry_after) == (Outcome.RETRY, 2)


@networked
@pytest.mark.parametrize(
    "answer", [reply(b"<html>", 500), reply(b"", 502), reply(b"{", 200), reply(b"1")]
)
def test_unreadable_answer_is_never_not_sent(code, answer):
    assert outcomes(code, answer, batch=BATCH[:1]) == {Outcome.AMBIGUOUS}


@networked
def test_429_without_body(code):
    (result,) = build(ADAPTERS[code], reply(b"", 429, retry_after="7")).send(BATCH[:1])
    assert (result.outcome, result.retry_after) == (Outcome.RETRY, 7)


def build_with(code, *answers, **options):
    config = dataclasses.replace(CONFIG, **FIELDS.get(code, {}), options=options)
    return build(ADAPTERS[code], *answers, config=config)


@networked
@pytest.mark.parametrize("prefix", ["", "*"])
def test_own_outcomes(code, prefix):
    """What an administrator enters under Provider Codes counts for every provider."""
    case = CASES[code]
    (result,) = build(ADAPTERS[code], case.rejected).send(BATCH[:1])
    own = {f"{result.provider_code}{prefix}": "optout"}
    # a prefix comes behind the code itself, which the adapter knows
    expected = Outcome.BADNUM if prefix else Outcome.OPTOUT
    gateway = build_with(code, case.rejected, send_outcomes=own)
    assert gateway.send(BATCH[:1])[0].outcome is expected
    request = WebhookRequest(body=case.failed)
    (event,) = build(ADAPTERS[code]).parse(request)
    assert (event.status, event.outcome) == ("failed", None)
    own = {f"{event.provider_code}{prefix}": "optout"}
    (event,) = build_with(code, report_outcomes=own).parse(request)
    assert event.outcome is Outcome.OPTOUT


def spoil(value):
    """Put into an answer what no database takes."""
    if isinstance(value, dict):
        kept = ("PhoneNumber", "messageId")
        return {k: v if k in kept else spoil(v) for k, v in value.items()}
    if isinstance(value, list):
        return [spoil(entry) for entry in value]
    return f"{value}\0\ud83d" if isinstance(value, str) else 10**30


@networked
@pytest.mark.parametrize("name", ["accepted", "rejected", "throttled", "probed"])
def test_answers_that_cannot_be_stored(code, name):
    answer = getattr(CASES[code], name)

    def spoilt(url, data):
        good = answer(url, data) if callable(answer) else answer
        headers = {"retry-after": "9" * 30, "x-acs-retry-after": "9" * 30}
        body = json.dumps(spoil(json.loads(good.body)))
        return dataclasses.replace(good, body=body.encode(), headers=headers)

    gateway = build(ADAPTERS[code], spoilt)
    if name == "probed":
        results = [gateway.probe()] if answer else []
    else:
        results = gateway.send(BATCH[:1])
    assert "local.adapter_error" not in {result.provider_code for result in results}
    for result in results:
        for text in (
            result.provider_ref,
            result.provider_code,
            result.provider_message,
        ):
            assert text is None or ("\0" not in text and text.encode())
        assert result.parts is None or 0 < result.parts <= 255
        assert result.retry_after is None or 0 <= result.retry_after <= 24 * 3600


@networked
@pytest.mark.parametrize(
    "answer",
    [
        [3],
        {"messages": [3, None], "results": [3]},
        {"Code": "OK", "TotalCount": 10**9, "SmsSendDetailDTOs": [3]},
        {
            "Code": "OK",
            "TotalCount": 10**9,
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": 3},
        },
        {
            "Code": "OK",
            "TotalCount": 10**9,
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": [3, {"OutId": 7}]},
        },
        {"Response": {"PullSmsSendStatusSet": [3, {"SerialNo": 7}]}},
        {"Response": [3]},
        {"sid": [3], "status": {"a": 1}},
    ],
)
def test_answers_to_questions_that_make_no_sense(code, answer):
    gateway = build(ADAPTERS[code], reply(answer))
    if Capability.QUERY not in gateway.capabilities:
        return
    for reference in ("SM1", None):
        pending = PendingMessage("1", "+8613800138000", reference, NOW)
        assert gateway.query([pending], NOW) == []
    assert len(gateway.http.calls) < 100, "not page after page"


@codes
def test_fault_in_adapter_is_never_not_sent(code):
    gateway = build(ADAPTERS[code])
    gateway._send = lambda batch: iter([None])
    results = send_all(gateway, BATCH)
    assert {result.outcome for result in results} == {Outcome.AMBIGUOUS}
    assert [result.key for result in results] == [m.key for m in BATCH]


@codes
@pytest.mark.parametrize("secret", ["", "a-long-random-secret ", "wrong", "密"])
def test_forged_callback(code, secret):
    with pytest.raises(SignatureError):
        build(ADAPTERS[code]).verify(WebhookRequest(path_secret=secret))


@codes
def test_empty_secret_refuses_everybody(code):
    config = dataclasses.replace(CONFIG, callback_secret="")
    for secret in ("", "a-long-random-secret"):
        with pytest.raises(SignatureError):
            build(ADAPTERS[code], config=config).verify(
                WebhookRequest(path_secret=secret)
            )


@codes
def test_genuine_callback(code):
    gateway = build(ADAPTERS[code])
    for body, count in CASES[code].callbacks.items():
        request = WebhookRequest(
            path_secret=CONFIG.callback_secret, body=body, **CASES[code].sign(body)
        )
        gateway.verify(request)
        events = gateway.parse(request)
        assert len(events) == count
        # Told again, it is the same fact.
        assert gateway.parse(request) == events
        for event in events:
            assert isinstance(event, DeliveryReport | InboundMessage)
            assert event.event_ref and event.address.startswith("+")


@codes
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b'"text"', b"[3]"])
def test_broken_callback(code, body):
    cls = ADAPTERS[code]
    webhook = Capability.WEBHOOK in cls.capabilities
    with pytest.raises(PayloadError if webhook else UnsupportedFeature):
        build(cls).parse(WebhookRequest(body=body))


@codes
def test_acknowledgement(code):
    status, headers, body = build(ADAPTERS[code]).acknowledge()
    assert 200 <= status < 300
    assert isinstance(body, bytes) and headers["Content-Type"]


@codes
def test_probe(code):
    case = CASES[code]
    if not case.accepted:
        assert build(ADAPTERS[code]).probe().outcome is Outcome.OK
        return
    if not case.probed:
        with pytest.raises(UnsupportedFeature):
            build(ADAPTERS[code]).probe()
        return
    for answer, outcome in (
        (case.probed, Outcome.OK),
        (case.throttled, Outcome.RETRY),
        (reply(b"<html>", 403), Outcome.PAUSE),
        (NotSent("no connection"), Outcome.RETRY),
        (ConfigError("bad URL"), Outcome.PAUSE),
    ):
        gateway = build(ADAPTERS[code], answer)
        result = gateway.probe()
        assert (result.key, result.outcome) == ("", outcome)
        assert len(gateway.http.calls) == 1


@codes
def test_query(code):
    gateway = build(ADAPTERS[code])
    if Capability.QUERY in gateway.capabilities:
        assert gateway.query([], NOW) == []
    else:
        with pytest.raises(UnsupportedFeature):
            gateway.query([PendingMessage("1", "+8613800138000", None, NOW)], NOW)


@codes
def test_secrets_are_not_shown(code):
    text = repr(build(ADAPTERS[code]).config)
    assert CONFIG.api_secret not in text and CONFIG.callback_secret not in text
