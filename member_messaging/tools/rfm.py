"""Recency, frequency and monetary scores from 1 to 5, and names for them."""

from bisect import bisect_left
from collections.abc import Sequence

#: ``(code, (r_min, r_max), (f_min, f_max))``: together they cover each of the 25 pairs
#: of scores exactly once, in the order screens list them. A code may take several rows.
#: The monetary score ranks members within a segment and does not choose it.
RFM_SEGMENTS = (
    ("champion", (4, 5), (4, 5)),
    ("loyal", (4, 5), (3, 3)),
    ("loyal", (3, 3), (3, 5)),
    ("promising", (3, 5), (2, 2)),
    ("promising", (3, 3), (1, 1)),
    ("new", (4, 5), (1, 1)),
    ("at_risk", (1, 2), (3, 5)),
    ("sleeping", (2, 2), (1, 2)),
    ("lost", (1, 1), (1, 2)),
)
#: The codes once each, best first.
RFM_CODES = tuple(dict.fromkeys(code for code, _r, _f in RFM_SEGMENTS))

_BY_SCORE = {
    (r, f): code
    for code, (r_min, r_max), (f_min, f_max) in RFM_SEGMENTS
    for r in range(r_min, r_max + 1)
    for f in range(f_min, f_max + 1)
}


def segment(r: int, f: int) -> str:
    """Return the code for a recency and a frequency score.

    :raises ValueError: a score is not a whole number from 1 to 5
    """
    try:
        return _BY_SCORE[r, f]
    except KeyError:
        raise ValueError(f"scores go from 1 to 5: r={r}, f={f}") from None


def score(value: float, cuts: Sequence[float], higher_is_better: bool = True) -> int:
    """Return 1 + the number of cuts passed.

    A high value passes the cuts it lies above. A low value (days since the last
    purchase) passes those it does not exceed, so a cut reads "within 30 days".

    :param cuts: ascending; four of them give scores from 1 to 5
    """
    below = bisect_left(cuts, value)
    return 1 + (below if higher_is_better else len(cuts) - below)
