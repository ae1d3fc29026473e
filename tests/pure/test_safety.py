"""When complaints and refusals are too many."""

import pytest

from tools.safety import is_over, is_unusual, rate


def test_rate():
    assert rate(1, 1000) == 0.1
    assert rate(5, 0) == 0


@pytest.mark.parametrize(
    ("complaints", "messages", "limit", "minimum", "over"),
    [
        (3, 3000, 0.1, 3, False),  # exactly the limit
        (3, 2999, 0.1, 3, True),
        (4, 3000, 0.1, 3, True),
        (1, 10, 0.1, 3, False),  # a small shop
        (2, 10, 0.1, 3, False),
        (3, 10, 0.1, 3, True),
        (3, 10, 0, 3, False),  # off
        (0, 10, 0.1, 0, False),
        (3, 0, 0.1, 3, True),
        (50, 100_000, 0.1, 3, False),
    ],
)
def test_g_5_complaints_over_the_limit(complaints, messages, limit, minimum, over):
    assert is_over(complaints, messages, limit, minimum) is over


@pytest.mark.parametrize(
    ("count", "total", "past_count", "past_total", "factor", "unusual"),
    [
        (30, 1000, 10, 1000, 3, False),  # exactly three times
        (31, 1000, 10, 1000, 3, True),
        (31, 1000, 10, 1000, 0, False),  # off
        (31, 1000, 0, 0, 3, False),  # the first campaign
        (4, 10, 0, 1000, 3, False),  # too few
        (5, 1000, 0, 1000, 3, True),  # nobody refused before
        (5, 1000, 0, 100, 3, False),
    ],
)
def test_unusual_refusals(count, total, past_count, past_total, factor, unusual):
    assert is_unusual(count, total, past_count, past_total, factor, 5) is unusual
