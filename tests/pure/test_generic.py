"""The provider an administrator describes: calls, answers, callbacks, mistakes."""

import contextlib
import dataclasses
import json
import logging
import time
from collections import Counter
from urllib.parse import parse_qsl

import pytest
from fakes import CONFIG, OPTIONS, FakeHttp, build, message, reply
from lxml import etree
from test_http import OK, answer, server

from gateways.errors import ConfigError, NotSent, PayloadError, SignatureError
from gateways.generic import (
    ERROR_CLASSES,
    MASK,
    PLACEHOLDERS,
    GenericGateway,
    Problem,
    find_problems,
    read_tree,
)
from gateways.http import HttpClient
from gateways.types import DeliveryReport, InboundMessage, Outcome, WebhookRequest

#: Every character that means something in JSON, XML, a form or an address.
NASTY = "a\"b\\c'd<e>&f=g+h%i#j?k/l\n{{ m }}\t退订😀"
URL = "https://sms.example.com/send"


def gateway(*answers, **options):
    return make(dataclasses.replace(CONFIG, options=options), *answers)


def make(config, *answers):
    http = FakeHttp(*answers or [AssertionError("no call")])
    return GenericGateway(config, http=http, nonce=lambda: "n1")


def call(text=NASTY, **options):
    """Send a text; return method, address, headers and body of the call."""
    adapter = gateway(reply({}), **{"url": URL, **options})
    adapter.send([message(body=text)])
    return adapter.http.calls[0]


def send(response, **options):
    (result,) = gateway(response, **{"url": URL, **options}).send([message()])
    return result


def parse(body, **options):
    adapter = gateway(**options)
    if not isinstance(body, WebhookRequest):
        body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        body = WebhookRequest(body=body)
    return adapter.parse(body)


# The call ------------------------------------------------------------------------


def test_json_body():
    template = '{"to": ["{{ to }}"], "text": "{{text}}", "n": 1}'
    method, url, headers, data = call(body=template)
    assert (method, url) == ("POST", URL)
    assert headers == {"Content-Type": "application/json"}
    assert json.loads(data) == {"to": ["+8613800138000"], "text": NASTY, "n": 1}


def test_form_body():
    template = "mobile={{ to_national }}\n  &sign=【品牌】&text={{ text }}"
    _method, _url, headers, data = call(body=template, body_type="form")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert data.isascii()
    assert parse_qsl(data.decode()) == [
        ("mobile", "13800138000"),
        ("sign", "【品牌】"),
        ("text", NASTY),
    ]


def test_xml_body():
    template = '<sms to="{{ to_digits }}" note="{{ text }}"><t>{{ text }}</t></sms>'
    text = NASTY.replace("\n", "").replace("\t", "")
    _method, _url, headers, data = call(f"{text}\x01", body=template, body_type="xml")
    assert headers["Content-Type"] == "text/xml; charset=utf-8"
    root = etree.fromstring(data)
    assert (root.get("to"), root.get("note")) == ("8613800138000", text)
    assert root.find("t").text == text


def test_text_body():
    data = call(body="{{ to }}|{{ text }}", body_type="text")[3]
    assert data.decode() == f"+8613800138000|{NASTY}"


def test_values_in_the_address():
    url = f"{URL}/{{{{ to_digits }}}}?text={{{{ text }}}}&sign={{{{ signature }}}}"
    method, url, headers, data = call(url=url, method="GET", body="ignored")
    assert (method, headers, data) == ("GET", {}, b"")
    path, query = url.split("?")
    assert path == f"{URL}/8613800138000"
    assert dict(parse_qsl(query)) == {"text": NASTY, "sign": "云会员"}


def test_headers():
    lines = (
        "Authorization: Bearer {{ api_secret }}\n\n"
        "content-type: application/vnd.sms+json\nX-Text: {{ text }}"
    )
    headers = call("one\r\nX-Evil: two", body="{}", headers=lines)[2]
    assert headers == {
        "Authorization": "Bearer exampleSecret123",
        "content-type": "application/vnd.sms+json",
        "X-Text": "one X-Evil: two",
    }


@pytest.mark.parametrize("kind", ["form", "text", "json"])
def test_other_charset(kind):
    template = {"form": "t={{ text }}", "text": "{{ text }}", "json": '"{{ text }}"'}
    _method, _url, headers, data = call(
        "退订😀", body=template[kind], body_type=kind, charset="gb18030"
    )
    assert headers["Content-Type"].endswith("; charset=gb18030")
    if kind == "form":
        assert parse_qsl(data.decode(), encoding="gb18030") == [("t", "退订😀")]
    else:
        assert "退订😀" in data.decode("gb18030")


def test_every_placeholder_has_a_value():
    names = ",".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS)
    config = dataclasses.replace(
        CONFIG, callback_url="https://a/", options={"url": URL, "body_type": "text"}
    )
    config.options["body"] = names
    adapter = make(config, reply({}))
    adapter.send([message(body="T")])
    assert adapter.http.calls[0][3].decode() == (
        "+8613800138000,8613800138000,13800138000,T,1,n1,云会员,"
        "LTAIEXAMPLEKEYID,exampleSecret123,https://a/"
    )


# The answer ----------------------------------------------------------------------

JSON_RULES = {
    "code_path": "result.code",
    "success_codes": "0, OK, all right",
    "ref_path": "result.ids[0]",
    "message_path": "result.text",
    "error_outcomes": "1 = badnum\n  2=OPTOUT \n9* = pause\n90 = content",
}


def result_of(code, status=200, **more):
    return reply({"result": {"code": code, **more}}, status)


@pytest.mark.parametrize("code", [0, "0", "ok", "All Right"])
def test_accepted(code):
    result = send(result_of(code, ids=[123], text="fine"), **JSON_RULES)
    assert result.outcome is Outcome.OK
    assert (result.provider_ref, result.provider_message) == ("123", "fine")


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        (1, 200, Outcome.BADNUM),
        ("2", 400, Outcome.OPTOUT),
        ("99", 200, Outcome.PAUSE),
        ("90", 200, Outcome.CONTENT),
        ("1", 500, Outcome.BADNUM),
        ("7", 200, Outcome.BUG),
        ("0", 500, Outcome.AMBIGUOUS),
        (None, 200, Outcome.AMBIGUOUS),
        (None, 404, Outcome.PAUSE),
        ("7", 401, Outcome.PAUSE),
        (None, 302, Outcome.PAUSE),
        (None, 429, Outcome.RETRY),
    ],
)
def test_not_accepted(code, status, outcome):
    assert send(result_of(code, status), **JSON_RULES).outcome is outcome


def test_status_is_the_code_without_a_path():
    assert send(reply(b"done")).outcome is Outcome.OK
    assert send(reply(b"", 202), success_codes="202").outcome is Outcome.OK
    assert send(reply(b"", 200), success_codes="202").outcome is Outcome.AMBIGUOUS
    assert send(reply(b"", 400)).outcome is Outcome.PAUSE
    refused = send(reply(b"", 422), error_outcomes="422 = badnum")
    assert (refused.outcome, refused.provider_code) == (Outcome.BADNUM, "422")


def test_regular_expression():
    rules = {
        "code_path": r"/^(\w+):/",
        "success_codes": "ok",
        "ref_path": r"/id=(\d+)/",
    }
    result = send(reply(b"OK: id=55"), **rules)
    assert (result.outcome, result.provider_ref) == (Outcome.OK, "55")
    assert send(reply(b"ERR: no"), **rules).outcome is Outcome.BUG


def test_xml_answer():
    raw = '<?xml version="1.0" encoding="gbk"?><r><code>0</code><id n="5">7</id></r>'
    rules = {"code_path": "r.code", "success_codes": "0", "charset": "gb18030"}
    result = send(reply(raw.encode("gbk")), ref_path="r.id.n", **rules)
    assert (result.outcome, result.provider_ref) == (Outcome.OK, "5")


def test_own_reference_where_there_is_no_other():
    assert send(reply({})).provider_ref == "ref:n1"
    lost = send(reply(b"", 502))
    assert (lost.outcome, lost.provider_ref) == (Outcome.AMBIGUOUS, "ref:n1")
    assert send(NotSent("no")).provider_ref is None


def test_own_codes_go_before_the_settings():
    own = {"send_outcomes": {"1": "optout", "8*": "content"}}
    config = dataclasses.replace(CONFIG, options={**OPTIONS["generic"], **own})
    for code, outcome in (
        (1, Outcome.OPTOUT),
        (8, Outcome.RETRY),
        (81, Outcome.CONTENT),
    ):
        gateway = build(GenericGateway, reply({"code": code}), config=config)
        assert gateway.send([message()])[0].outcome is outcome


def test_settings_that_make_no_call():
    result = send(AssertionError("no call"), body='{"a": {{ nonsense }}}')
    assert result.outcome is Outcome.PAUSE
    assert "nonsense" in result.provider_message


# Callbacks -----------------------------------------------------------------------

REPORTS = {
    "report_entries": "list",
    "report_number": "mobile",
    "report_ref": "id",
    "report_reference": "mine",
    "report_status": "stat",
    "report_code": "why",
    "delivered_words": "DELIVRD,ok",
    "failed_words": "UNDELIV",
    "error_outcomes": "MK:1 = badnum",
    "country": "cn",
}
REPLIES = {"inbound_number": "from", "inbound_text": "msg", "inbound_id": "sid"}


def test_reports():
    entries = [
        {"mobile": "13800138000", "id": 5, "stat": "delivrd"},
        {"mobile": "+85251234567", "mine": "n1", "stat": "UNDELIV", "why": "MK:1"},
        {"mobile": "13800138000", "id": 6, "stat": "ROUTED"},
        {"id": 7, "stat": "ok"},
    ]
    one, two = parse({"list": entries}, **REPORTS)
    assert one == DeliveryReport(
        provider_ref="5",
        address="+8613800138000",
        status="delivered",
        event_ref="report:5:+8613800138000:delivered",
        provider_code="delivrd",
    )
    assert (two.provider_ref, two.alternative_ref) == ("ref:n1", "ref:n1")
    assert (two.address, two.outcome) == ("+85251234567", Outcome.BADNUM)


def test_report_finds_what_was_sent():
    """Our reference in the call comes back and is that of the lost answer."""
    lost = send(reply(b"", 502), body='{"mine": "{{ reference }}"}', **REPORTS)
    report = {"list": [{"mobile": "13800138000", "mine": "n1", "stat": "ok"}]}
    assert parse(report, **REPORTS)[0].alternative_ref == lost.provider_ref


@pytest.mark.parametrize(
    "body",
    [
        '{"from": "008613800138000", "msg": "TD", "sid": 9}',
        "from=%2B8613800138000&msg=TD&sid=9",
        "<a><from>13800138000</from><msg>TD</msg><sid>9</sid></a>",
    ],
)
def test_reply_in_every_dress(body):
    rules = REPLIES
    if body.startswith("<"):
        rules = {name: f"a.{path}" for name, path in REPLIES.items()}
    (found,) = parse(body, country="CN", **rules)
    assert found == InboundMessage("+8613800138000", "TD", "up:9")


def test_reply_by_query_and_by_pattern():
    request = WebhookRequest(query={"from": "+8613800138000", "msg": "TD"})
    (found,) = parse(request, **REPLIES)
    # without an id the same reply told again is the same
    assert parse(request, **REPLIES) == [found]
    patterns = {"inbound_number": r"/(\+\d+)/", "inbound_text": r"/: (.*)$/"}
    (found,) = parse("SMS +8613800138000: 好的", **patterns)
    assert (found.address, found.text) == ("+8613800138000", "好的")


@pytest.mark.parametrize("charset", ["gbk", "GB2312", "utf-8", "nonsense", "zip"])
def test_charset_of_the_header(charset):
    encoding = charset if charset not in ("nonsense", "zip") else "utf-8"
    request = WebhookRequest(
        headers={"content-type": f'application/json; charset="{charset}"'},
        body='{"from": "+86138", "msg": "退订"}'.encode(encoding),
    )
    assert parse(request, **REPLIES)[0].text == "退订"


def test_wrong_charset_spoils_no_other_value():
    request = WebhookRequest(
        headers={"content-type": "application/json; charset=utf-8"},
        body='{"from": "+86138", "msg": "退订"}'.encode("gbk"),
    )
    assert parse(request, **REPLIES)[0].address == "+86138"


def test_percent_signs_of_another_charset():
    form = "from=%2B86138&msg=%CD%CB%B6%A9"
    assert parse(form, charset="gb18030", **REPLIES)[0].text == "退订"


@pytest.mark.parametrize(
    "body",
    [
        "nothing to see",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"from": "+86138", "msg": "cut o',
        '{"msg": "no number"}',
        '{"msg": {"deep": 1}, "from": "+86138"}',
        "<a><b></a>",
        "<a>" * 5000,
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
        '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY e "&b;&b;">]><a>&e;</a>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>',
    ],
)
def test_bodies_that_cannot_be_read(body):
    with pytest.raises(PayloadError):
        parse(body, **REPLIES)


def test_entities_are_never_resolved(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    for definition, entity in (
        (f'<!ENTITY x SYSTEM "file://{secret}">', "x"),
        (f'<!ENTITY l0 "ha">{levels}', "l9"),
    ):
        with pytest.raises(PayloadError, match="document type|amplification"):
            read_tree(f"<!DOCTYPE r [{definition}]><r>&{entity};</r>")


def test_xml_as_a_tree():
    text = '<n:r xmlns:n="urn:x" a="1"><i>1</i><!-- c --><i x="2">3</i><e/></n:r>'
    assert read_tree(text) == {"r": {"a": "1", "i": ["1", {"x": "2"}], "e": ""}}


def test_text_was_decoded_already():
    text = '\ufeff<?xml version="1.0" encoding="GBK"?>\n<a>退</a>'
    assert read_tree(text) == {"a": "退"}
    assert read_tree('\ufeff{"a": 1}') == {"a": 1}


def test_secret_in_a_header():
    adapter = gateway(secret_header="X-Token", secret_value="密 1")
    given = WebhookRequest(path_secret=CONFIG.callback_secret)
    adapter.verify(dataclasses.replace(given, headers={"x-token": "密 1"}))
    for headers in ({}, {"X-Token": ""}, {"X-Token": "密 2"}, {"Token": "密 1"}):
        with pytest.raises(SignatureError):
            adapter.verify(dataclasses.replace(given, headers=headers))
    with pytest.raises(SignatureError):
        adapter.verify(WebhookRequest(headers={"x-token": "密 1"}))
    with pytest.raises(SignatureError):
        gateway(secret_header="X-Token").verify(given)


@pytest.mark.parametrize(
    ("answer_text", "kind"),
    [('{"code": 0}', "application/json"), ("<ok/>", "text/xml"), ("好", "text/plain")],
)
def test_answer_to_callbacks(answer_text, kind):
    status, headers, body = gateway(answer=answer_text).acknowledge()
    assert (status, body) == (200, answer_text.encode())
    assert headers["Content-Type"] == f"{kind}; charset=utf-8"


# Settings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "sms.example.com"}, ("url", "url", "sms.example.com")),
        ({"url": "ftp://a/"}, ("url", "url", "ftp://a/")),
        ({"url": "https://"}, ("url", "url", "https://")),
        ({"url": "https://a:b/"}, ("url", "url", "https://a:b/")),
        ({"url": "https://u:p@a/"}, ("url", "url", "https://u:p@a/")),
        ({"url": "https://{{ text }}/"}, ("url", "host", "{{ text }}")),
        ({"url": f"{URL}?a={{{{ tel }}}}"}, ("url", "placeholder", "tel")),
        ({"headers": "X: {{ a.b }}"}, ("headers", "placeholder", "a.b")),
        ({"headers": "no colon"}, ("headers", "header", "no colon")),
        ({"headers": "头: a"}, ("headers", "header", "头: a")),
        ({"country": "xx"}, ("country", "country", "XX")),
        ({"error_outcomes": "1 = no"}, ("error_outcomes", "outcome", "1 = no")),
        ({"error_outcomes": "= bug"}, ("error_outcomes", "outcome", "= bug")),
        ({"error_outcomes": "1 = ok"}, ("error_outcomes", "outcome", "1 = ok")),
        ({"code_path": "a"}, ("success_codes", "missing", "")),
        ({"secret_header": "A"}, ("secret_value", "missing", "")),
    ],
)
def test_problems(options, problem):
    assert find_problems(options) == [Problem(*problem)]


@pytest.mark.parametrize(
    ("options", "option", "code"),
    [
        ({"body_type": "json", "body": '{"a": {{ text }}}'}, "body", "json"),
        ({"body_type": "xml", "body": "<a>{{ text }}"}, "body", "xml"),
        ({"body_type": "xml", "body": "<!DOCTYPE a><a/>"}, "body", "xml"),
        ({"ref_path": "a[["}, "ref_path", "path"),
        ({"ref_path": "data.0.id"}, "ref_path", "path"),
        ({"inbound_text": "/(/"}, "inbound_text", "regex"),
    ],
)
def test_problems_with_the_words_of_the_parser(options, option, code):
    (problem,) = find_problems(options)
    assert (problem.option, problem.code) == (option, code)
    assert problem.detail


def test_no_problems():
    assert find_problems({}) == []
    assert find_problems(OPTIONS["generic"]) == []
    for outcome in ERROR_CLASSES:
        assert find_problems({"error_outcomes": f"a=b = {outcome}"}) == []


# Trying out ----------------------------------------------------------------------


def test_preview_has_no_secrets():
    config = dataclasses.replace(
        CONFIG,
        callback_url=f"https://shop/{CONFIG.callback_secret}",
        options={
            "url": f"{URL}?to={{{{ to }}}}&access_token=SECRET1&b={{{{ api_secret }}}}",
            "headers": "Authorization: Basic SECRET2\nX-App: {{ api_secret }}",
            "body": '{"password": "SECRET3 SECRET4", "text": "{{ text }}",'
            '"s": "{{ api_secret }}", "back": "{{ callback_url }}"}',
        },
    )
    adapter = make(config)
    call = adapter.preview(message(body="Hello"))
    shown = f"{call.url} {call.headers} {call.body}"
    assert "SECRET" not in shown and CONFIG.api_secret not in shown
    assert CONFIG.callback_secret not in shown
    assert "to=%2B8613800138000" in call.url and '"text": "Hello"' in call.body
    assert call.headers["X-App"] == MASK
    assert adapter.http.calls == []
    assert "SECRET" not in repr(call)


def test_trial_makes_one_call_and_tells_all():
    adapter = gateway(result_of("2", text="stopped"), url=URL, **JSON_RULES)
    trial = adapter.try_out(message())
    assert len(adapter.http.calls) == 1
    assert trial.response.status == 200
    assert (trial.result.outcome, trial.result.provider_message) == (
        Outcome.OPTOUT,
        "stopped",
    )
    nothing = gateway(NotSent("no connection"), url=URL).try_out(message())
    assert nothing.response is None
    assert nothing.result.outcome is Outcome.RETRY


def test_preview_of_settings_that_make_no_call():
    with pytest.raises(ConfigError, match="url"):
        gateway(url="nowhere").preview(message())


# Over the network ----------------------------------------------------------------


def over_network(url, **options):
    options = {"url": f"{url}send?pwd=SECRET1", **options}
    return GenericGateway(dataclasses.replace(CONFIG, options=options))


def outcomes(results):
    return Counter(result.outcome for result in results)


def test_private_addresses_only_if_allowed():
    received = []
    with server(answer(OK, received)) as url:
        refused = over_network(url).send([message()])
        assert outcomes(refused) == {Outcome.PAUSE: 1}
        assert "127.0.0.1" in refused[0].provider_message
        assert received == []
        allowed = over_network(url, allow_private=True).send([message()])
    assert outcomes(allowed) == {Outcome.OK: 1}
    assert received[0].startswith(b"POST /send?pwd=SECRET1 HTTP/1.1")


def test_redirect_is_an_outcome():
    received = []
    raw = b"HTTP/1.1 307 Go\r\nLocation: http://169.254.169.254/\r\n\r\n"
    with server(answer(raw, received)) as url:
        (result,) = over_network(url, allow_private=True).send([message()])
    assert (result.outcome, result.provider_code) == (Outcome.PAUSE, "307")
    assert len(received) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n" + b"x" * 10_485_760,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ntruncated",
        b"\x00\xff\r\n\r\n",
    ],
)
def test_answers_without_end_or_sense(raw):
    def talk(connection):
        with contextlib.suppress(OSError):  # nobody reads to the end
            answer(raw)(connection)

    with server(talk) as url:
        (result,) = over_network(url, allow_private=True).send([message()])
    assert result.outcome is Outcome.AMBIGUOUS
    assert result.provider_ref.startswith("ref:")


def test_slow_answer():
    def talk(connection):
        try:
            while True:
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            pass

    with server(talk) as url:
        adapter = over_network(url, allow_private=True)
        adapter.http = HttpClient(timeout=(0.5, 0.2))
        # whoever waited for its end would wait for ever
        assert outcomes(adapter.send([message()])) == {Outcome.AMBIGUOUS: 1}


def test_log_knows_the_server_only(caplog):
    caplog.set_level(logging.DEBUG)
    with server(answer(OK)) as url:
        over_network(url, headers="X-Pwd: SECRET2", allow_private=True).send(
            [message()]
        )
    logged = [r.getMessage() for r in caplog.records if "gateways" in r.name]
    assert any("POST http://127.0.0.1 -> 200" in line for line in logged)
    assert "SECRET" not in "".join(logged) and "/send" not in "".join(logged)
