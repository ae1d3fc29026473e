"""Adapter and simulator over real HTTP. They share no code."""

import dataclasses
import json
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from fakes import CONFIG, message

from gateways.aliyun import AliyunGateway
from gateways.http import HttpClient
from gateways.types import Outcome, PendingMessage, WebhookRequest
from simulators.aliyun import PUSH_RETRIES, TEMPLATES, AliyunSimulator


@pytest.fixture
def simulator():
    pauses = []
    with AliyunSimulator(sleep=pauses.append) as simulator:
        simulator.pauses = pauses
        yield simulator


def adapter(simulator, **values):
    config = dataclasses.replace(CONFIG, endpoint=simulator.url, **values)
    return AliyunGateway(config, http=HttpClient(timeout=(2, 2)))


def batch(n, start=0):
    return [
        message(i, f"+86138{i:08d}", params={"name": f"会员{i} *~/+&=", "days": f"{i}"})
        for i in range(start, start + n)
    ]


def outcomes(results):
    return Counter(result.outcome for result in results)


def test_thousand_personalised_messages(simulator):
    gateway = adapter(simulator)
    messages = batch(1000)
    results = []
    for start in range(0, 1000, 100):
        results += gateway.send(messages[start : start + 100])
    assert outcomes(results) == {Outcome.OK: 1000}
    assert simulator.calls == {"SendBatchSms": 10}
    assert simulator.accepted == {f"138{i:08d}": 1 for i in range(1000)}
    by_phone = {m.phone: m for m in simulator.messages}
    for sent, result in zip(messages, results, strict=True):
        got = by_phone[sent.address[3:]]
        assert got.params == sent.params
        assert got.biz_id == result.provider_ref
        assert got.content.startswith(f"【云会员】尊敬的{sent.params['name']},")


def test_one_changed_byte_is_refused(simulator):
    gateway = adapter(simulator)
    honest = gateway.http.request

    def change(method, url, headers=None, data=b""):
        value = headers["Authorization"]
        last = "0" if value[-1] != "0" else "1"
        return honest(
            method, url, {**headers, "Authorization": value[:-1] + last}, data
        )

    gateway.http.request = change
    results = gateway.send(batch(2))
    assert outcomes(results) == {Outcome.PAUSE: 2}
    assert results[0].provider_code == "SignatureDoesNotMatch"
    assert not simulator.accepted


@pytest.mark.parametrize("part", ["query", "body", "header"])
def test_everything_is_signed(simulator, part):
    gateway = adapter(simulator)
    honest = gateway.http.request

    def change(method, url, headers=None, data=b""):
        if part == "query":
            url = url.replace("TemplateCode=SMS_1", "TemplateCode=SMS_2")
        elif part == "body":
            data = data.replace(b"138", b"139")
        else:
            headers = {**headers, "x-acs-date": "2020-01-01T00:00:00Z"}
        return honest(method, url, headers, data)

    gateway.http.request = change
    assert outcomes(gateway.send(batch(1))) == {Outcome.PAUSE: 1}
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


def test_throttled_then_accepted(simulator):
    simulator.throttle_next(1, retry_after_ms=1200)
    gateway = adapter(simulator)
    (result,) = gateway.send(batch(1))
    assert (result.outcome, result.retry_after) == (Outcome.RETRY, 2)
    assert not simulator.accepted
    assert outcomes(gateway.send(batch(1))) == {Outcome.OK: 1}


def test_error_on_demand(simulator):
    simulator.fail_next(1, "isv.OUT_OF_SERVICE")
    assert outcomes(adapter(simulator).send(batch(3))) == {Outcome.PAUSE: 3}


def pending(results, messages):
    now = datetime.now(timezone.utc)
    return [
        PendingMessage(r.key, m.address, r.provider_ref, now)
        for r, m in zip(results, messages, strict=True)
    ]


@pytest.mark.parametrize("after_crash", [False, True])
def test_lost_answers_are_settled_by_query(simulator, after_crash):
    simulator.drop_next(1)
    gateway = adapter(simulator)
    messages = batch(3)
    results = gateway.send(messages)
    assert outcomes(results) == {Outcome.AMBIGUOUS: 3}
    assert len(simulator.accepted) == 3
    asked = pending(results, messages)
    if after_crash:
        asked = [dataclasses.replace(p, provider_ref=None) for p in asked]
    now = datetime.now(timezone.utc)
    assert gateway.query(asked, now) == []
    simulator.receipt("13800000001", "MK:0001")
    simulator.settle()
    reports = gateway.query(asked, now)
    assert [r.status for r in reports] == ["delivered", "failed", "delivered"]
    assert reports[1].outcome is Outcome.BADNUM


def test_call_lost_before_the_vendor_took_it(simulator):
    simulator.drop_next(1, accept=False)
    gateway = adapter(simulator)
    messages = batch(1)
    results = gateway.send(messages)
    assert outcomes(results) == {Outcome.AMBIGUOUS: 1}
    simulator.settle()
    assert gateway.query(pending(results, messages), datetime.now(timezone.utc)) == []


def test_slow_answer(simulator):
    """The client gives up first; the message is out."""
    waiting = threading.Event()
    simulator.sleep = lambda seconds: waiting.wait(5)
    simulator.delay_next(1, 5)
    gateway = adapter(simulator)
    gateway.http = HttpClient(timeout=(1, 0.1))
    assert outcomes(gateway.send(batch(1))) == {Outcome.AMBIGUOUS: 1}
    waiting.set()
    assert simulator.accepted == {"13800000000": 1}


class Callback:
    """A shop's callback address, which fails a number of times first."""

    def __init__(self, gateway, failures=0):
        self.events, self.failures, self.requests = [], failures, 0
        callback = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                callback.requests += 1
                status, headers, answer = gateway.acknowledge()
                if callback.requests <= callback.failures:
                    status = 500
                else:
                    request = WebhookRequest(body=body)
                    callback.events += gateway.parse(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_reports_are_pushed(simulator):
    gateway = adapter(simulator)
    messages = batch(150)
    results = gateway.send(messages[:100]) + gateway.send(messages[100:])
    simulator.receipt("13800000003", "MBBLACK")
    with Callback(gateway) as callback:
        assert simulator.push_reports(callback.url) == {True: 2}
        assert simulator.push_reports(callback.url) == {}
    assert callback.requests == 2
    reports = {report.address: report for report in callback.events}
    assert len(reports) == 150
    for sent, result in zip(messages, results, strict=True):
        report = reports[sent.address]
        assert report.provider_ref == result.provider_ref
        assert report.alternative_ref.startswith("out:")
        age = datetime.now(timezone.utc) - report.date
        assert timedelta(0) <= age < timedelta(minutes=1)
    failed = [report for report in callback.events if report.status == "failed"]
    assert [report.outcome for report in failed] == [Outcome.OPTOUT]
    # Asking gives the same facts as the push.
    asked = gateway.query(pending(results, messages)[:5], datetime.now(timezone.utc))
    assert [r.event_ref for r in asked] == [
        reports[m.address].event_ref for m in messages[:5]
    ]


def test_vendor_tries_again_and_gives_up(simulator):
    gateway = adapter(simulator)
    gateway.send(batch(1))
    with Callback(gateway, failures=2) as callback:
        assert simulator.push_reports(callback.url) == {True: 1}
    assert simulator.pauses == list(PUSH_RETRIES[:2]) and len(callback.events) == 1
    simulator.pauses.clear()
    with Callback(gateway, failures=9) as callback:
        assert not simulator.push(callback.url, [{"biz_id": "1"}])
    assert simulator.pauses == list(PUSH_RETRIES) and callback.requests == 4


def test_replies_are_pushed(simulator):
    gateway = adapter(simulator)
    with Callback(gateway) as callback:
        assert simulator.push_replies(callback.url, [("13800138000", "ＴＤ")])
    (event,) = callback.events
    assert (event.address, event.text) == ("+8613800138000", "ＴＤ")


def test_orders_over_http(simulator):
    http = HttpClient()

    def order(path, values=None):
        body = json.dumps(values).encode() if values is not None else b""
        method = "GET" if values is None else "POST"
        answer = http.request(method, f"{simulator.url}/simulator/{path}", data=body)
        return answer.status, json.loads(answer.body)

    gateway = adapter(simulator)
    order("faults", {"n": 1, "kind": "error", "code": "isv.OUT_OF_SERVICE"})
    order("phones", {"13800000001": ["isv.MOBILE_NUMBER_ILLEGAL", ""]})
    order("receipts", {"13800000000": "MK:0001"})
    assert outcomes(gateway.send(batch(2))) == {Outcome.PAUSE: 2}
    assert outcomes(gateway.send(batch(2))) == {Outcome.OK: 1, Outcome.BADNUM: 1}
    with Callback(gateway) as callback:
        _status, pushed = order("reports", {"url": callback.url})
        assert pushed == {"acknowledged": 1, "given_up": 0}
        order("replies", {"url": callback.url, "replies": [["13800000000", "TD"]]})
    assert [getattr(event, "status", "reply") for event in callback.events] == [
        "failed",
        "reply",
    ]
    status, state = order("state")
    assert (status, state["accepted"]) == (200, {"13800000000": 1})
    assert state["messages"][0]["params"]["days"] == "0"
    order("reset", {})
    assert order("state")[1]["accepted"] == {}
    assert order("nothing")[0] == 404


def test_default_template_is_that_of_the_vectors():
    assert TEMPLATES.keys() == {"SMS_123456789"}
