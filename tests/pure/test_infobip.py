"""Infobip SMS: requests, statuses and errors, callbacks, logs."""

import dataclasses
import json
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from fakes import CONFIG, NOW, build, message, reply

from gateways.errors import MaybeSent, PayloadError
from gateways.http import redact
from gateways.infobip import InfobipGateway
from gateways.types import Outcome, PendingMessage, WebhookRequest

ENDPOINT = "y3kq5n.api.infobip.com"


def answer_with(name="PENDING_ACCEPTED", group=1, **values):
    """A server that answers each message alike."""

    def answer(_url, data):
        status = {"groupId": group, "name": name, "description": "text"}
        entries = [
            {
                "messageId": message["destinations"][0]["messageId"],
                "status": status,
                "details": {"messageCount": 2},
            }
            | values
            for message in json.loads(data)["messages"]
        ]
        return reply({"bulkId": "B", "messages": entries})

    return answer


def with_options(**options):
    return dataclasses.replace(CONFIG, endpoint=ENDPOINT, options=options)


# Requests ------------------------------------------------------------------------


def test_request():
    gateway = build(InfobipGateway, answer_with())
    results = gateway.send(
        [message("a", body="你好 😀"), message("b", "+447860099299", body="Hello")]
    )
    ((method, url, headers, data),) = gateway.http.calls
    assert (method, url) == ("POST", f"https://{ENDPOINT}/sms/3/messages")
    assert headers["Authorization"] == f"App {CONFIG.api_key}"
    assert json.loads(data) == {
        "messages": [
            {
                "destinations": [{"to": "8613800138000", "messageId": "n1"}],
                "content": {"text": "你好 😀"},
            },
            {
                "destinations": [{"to": "447860099299", "messageId": "n2"}],
                "content": {"text": "Hello"},
            },
        ],
        "options": {"includeSmsCountInResponse": True},
    }
    assert [(r.key, r.outcome, r.provider_ref, r.parts) for r in results] == [
        ("a", Outcome.OK, "n1", 2),
        ("b", Outcome.OK, "n2", 2),
    ]


def test_options_and_base_url():
    config = dataclasses.replace(
        with_options(sender=" Shop ", callback_url="https://shop.example/c"),
        endpoint=" http://127.0.0.1:9/ ",
        api_key=" key\n",
    )
    gateway = build(InfobipGateway, answer_with(), config=config)
    gateway.send([message()])
    ((_method, url, headers, data),) = gateway.http.calls
    assert url == "http://127.0.0.1:9/sms/3/messages"
    assert headers["Authorization"] == "App key"
    (sent,) = json.loads(data)["messages"]
    assert sent["sender"] == "Shop"
    assert sent["webhooks"] == {
        "delivery": {"url": "https://shop.example/c"},
        "contentType": "application/json",
    }


@pytest.mark.parametrize("address", ["13800138000", "+8613800138000\n", "+0123", ""])
def test_refused_here(address):
    gateway = build(InfobipGateway, answer_with())
    good, bad = gateway.send([message("a"), message("b", address)])
    assert (good.outcome, bad.outcome) == (Outcome.OK, Outcome.BADNUM)
    ((_method, _url, _headers, data),) = gateway.http.calls
    assert len(json.loads(data)["messages"]) == 1


# Answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "group", "outcome"),
    [
        ("PENDING_ACCEPTED", 1, Outcome.OK),
        ("PENDING_ENROUTE", 1, Outcome.OK),
        ("DELIVERED_TO_HANDSET", 3, Outcome.OK),
        ("REJECTED_DUPLICATE_MESSAGE_ID", 5, Outcome.OK),
        ("REJECTED_SYSTEM_ERROR", 5, Outcome.RETRY),
        ("REJECTED_FLOODING_FILTER", 5, Outcome.POSTPONE),
        ("REJECTED_NETWORK", 5, Outcome.BADNUM),
        ("REJECTED_PREFIX_MISSING", 5, Outcome.BADNUM),
        ("MISSING_TO", 5, Outcome.BADNUM),
        ("REJECTED_DESTINATION", 5, Outcome.BADNUM),
        ("REJECTED_DND", 5, Outcome.OPTOUT),
        ("REJECTED_DESTINATION_BLOCKLISTED", 5, Outcome.OPTOUT),
        ("REJECTED_MESSAGE_TOO_LONG", 5, Outcome.CONTENT),
        ("REJECTED_SOURCE", 5, Outcome.TEMPLATE),
        ("REJECTED_SENDER", 5, Outcome.TEMPLATE),
        ("REJECTED_ROUTE_NOT_AVAILABLE", 5, Outcome.TEMPLATE),
        ("UNDELIVERABLE_REJECTED_PLATFORM", 5, Outcome.TEMPLATE),
        ("REJECTED_NOT_ENOUGH_CREDITS", 5, Outcome.PAUSE),
        ("REJECTED_PREPAID_PACKAGE_EXPIRED", 5, Outcome.PAUSE),
        ("REJECTED_DESTINATION_NOT_REGISTERED", 5, Outcome.PAUSE),
        ("REJECTED_SOMETHING_NEW", 5, Outcome.BUG),
        ("PENDING_SOMETHING_NEW", 1, Outcome.OK),
    ],
)
def test_statuses(name, group, outcome):
    gateway = build(InfobipGateway, answer_with(name, group))
    (result,) = gateway.send([message()])
    assert (result.outcome, result.provider_code) == (outcome, name)
    assert result.provider_message == "text"
    assert result.provider_ref == ("n1" if outcome is Outcome.OK else None)
    assert result.retry_after == (3600 if outcome is Outcome.POSTPONE else None)


OLD_ERROR = {
    "requestError": {
        "serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid login"}
    }
}
NEW_ERROR = {"errorCode": "E401", "description": "Invalid login", "action": "Check"}


@pytest.mark.parametrize(
    ("body", "status", "outcome", "code", "text"),
    [
        (OLD_ERROR, 401, Outcome.PAUSE, "UNAUTHORIZED", "Invalid login"),
        (NEW_ERROR, 401, Outcome.PAUSE, "E401", "Invalid login"),
        (NEW_ERROR, 403, Outcome.PAUSE, "E401", "Invalid login"),
        ({"errorCode": "E400"}, 400, Outcome.BUG, "E400", None),
        (b"<html>", 404, Outcome.PAUSE, "http.404", None),
        (b"<html>", 301, Outcome.PAUSE, "http.301", None),
        ({"errorCode": "E500"}, 500, Outcome.AMBIGUOUS, "E500", None),
        (b"", 504, Outcome.AMBIGUOUS, "http.504", None),
    ],
)
def test_refusals(body, status, outcome, code, text):
    (result,) = build(InfobipGateway, reply(body, status)).send([message()])
    assert (result.outcome, result.provider_code) == (outcome, code)
    assert result.provider_message == text


def test_a_message_the_answer_leaves_out_is_uncertain():
    status = {"groupId": 1, "name": "PENDING_ACCEPTED"}
    answer = reply({"messages": [{"messageId": "n1", "status": status}]})
    named, missing = build(InfobipGateway, answer).send([message("a"), message("b")])
    assert (named.outcome, named.provider_ref) == (Outcome.OK, "n1")
    assert (missing.outcome, missing.provider_ref) == (Outcome.AMBIGUOUS, "n2")


def test_lost_answer_keeps_our_reference():
    results = build(InfobipGateway, MaybeSent("")).send([message("a"), message("b")])
    assert {result.outcome for result in results} == {Outcome.AMBIGUOUS}
    assert [result.provider_ref for result in results] == ["n1", "n2"]


def refuse_texts(_url, data):
    """Refuse a call with a text the vendor does not take."""
    messages = json.loads(data)["messages"]
    violations = [
        {"property": f"messages[{index}].content.text", "violation": "bad"}
        for index, entry in enumerate(messages)
        if entry["content"]["text"] == "bad"
    ]
    if violations:
        return reply({"errorCode": "E400", "violations": violations}, 400)
    return answer_with()(_url, data)


def test_bad_messages_are_isolated():
    batch = [message(n, body="bad" if n in (3, 12) else "good") for n in range(16)]
    gateway = build(InfobipGateway, refuse_texts)
    results = gateway.send(batch)
    assert [r.key for r in results if r.outcome is Outcome.BUG] == ["3", "12"]
    assert sum(result.outcome is Outcome.OK for result in results) == 14


def test_one_fault_in_all_of_them_is_not_looked_for():
    gateway = build(InfobipGateway, refuse_texts)
    results = gateway.send([message(n, body="bad") for n in range(16)])
    assert {result.outcome for result in results} == {Outcome.BUG}
    assert len(gateway.http.calls) == 1


def test_own_tables():
    config = with_options(
        send_outcomes={"REJECTED_SOMETHING_NEW": "pause"},
        report_outcomes={"EC_SOMETHING_NEW": "optout"},
    )
    answer = answer_with("REJECTED_SOMETHING_NEW", 5)
    gateway = build(InfobipGateway, answer, config=config)
    assert gateway.send([message()])[0].outcome is Outcome.PAUSE
    event = report("UNDELIVERABLE_NOT_DELIVERED", 2, "EC_SOMETHING_NEW", gateway)
    assert event.outcome is Outcome.OPTOUT


def test_own_code_of_a_whole_call():
    config = with_options(send_outcomes={"E403*": "pause"})
    for status, outcome in ((400, Outcome.PAUSE), (500, Outcome.AMBIGUOUS)):
        answer = reply({"errorCode": "E4031", "description": "no"}, status)
        (result,) = build(InfobipGateway, answer, config=config).send([message()])
        assert result.outcome is outcome


# Callbacks -----------------------------------------------------------------------


def parse(results, gateway=None, method="POST"):
    body = json.dumps({"results": results}).encode()
    request = WebhookRequest(method=method, body=body)
    return (gateway or build(InfobipGateway)).parse(request)


def entry(status, group, error="NO_ERROR", error_group=0, permanent=False):
    return {
        "bulkId": "B",
        "messageId": "n1",
        "sentAt": "2026-01-15T08:00:00.000+0000",
        "doneAt": "2026-01-15T16:00:05.250+0800",
        "messageCount": 2,
        "status": {"groupId": group, "name": status, "description": "status"},
        "error": {
            "groupId": error_group,
            "name": error,
            "description": "error",
            "permanent": permanent,
        },
    }


def report(status, group, error="NO_ERROR", gateway=None, **values):
    result = entry(status, group, error, **values) | {"to": "8613800138000"}
    (event,) = parse([result], gateway)
    return event


def test_report():
    event = report(
        "UNDELIVERABLE_NOT_DELIVERED",
        2,
        "EC_UNKNOWN_SUBSCRIBER",
        error_group=1,
        permanent=True,
    )
    assert (event.provider_ref, event.address) == ("n1", "+8613800138000")
    assert (event.status, event.outcome) == ("failed", Outcome.BADNUM)
    assert event.provider_code == "EC_UNKNOWN_SUBSCRIBER"
    assert (event.provider_message, event.parts) == ("error", 2)
    assert event.date == datetime(2026, 1, 15, 8, 0, 5, 250000, timezone.utc)


@pytest.mark.parametrize(
    ("status", "group", "result"),
    [
        ("DELIVERED_TO_HANDSET", 3, "delivered"),
        ("DELIVERED_TO_OPERATOR", 3, "sent"),
        ("EXPIRED_DLR_UNKNOWN", 4, "failed"),
        ("REJECTED_DND", 5, "failed"),
    ],
)
def test_report_status(status, group, result):
    event = report(status, group)
    assert (event.status, event.provider_code) == (result, status)
    assert event.provider_message == "status"
    assert event.event_ref == f"report:n1:{result}"


def test_report_of_a_message_under_way():
    assert parse([entry("PENDING_ENROUTE", 1) | {"to": "8613800138000"}]) == []


@pytest.mark.parametrize(
    ("error", "group", "permanent", "outcome"),
    [
        ("EC_ABSENT_SUBSCRIBER", 1, False, Outcome.POSTPONE),
        ("EC_ILLEGAL_SUBSCRIBER", 1, True, Outcome.BADNUM),
        ("EC_TEMPORARY_HANDSET_FAILURE", 1, True, Outcome.POSTPONE),
        ("EC_SC_BLOCKED_BY_END_USER", 1, True, Outcome.OPTOUT),
        ("EC_CONTENT_BLOCKED", 2, True, Outcome.OPTOUT),
        ("EC_DEACTIVATED_LIST", 2, True, Outcome.BADNUM),
        ("EC_REJECTED_SPAM_BY_OPERATOR", 2, True, Outcome.CONTENT),
        ("EC_BLACKLISTED_SENDERADDRESS", 2, True, Outcome.TEMPLATE),
        ("EC_MONTHLY_LIMIT_REACHED", 2, True, Outcome.PAUSE),
        # The operator's own trouble says nothing about the number.
        ("EC_MOBILE_OPERATOR_NETWORK_ERROR", 3, True, None),
        ("NO_ERROR", 0, False, None),
    ],
)
def test_errors(error, group, permanent, outcome):
    event = report(
        "UNDELIVERABLE_NOT_DELIVERED", 2, error, error_group=group, permanent=permanent
    )
    assert event.outcome is outcome


REPLY = {
    "messageId": "i1",
    "from": "8613800138000",
    "to": "447860099299",
    "text": "STOP it",
    "cleanText": "it",
    "keyword": "STOP",
    "receivedAt": "2026-01-15T08:00:00.000+0000",
    "smsCount": 1,
}


def test_reply():
    (event,) = parse([REPLY])
    assert (event.address, event.text) == ("+8613800138000", "STOP it")
    assert (event.event_ref, event.destination) == ("inbound:i1", "447860099299")
    assert event.date == NOW
    assert parse([REPLY]) == [event]


def test_broken_and_foreign_results():
    good = entry("DELIVERED_TO_HANDSET", 3) | {"to": "8613800138000"}
    assert len(parse([{"status": {}}, good, 3, {"click": "x"}])) == 1
    assert parse([{"click": "x"}]) == []
    assert parse([], method="GET") == []
    for broken in ({**REPLY, "from": "Shop"}, {**REPLY, "messageId": ""}):
        with pytest.raises(PayloadError):
            parse([broken])
    with pytest.raises(PayloadError):
        build(InfobipGateway).parse(WebhookRequest(body=b'{"results": {}}'))


# Questions -----------------------------------------------------------------------


def test_probe_asks_for_the_balance():
    gateway = build(InfobipGateway, reply({"balance": 0, "currency": "EUR"}))
    assert gateway.probe().outcome is Outcome.OK
    ((method, url, headers, _data),) = gateway.http.calls
    assert (method, url) == ("GET", f"https://{ENDPOINT}/account/1/balance")
    assert headers["Authorization"] == f"App {CONFIG.api_key}"
    result = build(InfobipGateway, reply(OLD_ERROR, 401)).probe()
    assert (result.outcome, result.provider_code) == (Outcome.PAUSE, "UNAUTHORIZED")


def logs(*entries):
    return reply({"results": [e | {"destination": "8613800138000"} for e in entries]})


def ask(references, *answers, now=NOW, sent_date=NOW):
    gateway = build(InfobipGateway, *answers)
    pending = [
        PendingMessage(str(key), "+8613800138000", reference, sent_date)
        for key, reference in enumerate(references)
    ]
    events = gateway.query(pending, now)
    calls = [urlsplit(url) for _method, url, _headers, _data in gateway.http.calls]
    assert all(call.path == "/sms/3/logs" for call in calls)
    return events, [
        {name: value for name, (value,) in parse_qs(call.query).items()}
        for call in calls
    ]


def test_query_by_reference():
    delivered = entry("DELIVERED_TO_HANDSET", 3)
    failed = entry("REJECTED_DND", 5) | {"messageId": "n2"}
    under_way = entry("PENDING_ENROUTE", 1) | {"messageId": "n3"}
    events, calls = ask(["n1", "n2", "n3", "n4"], logs(delivered, failed, under_way))
    assert calls == [{"messageId": "n1,n2,n3,n4", "limit": "1000"}]
    assert [(e.key, e.status, e.outcome) for e in events] == [
        ("0", "delivered", None),
        ("1", "failed", Outcome.OPTOUT),
    ]
    # The same fact as the report that is pushed.
    assert events[0].event_ref == report("DELIVERED_TO_HANDSET", 3).event_ref


def test_query_by_number_only_if_clear():
    delivered = entry("DELIVERED_TO_HANDSET", 3)
    (event,), (call,) = ask([None], logs(delivered))
    assert call == {
        "destination": "8613800138000",
        "sentSince": "2026-01-15T07:59:00.000+0000",
        "sentUntil": "2026-01-15T08:10:00.000+0000",
        "limit": "1000",
    }
    assert (event.key, event.provider_ref) == ("0", "n1")
    assert ask([None], logs(delivered, delivered))[0] == []
    assert ask([None], logs())[0] == []


def test_numbers_are_not_logged():
    assert redact({"destination": "8613800138000"}) == {"destination": "***"}


def test_references_of_a_question_fit_into_its_address():
    # 2,048 characters is the vendor's limit.
    assert InfobipGateway.query_size * len("0" * 32 + ",") <= 2048


def test_query_too_old():
    assert ask(["n1"], logs(), now=NOW + timedelta(hours=49)) == ([], [])


def test_query_stops_at_trouble():
    events, calls = ask(
        [None, None], logs(entry("DELIVERED_TO_HANDSET", 3)), reply(b"", 429)
    )
    assert (len(events), len(calls)) == (1, 2)
    assert ask(["n1"], MaybeSent(""))[0] == []
