"""The carrier that load and crash tests send to, and the adapter for it."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import pytest
from fakes import CONFIG, build, message, reply

from gateways import ADAPTERS
from gateways.errors import MaybeSent, NotSent, PayloadError
from gateways.types import GatewayConfig, Outcome, WebhookRequest
from simulators.carrier import CarrierSimulator, busiest
from simulators.carrier_gateway import register

BATCH = [message(n, f"+8613800138{n:03d}") for n in range(1, 9)]


@pytest.fixture(scope="module")
def simulator():
    with CarrierSimulator() as simulator:
        yield simulator


@pytest.fixture
def carrier(simulator):
    simulator.behave(reset=True)
    simulator.report_to(None)
    return simulator


@pytest.fixture
def classes():
    yield register("gateways", timeout=(1.0, 0.2))
    del ADAPTERS["carrier"], ADAPTERS["carrier_single"]


@pytest.fixture
def adapter(carrier, classes):
    return classes["carrier"](GatewayConfig(endpoint=carrier.url))


@pytest.fixture
def pushes():
    """A server for delivery reports: its address and what it got."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.put(json.loads(body)["reports"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, format, *args):
            pass

    got = Queue()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", got
    server.shutdown()
    server.server_close()


def outcomes(results):
    return [result.outcome for result in results]


def accepted(carrier):
    return [entry["key"] for entry in carrier.ledger()]


# The carrier ---------------------------------------------------------------------


def test_busiest_second():
    assert busiest([]) == 0
    assert busiest([(0, 1), (0.5, 2), (0.999, 3), (1.0, 4)]) == 9
    assert busiest([(0, 5), (1, 5), (2, 5)]) == 5
    # across the border of two clock seconds
    assert busiest([(0.9, 7), (1.1, 7), (1.95, 1)]) == 14
    assert busiest([(0, 1), (0.2, 1), (0.4, 1)], seconds=0.3) == 2


def test_busiest_second_against_counting_each_window():
    arrivals = [(i * i % 97 / 10, i % 5 + 1) for i in range(200)]
    arrivals.sort()
    windows = (
        sum(count for moment, count in arrivals if start <= moment < start + 1)
        for start, _count in arrivals
    )
    assert busiest(arrivals) == max(windows)


def test_everything_is_remembered(carrier, adapter):
    before = time.monotonic()
    results = adapter.send(BATCH)
    adapter.send(BATCH[:1])
    ledger = carrier.ledger()
    assert [entry["key"] for entry in ledger] == [m.key for m in BATCH] + ["1"]
    assert [entry["ref"] for entry in ledger[:8]] == [r.provider_ref for r in results]
    assert len({entry["ref"] for entry in ledger}) == 9
    assert {entry["to"] for entry in ledger} == {m.address for m in BATCH}
    assert all(before <= entry["time"] <= time.monotonic() for entry in ledger)
    state = carrier.state()
    assert state["accepted"] == state["max_per_second"] == 9
    assert state["repeated"] == {"1": 2}
    assert state["calls"] == 2 and state["max_in_flight"] == 1


def test_calls_at_once_are_counted(carrier, classes):
    carrier.behave(latency_ms=100)
    adapter = classes["carrier_single"](GatewayConfig(endpoint=carrier.url))
    threads = [
        threading.Thread(target=adapter.send, args=([message],)) for message in BATCH
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = carrier.state()
    assert state["max_in_flight"] == 8 and state["in_flight"] == 0


def test_request_in_pieces(carrier):
    body = json.dumps({"messages": [{"key": "1", "to": "+86", "text": ""}]}).encode()
    request = b"POST /send HTTP/1.1\r\nCONTENT-LENGTH: %d\r\n\r\n" % len(body) + body
    host, port = carrier.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        for start in range(0, len(request), 20):
            connection.sendall(request[start : start + 20])
            time.sleep(0.001)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert accepted(carrier) == ["1"]


def test_chance_is_repeatable(carrier, adapter):
    def run():
        faults = [{"kind": "status", "rate": 0.4}, {"kind": "half", "rate": 0.3}]
        carrier.behave(seed=7, faults=faults, reset=True)
        return [len(accepted(carrier)) for _call in range(20) if adapter.send(BATCH)]

    first = run()
    assert run() == first
    assert set(carrier.state()["faults"]) == {"status", "half"}


def test_unknown_fault(carrier):
    with pytest.raises(OSError, match="400"):
        carrier.behave(faults=[{"kind": "earthquake"}])


# Faults and what the adapter makes of them ---------------------------------------


@pytest.mark.parametrize(
    ("fault", "outcome", "count"),
    [
        ({"kind": "hang"}, Outcome.AMBIGUOUS, 8),
        ({"kind": "hang", "seconds": 0.05}, Outcome.OK, 8),
        ({"kind": "close_before"}, Outcome.AMBIGUOUS, 0),
        ({"kind": "close_after"}, Outcome.AMBIGUOUS, 8),
        ({"kind": "bad_json"}, Outcome.AMBIGUOUS, 8),
        ({"kind": "status"}, Outcome.RETRY, 0),
        ({"kind": "status", "status": 503}, Outcome.RETRY, 0),
    ],
)
def test_fault_of_a_call(carrier, adapter, fault, outcome, count):
    carrier.behave(faults=[fault | {"count": 1}])
    results = adapter.send(BATCH)
    assert set(outcomes(results)) == {outcome}
    assert len(accepted(carrier)) == count
    assert carrier.state()["faults"] == {fault["kind"]: 1}
    if outcome is Outcome.AMBIGUOUS:
        assert results[0].provider_ref == "key:1"
    # over, and the connection is of use again
    assert set(outcomes(adapter.send([message(99)]))) == {Outcome.OK}


def test_throttled(carrier, adapter):
    fault = {"kind": "status", "status": 429, "retry_after": 3, "count": 1}
    carrier.behave(faults=[fault])
    (result,) = adapter.send(BATCH[:1])
    assert (result.outcome, result.retry_after) == (Outcome.RETRY, 3)
    assert accepted(carrier) == []


def test_half(carrier, adapter):
    carrier.behave(faults=[{"kind": "half", "count": 1, "refusal": "limit"}])
    results = adapter.send(BATCH[:5])
    assert outcomes(results) == [Outcome.OK] * 2 + [Outcome.POSTPONE] * 3
    assert results[4].provider_code == "carrier.limit"
    assert accepted(carrier) == ["1", "2"]


def test_bad_numbers(carrier, adapter):
    carrier.behave(bad_numbers=["003", "005"])
    results = adapter.send(BATCH)
    bad = [result.key for result in results if result.outcome is Outcome.BADNUM]
    assert bad == ["3", "5"]
    assert len(accepted(carrier)) == 6


def test_poison_is_found_by_halving(carrier, adapter):
    carrier.behave(poison=["003", "008"])
    results = adapter.send(BATCH)
    bad = [result.key for result in results if result.outcome is Outcome.CONTENT]
    assert bad == ["3", "8"]
    assert sorted(accepted(carrier)) == ["1", "2", "4", "5", "6", "7"]
    assert carrier.state()["repeated"] == {}


def test_halving_stops_when_the_carrier_does(classes):
    content = reply({"error": "content"}, 400)
    gateway = build(classes["carrier"], content, MaybeSent("gone"))
    assert (
        outcomes(gateway.send(BATCH)) == [Outcome.AMBIGUOUS] * 4 + [Outcome.RETRY] * 4
    )
    gateway = build(classes["carrier"], content, NotSent("gone"))
    assert set(outcomes(gateway.send(BATCH))) == {Outcome.RETRY}
    assert len(gateway.http.calls) == 2


@pytest.mark.parametrize("answer", [reply(b"", 502), reply(b"[]"), reply({})])
def test_unknown_answer_is_never_not_sent(classes, answer):
    results = build(classes["carrier"], answer).send(BATCH)
    assert set(outcomes(results)) == {Outcome.AMBIGUOUS}


def test_missing_result_is_never_not_sent(classes):
    answer = reply({"results": [{"key": "1", "status": "accepted", "ref": "r"}]})
    results = build(classes["carrier"], answer).send(BATCH[:2])
    assert outcomes(results) == [Outcome.OK, Outcome.AMBIGUOUS]


# Reports -------------------------------------------------------------------------


def parse(adapter, reports):
    body = json.dumps({"reports": reports}).encode()
    request = WebhookRequest(path_secret=CONFIG.callback_secret, body=body)
    return adapter.parse(request)


def test_reports(carrier, adapter, pushes):
    url, got = pushes
    carrier.report_to(url, delay_ms=50, failed=["002"])
    start = time.monotonic()
    results = adapter.send(BATCH[:2])
    reports = parse(adapter, got.get(timeout=5))
    assert time.monotonic() - start >= 0.05
    assert [report.status for report in reports] == ["delivered", "failed"]
    assert [r.provider_ref for r in reports] == [r.provider_ref for r in results]
    assert [report.alternative_ref for report in reports] == ["key:1", "key:2"]
    assert reports[0].address == BATCH[0].address
    assert len({report.event_ref for report in reports}) == 2
    assert got.empty()


def test_reports_twice_and_before_the_answer(carrier, adapter, pushes):
    url, got = pushes
    carrier.report_to(url, before_answer=True, duplicates=True)
    adapter.send(BATCH[:2])
    assert got.get_nowait() == got.get_nowait()
    assert carrier.state()["reports"] == {"waiting": 0, "pushed": 4, "lost": 0}


def test_reports_of_a_lost_answer(carrier, adapter, pushes):
    url, got = pushes
    carrier.report_to(url)
    carrier.behave(faults=[{"kind": "close_after", "count": 1}])
    (result,) = adapter.send(BATCH[:1])
    (report,) = parse(adapter, got.get(timeout=5))
    assert report.alternative_ref == result.provider_ref


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"null", b"[3]", b"{}"])
def test_broken_report(classes, body):
    with pytest.raises(PayloadError):
        build(classes["carrier"]).parse(WebhookRequest(body=body))
