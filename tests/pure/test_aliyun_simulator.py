"""What is special about Alibaba Cloud SMS over real HTTP, see test_simulators.py."""

import json

import pytest
from fakes import message
from providers import PROVIDERS, change_calls, outcomes

from gateways.types import Outcome
from simulators.aliyun import TEMPLATES, AliyunSimulator


@pytest.fixture
def simulator():
    with AliyunSimulator() as simulator:
        yield simulator


adapter = PROVIDERS["aliyun"].build
batch = PROVIDERS["aliyun"].batch


def test_thousand_messages(simulator):
    gateway = adapter(simulator)
    assert outcomes(gateway.send(batch(1000))) == {Outcome.OK: 1000}
    assert simulator.calls == {"SendBatchSms": 10}
    got = simulator.messages[7]
    assert got.params == {"name": "会员7 *~/+&=", "days": "7"}
    assert got.content.startswith("【云会员】尊敬的会员7 *~/+&=,")


def test_thousand_times_the_same_words(simulator):
    messages = [message(n, f"+86138{n:08d}") for n in range(1000)]
    results = adapter(simulator).send(messages)
    assert outcomes(results) == {Outcome.OK: 1000}
    assert simulator.calls == {"SendSms": 1}
    assert set(simulator.accepted.values()) == {1} and len(simulator.accepted) == 1000
    assert {m.content for m in simulator.messages} == {
        "【云会员】尊敬的张三,您的会员将于3天后到期。"
    }


def test_variables_of_one_fail_nobody_else(simulator):
    messages = batch(8)
    messages[3] = message("3", "+8613800138003", params={"name": "x"})
    results = adapter(simulator).send(messages)
    assert outcomes(results) == {Outcome.OK: 7, Outcome.BUG: 1}
    assert results[3].provider_code == "isv.TEMPLATE_MISSING_PARAMETERS"
    assert set(simulator.accepted.values()) == {1}


@pytest.mark.parametrize("part", ["query", "body", "header"])
def test_everything_is_signed(simulator, part):
    gateway = adapter(simulator)

    def change(method, url, headers, data):
        if part == "query":
            url = url.replace("TemplateCode=SMS_1", "TemplateCode=SMS_2")
        elif part == "body":
            data = data.replace(b"138", b"139")
        else:
            headers["x-acs-date"] = "2020-01-01T00:00:00Z"
        return method, url, headers, data

    change_calls(gateway, change)
    assert outcomes(gateway.send(batch(2))) == {Outcome.PAUSE: 2}
    assert not simulator.accepted


def test_wrong_credentials(simulator):
    (result,) = adapter(simulator, api_secret="wrong").send(batch(1))
    assert result.provider_code == "SignatureDoesNotMatch"
    (result,) = adapter(simulator, api_key="wrong").send(batch(1))
    assert result.provider_code == "InvalidAccessKeyId.NotFound"


def test_nonce_used_twice(simulator):
    gateway = adapter(simulator)
    gateway.nonce = lambda: "same"
    assert outcomes(gateway.send(batch(1))) == {Outcome.OK: 1}
    (result,) = gateway.send(batch(1))
    assert result.provider_code == "SignatureNonceUsed"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"template_code": "SMS_2"}, "isv.SMS_TEMPLATE_ILLEGAL"),
        ({"params": {"name": "x"}}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"params": {"name": "x", "days": ""}}, "isv.PARAM_LENGTH_LIMIT"),
        ({"params": {"name": "x", "days": "9" * 36}}, "isv.PARAM_LENGTH_LIMIT"),
    ],
)
def test_arguments_are_checked(simulator, values, code):
    (result,) = adapter(simulator).send([message(**values)])
    assert result.provider_code == code


def test_signature_name_is_checked(simulator):
    (result,) = adapter(simulator, signature="Other").send(batch(1))
    assert result.provider_code == "isv.SMS_SIGNATURE_ILLEGAL"


def test_simulator_checks_shape(simulator):
    gateway = adapter(simulator)

    def code(**form):
        query = {"TemplateCode": "SMS_123456789", "OutId": "x"}
        form = {name: json.dumps(value) for name, value in form.items()}
        return json.loads(gateway._call("SendBatchSms", query, form).body)["Code"]

    one = {"name": "x", "days": "1"}

    def columns(n):
        return {"SignNameJson": ["云会员"] * n, "TemplateParamJson": [one] * n}

    good = ["13800138000"]
    assert code(PhoneNumberJson=good, **columns(1)) == "OK"
    assert code(PhoneNumberJson=good, **columns(2)) == "isv.INVALID_PARAMETERS"
    assert code(PhoneNumberJson="x", **columns(1)) == "isv.INVALID_JSON_PARAM"
    assert code(PhoneNumberJson=["12"], **columns(1)) == "isv.MOBILE_NUMBER_ILLEGAL"
    many = code(PhoneNumberJson=good * 101, **columns(101))
    assert many == "isv.MOBILE_COUNT_OVER_LIMIT"
    one["days"] = 1
    assert code(PhoneNumberJson=good, **columns(1)) == "isv.INVALID_JSON_PARAM"
    assert simulator.accepted == {"13800138000": 1}


def test_bad_numbers_are_isolated(simulator):
    simulator.fail_phone("13800000007", "isv.MOBILE_NUMBER_ILLEGAL")
    simulator.fail_phone("13800000093", "isv.BUSINESS_LIMIT_CONTROL", "触发小时级流控")
    results = adapter(simulator).send(batch(100))
    assert outcomes(results) == {
        Outcome.OK: 98,
        Outcome.BADNUM: 1,
        Outcome.POSTPONE: 1,
    }
    assert results[7].outcome is Outcome.BADNUM
    assert (results[93].outcome, results[93].retry_after) == (Outcome.POSTPONE, 3600)
    assert len(simulator.accepted) == 98 and set(simulator.accepted.values()) == {1}


def test_error_on_demand(simulator):
    simulator.fail_next(1, "isv.OUT_OF_SERVICE")
    assert outcomes(adapter(simulator).send(batch(3))) == {Outcome.PAUSE: 3}


def test_default_template_is_that_of_the_vectors():
    assert TEMPLATES.keys() == {"SMS_123456789"}
