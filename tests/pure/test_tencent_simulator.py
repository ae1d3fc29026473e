"""What is special about Tencent Cloud SMS over real HTTP, see test_simulators.py."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from fakes import message
from providers import PROVIDERS, change_calls, outcomes, pending

from gateways.types import Outcome
from simulators.tencent import TEMPLATE, TencentSimulator

adapter = PROVIDERS["tencent"].build
batch = PROVIDERS["tencent"].batch


@pytest.fixture
def simulator():
    with TencentSimulator() as simulator:
        yield simulator


def text(key="1", address="+8613800138000", **values):
    values = {"template_code": TEMPLATE, "params": {"1": "张三", "2": "3"}} | values
    return message(key, address, **values)


def test_the_same_words_for_200_numbers(simulator):
    results = adapter(simulator).send(
        [text(n, f"+86138{n:08d}") for n in range(150)]
        + [text(f"own{n}", f"+86139{n:08d}", params=own(n)) for n in range(50)]
    )
    assert outcomes(results) == {Outcome.OK: 200}
    assert simulator.calls == {"SendSms": 51}
    assert len({result.provider_ref for result in results}) == 200
    assert simulator.messages[0].content == (
        "【云会员】尊敬的张三,您的会员将于3天后到期。"
    )


def own(n):
    return {"1": "李四", "2": f"{n}"}


@pytest.mark.parametrize("part", ["body", "host", "content-type", "X-TC-Timestamp"])
def test_everything_is_signed(simulator, part):
    def change(method, url, headers, data):
        if part == "body":
            data = data.replace(b"138", b"139")
        elif part == "X-TC-Timestamp":
            headers[part] = str(int(headers[part]) + 1)
        else:
            headers[part] += "x"
        return method, url, headers, data

    gateway = adapter(simulator)
    change_calls(gateway, change)
    (result,) = gateway.send([text()])
    assert (result.outcome, result.provider_code) == (
        Outcome.PAUSE,
        "AuthFailure.SignatureFailure",
    )
    assert not simulator.accepted


def test_wrong_credentials_and_clock(simulator):
    (result,) = adapter(simulator, api_key="wrong").send([text()])
    assert result.provider_code == "AuthFailure.SecretIdNotFound"
    gateway = adapter(simulator)
    gateway.clock = lambda: datetime.now(timezone.utc) - timedelta(minutes=6)
    (result,) = gateway.send([text()])
    assert (result.outcome, result.provider_code) == (
        Outcome.PAUSE,
        "AuthFailure.SignatureExpire",
    )


@pytest.mark.parametrize(
    ("values", "outcome", "code"),
    [
        (
            {"template_code": "2"},
            Outcome.TEMPLATE,
            "FailedOperation.TemplateIncorrectOrUnapproved",
        ),
        (
            {"params": {"1": "张三"}},
            Outcome.TEMPLATE,
            "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
        ),
        (
            {"params": {"1": "https://x", "2": "3"}},
            Outcome.CONTENT,
            "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter",
        ),
        (
            {"params": {"1": "张" * 13, "2": "3"}},
            Outcome.CONTENT,
            "InvalidParameterValue.TemplateParameterLengthLimit",
        ),
    ],
)
def test_arguments_are_checked(simulator, values, outcome, code):
    (result,) = adapter(simulator).send([text(**values)])
    assert (result.outcome, result.provider_code) == (outcome, code)


def test_account_is_checked(simulator):
    (result,) = adapter(simulator, signature="Other").send([text()])
    code = "FailedOperation.SignatureIncorrectOrUnapproved"
    assert (result.outcome, result.provider_code) == (Outcome.TEMPLATE, code)
    gateway = adapter(simulator, options={"app_id": "1400000000"})
    code = "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
    for result in (gateway.probe(), *gateway.send([text()])):
        assert (result.outcome, result.provider_code) == (Outcome.PAUSE, code)


def test_simulator_checks_shape(simulator):
    gateway = adapter(simulator)
    good = gateway._write_send([text()], "x")

    def code(action="SendSms", **values):
        answer = json.loads(gateway._call(action, good | values).body)["Response"]
        status = (answer.get("SendStatusSet") or [{}])[0]
        return answer.get("Error", status).get("Code")

    assert code() == "Ok"
    many = [f"+86138{n:08d}" for n in range(201)]
    assert code(PhoneNumberSet=many) == "LimitExceeded.PhoneNumberCountLimit"
    assert code(PhoneNumberSet=[]) == "MissingParameter.EmptyPhoneNumberSet"
    assert code(PhoneNumberSet=["+8613800138000", "+85251234567"]) == (
        "UnsupportedOperation.ContainDomesticAndInternationalPhoneNumber"
    )
    assert code(TemplateParamSet=["x", 3]) == "InvalidParameter"
    assert code("PullSmsSendStatus", Limit=101) == (
        "InvalidParameterValue.LimitVerifyFail"
    )
    assert code("Nothing") == "InvalidAction"
    assert simulator.accepted == {"+8613800138000": 1}


def test_lost_answers_without_session_context(simulator):
    """The feature is off unless the vendor's support has switched it on."""
    simulator.has_context = False
    simulator.drop_next(1)
    gateway = adapter(simulator)
    messages = [text()]
    results = gateway.send(messages)
    simulator.settle()
    later = datetime.now(timezone.utc) + timedelta(seconds=1)
    (report,) = gateway.query(pending(results, messages), later)
    assert (report.key, report.status) == ("1", "delivered")


def test_pull_instead_of_callbacks(simulator):
    gateway = adapter(simulator, options={"app_id": "1400006666", "pull": True})
    messages = batch(130)
    results = gateway.send(messages)
    simulator.settle()
    simulator.answer_members([("+8613800000007", "R")])
    asked = pending(results, messages)[:5]
    reply, *reports = gateway.query(asked, datetime.now(timezone.utc))
    assert (reply.address, reply.text) == ("+8613800000007", "R")
    assert {r.provider_ref for r in reports} == {r.provider_ref for r in results}
    assert simulator.calls["PullSmsSendStatus"] == 2
    assert gateway.query(asked, datetime.now(timezone.utc)) == [], "told only once"
    # What has got lost on the way is asked for later.
    late = datetime.now(timezone.utc) + timedelta(hours=2)
    assert [report.key for report in gateway.query(asked, late)] == list("01234")
