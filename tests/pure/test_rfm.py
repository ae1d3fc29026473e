"""Scores and their names."""

from collections import Counter
from itertools import product

import pytest

from tools.rfm import RFM_CODES, RFM_SEGMENTS, score, segment


def test_every_pair_exactly_once():
    cells = Counter(
        (r, f)
        for _code, (r_min, r_max), (f_min, f_max) in RFM_SEGMENTS
        for r, f in product(range(r_min, r_max + 1), range(f_min, f_max + 1))
    )
    assert cells == Counter(product(range(1, 6), repeat=2))


def test_codes():
    assert RFM_CODES == (
        "champion",
        "loyal",
        "promising",
        "new",
        "at_risk",
        "sleeping",
        "lost",
    )


@pytest.mark.parametrize(
    ("r", "f", "code"),
    [
        (5, 5, "champion"),
        (3, 5, "loyal"),
        (5, 2, "promising"),
        (5, 1, "new"),
        (1, 5, "at_risk"),
        (2, 1, "sleeping"),
        (1, 1, "lost"),
    ],
)
def test_segment(r, f, code):
    assert segment(r, f) == code


@pytest.mark.parametrize(("r", "f"), [(0, 1), (6, 1), (1, 0), (1, None)])
def test_no_such_score(r, f):
    with pytest.raises(ValueError):
        segment(r, f)


def test_score():
    cuts = [1, 2, 4, 8]
    assert [score(n, cuts) for n in (0, 1, 2, 3, 4, 5, 8, 9)] == [
        1,
        1,
        2,
        3,
        3,
        4,
        4,
        5,
    ]


def test_score_of_days():
    cuts = [30, 60, 120, 240]
    days = (0, 30, 31, 60, 61, 120, 121, 240, 241)
    scores = [score(n, cuts, higher_is_better=False) for n in days]
    assert scores == [5, 5, 4, 4, 3, 3, 2, 2, 1]


def test_equal_cuts():
    """Most members bought once: several cuts are the same number."""
    assert [score(n, [1, 1, 1, 2]) for n in (1, 2, 3)] == [1, 4, 5]
