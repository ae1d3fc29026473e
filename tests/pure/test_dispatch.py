"""Batches on their way to a provider: calls, connections, pace, early ends."""

import threading
import time

import pytest

from gateways import base, dispatch
from gateways.types import GatewayConfig, Outbound, Outcome, SendResult


class Scripted(base.Gateway):
    """Answers each call by ``decide``; notes calls and how many were under way."""

    code = "scripted"
    batch_size = 10

    def __init__(self, decide=lambda _call: Outcome.OK, seconds=0.0, **values):
        super().__init__(GatewayConfig(), **values)
        self.decide, self.seconds = decide, seconds
        self.calls, self.times, self.under_way, self.most = [], [], 0, 0
        self.renewals = 0
        self.lock = threading.Lock()

    def _send(self, batch):
        with self.lock:
            self.calls.append([message.key for message in batch])
            self.times.append(time.monotonic())
            number = len(self.calls)
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(self.seconds)
        with self.lock:
            self.under_way -= 1
        result = self.decide(number)
        for message in batch:
            if isinstance(result, Outcome):
                yield SendResult(message.key, result, f"ref-{message.key}")
            else:
                yield SendResult(message.key, **result)

    def renew_token(self):
        self.renewals += 1
        return True


def make_batch(count):
    return [Outbound(str(index), f"+86138{index:08}") for index in range(count)]


def run(gateway, count=20, size=5, connections=4, book=None, pause=0.0):
    return dispatch.dispatch(
        gateway,
        make_batch(count),
        lambda limit: (min(size, limit), pause),
        connections,
        book and dispatch.Pace(book),
        give_up_after=3,
    )


def test_every_message_has_its_own_result():
    gateway = Scripted()
    done = run(gateway, count=23)
    assert sorted(int(result.key) for result in done.results) == list(range(23))
    assert sorted(map(len, gateway.calls)) == [3, 5, 5, 5, 5]
    assert (done.successes, done.failures) == (5, 0)
    assert all(result.provider_ref == f"ref-{result.key}" for result in done.results)


def test_nothing_to_send():
    assert run(Scripted(), count=0).results == []


@pytest.mark.parametrize("connections", [1, 3, 8])
def test_calls_at_the_same_time(connections):
    gateway = Scripted(seconds=0.02)
    assert len(run(gateway, count=40, connections=connections).results) == 40
    assert gateway.most <= connections
    assert (gateway.most > 1) == (connections > 1)


@pytest.mark.parametrize("outcome", [Outcome.PAUSE, Outcome.TOKEN])
def test_closed_account_ends_the_batch(outcome):
    gateway = Scripted(lambda number: outcome if number == 2 else Outcome.OK)
    gateway.renew_token = lambda: False
    done = run(gateway, connections=1)
    assert len(gateway.calls) == 2
    assert len(done.results) == 10, "the rest has not been tried"
    assert done.is_closed


def test_failures_in_a_row_end_the_batch():
    gateway = Scripted(lambda number: Outcome.OK if number == 1 else Outcome.AMBIGUOUS)
    done = run(gateway, count=50, connections=1)
    assert len(gateway.calls) == 4
    assert (done.successes, done.failures, done.in_a_row) == (1, 3, 3)


def test_a_success_in_between_goes_on():
    gateway = Scripted(lambda number: Outcome.OK if number % 3 else Outcome.RETRY)
    assert len(run(gateway, count=50, connections=1).results) == 50


def test_a_provider_that_is_busy_has_not_failed():
    busy = {"outcome": Outcome.RETRY, "retry_after": 7}
    done = run(Scripted(lambda _number: busy), connections=1)
    assert (done.failures, done.patience) == (0, 7)
    assert len(done.results) == 20


def test_token_is_renewed_and_the_same_messages_sent_again():
    gateway = Scripted(lambda number: Outcome.TOKEN if number == 1 else Outcome.OK)
    done = run(gateway, count=5, connections=1)
    assert gateway.calls == [list("01234")] * 2
    assert gateway.renewals == 1
    assert {result.outcome for result in done.results} == {Outcome.OK}


def test_an_old_token_is_not_tried_for_ever():
    gateway = Scripted(lambda _number: Outcome.TOKEN)
    done = run(gateway, connections=1)
    assert len(gateway.calls) == 2
    assert done.is_closed


def test_pace_waits_for_what_was_booked():
    booked = []

    def book(count, seconds):
        booked.append((count, seconds))
        return 0.05

    gateway = Scripted()
    run(gateway, count=10, connections=2, book=book, pause=0.06)
    assert booked == [(5, 0.06), (5, 0.06)]
    assert gateway.times[1] - gateway.times[0] >= 0.04


def test_several_calls_are_booked_at_once_when_they_are_short():
    booked = []

    def book(count, seconds):
        booked.append((count, round(seconds, 6)))
        return 0.0

    run(Scripted(), count=20, size=1, book=book, pause=0.01)
    assert booked == [(5, 0.05)] * 4


def test_groups_of_an_adapter_have_calls_of_their_own():
    booked = []

    def book(count, seconds):
        booked.append((count, round(seconds, 6)))
        return 0.0

    gateway = Scripted()
    gateway.group = lambda batch: [(4, batch[:6]), (1, batch[6:])]
    dispatch.dispatch(
        gateway,
        make_batch(8),
        lambda limit: (limit, limit / 100),
        connections=1,
        pace=dispatch.Pace(book),
        give_up_after=3,
    )
    assert list(map(len, gateway.calls)) == [4, 2, 1, 1]
    # The rest of a group takes the time of a full call, lest the next one is early.
    assert booked == [(4, 0.04), (3, 0.05), (1, 0.01)]
    assert gateway.times[2] - gateway.times[1] >= 0.03


def test_used_up_day_ends_the_batch():
    allowed = [0.0, None]
    gateway = Scripted()
    done = run(gateway, book=lambda _count, _seconds: allowed.pop(0), pause=1.0)
    assert len(done.results) == 5
    assert len(gateway.calls) == 1


def test_a_booking_that_comes_too_late_is_thrown_away(monkeypatch):
    booked = []
    pace = dispatch.Pace(lambda count, seconds: booked.append(count) or 0.0)
    assert pace.wait([(1, 0.01)] * 5)
    monkeypatch.setattr(dispatch, "LATE", -1.0)
    assert pace.wait([(1, 0.01)] * 4)
    assert booked == [5, 4]


def test_no_call_is_begun_when_time_is_up(monkeypatch):
    monkeypatch.setattr(dispatch, "LONGEST", 0.03)
    gateway = Scripted(seconds=0.02)
    done = run(gateway, count=100, connections=1)
    assert 5 <= len(done.results) < 100
