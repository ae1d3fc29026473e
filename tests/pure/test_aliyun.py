"""Alibaba Cloud SMS: signature vectors, codes, callbacks."""

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

import pytest
from fakes import CONFIG, NOW, build, message, reply

from gateways.aliyun import (
    AliyunGateway,
    canonical_query,
    percent_encode,
    sign_v1,
    sign_v3,
    to_aliyun,
)
from gateways.carriers import to_e164
from gateways.errors import MaybeSent, NotSent, PayloadError
from gateways.types import Outcome, PendingMessage, WebhookRequest

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
KEY, SECRET = "LTAIEXAMPLEKEYID", "exampleSecret123"
BATCH_FORM = {
    "TemplateParamJson": '[{"name":"张三","days":"3"},{"name":"李四*~","days":"7"}]',
    "PhoneNumberJson": '["13800138000","13900139000"]',
    "SignNameJson": '["云会员","云会员"]',
}
BATCH_QUERY = {"OutId": "camp-42", "TemplateCode": "SMS_123456789"}
BATCH_BODY = (
    "PhoneNumberJson=%5B%2213800138000%22%2C%2213900139000%22%5D&SignNameJson=%5B%22%E4%BA"
    "%91%E4%BC%9A%E5%91%98%22%2C%22%E4%BA%91%E4%BC%9A%E5%91%98%22%5D&TemplateParamJson=%5B"
    "%7B%22name%22%3A%22%E5%BC%A0%E4%B8%89%22%2C%22days%22%3A%223%22%7D%2C%7B%22name%22%3A"
    "%22%E6%9D%8E%E5%9B%9B%2A~%22%2C%22days%22%3A%227%22%7D%5D"
)
OK = {"Code": "OK", "Message": "OK", "BizId": "9^0", "RequestId": "R"}


def headers_v3(action, host="dysmsapi.aliyuncs.com", **more):
    return {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": "2017-05-25",
        "x-acs-date": "2026-01-15T08:00:00Z",
        "x-acs-signature-nonce": "5f0c0d7e9a6b4c1d8e2f3a4b5c6d7e8f",
    } | {name.replace("_", "-"): value for name, value in more.items()}


# Vectors -------------------------------------------------------------------------


def test_percent_encode():
    assert percent_encode("Az09-_.~ */+&=云") == "Az09-_.~%20%2A%2F%2B%26%3D%E4%BA%91"
    assert canonical_query({"b": "2 ", "a": "1", "B": ""}) == "B=&a=1&b=2%20"
    assert canonical_query({}) == ""


def test_v3_published():
    headers = headers_v3("RunInstances", host="ecs.cn-shanghai.aliyuncs.com") | {
        "x-acs-version": "2014-05-26",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
    }
    query = canonical_query(
        {
            "RegionId": "cn-shanghai",
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
        }
    )
    signed = sign_v3(
        "POST", query, headers, b"", "YourAccessKeyId", "YourAccessKeySecret"
    )
    names = (
        "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;"
        "x-acs-version"
    )
    signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert signed.payload_hash == EMPTY_SHA256
    assert signed.signature == signature
    assert signed.authorization == (
        f"ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders={names},"
        f"Signature={signature}"
    )


def test_v3_send_batch_sms():
    body = canonical_query(BATCH_FORM)
    assert body == BATCH_BODY
    headers = headers_v3(
        "SendBatchSms", content_type="application/x-www-form-urlencoded"
    )
    query = canonical_query(BATCH_QUERY)
    signed = sign_v3("POST", query, headers, body.encode(), KEY, SECRET)
    assert dataclasses.asdict(signed) | {
        "canonical_request": "",
        "authorization": "",
    } == {
        "payload_hash": (
            "046b619b50845e9e5d5d93423e609943f5c2cc01c94d7ace9d335228175e0ede"
        ),
        "canonical_request": "",
        "canonical_hash": (
            "da1294ae233f5169126e524297bbd06b37489c137d198325fd81a1b66a752d69"
        ),
        "signed_headers": (
            "content-type;host;x-acs-action;x-acs-content-sha256;x-acs-date;"
            "x-acs-signature-nonce;x-acs-version"
        ),
        "signature": "0c5331a0ca9e898e3452d81b803768da80baa281fb8041cda68ba1321e38d0a9",
        "authorization": "",
    }


def test_v3_send_sms():
    query = canonical_query(
        BATCH_QUERY
        | {
            "PhoneNumbers": "13800138000",
            "SignName": "云会员",
            "TemplateParam": '{"name":"张三","days":"3"}',
        }
    )
    signed = sign_v3("POST", query, headers_v3("SendSms"), b"", KEY, SECRET)
    assert signed.canonical_hash == (
        "a5d9ac9911f721ef5fa9e658d9118aa4d17b31a29b34ebbb434cba7c0867264e"
    )
    assert signed.signature == (
        "839c703b589ffd0fd8ad8bdc9257ec190aec2d818b5d9d2121e9a63e34232b65"
    )


V1 = {"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0"}


def test_v1_send_sms_published():
    params = V1 | {
        "AccessKeyId": "testId",
        "Action": "SendSms",
        "Format": "XML",
        "OutId": "123",
        "PhoneNumbers": "15300000001",
        "RegionId": "cn-hangzhou",
        "SignName": "阿里云短信测试专用",
        "SignatureNonce": "45e25e9b-0a6f-4070-8c85-2956eda1b466",
        "TemplateCode": "SMS_71390007",
        "TemplateParam": '{"customer":"test"}',
        "Timestamp": "2017-07-12T02:42:19Z",
        "Version": "2017-05-25",
    }
    assert sign_v1("GET", params, "testSecret") == "zJDF+Lrzhj/ThnlvIToysFRq6t4="


def test_v1_describe_regions_published():
    params = V1 | {
        "AccessKeyId": "testid",
        "Action": "DescribeRegions",
        "Format": "XML",
        "SignatureNonce": "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
        "Timestamp": "2016-02-23T12:46:24Z",
        "Version": "2014-05-26",
    }
    assert sign_v1("GET", params, "testsecret") == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="


def test_v1_send_batch_sms():
    common = V1 | {
        "AccessKeyId": KEY,
        "Action": "SendBatchSms",
        "Format": "json",
        "SignatureNonce": "5f0c0d7e9a6b4c1d8e2f3a4b5c6d7e8f",
        "Timestamp": "2026-01-15T08:00:00Z",
        "Version": "2017-05-25",
    }
    params = common | BATCH_QUERY
    with_form = sign_v1("POST", params | BATCH_FORM, SECRET)
    assert with_form == "b4Fnen5Gq/lHUaGB74xx9r2xEYI="
    # The trap: form parameters belong to the signature.
    assert sign_v1("POST", params, SECRET) == "DkB9MQTEAzXDnoZUIavEwllpSDg="


# Requests ------------------------------------------------------------------------


def decode(url, data):
    """Return query and form of a call, JSON columns decoded."""
    form = {name: json.loads(value) for name, value in parse_qsl(data.decode())}
    return dict(parse_qsl(urlsplit(url).query)), form


def sent(gateway):
    return [decode(url, data) for _method, url, _headers, data in gateway.http.calls]


def numbers(query, form):
    """Return the recipients of a call, whichever way they are written."""
    return form.get("PhoneNumberJson") or query["PhoneNumbers"].split(",")


def test_request_equals_vector():
    """The adapter as a whole produces the bytes of the vector."""
    nonces = iter(["camp-42", "5f0c0d7e9a6b4c1d8e2f3a4b5c6d7e8f"])
    gateway = build(AliyunGateway, reply(OK))
    gateway.nonce = lambda: next(nonces)
    results = gateway.send(
        [
            message("a", "+8613800138000", params={"name": "张三", "days": "3"}),
            message("b", "+8613900139000", params={"name": "李四*~", "days": "7"}),
        ]
    )
    ((method, url, headers, body),) = gateway.http.calls
    assert method == "POST"
    assert url == (
        "https://dysmsapi.aliyuncs.com/?OutId=camp-42&TemplateCode=SMS_123456789"
    )
    assert body.decode() == BATCH_BODY
    assert headers["Authorization"].endswith(
        "Signature=0c5331a0ca9e898e3452d81b803768da80baa281fb8041cda68ba1321e38d0a9"
    )
    assert [(r.key, r.outcome, r.provider_ref) for r in results] == [
        ("a", Outcome.OK, "9^0"),
        ("b", Outcome.OK, "9^0"),
    ]


def test_request_with_one_text_equals_vector():
    nonces = iter(["camp-42", "5f0c0d7e9a6b4c1d8e2f3a4b5c6d7e8f"])
    gateway = build(AliyunGateway, reply(OK))
    gateway.nonce = lambda: next(nonces)
    (result,) = gateway.send([message()])
    ((_method, _url, headers, body),) = gateway.http.calls
    assert (headers["x-acs-action"], body) == ("SendSms", b"")
    assert headers["Authorization"].endswith(
        "Signature=839c703b589ffd0fd8ad8bdc9257ec190aec2d818b5d9d2121e9a63e34232b65"
    )
    assert result.provider_ref == "9^0"


def test_endpoint_and_options():
    config = dataclasses.replace(
        CONFIG,
        endpoint=" http://127.0.0.1:9/ ",
        signature="【云会员】",
        options={"extend_code": 77},
    )
    gateway = build(AliyunGateway, reply(OK), config=config)
    gateway.send([message(params={"points": 5})])
    assert gateway.http.calls[0][1].startswith("http://127.0.0.1:9/?")
    assert gateway.http.calls[0][2]["host"] == "127.0.0.1:9"
    gateway.send(
        [message("a", params={"points": 5}), message("b", "+85251234567", params={})]
    )
    ((single, _form), (_query, form)) = sent(gateway)
    assert single["SignName"] == "云会员"
    assert single["SmsUpExtendCode"] == "77"
    assert json.loads(single["TemplateParam"]) == {"points": "5"}
    assert form["SignNameJson"] == ["云会员", "云会员"]
    assert form["SmsUpExtendCodeJson"] == ["77", "77"]
    assert form["TemplateParamJson"] == [{"points": "5"}, {}]


def test_calls_are_as_large_as_the_texts_allow():
    same = [message(n, f"+86138{n:08d}") for n in range(950)]
    other = [
        message(f"p{n}", f"+86139{n:08d}", template_code="SMS_2", params={"n": str(n)})
        for n in range(250)
    ]
    gateway = build(AliyunGateway, reply(OK))
    assert gateway.group(same + other) == [(1000, same), (100, other)]
    assert {r.outcome for r in gateway.send(same[:900] + other[:100])} == {Outcome.OK}
    assert [headers["x-acs-action"] for _m, _u, headers, _d in gateway.http.calls] == [
        "SendSms",
        "SendBatchSms",
    ]


def test_one_call_per_template_and_repeated_number():
    gateway = build(
        AliyunGateway,
        *(reply(OK | {"BizId": f"{n}^0"}) for n in range(1, 4)),
    )
    results = gateway.send(
        [
            message("a"),
            message("b", template_code="SMS_2"),
            message("c"),
            message("d", "+8613900139000"),
        ]
    )
    assert [query["TemplateCode"] for query, _form in sent(gateway)] == [
        "SMS_123456789",
        "SMS_2",
        "SMS_123456789",
    ]
    assert [r.provider_ref for r in results] == ["1^0", "2^0", "3^0", "1^0"]
    assert len({query["OutId"] for query, _form in sent(gateway)}) == 3


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"template_code": None}, Outcome.TEMPLATE),
        ({"address": "+13105551234"}, Outcome.BUG),
        ({"address": "13800138000"}, Outcome.BADNUM),
        ({"address": "+861380013800"}, Outcome.BADNUM),
        ({"address": "+862012345678"}, Outcome.BADNUM),
        ({"address": "+8613800138000\n"}, Outcome.BADNUM),
        ({"address": ""}, Outcome.BADNUM),
    ],
)
def test_refused_here(values, outcome):
    gateway = build(AliyunGateway, reply(OK))
    good, bad = gateway.send([message("a"), message("b", **values)])
    assert good.outcome is Outcome.OK and bad.outcome is outcome
    assert bad.provider_code.startswith("local.")
    ((query, form),) = sent(gateway)
    assert len(numbers(query, form)) == 1


@pytest.mark.parametrize(
    ("address", "number"),
    [("+8613800138000", "13800138000"), ("+85251234567", "85251234567")],
)
def test_numbers(address, number):
    assert to_aliyun(address) == number
    assert to_e164(number) == address
    assert to_e164(f"00{address[1:]}") == to_e164(address) == address


# Answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("Throttling.User", 400, Outcome.RETRY),
        ("isp.SYSTEM_ERROR", 200, Outcome.RETRY),
        ("ServiceUnavailable", 503, Outcome.RETRY),
        ("InternalError", 500, Outcome.RETRY),
        ("SignatureNonceUsed", 400, Outcome.RETRY),
        ("isv.BUSINESS_LIMIT_CONTROL", 200, Outcome.POSTPONE),
        ("isv.MOBILE_NUMBER_ILLEGAL", 200, Outcome.BADNUM),
        ("isv.BLACK_KEY_CONTROL_LIMIT", 200, Outcome.CONTENT),
        ("isv.SMS_SIGNATURE_ILLEGAL", 200, Outcome.TEMPLATE),
        ("isv.OUT_OF_SERVICE", 200, Outcome.PAUSE),
        ("SignatureDoesNotMatch", 400, Outcome.PAUSE),
        ("InvalidAccessKeyId.NotFound", 404, Outcome.PAUSE),
        ("InvalidTimeStamp.Expired", 400, Outcome.PAUSE),
        ("MissingParameter.TemplateCode", 400, Outcome.BUG),
        ("isv.SOMETHING_NEW", 200, Outcome.BUG),
        ("SomethingNew", 500, Outcome.AMBIGUOUS),
    ],
)
def test_codes(code, status, outcome):
    gateway = build(AliyunGateway, reply({"Code": code, "Message": "text"}, status))
    (result,) = gateway.send([message()])
    assert result.outcome is outcome
    assert (result.provider_code, result.provider_message) == (code, "text")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (301, Outcome.PAUSE),
        (403, Outcome.PAUSE),
        (408, Outcome.AMBIGUOUS),
        (504, Outcome.AMBIGUOUS),
    ],
)
def test_foreign_answers(status, outcome):
    (result,) = build(AliyunGateway, reply(b"<html>", status)).send([message()])
    assert (result.outcome, result.provider_code) == (outcome, f"http.{status}")


def test_own_tables():
    config = dataclasses.replace(
        CONFIG,
        options={
            "send_outcomes": {"isv.SOMETHING_NEW": "pause"},
            "report_outcomes": {"MA:0001": "optout"},
        },
    )
    gateway = build(AliyunGateway, reply({"Code": "isv.SOMETHING_NEW"}), config=config)
    assert gateway.send([message()])[0].outcome is Outcome.PAUSE
    assert report(err_code="MA:0001", gateway=gateway).outcome is Outcome.OPTOUT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("触发分钟级流控Permits:1", 90),
        ("触发小时级流控Permits:5", 3600),
        ("触发天级流控Permits:10", 86400),
        ("flow control", 3600),
    ],
)
def test_flow_control_window(text, seconds):
    answer = {"Code": "isv.BUSINESS_LIMIT_CONTROL", "Message": text}
    (result,) = build(AliyunGateway, reply(answer)).send([message()])
    assert (result.outcome, result.retry_after) == (Outcome.POSTPONE, seconds)


BATCH = [message(n, f"+86138001380{n:02d}", params={"name": str(n)}) for n in range(16)]


def refuse_if(code, *phones):
    """A server that refuses calls with one of the numbers."""

    def answer(url, data):
        called = numbers(*decode(url, data))
        return reply({"Code": code} if set(phones) & set(called) else OK)

    return answer


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("isv.MOBILE_NUMBER_ILLEGAL", Outcome.BADNUM),
        ("isv.BUSINESS_LIMIT_CONTROL", Outcome.POSTPONE),
        ("isv.PARAM_LENGTH_LIMIT", Outcome.CONTENT),
        ("isv.TEMPLATE_MISSING_PARAMETERS", Outcome.BUG),
        ("isv.INVALID_JSON_PARAM", Outcome.BUG),
    ],
)
def test_culprit_is_isolated(code, outcome):
    gateway = build(AliyunGateway, refuse_if(code, "13800138003", "13800138012"))
    results = gateway.send(BATCH)
    refused = [r.key for r in results if r.outcome is outcome]
    assert refused == ["3", "12"]
    assert sum(r.outcome is Outcome.OK for r in results) == 14
    calls = [numbers(*call) for call in sent(gateway)]
    accepted = [
        phone
        for call in calls
        for phone in call
        if not {"13800138003", "13800138012"} & set(call)
    ]
    assert len(accepted) == len(set(accepted)) == 14


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("isv.SMS_CONTENT_ILLEGAL", Outcome.CONTENT),
        ("isv.TEMPLATE_MISSING_PARAMETERS", Outcome.BUG),
    ],
)
def test_same_words_for_all_are_not_halved(code, outcome):
    batch = [dataclasses.replace(m, params={"name": "x"}) for m in BATCH]
    gateway = build(AliyunGateway, reply({"Code": code}))
    assert {r.outcome for r in gateway.send(batch)} == {outcome}
    assert len(gateway.http.calls) == 1


def test_refusal_of_one_by_an_own_table():
    """Which codes say that somebody refuses, the account may know better."""
    config = dataclasses.replace(
        CONFIG, options={"send_outcomes": {"isv.B*": "optout"}}
    )
    answer = refuse_if("isv.BLOCKED_NUMBER", "13800138003")
    results = build(AliyunGateway, answer, config=config).send(BATCH)
    assert [r.key for r in results if r.outcome is not Outcome.OK] == ["3"]
    assert results[3].outcome is Outcome.OPTOUT


@pytest.mark.parametrize(
    ("answer", "first", "rest"),
    [
        (reply({"Code": "isv.OUT_OF_SERVICE"}), Outcome.PAUSE, Outcome.PAUSE),
        (reply({"Code": "Throttling.User"}), Outcome.RETRY, Outcome.RETRY),
        (NotSent(""), Outcome.RETRY, Outcome.RETRY),
        (MaybeSent(""), Outcome.AMBIGUOUS, Outcome.RETRY),
    ],
)
def test_no_further_calls_after_trouble(answer, first, rest):
    gateway = build(AliyunGateway, answer)
    results = gateway.send([message("a"), message("b", template_code="SMS_2")])
    assert [r.outcome for r in results] == [first, rest]
    assert len(gateway.http.calls) == 1
    assert results[1].provider_ref is None


def test_template_trouble_concerns_one_template():
    gateway = build(
        AliyunGateway, reply({"Code": "isv.SMS_TEMPLATE_ILLEGAL"}), reply(OK)
    )
    results = gateway.send([message("a"), message("b", template_code="SMS_2")])
    assert [r.outcome for r in results] == [Outcome.TEMPLATE, Outcome.OK]


def test_lost_answer_keeps_our_reference():
    gateway = build(AliyunGateway, MaybeSent("timeout"))
    (result,) = gateway.send([message()])
    ((query, _form),) = sent(gateway)
    assert result.provider_ref == f"out:{query['OutId']}"
    # The report that comes later leads back to it.
    assert report(out_id=query["OutId"]).alternative_ref == result.provider_ref


# Callbacks -----------------------------------------------------------------------


def parse(body, gateway=None, method="POST"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = WebhookRequest(method=method, body=raw)
    return (gateway or build(AliyunGateway)).parse(request)


def report(gateway=None, **values):
    entry = {
        "phone_number": "13800138000",
        "send_time": "2026-01-15 16:00:00",
        "report_time": "2026-01-16 00:00:05",
        "success": False,
        "err_code": "MK:0001",
        "err_msg": "空号",
        "sms_size": "2",
        "biz_id": "9^0",
        "out_id": "",
    }
    (event,) = parse([entry | values], gateway)
    return event


def test_report():
    event = report()
    assert (event.provider_ref, event.address) == ("9^0", "+8613800138000")
    assert (event.status, event.outcome) == ("failed", Outcome.BADNUM)
    assert (event.provider_code, event.provider_message) == ("MK:0001", "空号")
    assert event.date == datetime(2026, 1, 15, 16, 0, 5, tzinfo=timezone.utc)
    assert event.date.utcoffset() == timedelta(0)
    assert (event.parts, event.alternative_ref) == (2, None)


def test_report_delivered():
    event = report(success=True, err_code="DELIVERED", sms_size="", report_time=None)
    assert (event.status, event.outcome) == ("delivered", None)
    assert (event.parts, event.date) == (None, None)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("UNDELIV", Outcome.POSTPONE),
        ("MK:0010", Outcome.POSTPONE),
        ("BEYONDH", Outcome.POSTPONE),
        ("DB:0102", Outcome.BADNUM),
        ("mbblack", Outcome.OPTOUT),
        ("DB:9007", Outcome.RETRY),
        ("KEYWORD", Outcome.CONTENT),
        ("XA:0003", Outcome.TEMPLATE),
        ("isv.BUSINESS_LIMIT_CONTROL", Outcome.POSTPONE),
        ("MA:0006", None),
        ("", None),
    ],
)
def test_receipt_codes(code, outcome):
    assert report(err_code=code).outcome is outcome


BLOCKED = (
    "MBBLACK DBBLACK BLACK TDBLACK TSBLACK DB:0144 PUBLOKD BLOCKED HIGRISK".split()
)


@pytest.mark.parametrize("code", BLOCKED)
def test_block_lists_are_refusals(code):
    """A number on one refuses, even if it got there by complaints about others."""
    assert report(err_code=code).outcome is Outcome.OPTOUT


def test_own_codes_of_reports_are_found_as_they_are_written():
    own = {"report_outcomes": {"isv.New": "optout", "MBBLACK": "content"}}
    gateway = build(AliyunGateway, config=dataclasses.replace(CONFIG, options=own))
    assert report(gateway, err_code="isv.New").outcome is Outcome.OPTOUT
    assert report(gateway, err_code="mbblack").outcome is Outcome.CONTENT


@pytest.mark.parametrize("success", [None, "", "perhaps", 7])
def test_half_a_report_is_no_failure(success):
    with pytest.raises(PayloadError):
        report(success=success)


def test_event_refs():
    refs = {
        report().event_ref,
        report(success=True).event_ref,
        report(biz_id="8^0").event_ref,
        report(phone_number="13800138001").event_ref,
    }
    assert len(refs) == 4
    # Pushed again after a time-out.
    assert report() == report()


def test_reply():
    entry = {
        "phone_number": "13800138000",
        "content": "TD",
        "send_time": "2026-01-15 16:00:00",
        "dest_code": "10690000123",
        "sequence_id": 1234567890,
    }
    (event,) = parse([entry])
    assert (event.address, event.text) == ("+8613800138000", "TD")
    assert (event.event_ref, event.destination) == ("up:1234567890", "10690000123")
    assert event.date == NOW
    assert parse([entry | {"sequence_id": "1234567890"}]) == [event]
    assert parse([entry | {"sequence_id": None}])[0].event_ref.startswith("up:")


def test_one_broken_entry_does_not_spoil_the_others():
    good = {"phone_number": "13800138000", "biz_id": "9^0", "success": True}
    assert len(parse([{"biz_id": ""}, good, 3])) == 1


def test_probe_and_foreign_pushes():
    assert parse(b"", method="GET") == []
    assert parse([{"sign_name": "云会员", "sign_status": "approved"}]) == []
    status, _headers, body = build(AliyunGateway).acknowledge()
    assert (status, body.decode()) == (200, '{"code": 0, "msg": "成功"}')


# Questions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "code"),
    [
        (reply({"Code": "OK", "SmsTemplateList": []}), Outcome.OK, "OK"),
        (
            reply({"Code": "InvalidAccessKeyId.NotFound", "Message": "no"}, 404),
            Outcome.PAUSE,
            "InvalidAccessKeyId.NotFound",
        ),
        (NotSent("no connection"), Outcome.RETRY, None),
    ],
)
def test_probe(answer, outcome, code):
    gateway = build(AliyunGateway, answer)
    result = gateway.probe()
    assert (result.key, result.outcome, result.provider_code) == ("", outcome, code)
    ((_method, _url, headers, _data),) = gateway.http.calls
    assert headers["x-acs-action"] == "QuerySmsTemplateList"


def detail(**values):
    return {
        "OutId": "n1",
        "PhoneNum": "13800138000",
        "SendDate": "2026-01-15 16:00:03",
        "ReceiveDate": "2026-01-15 16:00:09",
        "SendStatus": 3,
        "ErrCode": "DELIVERED",
    } | values


def details(*rows, total=None):
    total = len(rows) if total is None else total
    rows = {"SmsSendDetailDTO": list(rows)}
    return reply({"Code": "OK", "TotalCount": total, "SmsSendDetailDTOs": rows})


def ask(reference, *answers, now=NOW, sent_date=NOW):
    gateway = build(AliyunGateway, *answers)
    pending = PendingMessage("1", "+8613800138000", reference, sent_date)
    return gateway.query([pending], now), sent(gateway)


def test_query_by_biz_id():
    (event,), ((query, form),) = ask("9^0", details(detail()))
    assert query == {
        "PhoneNumber": "13800138000",
        "SendDate": "20260115",
        "BizId": "9^0",
        "PageSize": "50",
        "CurrentPage": "1",
    }
    assert form == {}
    assert (event.provider_ref, event.status) == ("9^0", "delivered")
    assert event.key == "1"
    # The same fact as the report that is pushed.
    pushed = report(success=True, out_id="n1")
    assert event.event_ref == pushed.event_ref


def test_query_failed():
    (event,), _calls = ask("9^0", details(detail(SendStatus=2, ErrCode="MK:0001")))
    assert (event.status, event.outcome) == ("failed", Outcome.BADNUM)


def test_query_under_way_or_unknown():
    assert ask("9^0", details(detail(SendStatus=1)))[0] == []
    assert ask("9^0", details())[0] == []


def test_query_by_our_reference():
    answer = details(detail(OutId="other"), detail(OutId="n7"))
    (event,), ((query, _form),) = ask("out:n7", answer)
    assert event.provider_ref == "out:n7"
    assert "BizId" not in query


def test_query_without_reference_only_if_clear():
    late = detail(SendDate="2026-01-15 18:00:00")
    (event,), _calls = ask(None, details(detail(), late))
    assert (event.key, event.provider_ref) == ("1", "out:n1")
    assert ask(None, details(detail(), detail(OutId="n2")))[0] == []
    assert ask(None, details(late))[0] == []


def test_query_pages_and_midnight():
    first = [detail(OutId=f"x{n}") for n in range(50)]
    sent_date = datetime(2026, 1, 15, 15, 55, tzinfo=timezone.utc)  # 23:55 in Shanghai
    events, calls = ask(
        "out:n7",
        details(*first, total=51),
        details(detail(OutId="n7"), total=51),
        details(),
        sent_date=sent_date,
    )
    assert len(events) == 1
    assert [(query["SendDate"], query["CurrentPage"]) for query, _form in calls] == [
        ("20260115", "1"),
        ("20260115", "2"),
        ("20260116", "1"),
    ]


def test_query_stops_at_trouble():
    gateway = build(
        AliyunGateway, details(detail()), reply({"Code": "Throttling"}, 429)
    )
    pending = [PendingMessage(str(n), "+8613800138000", "9^0", NOW) for n in range(3)]
    assert len(gateway.query(pending, NOW)) == 1
    assert len(gateway.http.calls) == 2
    assert ask("9^0", MaybeSent(""))[0] == []


def test_query_too_old():
    events, calls = ask("9^0", details(detail()), now=NOW + timedelta(days=31))
    assert (events, calls) == ([], [])
