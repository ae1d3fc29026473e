"""Adapters and simulators over real HTTP. They share no code."""

import dataclasses
import json
import re
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import send_all
from providers import (
    PROVIDERS,
    Callback,
    change_calls,
    change_last_byte,
    outcomes,
    pending,
)

from gateways import ADAPTERS
from gateways.http import HttpClient
from gateways.types import Outcome

TESTS = Path(__file__).parent.parent


@pytest.fixture(params=PROVIDERS)
def case(request):
    """A provider whose simulator runs; ``pauses`` are those between its pushes."""
    provider = PROVIDERS[request.param]
    pauses = []
    with provider.simulator(sleep=pauses.append) as simulator:
        yield SimpleNamespace(
            provider=provider,
            simulator=simulator,
            gateway=provider.build(simulator),
            pauses=pauses,
        )


def now():
    return datetime.now(timezone.utc)


def accepted(provider, messages):
    return {provider.get_phone(message.address): 1 for message in messages}


def test_as_a_program(case):
    """What developers start; it shows what it accepts."""
    name = case.provider.adapter.code
    with subprocess.Popen(
        [sys.executable, "-m", "simulators", name, "--port", "0"],
        cwd=TESTS,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            shown = "".join(iter(process.stdout.readline, "Accepted messages:\n"))
            url = re.search(r"listens at (http://[\d.:]+)\.", shown)[1]
            assert case.simulator.account["api_key"] in shown
            gateway = case.provider.build(case.simulator, endpoint=url)
            (message,) = case.provider.batch(1)
            gateway.send([message])
            line = process.stdout.readline()
            assert line.startswith(case.provider.get_phone(message.address))
        finally:
            process.kill()


def test_codes():
    assert {p.adapter.code for p in PROVIDERS.values()} == set(PROVIDERS)
    assert set(PROVIDERS) <= set(ADAPTERS)


def test_everybody_gets_the_own_text_once(case):
    messages = case.provider.batch(case.gateway.batch_size)
    results = case.gateway.send(messages)
    assert outcomes(results) == {Outcome.OK: len(messages)}
    assert case.simulator.accepted == accepted(case.provider, messages)
    by_phone = {got.phone: got for got in case.simulator.messages}
    for sent, result in zip(messages, results, strict=True):
        got = by_phone[case.provider.get_phone(sent.address)]
        assert got.reference == result.provider_ref
        values = (sent.params or {"body": sent.body}).values()
        assert all(value in got.content for value in values)


def test_one_changed_byte_is_refused(case):
    change_calls(case.gateway, change_last_byte)
    results = send_all(case.gateway, case.provider.batch(2))
    assert outcomes(results) == {Outcome.PAUSE: 2}
    assert results[0].provider_code == case.provider.wrong_key
    assert not case.simulator.accepted


def test_probe(case):
    assert case.gateway.probe().outcome is Outcome.OK
    change_calls(case.gateway, change_last_byte)
    result = case.gateway.probe()
    assert (result.outcome, result.provider_code) == (
        Outcome.PAUSE,
        case.provider.wrong_key,
    )


def test_a_bad_number_concerns_itself(case):
    messages = case.provider.batch(5)
    bad = case.provider.get_phone(messages[3].address)
    case.simulator.fail_phone(bad, case.provider.bad_number)
    results = send_all(case.gateway, messages)
    assert outcomes(results) == {Outcome.OK: 4, Outcome.BADNUM: 1}
    assert results[3].outcome is Outcome.BADNUM
    del messages[3]
    assert case.simulator.accepted == accepted(case.provider, messages)


def test_throttled_then_accepted(case):
    case.simulator.throttle_next(1)
    messages = case.provider.batch(1)
    (result,) = case.gateway.send(messages)
    assert result.outcome is Outcome.RETRY
    assert not case.simulator.accepted
    assert outcomes(case.gateway.send(messages)) == {Outcome.OK: 1}


def test_rate(case):
    case.simulator.rate = 3
    results = [
        case.gateway.send([message])[0].outcome for message in case.provider.batch(5)
    ]
    assert results == [Outcome.OK] * 3 + [Outcome.RETRY] * 2


@pytest.mark.parametrize("after_crash", [False, True])
def test_lost_answers_are_settled_by_query(case, after_crash):
    case.simulator.drop_next(1)
    messages = case.provider.batch(1)
    results = case.gateway.send(messages)
    assert outcomes(results) == {Outcome.AMBIGUOUS: 1}
    assert case.simulator.accepted == accepted(case.provider, messages)
    asked = pending(results, messages)
    if after_crash:
        asked = [dataclasses.replace(p, provider_ref=None) for p in asked]
    assert case.gateway.query(asked, now()) == []
    case.simulator.receipt(
        case.provider.get_phone(messages[0].address), case.provider.bad_receipt
    )
    case.simulator.settle()
    (report,) = case.gateway.query(asked, now() + timedelta(seconds=1))
    assert (report.key, report.status) == (messages[0].key, "failed")
    assert report.outcome is Outcome.BADNUM


def test_call_lost_before_the_vendor_took_it(case):
    case.simulator.drop_next(1, accept=False)
    messages = case.provider.batch(1)
    results = case.gateway.send(messages)
    assert outcomes(results) == {Outcome.AMBIGUOUS: 1}
    case.simulator.settle()
    assert case.gateway.query(pending(results, messages), now()) == []


def test_slow_answer(case):
    """The client gives up first; the message is out."""
    waiting = threading.Event()
    case.simulator.sleep = lambda seconds: waiting.wait(5)
    case.simulator.delay_next(1, 5)
    case.gateway.http = HttpClient(timeout=(1, 0.1))
    messages = case.provider.batch(1)
    assert outcomes(case.gateway.send(messages)) == {Outcome.AMBIGUOUS: 1}
    waiting.set()
    assert case.simulator.accepted == accepted(case.provider, messages)


def test_reports_are_pushed(case):
    messages = case.provider.batch(150)
    pushes = case.provider.count_pushes(150)
    results = send_all(case.gateway, messages)
    bad = messages[3].address
    case.simulator.receipt(case.provider.get_phone(bad), case.provider.bad_receipt)
    with Callback(case.gateway) as callback:
        assert case.simulator.push_reports(callback.url) == {True: pushes}
        assert case.simulator.push_reports(callback.url) == {}
    assert callback.requests == pushes
    reports = {report.address: report for report in callback.events}
    assert len(reports) == 150
    for sent, result in zip(messages, results, strict=True):
        report = reports[sent.address]
        assert report.provider_ref == result.provider_ref
        if case.provider.is_dated:
            assert timedelta(0) <= now() - report.date < timedelta(minutes=1)
    failed = [report for report in callback.events if report.status == "failed"]
    assert [(r.address, r.outcome) for r in failed] == [(bad, Outcome.BADNUM)]
    # Asking gives the same facts as the push.
    asked = pending(results, messages)[:5]
    found = case.gateway.query(asked, now() + timedelta(seconds=1))
    assert [report.event_ref for report in found] == [
        reports[message.address].event_ref for message in messages[:5]
    ]


def test_reports_of_lost_answers_find_their_messages(case):
    case.simulator.drop_next(1)
    with Callback(case.gateway) as callback:
        case.gateway.config = dataclasses.replace(
            case.gateway.config, callback_url=callback.url
        )
        (result,) = case.gateway.send(case.provider.batch(1))
        case.simulator.push_reports(callback.url)
    assert callback.events
    for report in callback.events:
        assert result.provider_ref in (report.provider_ref, report.alternative_ref)


def test_vendor_tries_again_and_gives_up(case):
    retries = list(case.simulator.push_retries)
    case.gateway.send(case.provider.batch(1))
    pushes = case.provider.count_pushes(1)
    with Callback(case.gateway, failures=min(2, len(retries))) as callback:
        assert case.simulator.push_reports(callback.url) == {True: pushes}
    assert case.pauses == retries[:2] and len(callback.events) == pushes
    case.pauses.clear()
    with Callback(case.gateway, failures=9) as callback:
        assert not case.simulator.push(callback.url, [])
    assert case.pauses == retries and callback.requests == len(retries) + 1


def test_replies_are_pushed(case):
    phones = [case.provider.get_phone(m.address) for m in case.provider.batch(2)]
    with Callback(case.gateway) as callback:
        assert case.simulator.push_replies(
            callback.url, [(phones[0], "ＴＤ"), (phones[1], "R")]
        )
    assert [(event.address, event.text) for event in callback.events] == [
        ("+8613800000000", "ＴＤ"),
        ("+8613800000001", "R"),
    ]
    assert len({event.event_ref for event in callback.events}) == 2


def test_what_to_enter_into_the_form(case):
    setup = case.simulator.get_setup()
    assert setup["Provider"] == case.provider.adapter.name == case.simulator.name
    assert setup["Access Key"] == case.simulator.account["api_key"]
    assert case.simulator.url in setup.values()


def test_orders_over_http(case):
    http = HttpClient()

    def order(path, values=None):
        body = json.dumps(values).encode() if values is not None else b""
        method = "GET" if values is None else "POST"
        url = f"{case.simulator.url}/simulator/{path}"
        answer = http.request(method, url, data=body)
        return answer.status, json.loads(answer.body)

    messages = case.provider.batch(2)
    first, second = (case.provider.get_phone(m.address) for m in messages)
    order("faults", {"n": 1, "kind": "drop", "accept": False})
    order("phones", {second: [case.provider.bad_number, ""]})
    order("receipts", {first: case.provider.bad_receipt})
    assert Outcome.AMBIGUOUS in outcomes(send_all(case.gateway, messages))
    assert outcomes(send_all(case.gateway, messages)) == {
        Outcome.OK: 1,
        Outcome.BADNUM: 1,
    }
    with Callback(case.gateway) as callback:
        _status, pushed = order("reports", {"url": callback.url})
        pushes = case.provider.count_pushes(1)
        assert pushed == {"acknowledged": pushes, "given_up": 0}
        order("replies", {"url": callback.url, "replies": [[first, "TD"]]})
    assert [getattr(event, "status", "reply") for event in callback.events] == [
        *case.provider.told_before,
        "failed",
        "reply",
    ]
    status, state = order("state")
    assert (status, state["accepted"]) == (200, {first: 1})
    order("reset", {})
    assert order("state")[1]["accepted"] == {}
    assert order("nothing")[0] == 404
