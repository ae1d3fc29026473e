"""Hands a batch to a provider: in calls it takes, in parallel, no faster than allowed.

One sender's part of the work; what several senders share, the rate, is asked for
through ``book``.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from .base import Gateway, slices
from .types import Outbound, Outcome, SendResult

#: The account is closed; whatever comes next would be refused as well.
CLOSED = frozenset({Outcome.PAUSE, Outcome.TOKEN})
#: No usable answer; the provider may be down.
UNANSWERED = frozenset({Outcome.RETRY, Outcome.AMBIGUOUS})
#: Calls are booked for so many seconds ahead, to ask the others less often.
AHEAD = 0.05
#: A call that was booked for a time so many seconds ago is booked again: made now, it
#: would come on top of those that are due now.
LATE = 0.1
#: After so many seconds no further call is begun; the sender looks at pauses again.
LONGEST = 30.0


@dataclass(slots=True)
class Dispatched:
    """What became of a batch.

    ``results`` are those of the messages that were tried; the others have not left.
    ``failures`` and ``successes`` count calls without and with a usable answer,
    ``error`` tells why the last one failed, ``patience`` is the longest time in
    seconds the provider asked to be left alone.
    """

    results: list[SendResult] = field(default_factory=list)
    failures: int = 0
    successes: int = 0
    error: str = ""
    patience: int = 0
    #: Failures since the last success.
    in_a_row: int = 0
    is_closed: bool = False

    def add(self, results: Sequence[SendResult]) -> None:
        """Note the results of one call."""
        self.results += results
        waits = [r.retry_after or 0 for r in results if r.outcome is Outcome.RETRY]
        self.patience = max(self.patience, *waits, 0)
        self.is_closed |= any(result.outcome in CLOSED for result in results)
        if any(result.outcome not in UNANSWERED for result in results):
            self.successes += 1
            self.in_a_row = 0
        elif not any(result.retry_after for result in results):
            self.failures += 1
            self.in_a_row += 1
            self.error = results[-1].provider_message or results[-1].provider_code or ""


class Pace:
    """Says when the next call may be made.

    :param book: number of messages and seconds they take → seconds until the first may
        leave; None: no more today. Shared by all senders.
    """

    def __init__(self, book: Callable[[int, float], float | None]):
        self._book = book
        self._slots: deque[float] = deque()

    def wait(self, calls: Sequence[tuple[int, float]]) -> bool:
        """Sleep until the next call is due; return False if there is no next one.

        :param calls: messages of each call that is left, and seconds until the next
            one; 0: no rate
        """
        while self._slots and self._slots[0] < time.monotonic() - LATE:
            self._slots.popleft()
        if not self._slots and not self._fill(calls):
            return False
        time.sleep(max(0.0, self._slots.popleft() - time.monotonic()))
        return True

    def _fill(self, calls: Sequence[tuple[int, float]]) -> bool:
        starts, count, seconds = [], 0, 0.0
        for size, pause in calls:
            if starts and seconds + pause > AHEAD:
                break
            starts.append(seconds)
            count += size
            seconds += pause
        delay = self._book(count, seconds)
        if delay is None:
            return False
        now = time.monotonic()
        self._slots.extend(now + delay + start for start in starts)
        return True


def dispatch(
    adapter: Gateway,
    batch: Sequence[Outbound],
    fit: Callable[[int], tuple[int, float]],
    connections: int,
    pace: Pace | None,
    give_up_after: int,
) -> Dispatched:
    """Send a batch.

    Stops early, leaving the rest untried, when the account is closed, when calls fail
    in a row, when the day's messages are used up, or after :data:`LONGEST` seconds.

    :param fit: most messages a call takes → how many it gets, and the seconds it takes
    :param connections: calls under way at the same time
    :param pace: None: as fast as it goes
    :param give_up_after: failed calls in a row
    """
    calls: list[Sequence[Outbound]] = []
    costs: list[tuple[int, float]] = []
    for limit, group in adapter.group(batch):
        size, pause = fit(limit)
        parts = slices(group, size)
        calls += parts
        costs += [(len(part), pause) for part in parts]
    done = Dispatched()
    ends = time.monotonic() + LONGEST
    with ThreadPoolExecutor(max_workers=min(connections, len(calls) or 1)) as pool:
        under_way: set[Future] = set()
        for index, call in enumerate(calls):
            if len(under_way) >= connections:
                under_way = _collect(under_way, done)
            if done.is_closed or done.in_a_row >= give_up_after:
                break
            if time.monotonic() > ends or (pace and not pace.wait(costs[index:])):
                break
            if len(calls) == 1:
                done.add(_send(adapter, call))
            else:
                under_way.add(pool.submit(_send, adapter, call))
        while under_way:
            under_way = _collect(under_way, done)
    return done


def _collect(under_way: set[Future], done: Dispatched) -> set[Future]:
    """Wait for a call to end, note its results; return those still under way."""
    ended, under_way = wait(under_way, return_when=FIRST_COMPLETED)
    for future in ended:
        done.add(future.result())
    return under_way


def _send(adapter: Gateway, call: Sequence[Outbound]) -> list[SendResult]:
    results = adapter.send(call)
    refused = [
        message
        for message, result in zip(call, results, strict=True)
        if result.outcome is Outcome.TOKEN
    ]
    if not (refused and adapter.renew_token()):
        return results
    # nothing was sent with the old token
    renewed = {result.key: result for result in adapter.send(refused)}
    return [renewed.get(result.key, result) for result in results]
