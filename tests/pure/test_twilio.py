"""Twilio: signature vectors, codes, callbacks, the adapter against the simulator."""

import dataclasses
import json
from collections import Counter
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from fakes import CONFIG, NOW, build, message, reply

from gateways.errors import MaybeSent, PayloadError, SignatureError
from gateways.http import HttpClient
from gateways.twilio import (
    ERROR_OUTCOMES,
    TwilioGateway,
    sign,
    with_and_without_port,
)
from gateways.types import Outcome, PendingMessage, WebhookRequest
from simulators.listener import Listener
from simulators.twilio import (
    ACCOUNT,
    KEY_SECRET,
    KEY_SID,
    SENDER,
    SERVICE,
    TOKEN,
    TwilioSimulator,
)

NUMBER = "+13105551234"
URL = "https://erp.example.com/mm/callback/7/a-long-random-secret"
CALL = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+12349013030",
    "Digits": "1234",
    "From": "+12349013030",
    "To": "+18005551212",
}
STATUS = {
    "AccountSid": "AC0123456789abcdef0123456789abcdef",
    "ApiVersion": "2010-04-01",
    "ErrorCode": "30003",
    "From": "+15005550006",
    "MessageSid": "SM0123456789abcdef0123456789abcdef",
    "SmsSid": "SM0123456789abcdef0123456789abcdef",
    "MessageStatus": "undelivered",
    "SmsStatus": "undelivered",
    "MessagingServiceSid": "MG0123456789abcdef0123456789abcdef",
    "To": "+8613800138000",
}
ERP = "https://erp.example.com/mm/twilio"
#: Address, form, signature: the vendor's own and those its SDK computed. Token 12345.
VECTORS = [
    (
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        CALL,
        "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
    ),
    (
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        {**CALL, "Caller": "+14158675309", "From": "+14158675309"},
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    ),
    (f"{ERP}/status?gw=7", STATUS, "pcjIx3nLAzBSBEWzlpfvuWhfxQo="),
]
JSON_BODY = '{"hello":"你好"}'.encode()
JSON_HASH = "81cb7e033174d802bf5f371dffd5372b839e2866ba195a8409552236fe2f6b22"
JSON_SIGNATURE = "b4EWr7UKXcLooN2/gQPl38riRcQ="


def callback(form, signature=None, url=URL, **values):
    """A request as the controller hands it over, signed unless told otherwise."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    if signature is None:
        signature = sign(CONFIG.api_secret, url, parse_qsl(body.decode(), True))
    values = {
        "path_secret": CONFIG.callback_secret,
        "headers": {"x-twilio-signature": signature},
        "body": body,
        "url": url,
    } | values
    return WebhookRequest(**values)


def verify(request, token=CONFIG.api_secret):
    config = dataclasses.replace(CONFIG, api_secret=token)
    build(TwilioGateway, config=config).verify(request)


def parse(form, **values):
    return build(TwilioGateway).parse(callback(form, **values))


# Signatures ----------------------------------------------------------------------


@pytest.mark.parametrize(("url", "form", "signature"), VECTORS)
def test_signature_of_a_form(url, form, signature):
    assert sign("12345", url, form.items()) == signature
    verify(callback(form, signature, url), "12345")


def test_signature_of_json():
    url = f"{ERP}/json?bodySHA256={JSON_HASH}"
    assert sign("12345", url) == JSON_SIGNATURE
    verify(callback(JSON_BODY, JSON_SIGNATURE, url), "12345")
    with pytest.raises(SignatureError, match="bodySHA256"):
        verify(callback(JSON_BODY + b" ", JSON_SIGNATURE, url), "12345")
    # without the hash the body would not be covered
    with pytest.raises(SignatureError):
        verify(callback(JSON_BODY, sign("12345", ERP), ERP), "12345")


def test_repeated_and_empty_fields_are_signed():
    body = b"b=2&a=&b=1&b=2&c=%E4%BD%A0"
    assert sign("t", URL, parse_qsl(body.decode(), True)) == sign(
        "t", URL, [("a", ""), ("b", "1"), ("b", "2"), ("c", "你")]
    )
    verify(callback(body))


def test_signature_of_get():
    url = f"{URL}?MessageSid=SM1"
    signature = sign(CONFIG.api_secret, url)
    verify(callback(b"", signature, url, method="GET"))
    with pytest.raises(SignatureError):
        verify(callback(b"", signature, f"{url}2", method="GET"))


@pytest.mark.parametrize(
    ("signed", "configured"),
    [
        ("https://erp.example.com:443/x?a=1", "https://erp.example.com/x?a=1"),
        ("https://erp.example.com/x?a=1", "https://erp.example.com:443/x?a=1"),
        ("http://erp.example.com:80/x", "http://erp.example.com/x"),
        ("https://erp.example.com:8443/x", "https://erp.example.com:8443/x"),
    ],
)
def test_port_of_the_scheme(signed, configured):
    verify(
        callback(STATUS, sign(CONFIG.api_secret, signed, STATUS.items()), configured)
    )


def test_other_ports_are_not_the_same():
    assert with_and_without_port("https://[::1]/x") == (
        "https://[::1]/x",
        "https://[::1]:443/x",
    )
    signature = sign(CONFIG.api_secret, "https://erp.example.com/x", STATUS.items())
    with pytest.raises(SignatureError):
        verify(callback(STATUS, signature, "https://erp.example.com:8443/x"))


def test_one_changed_byte():
    good = callback(STATUS)
    verify(good)
    signature = good.headers["x-twilio-signature"]
    forged = [
        dataclasses.replace(good, body=good.body.replace(b"30003", b"30004")),
        dataclasses.replace(good, body=good.body + b"&x="),
        dataclasses.replace(good, url=good.url + "?x"),
        dataclasses.replace(good, path_secret="a-long-random-secreT"),
        dataclasses.replace(good, headers={"X-Twilio-Signature": signature[:-1]}),
        dataclasses.replace(good, headers={"X-Twilio-Signature": "密"}),
        dataclasses.replace(good, headers={}),
    ]
    for request in forged:
        with pytest.raises(SignatureError):
            verify(request)
    with pytest.raises(SignatureError):
        verify(good, "other token")


def test_without_a_token_nobody_is_heard():
    with pytest.raises(SignatureError):
        verify(callback(STATUS, sign("", URL, STATUS.items())), "")


# Sending -------------------------------------------------------------------------


def test_request():
    config = dataclasses.replace(CONFIG, callback_url=URL)
    gateway = build(TwilioGateway, reply({"sid": "SM1"}, 201), config=config)
    gateway.send([message(address=NUMBER, body="你好 & €")])
    ((method, url, headers, data),) = gateway.http.calls
    assert (method, url) == (
        "POST",
        "https://api.twilio.com/2010-04-01/Accounts/LTAIEXAMPLEKEYID/Messages.json",
    )
    assert headers == {
        "Authorization": "Basic TFRBSUVYQU1QTEVLRVlJRDpleGFtcGxlU2VjcmV0MTIz",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    assert dict(parse_qsl(data.decode())) == {
        "To": NUMBER,
        "Body": "你好 & €",
        "MessagingServiceSid": SERVICE,
        "StatusCallback": f"{URL}?ref=n1",
    }


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        *((code, 400, outcome) for code, outcome in ERROR_OUTCOMES.items()),
        ("20003", 401, Outcome.PAUSE),
        ("99999", 400, Outcome.BUG),
        ("20500", 500, Outcome.AMBIGUOUS),
        ("20429", 503, Outcome.AMBIGUOUS),
    ],
)
def test_codes(code, status, outcome):
    answer = reply({"code": int(code), "message": "why", "status": status}, status)
    (result,) = build(TwilioGateway, answer).send([message()])
    assert (result.outcome, result.provider_code) == (outcome, code)
    assert result.provider_message == "why"


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirect(status):
    (result,) = build(TwilioGateway, reply(b"", status)).send([message()])
    assert result.outcome is Outcome.PAUSE


def test_accepted_and_failed_at_once():
    answer = {"sid": "SM1", "status": "failed", "error_code": 30007}
    (result,) = build(TwilioGateway, reply(answer, 201)).send([message()])
    assert (result.outcome, result.provider_ref) == (Outcome.CONTENT, "SM1")


def test_settings():
    gateway = build(TwilioGateway)
    assert gateway.check_config() == []
    bare = TwilioGateway(dataclasses.replace(CONFIG, api_secret=""))
    assert bare.check_config() == ["api_secret", "twilio_messaging_service"]


# Callbacks -----------------------------------------------------------------------


def test_status_callback():
    (report,) = parse(STATUS, query={"ref": "n1"})
    assert dataclasses.asdict(report) == {
        "provider_ref": STATUS["MessageSid"],
        "address": "+8613800138000",
        "status": "failed",
        "event_ref": f"report:{STATUS['MessageSid']}:failed",
        "outcome": Outcome.POSTPONE,
        "provider_code": "30003",
        "provider_message": None,
        "date": None,
        "parts": None,
        "alternative_ref": "ref:n1",
        "key": None,
    }


@pytest.mark.parametrize(
    ("status", "known"),
    [
        ("sent", "sent"),
        ("delivered", "delivered"),
        ("read", "delivered"),
        ("undelivered", "failed"),
        ("failed", "failed"),
        ("canceled", "failed"),
        *(
            (status, None)
            for status in "accepted scheduled queued sending partially_delivered "
            "news".split()
        ),
    ],
)
def test_statuses(status, known):
    found = parse({"MessageSid": "SM1", "MessageStatus": status, "To": NUMBER})
    assert [report.status for report in found] == ([known] if known else [])


def test_json_and_query_tell_the_same():
    fields = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": NUMBER}
    (report,) = parse(fields)
    assert parse(json.dumps({**fields, "Price": None, "n": 1}).encode()) == [report]
    assert parse(b"", query=fields) == [report]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"Body": "好的\0"}, "好的"),
        ({"Body": ""}, ""),
        ({"Body": "ARRET", "OptOutType": "STOP"}, "STOP"),
        ({"Body": "RETOUR", "OptOutType": "START"}, "START"),
        ({"Body": "AIDE", "OptOutType": "HELP"}, "AIDE"),
    ],
)
def test_reply(more, text):
    form = {"MessageSid": "SM2", "SmsStatus": "received", "From": NUMBER, "To": SENDER}
    (inbound,) = parse({**form, **more})
    assert (inbound.address, inbound.text) == (NUMBER, text)
    assert (inbound.destination, inbound.event_ref) == (SENDER, "up:SM2")


def test_broken_callbacks():
    for form in (
        {"MessageStatus": "delivered", "To": NUMBER},
        {"MessageSid": "SM1", "MessageStatus": "delivered"},
        {"MessageSid": "SM1", "Body": "who?"},
        b'{"MessageSid": "SM1"',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ):
        with pytest.raises(PayloadError):
            parse(form)


def test_answer_orders_nothing():
    status, headers, body = build(TwilioGateway).acknowledge()
    assert (status, body) == (200, b"<Response/>")
    assert headers["Content-Type"].startswith("text/xml")


# Against the simulator -----------------------------------------------------------


@pytest.fixture
def simulator():
    with TwilioSimulator(sleep=lambda seconds: None) as simulator:
        yield simulator


@pytest.fixture
def listener():
    with Listener() as listener:
        yield listener


def adapter(simulator, **options):
    options = options or {"messaging_service": SERVICE}
    config = dataclasses.replace(
        CONFIG,
        api_key=ACCOUNT,
        api_secret=TOKEN,
        endpoint=simulator.url,
        options=options,
    )
    return TwilioGateway(config, http=HttpClient(timeout=(2, 2)))


def pending(result, number=NUMBER, sent=None, reference=None):
    sent = sent or NOW.now(NOW.tzinfo)
    return PendingMessage("1", number, reference or result.provider_ref, sent)


@pytest.mark.parametrize(
    "options",
    [
        {"sender": f" {SENDER} "},
        {"messaging_service": SERVICE},
        {"sender": SENDER, "key_sid": KEY_SID, "key_secret": KEY_SECRET},
    ],
)
def test_accepted_once(simulator, options):
    (result,) = adapter(simulator, **options).send([message(address=NUMBER)])
    assert result.outcome is Outcome.OK
    assert simulator.accepted == {NUMBER: 1}
    assert simulator.messages[0].reference == result.provider_ref
    assert simulator.messages[0].content == "Hello"


@pytest.mark.parametrize(
    ("options", "values", "code", "outcome"),
    [
        ({"sender": "+15005550001"}, {}, "21606", Outcome.TEMPLATE),
        ({"messaging_service": "MG1"}, {}, "21701", Outcome.TEMPLATE),
        ({}, {"body": "a" * 1601}, "21617", Outcome.CONTENT),
        ({}, {"body": ""}, "21602", Outcome.CONTENT),
        ({}, {"address": "+1"}, "21211", Outcome.BADNUM),
        ({"sender": SENDER, "key_sid": KEY_SID}, {}, "20003", Outcome.PAUSE),
    ],
)
def test_refused(simulator, options, values, code, outcome):
    gateway = adapter(simulator, **options)
    (result,) = gateway.send([message(**{"address": NUMBER, **values})])
    assert (result.provider_code, result.outcome) == (code, outcome)
    assert not simulator.accepted


def test_callback_address_twilio_does_not_take(simulator):
    gateway = adapter(simulator)
    url = "https://my_shop.example.com/callback"
    gateway.config = dataclasses.replace(gateway.config, callback_url=url)
    (result,) = gateway.send([message(address=NUMBER)])
    assert (result.provider_code, result.outcome) == ("21609", Outcome.PAUSE)


def test_every_error_on_demand(simulator):
    gateway = adapter(simulator)
    for code, outcome in ERROR_OUTCOMES.items():
        simulator.fail_phone(NUMBER, code)
        (result,) = gateway.send([message(address=NUMBER)])
        assert (result.provider_code, result.outcome) == (code, outcome)
    simulator.throttle_next(1)
    (result,) = gateway.send([message(address=NUMBER)])
    assert (result.outcome, result.retry_after) == (Outcome.RETRY, 2)
    assert not simulator.accepted


def test_probe(simulator):
    gateway = adapter(simulator)
    assert gateway.probe().outcome is Outcome.OK
    simulator.status = "suspended"
    result = gateway.probe()
    assert (result.outcome, result.provider_code) == (Outcome.PAUSE, "suspended")
    wrong = dataclasses.replace(gateway.config, api_secret="wrong")
    result = TwilioGateway(wrong, http=gateway.http).probe()
    assert (result.outcome, result.provider_code) == (Outcome.PAUSE, "20003")
    nowhere = dataclasses.replace(gateway.config, endpoint="http://127.0.0.1:9")
    assert TwilioGateway(nowhere, http=gateway.http).probe().outcome is Outcome.RETRY


def test_query_by_sid(simulator):
    gateway = adapter(simulator)
    (result,) = gateway.send([message(address=NUMBER)])
    assert gateway.query([pending(result)], NOW) == [], "under way"
    simulator.receipt(NUMBER, "30005")
    simulator.settle()
    (report,) = gateway.query([pending(result)], NOW)
    assert (report.status, report.outcome) == ("failed", Outcome.BADNUM)
    assert (report.provider_ref, report.key) == (result.provider_ref, "1")
    assert report.parts == 1


@pytest.mark.parametrize("accept", [True, False])
def test_lost_answer_is_found_and_never_sent_again(simulator, accept):
    simulator.drop_next(1, accept=accept)
    gateway = adapter(simulator)
    (result,) = gateway.send([message(address=NUMBER)])
    assert result.outcome is Outcome.AMBIGUOUS
    assert result.provider_ref.startswith("ref:")
    simulator.settle()
    reports = gateway.query([pending(result)], NOW)
    assert [report.status for report in reports] == ["delivered"] * accept
    assert sum(simulator.accepted.values()) == accept
    if accept:
        assert reports[0].provider_ref == simulator.messages[0].reference


def test_two_messages_cannot_be_told_apart(simulator):
    gateway = adapter(simulator)
    for _time in range(2):
        gateway.send([message(address=NUMBER)])
    simulator.settle()
    assert gateway.query([pending(None, reference="ref:n1")], NOW) == []


def test_messages_of_others_are_not_ours(simulator):
    adapter(simulator, sender=SENDER).send([message(address=NUMBER)])
    simulator.settle()
    lost = pending(None, reference="ref:n1")
    assert adapter(simulator).query([lost], NOW) == []
    (report,) = adapter(simulator, sender=SENDER).query([lost], NOW)
    assert report.status == "delivered"
    long_ago = pending(None, reference="ref:n1", sent=NOW - timedelta(days=400))
    assert adapter(simulator, sender=SENDER).query([long_ago], NOW) == []


def test_query_reads_no_further_page():
    entry = {
        "sid": "SM1",
        "status": "delivered",
        "direction": "outbound-api",
        "messaging_service_sid": SERVICE,
        "date_created": format_datetime(NOW),
    }
    lost = pending(None, sent=NOW, reference="ref:n1")
    answer = {"messages": [entry]}
    (report,) = build(TwilioGateway, reply(answer)).query([lost], NOW)
    # as the callback tells it
    assert report.event_ref == "report:SM1:delivered"
    answer["next_page_uri"] = "/more"
    assert build(TwilioGateway, reply(answer)).query([lost], NOW) == []


@pytest.mark.parametrize("trouble", [MaybeSent("no"), reply(b"", 500), reply({}, 200)])
def test_query_stops_at_trouble(trouble):
    gateway = build(TwilioGateway, trouble)
    asked = [pending(None, reference=f"SM{n}") for n in range(3)]
    assert gateway.query(asked, NOW) == []
    assert len(gateway.http.calls) == 1


def test_statuses_and_replies_come_signed(simulator, listener):
    """What the simulator posts, the adapter accepts; one changed byte it does not."""
    config = dataclasses.replace(
        adapter(simulator).config,
        callback_url=listener.url,
        callback_secret="s",
    )
    gateway = TwilioGateway(config, http=HttpClient(timeout=(2, 2)))
    simulator.drop_next(1)
    (lost,) = gateway.send([message(address=NUMBER)])
    assert simulator.push_reports() == {True: 2}
    simulator.push_replies(listener.url, [(NUMBER, "Stop")])
    simulator.push_json(listener.url, {"MessageSid": "SM3", "Body": "你", "From": "+1"})
    events = []
    for values in listener.requests:
        request = WebhookRequest(**values)
        gateway.verify(request)
        events += gateway.parse(request)
        with pytest.raises(SignatureError):
            gateway.verify(
                dataclasses.replace(request, body=request.body.replace(b"S", b"T", 1))
            )
    assert [getattr(event, "status", "reply") for event in events] == [
        "sent",
        "delivered",
        "reply",
        "reply",
    ]
    # the report finds the message whose answer got lost
    assert events[1].alternative_ref == lost.provider_ref
    (refused,) = gateway.send([message(address=NUMBER)])
    assert (refused.outcome, refused.provider_code) == (Outcome.OPTOUT, "21610")


def test_callback_that_is_not_acknowledged(simulator, listener):
    """A status is told once, whatever the answer; only connections are retried."""
    listener.status = 500
    config = dataclasses.replace(
        adapter(simulator).config, callback_url=listener.url, callback_secret="s"
    )
    TwilioGateway(config).send([message(address=NUMBER)])
    assert simulator.push_reports() == Counter({False: 2})
    assert len(listener.requests) == 2
