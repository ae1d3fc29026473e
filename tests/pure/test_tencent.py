"""Tencent Cloud SMS: signature vectors, codes, callbacks, questions."""

import dataclasses
import json
from datetime import datetime, timedelta, timezone

import pytest
from fakes import CONFIG, NOW, build, message, reply

from gateways.errors import MaybeSent, NotSent, PayloadError
from gateways.tencent import TencentGateway, order_params, sign_tc3
from gateways.types import (
    Capability,
    InboundMessage,
    Outcome,
    PendingMessage,
    WebhookRequest,
)

SECRET_ID, SECRET_KEY = (
    "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
    "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
)
SEND_TIME = 1760000000
UTF8_BODY = (
    '{"PhoneNumberSet":["+8618501234444","+8618501234445"],"SmsSdkAppId":"1400006666",'
    '"TemplateId":"1110","SignName":"腾讯云","TemplateParamSet":["张三","8折"],'
    '"SessionContext":"batch-42"}'
)
UTF8_SIGNATURE = "6efd2bc6f8fafca3700e07995512e75f9e0a9ea39ea8f71a1de0fa064d8f5dd9"


# Vectors -------------------------------------------------------------------------


def test_tc3_published():
    body = (
        '{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], '
        '"Name": "instance-name"}]}'
    )
    headers = {
        "content-type": "application/json; charset=utf-8",
        "host": "cvm.tencentcloudapi.com",
        "x-tc-action": "DescribeInstances",
    }
    secret_id = f"AKID{'*' * 32}"
    signed = sign_tc3(
        headers, body.encode(), 1551113065, "cvm", secret_id, secret_key="*" * 32
    )
    signature = "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
    assert dataclasses.asdict(signed) == {
        "payload_hash": (
            "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064"
        ),
        "canonical_hash": (
            "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84"
        ),
        "signature": signature,
        "authorization": (
            f"TC3-HMAC-SHA256 Credential={secret_id}/2019-02-25/cvm/tc3_request, "
            f"SignedHeaders=content-type;host;x-tc-action, Signature={signature}"
        ),
    }


ESCAPED_BODY = (
    '{"PhoneNumberSet": ["+8618501234444", "+8618501234445"], "SmsSdkAppId": '
    '"1400006666", "TemplateId": "1110", "SignName": "\\u817e\\u8baf\\u4e91", '
    '"TemplateParamSet": ["\\u5f20\\u4e09", "8\\u6298"], "SessionContext": "batch-42"}'
)


@pytest.mark.parametrize(
    ("content_type", "body", "payload_hash", "canonical_hash", "signature"),
    [
        (
            "application/json",
            ESCAPED_BODY,
            "1770fcd47fb766b0692d391f25a3202a409e47d3e042fe0c8af336c559d29714",
            "d7795176d69db7aa827f7bad4d3f8b1b8b954c9de42735012946f3fb32059e18",
            "b96d1a89283717de1aa6990713caa812c6565059c68ecf0f5bbfd387bdc74884",
        ),
        (
            "application/json; charset=utf-8",
            UTF8_BODY,
            "8e8ed8e1ac05301ada91414c6b27c361a42f83c7fbc18d8fdc1e1a2618267292",
            "80ff899557a0f2b897c7964462a0bd68b0071bbccf2ee39bb3fc5149ff17d65b",
            UTF8_SIGNATURE,
        ),
    ],
)
def test_tc3_send_sms(content_type, body, payload_hash, canonical_hash, signature):
    headers = {"content-type": content_type, "host": "sms.tencentcloudapi.com"}
    signed = sign_tc3(headers, body.encode(), SEND_TIME, "sms", SECRET_ID, SECRET_KEY)
    assert (signed.payload_hash, signed.canonical_hash, signed.signature) == (
        payload_hash,
        canonical_hash,
        signature,
    )


# Requests ------------------------------------------------------------------------


def ok(_url, data):
    """Accept each number of a call."""
    statuses = [
        {"PhoneNumber": number, "SerialNo": f"s:{number}", "Fee": 2, "Code": "Ok"}
        for number in json.loads(data)["PhoneNumberSet"]
    ]
    return reply({"Response": {"SendStatusSet": statuses, "RequestId": "R"}})


def refusal(code, text="text", **values):
    error = {"Code": code, "Message": text}
    return reply({"Response": {"Error": error, "RequestId": "R"}}, **values)


def with_options(**options):
    return dataclasses.replace(CONFIG, options=options)


def sent(gateway):
    """Return action and content of the calls made."""
    return [
        (headers["X-TC-Action"], json.loads(data))
        for _method, _url, headers, data in gateway.http.calls
    ]


def test_request_equals_vector():
    """The adapter as a whole produces the bytes of the vector."""
    config = dataclasses.replace(
        CONFIG,
        api_key=f" {SECRET_ID}",
        api_secret=f"{SECRET_KEY}\n",
        signature="腾讯云",
    )
    gateway = build(TencentGateway, ok, config=config)
    gateway.clock = lambda: datetime.fromtimestamp(SEND_TIME, timezone.utc)
    gateway.nonce = lambda: "batch-42"
    params = {"2": "8折", "1": "张三"}
    results = gateway.send(
        [
            message("a", "+8618501234444", template_code="1110", params=params),
            message("b", "+8618501234445", template_code="1110", params=params),
        ]
    )
    ((method, url, headers, body),) = gateway.http.calls
    assert (method, url) == ("POST", "https://sms.tencentcloudapi.com/")
    assert body.decode() == UTF8_BODY
    assert headers["X-TC-Timestamp"] == "1760000000"
    assert headers["X-TC-Region"] == "ap-guangzhou"
    assert headers["Authorization"].endswith(f"Signature={UTF8_SIGNATURE}")
    assert [(r.key, r.outcome, r.provider_ref, r.parts) for r in results] == [
        ("a", Outcome.OK, "s:+8618501234444", 2),
        ("b", Outcome.OK, "s:+8618501234445", 2),
    ]


def test_endpoint_and_options():
    config = dataclasses.replace(
        CONFIG,
        endpoint=" http://127.0.0.1:9/ ",
        signature="【云会员】",
        options={"region": "ap-beijing", "extend_code": 7, "sender_id": "Shop"},
    )
    gateway = build(TencentGateway, ok, config=config)
    gateway.send([message("a"), message("b", "+85251234567")])
    _method, url, headers, _data = gateway.http.calls[0]
    assert (url, headers["host"]) == ("http://127.0.0.1:9/", "127.0.0.1:9")
    assert headers["X-TC-Region"] == "ap-beijing"
    (_action, mainland), (_action, other) = sent(gateway)
    assert (mainland["SignName"], mainland["ExtendCode"]) == ("云会员", "7")
    assert mainland["SmsSdkAppId"] == "1400006666"
    assert "SenderId" not in mainland and other["SenderId"] == "Shop"


@pytest.mark.parametrize(
    ("params", "values"),
    [
        (None, []),
        ({"2": "b", "10": "c", "1": "a"}, ["a", "b", "c"]),
        ({"name": "b", "days": 3}, ["b", "3"]),
    ],
)
def test_parameters_have_an_order(params, values):
    assert order_params(params) == values


def test_messages_with_the_same_words_share_a_call():
    same = [message(n, f"+86138{n:08d}") for n in range(250)]
    own = [message(f"p{n}", f"+86139{n:08d}", params={"1": str(n)}) for n in range(3)]
    other = [message("t", template_code="2"), message("again")]
    gateway = build(TencentGateway, ok)
    groups = gateway.group(same + own + other)
    assert [(limit, len(group)) for limit, group in groups] == [
        (200, 251),
        (1, 1),
        (1, 1),
        (1, 1),
        (1, 1),
    ]
    assert {r.outcome for r in gateway.send(same[:190] + own + other)} == {Outcome.OK}
    assert [len(content["PhoneNumberSet"]) for _action, content in sent(gateway)] == [
        191,
        1,
        1,
        1,
        1,
    ]


def test_a_number_stands_once_in_a_call():
    gateway = build(TencentGateway, ok)
    gateway.send([message("a"), message("b"), message("c", "+8613900139000")])
    (_action, first), (_action, second) = sent(gateway)
    assert first["PhoneNumberSet"] == ["+8613800138000", "+8613900139000"]
    assert second["PhoneNumberSet"] == ["+8613800138000"]
    assert first["SessionContext"] != second["SessionContext"]


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({"template_code": None}, Outcome.TEMPLATE),
        ({"address": "13800138000"}, Outcome.BADNUM),
        ({"address": "+862012345678"}, Outcome.BADNUM),
        ({"address": "+8613800138000\n"}, Outcome.BADNUM),
        ({"address": ""}, Outcome.BADNUM),
    ],
)
def test_refused_here(values, outcome):
    gateway = build(TencentGateway, ok)
    good, bad = gateway.send([message("a"), message("b", **values)])
    assert good.outcome is Outcome.OK and bad.outcome is outcome
    assert bad.provider_code.startswith("local.")
    assert len(gateway.http.calls) == 1


# Answers -------------------------------------------------------------------------

CODES = [
    ("RequestLimitExceeded.UinLimitExceeded", Outcome.RETRY),
    ("LimitExceeded.GlobalSmsSendingRateLimit", Outcome.RETRY),
    ("InternalError.OtherError", Outcome.RETRY),
    ("InternalError.Timeout", Outcome.AMBIGUOUS),
    ("InternalError.SendAndRecvFail", Outcome.AMBIGUOUS),
    ("InternalError", Outcome.AMBIGUOUS),
    ("InternalError.SigVerificationFail", Outcome.PAUSE),
    ("UnsupportedRegion", Outcome.PAUSE),
    ("LimitExceeded.PhoneNumberDailyLimit", Outcome.POSTPONE),
    ("FailedOperation.MarketingSendTimeConstraint", Outcome.POSTPONE),
    ("InvalidParameterValue.IncorrectPhoneNumber", Outcome.BADNUM),
    ("UnsupportedOperation.UnsupportedRegion", Outcome.BADNUM),
    ("FailedOperation.PhoneNumberInBlacklist", Outcome.OPTOUT),
    ("InvalidParameterValue.TemplateParameterLengthLimit", Outcome.CONTENT),
    ("FailedOperation.ContainSensitiveWord", Outcome.CONTENT),
    ("FailedOperation.TemplateIncorrectOrUnapproved", Outcome.TEMPLATE),
    ("UnsupportedOperation.ChineseMainlandTemplateToGlobalPhone", Outcome.TEMPLATE),
    ("UnauthorizedOperation.ServiceSuspendDueToArrears", Outcome.PAUSE),
    ("UnauthorizedOperation.SmsSdkAppIdVerifyFail", Outcome.PAUSE),
    ("FailedOperation.InsufficientBalanceInSmsPackage", Outcome.PAUSE),
    ("AuthFailure.SignatureFailure", Outcome.PAUSE),
    ("LimitExceeded.AppDailyLimit", Outcome.PAUSE),
    ("InternalError.RequestTimeException", Outcome.PAUSE),
    ("LimitExceeded.PhoneNumberCountLimit", Outcome.BUG),
    ("InvalidParameterValue.SomethingNew", Outcome.BUG),
    ("MissingParameter.EmptyPhoneNumberSet", Outcome.BUG),
    ("SomethingNew", Outcome.BUG),
]


@pytest.mark.parametrize(("code", "outcome"), CODES)
def test_codes_of_the_answer(code, outcome):
    (result,) = build(TencentGateway, refusal(code)).send([message()])
    assert (result.outcome, result.provider_code) == (outcome, code)
    assert result.provider_message == "text"
    reference = "ctx:n1" if outcome is Outcome.AMBIGUOUS else None
    assert result.provider_ref == reference


@pytest.mark.parametrize(("code", "outcome"), CODES)
def test_codes_of_a_number(code, outcome):
    def answer(_url, data):
        good, bad = json.loads(data)["PhoneNumberSet"]
        statuses = [
            {"PhoneNumber": bad[1:], "SerialNo": "", "Code": code, "Message": "text"},
            {"PhoneNumber": good, "SerialNo": "s", "Code": "Ok", "Fee": 1},
        ]
        return reply({"Response": {"SendStatusSet": statuses}})

    gateway = build(TencentGateway, answer)
    good, bad = gateway.send([message("a"), message("b", "+8613900139000")])
    assert (good.outcome, good.provider_ref) == (Outcome.OK, "s")
    assert (bad.outcome, bad.provider_code, bad.parts) == (outcome, code, None)
    assert len(gateway.http.calls) == 1


def test_a_number_the_answer_leaves_out_is_uncertain():
    answer = reply(
        {
            "Response": {
                "SendStatusSet": [
                    {"PhoneNumber": "+8613800138000", "SerialNo": "s", "Code": "Ok"}
                ]
            }
        }
    )
    gateway = build(TencentGateway, answer)
    named, missing = gateway.send([message("a"), message("b", "+8613900139000")])
    assert (named.outcome, named.provider_ref) == (Outcome.OK, "s")
    assert (missing.outcome, missing.provider_ref) == (Outcome.AMBIGUOUS, "ctx:n1")


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("LimitExceeded.PhoneNumberThirtySecondLimit", 30),
        ("LimitExceeded.PhoneNumberOneHourLimit", 3600),
        ("LimitExceeded.DeliveryFrequencyLimit", 3600),
        # It is 16:00 in China.
        ("LimitExceeded.PhoneNumberDailyLimit", 8 * 3600),
        ("LimitExceeded.PhoneNumberSameContentDailyLimit", 8 * 3600),
        ("FailedOperation.MarketingSendTimeConstraint", 16 * 3600),
    ],
)
def test_when_to_try_again(code, seconds):
    (result,) = build(TencentGateway, refusal(code)).send([message()])
    assert (result.outcome, result.retry_after) == (Outcome.POSTPONE, seconds)


def test_early_in_the_morning_marketing_waits_for_eight():
    code = "FailedOperation.MarketingSendTimeConstraint"
    gateway = build(TencentGateway, refusal(code))
    gateway.clock = lambda: datetime(2026, 1, 14, 23, 59, tzinfo=timezone.utc)
    batch = [message(n, f"+86138{n:08d}") for n in range(8)]
    assert {result.retry_after for result in gateway.send(batch)} == {60}
    assert len(gateway.http.calls) == 1, "no number of them is to blame"


def test_culprit_is_isolated():
    """Should one number ever spoil a call for all."""

    def answer(url, data):
        if "+8613800000003" in json.loads(data)["PhoneNumberSet"]:
            return refusal("InvalidParameterValue.IncorrectPhoneNumber")
        return ok(url, data)

    gateway = build(TencentGateway, answer)
    results = gateway.send([message(n, f"+86138{n:08d}") for n in range(8)])
    assert [r.key for r in results if r.outcome is Outcome.BADNUM] == ["3"]
    assert sum(r.outcome is Outcome.OK for r in results) == 7


@pytest.mark.parametrize(
    ("answer", "first", "rest"),
    [
        (refusal("AuthFailure.SecretIdNotFound"), Outcome.PAUSE, Outcome.PAUSE),
        (refusal("RequestLimitExceeded"), Outcome.RETRY, Outcome.RETRY),
        (NotSent(""), Outcome.RETRY, Outcome.RETRY),
        (MaybeSent(""), Outcome.AMBIGUOUS, Outcome.RETRY),
    ],
)
def test_no_further_calls_after_trouble(answer, first, rest):
    gateway = build(TencentGateway, answer)
    results = gateway.send([message("a"), message("b", template_code="2")])
    assert [r.outcome for r in results] == [first, rest]
    assert len(gateway.http.calls) == 1


def test_lost_answer_keeps_our_reference():
    gateway = build(TencentGateway, MaybeSent("timeout"))
    (result,) = gateway.send([message()])
    ((_action, content),) = sent(gateway)
    assert result.provider_ref == f"ctx:{content['SessionContext']}"
    # The report that comes later leads back to it, if the account has the feature.
    event = report(ext=content["SessionContext"])
    assert event.alternative_ref == result.provider_ref


def test_own_tables():
    config = with_options(
        send_outcomes={"SomethingNew": "pause"},
        report_outcomes={"MA:0001": "optout"},
    )
    gateway = build(TencentGateway, refusal("SomethingNew"), config=config)
    assert gateway.send([message()])[0].outcome is Outcome.PAUSE
    event = report(gateway, report_status="FAIL", errmsg="MA:0001")
    assert event.outcome is Outcome.OPTOUT


# Callbacks -----------------------------------------------------------------------


def parse(body, gateway=None, method="POST"):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = WebhookRequest(method=method, body=raw)
    return (gateway or build(TencentGateway)).parse(request)


def report(gateway=None, **values):
    entry = {
        "user_receive_time": "2026-01-16 00:00:05",
        "nationcode": "86",
        "mobile": "13800138000",
        "report_status": "FAIL",
        "errmsg": "MK:0001",
        "description": "空号",
        "sid": "5000:1",
    }
    (event,) = parse([entry | values], gateway)
    return event


def test_report():
    event = report()
    assert (event.provider_ref, event.address) == ("5000:1", "+8613800138000")
    assert (event.status, event.outcome) == ("failed", Outcome.BADNUM)
    assert (event.provider_code, event.provider_message) == ("MK:0001", "空号")
    assert event.date == datetime(2026, 1, 15, 16, 0, 5, tzinfo=timezone.utc)
    assert event.alternative_ref is None
    # Pushed again after a time-out.
    assert report() == event


def test_report_delivered():
    event = report(report_status="SUCCESS", errmsg="DELIVRD", user_receive_time="")
    assert (event.status, event.outcome, event.date) == ("delivered", None, None)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("UNDELIV", Outcome.POSTPONE),
        ("mbblack", Outcome.OPTOUT),
        ("-106", Outcome.CONTENT),
        ("XA:0003", Outcome.TEMPLATE),
        ("FailedOperation.PhoneNumberInBlacklist", Outcome.OPTOUT),
        ("MA:0006", None),
        ("", None),
    ],
)
def test_receipt_codes(code, outcome):
    assert report(errmsg=code).outcome is outcome


@pytest.mark.parametrize("status", [None, "", "WAITING"])
def test_half_a_report_is_no_failure(status):
    with pytest.raises(PayloadError):
        report(report_status=status)


def test_longer_prefix_of_an_own_table_wins():
    config = with_options(send_outcomes={"FailedOperation.New*": "postpone"})
    for code, outcome in (
        ("FailedOperation.NewLimit", Outcome.POSTPONE),
        ("FailedOperation.OtherLimit", Outcome.BUG),
    ):
        gateway = build(TencentGateway, refusal(code), config=config)
        assert gateway.send([message()])[0].outcome is outcome


def test_event_refs():
    refs = {
        report().event_ref,
        report(report_status="SUCCESS").event_ref,
        report(sid="5000:2").event_ref,
    }
    assert len(refs) == 3


REPLY = {
    "extend": "01",
    "mobile": "13800138000",
    "nationcode": "86",
    "sign": "云会员",
    "text": "R",
    "time": 1768464000,
}


def test_reply():
    (event,) = parse(REPLY)
    assert (event.address, event.text) == ("+8613800138000", "R")
    assert (event.destination, event.date) == ("01", NOW)
    assert parse(REPLY) == [event]
    refs = {
        event.event_ref,
        parse(REPLY | {"time": 1768464001})[0].event_ref,
        parse(REPLY | {"text": "r"})[0].event_ref,
        parse(REPLY | {"mobile": "13800138001"})[0].event_ref,
    }
    assert len(refs) == 4


def test_broken_and_foreign_callbacks():
    good = {
        "nationcode": "86",
        "mobile": "13800138000",
        "sid": "1",
        "report_status": "FAIL",
    }
    assert len(parse([{"sid": ""}, good, 3, {"template_id": 7}])) == 1
    assert parse({"template_id": 7}) == []
    assert parse(b"", method="GET") == []
    with pytest.raises(PayloadError):
        parse(REPLY | {"nationcode": ""})


def test_acknowledgement():
    status, _headers, body = build(TencentGateway).acknowledge()
    assert (status, json.loads(body)) == (200, {"result": 0, "errmsg": "OK"})


# Questions -----------------------------------------------------------------------


def test_probe_asks_for_the_application():
    answer = reply({"Response": {"SendStatusStatistics": {}}})
    gateway = build(TencentGateway, answer)
    assert gateway.probe().outcome is Outcome.OK
    assert sent(gateway) == [
        (
            "SendStatusStatistics",
            {
                "BeginTime": "2026011516",
                "EndTime": "2026011516",
                "SmsSdkAppId": "1400006666",
                "Limit": 0,
                "Offset": 0,
            },
        )
    ]
    code = "UnauthorizedOperation.SmsSdkAppIdVerifyFail"
    result = build(TencentGateway, refusal(code)).probe()
    assert (result.outcome, result.provider_code) == (Outcome.PAUSE, code)


def pulled(**values):
    return {
        "PhoneNumber": "+8613800138000",
        "SerialNo": "5000:1",
        "ReportStatus": "SUCCESS",
        "Description": "DELIVRD",
        "UserReceiveTime": 1768464005,
        "SessionContext": "",
    } | values


def statuses(*rows):
    return reply({"Response": {"PullSmsSendStatusSet": list(rows)}})


def replies(*rows):
    return reply({"Response": {"PullSmsReplyStatusSet": list(rows)}})


def ask(reference, *answers, now=NOW, sent_date=NOW, **options):
    gateway = build(TencentGateway, *answers, config=with_options(**options))
    pending = PendingMessage("1", "+8613800138000", reference, sent_date)
    return gateway.query([pending], now), sent(gateway)


def test_query_by_serial_number():
    other = pulled(SerialNo="5000:2")
    (event,), ((action, content),) = ask("5000:1", statuses(other, pulled()))
    assert action == "PullSmsSendStatusByPhoneNumber"
    assert content == {
        "BeginTime": 1768463940,
        "EndTime": 1768464000,
        "Offset": 0,
        "Limit": 100,
        "PhoneNumber": "+8613800138000",
        "SmsSdkAppId": "1400006666",
    }
    assert (event.key, event.status) == ("1", "delivered")
    # The same fact as the report that is pushed.
    assert event.event_ref == report(report_status="SUCCESS").event_ref


def test_query_failed():
    answer = statuses(pulled(ReportStatus="FAIL", Description="MK:0001"))
    (event,), _calls = ask("5000:1", answer)
    assert (event.status, event.outcome) == ("failed", Outcome.BADNUM)


def test_query_under_way_or_unknown():
    assert ask("5000:1", statuses(pulled(ReportStatus="")))[0] == []
    assert ask("5000:1", statuses())[0] == []


def test_query_by_our_reference():
    rows = (
        pulled(SerialNo="5000:2", SessionContext="n8"),
        pulled(SessionContext="n7"),
    )
    (event,), _calls = ask("ctx:n7", statuses(*rows))
    assert event.provider_ref == "5000:1"
    assert ask("ctx:n9", statuses(*rows))[0] == []


@pytest.mark.parametrize("reference", [None, "ctx:n7"])
def test_query_by_time_only_if_clear(reference):
    late = pulled(SerialNo="5000:2", UserReceiveTime=1768464000 + 3600)
    (event,), _calls = ask(reference, statuses(pulled(), late))
    assert (event.key, event.provider_ref) == ("1", "5000:1")
    twice = statuses(pulled(), pulled(SerialNo="5000:2"))
    assert ask(reference, twice)[0] == []
    assert ask(reference, statuses(late))[0] == []


def test_query_too_old():
    events, calls = ask("5000:1", statuses(pulled()), now=NOW + timedelta(days=8))
    assert (events, calls) == ([], [])


def test_query_stops_at_trouble():
    gateway = build(TencentGateway, statuses(pulled()), refusal("RequestLimitExceeded"))
    pending = [PendingMessage(f"{n}", "+8613800138000", "5000:1", NOW) for n in "abc"]
    assert len(gateway.query(pending, NOW)) == 1
    assert len(gateway.http.calls) == 2
    assert ask("5000:1", MaybeSent(""))[0] == []


# Pulling instead of callbacks ----------------------------------------------------


def test_who_cannot_be_reached_is_asked_about_every_message():
    assert Capability.WEBHOOK in build(TencentGateway).capabilities
    gateway = build(TencentGateway, config=with_options(pull=True))
    assert Capability.WEBHOOK not in gateway.capabilities


def test_pull():
    answered = {
        "ExtendCode": "01",
        "PhoneNumber": "+8613800138000",
        "ReplyContent": "R",
        "ReplyTime": 1768464000,
    }
    (inbound, event), calls = ask(
        "5000:1", replies(answered), statuses(pulled()), pull=True
    )
    assert [action for action, _content in calls] == [
        "PullSmsReplyStatus",
        "PullSmsSendStatus",
    ]
    assert isinstance(inbound, InboundMessage)
    assert [inbound] == parse(REPLY), "the same fact as the reply that is posted"
    assert (event.key, event.provider_ref) == (None, "5000:1")


def test_pull_until_nothing_is_left():
    page = [pulled(SerialNo=f"5000:{n}") for n in range(100)]
    events, calls = ask(
        "5000:1", replies(), statuses(*page), statuses(pulled()), pull=True
    )
    assert (len(events), len(calls)) == (101, 3)


def test_what_was_pulled_survives_trouble():
    events, calls = ask(
        "5000:1", replies(), statuses(*[pulled()] * 100), MaybeSent(""), pull=True
    )
    assert (len(events), len(calls)) == (100, 3)


@pytest.mark.parametrize(
    ("reference", "age", "asked"),
    [
        ("5000:1", timedelta(minutes=5), False),
        ("5000:1", timedelta(hours=2), True),
        ("ctx:n7", timedelta(minutes=5), True),
        (None, timedelta(minutes=5), True),
    ],
)
def test_single_messages_are_asked_about_where_a_pull_does_not_help(
    reference, age, asked
):
    def answer(_url, data):
        return reply(
            {"Response": {"PullSmsSendStatusSet": [], "PullSmsReplyStatusSet": []}}
        )

    _events, calls = ask(reference, answer, now=NOW + age, pull=True)
    actions = [action for action, _content in calls]
    assert ("PullSmsSendStatusByPhoneNumber" in actions) is asked
    assert actions[-2:] == ["PullSmsReplyStatus", "PullSmsSendStatus"]
