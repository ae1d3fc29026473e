"""How fast a provider is called, and how long it is left alone after failures."""

import math

#: Calls do not arrive exactly when they are made; a tenth of the rate is given away so
#: that no second, wherever it begins, sees more than the rate.
HEADROOM = 1.1
#: So many calls in a row without a usable answer, and the gateway rests …
BREAK_AFTER = 5
#: … for so many seconds, doubling with each probe that fails, up to the longest rest.
BREAK_SECONDS = 30
LONGEST_BREAK = 600


def divide_rate(rate: int, batch_size: int) -> tuple[int, float]:
    """Divide a rate into calls of equal size.

    In any second there are at most ``rate / size`` calls of ``size`` messages.

    >>> divide_rate(150, 100)  # two calls of 75 in each 1.1 seconds
    (75, 0.55)

    :param rate: messages per second; 0: no limit
    :param batch_size: most messages of one call
    :returns: messages per call, seconds from one call to the next
    """
    if not rate:
        return batch_size, 0.0
    calls = math.ceil(rate / batch_size)
    return rate // calls, HEADROOM / calls


def rest_seconds(failures: int) -> int:
    """Return how long a gateway rests after so many calls in a row have failed.

    A circuit breaker (M. Nygard, Release It!): while it is open nothing is sent; after
    the rest one call probes, and its outcome closes the breaker or opens it for longer.
    """
    if failures < BREAK_AFTER:
        return 0
    return min(BREAK_SECONDS * 2 ** (failures - BREAK_AFTER), LONGEST_BREAK)
