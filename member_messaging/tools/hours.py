"""The hour of the day at which to write to somebody: learnt, or by line of business.

A histogram has 24 numbers, one per hour of the day; the last hour and the first are
neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import time

#: How far the hours beside an hour speak for it: half as much as the hour itself.
#: ``(hours away, weight)``
KERNEL = ((-1, 1), (0, 2), (1, 1))
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
WEEKEND = (5, 6)


@dataclass(frozen=True)
class Window:
    """A time of the day at which customers read; the end is not part of it.

    ``weekdays`` count from 0, Monday.
    """

    start: time
    end: time
    weekdays: tuple[int, ...] = EVERY_DAY

    @property
    def middle_hour(self) -> int:
        """The hour of the day that holds the middle of the window."""
        minutes = (_get_minutes(self.start) + _get_minutes(self.end)) // 2
        return minutes // 60


@dataclass(frozen=True)
class Industry:
    """What a line of business knows of its customers.

    :param windows: when they read offers, the best one first
    :param day: first hour in which a message may leave, and the first that is too late.
        No hour outside is ever proposed, whatever was learnt.
    """

    windows: tuple[Window, ...]
    day: tuple[int, int] = (8, 21)

    @property
    def hour(self) -> int:
        """The best hour of somebody who is not known yet."""
        return self.windows[0].middle_hour

    @property
    def hours(self) -> tuple[int, ...]:
        """The hours that may be proposed, in the order that decides a tie: those
        nearest to the best hour come first, of two the earlier one."""
        return tuple(sorted(range(*self.day), key=lambda h: (abs(h - self.hour), h)))


INDUSTRIES = {
    "retail": Industry(
        (Window(time(10), time(12)), Window(time(17), time(20))),
    ),
    "catering": Industry(
        (Window(time(10, 30), time(11, 30)), Window(time(16), time(17))),
    ),
    "ecommerce": Industry((Window(time(20), time(22)),), day=(8, 22)),
    "education": Industry((Window(time(9), time(11), WEEKEND),)),
    "office": Industry(
        (Window(time(12), time(13, 30)), Window(time(18), time(20))),
    ),
}
DEFAULT_INDUSTRY = "retail"


def smooth(histogram: Sequence[float]) -> list[float]:
    """Let every hour speak for its neighbours as well, around midnight too.

    :param histogram: 24 numbers
    :returns: 24 numbers that add up to four times as much
    """
    return [
        sum(weight * histogram[(hour + step) % 24] for step, weight in KERNEL)
        for hour in range(24)
    ]


def pick(histogram: Sequence[float], hours: Sequence[int]) -> int | None:
    """Choose the hour with the most around it.

    :param histogram: 24 numbers, none below zero
    :param hours: those to choose from; the first of equals wins
    :returns: None when nothing is known of any of them
    """
    smoothed = smooth(histogram)
    best = max(hours, key=smoothed.__getitem__)
    return best if smoothed[best] else None


def _get_minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute
