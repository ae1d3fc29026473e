"""What is left of something many messages draw on: the SMS of a month, the budget of a
campaign, a trial batch.

SMS are counted in parts, as providers sell and bill them.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

#: Money is compared to so many decimals, those of a price.
DIGITS = 4


@dataclass(frozen=True)
class Quota:
    """SMS of a month, a part of which promotions and content leave alone.

    :param limit: parts in the month; 0: no limit
    :param reserve_rate: percent kept for care and notices
    :param used: parts of all messages so far
    :param used_advertising: of these, parts of promotions and content
    """

    limit: int
    reserve_rate: float
    used: int = 0
    used_advertising: int = 0

    @property
    def share(self) -> int:
        """Parts that promotions and content may use, the rest is rounded up."""
        # rounded first: 70 % of 10 are 7, whatever a float makes of it
        return math.floor(round(self.limit * (100 - self.reserve_rate) / 100, DIGITS))

    def get_rest(self, is_advertising: bool) -> int | None:
        """Return the parts such messages may still use; None: there is no limit."""
        if not self.limit:
            return None
        rest = self.limit - self.used
        if is_advertising:
            rest = min(rest, self.share - self.used_advertising)
        return max(0, rest)


def get_least_rest(quotas: Sequence[Quota], is_advertising: bool) -> int | None:
    """Return what the tightest of several quotas leaves; None: there is no limit."""
    rests = (quota.get_rest(is_advertising) for quota in quotas)
    return min((rest for rest in rests if rest is not None), default=None)


def find_shortage(
    quotas: Sequence[Quota], is_advertising: bool, parts: int
) -> str | None:
    """Return what a message finds used up: ``"all"`` SMS of the month, or only the
    ``"share"`` of promotions and content; None: it may leave.

    >>> find_shortage([Quota(10, 30, used=7, used_advertising=7)], True, 1)
    'share'
    """
    rest = get_least_rest(quotas, is_advertising)
    if rest is None or rest >= parts:
        return None
    everything = get_least_rest(quotas, False)
    return "share" if everything is None or everything >= parts else "all"


def draw(
    draws: Sequence[Mapping[Hashable, float]], rests: Mapping[Hashable, float]
) -> list[Hashable | None]:
    """Let messages draw on what is left, in their order.

    A message that finds too little in one place draws on none; a smaller one behind it
    may.

    >>> draw([{"sms": 2}, {"sms": 2}, {"sms": 1}], {"sms": 3})
    [None, 'sms', None]

    :param draws: per message how much it takes from where
    :param rests: where → how much there is; there is no limit to what is not named
    :returns: per message where there was too little for it; None: it may leave
    """
    rests = dict(rests)
    lacks = []
    for amounts in draws:
        lack = next(
            (
                place
                for place, amount in amounts.items()
                if place in rests and round(rests[place] - amount, DIGITS) < 0
            ),
            None,
        )
        if lack is None:
            for place, amount in amounts.items():
                if place in rests:
                    rests[place] = round(rests[place] - amount, DIGITS)
        lacks.append(lack)
    return lacks
