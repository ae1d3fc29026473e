"""The provider of demonstrations."""

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest
from fakes import CONFIG, NOW, build, message

from gateways.sandbox import SandboxGateway
from gateways.types import DeliveryReport, InboundMessage, Outcome, PendingMessage

LATER = NOW + timedelta(hours=1)


def sandbox(**options):
    return build(SandboxGateway, config=dataclasses.replace(CONFIG, options=options))


def pending(n, address=None):
    return PendingMessage(str(n), address or f"+861380{n:07d}", None, NOW)


MANY = [pending(n) for n in range(10002, 20000) if n % 10000 > 1]


def test_most_are_accepted():
    batch = [message(p.key, p.address) for p in MANY[:1000]]
    gateway = sandbox()
    results = gateway.send(batch)
    assert results == gateway.send(batch)
    outcomes = Counter(result.outcome for result in results)
    assert outcomes[Outcome.OK] > 970 and 0 < outcomes[Outcome.BADNUM] < 30
    assert sum(outcomes.values()) == 1000
    refs = {r.provider_ref for r in results if r.outcome is Outcome.OK}
    assert len(refs) == outcomes[Outcome.OK]


def test_like_a_carrier():
    events = sandbox().query(MANY, LATER)
    reports = [event for event in events if isinstance(event, DeliveryReport)]
    assert len(reports) == len(MANY)
    share = sum(report.status == "delivered" for report in reports) / len(reports)
    assert 0.95 < share < 0.97
    failed = [report for report in reports if report.status == "failed"]
    assert len({report.provider_code for report in failed}) > 5
    assert all(report.outcome for report in failed)
    texts = Counter(e.text for e in events if isinstance(e, InboundMessage))
    assert 20 < texts["TD"] < 65 and 25 < texts["Y"] < 80 and set(texts) == {"TD", "Y"}


def test_time_passes():
    gateway = sandbox(delay_seconds=100)
    counts = [
        len(gateway.query(MANY, NOW + timedelta(seconds=seconds)))
        for seconds in (0, 25, 50, 100)
    ]
    assert counts[0] < counts[1] < counts[2] < counts[3]
    for event in gateway.query(MANY, LATER):
        assert NOW <= event.date <= NOW + timedelta(seconds=100)
    assert len(sandbox(delay_seconds=0).query(MANY, NOW)) >= len(MANY)


def test_repeating_is_harmless():
    first = sandbox().query(MANY[:500], LATER)
    assert sandbox().query(MANY[:500], LATER + timedelta(days=1)) == first
    refs = [event.event_ref for event in first]
    assert len(refs) == len(set(refs))


def test_reference_of_the_message_comes_back():
    gateway = sandbox()
    sent = message("77", "+8613812345678")
    (result,) = gateway.send([sent])
    asked = PendingMessage("77", sent.address, result.provider_ref, NOW)
    # After a crash there is no reference, and it is the same fact.
    crashed = dataclasses.replace(asked, provider_ref=None)
    assert gateway.query([asked], LATER) == gateway.query([crashed], LATER)
    report = gateway.query([asked], LATER)[0]
    assert (report.provider_ref, report.key) == (result.provider_ref, "77")


@pytest.mark.parametrize("rate", [0, 1])
def test_rates(rate):
    options = {"badnum_rate": 1 - rate, "delivered_rate": rate, "refuse_rate": rate}
    (result,) = sandbox(**options).send([message("1")])
    assert result.outcome is (Outcome.OK if rate else Outcome.BADNUM)
    events = sandbox(**options).query([pending(5)], LATER)
    assert events[0].status == ("delivered" if rate else "failed")
    assert [event.text for event in events[1:]] == ["TD"] * rate


def test_magic_numbers():
    never = {"badnum_rate": 0, "delivered_rate": 0, "refuse_rate": 0}
    batch = [message("1", "+8613800000000"), message("2", "+8613800000001")]
    outcomes = [result.outcome for result in sandbox(**never).send(batch)]
    assert outcomes == [Outcome.BADNUM, Outcome.OK]
    report, reply = sandbox(**never).query([pending(2, "+8613800000001")], LATER)
    assert (report.status, reply.text) == ("delivered", "TD")
    assert sandbox(badnum_rate=1).send(batch[1:])[0].outcome is Outcome.OK
