"""Rates and rests."""

import pytest

from tools.throttle import BREAK_AFTER, divide_rate, rest_seconds


@pytest.mark.parametrize("rate", [1, 2, 7, 10, 99, 100, 150, 800, 3000])
@pytest.mark.parametrize("batch_size", [1, 3, 100, 1000])
def test_no_second_sees_more_than_the_rate(rate, batch_size):
    size, pause = divide_rate(rate, batch_size)
    assert 1 <= size <= min(rate, batch_size)
    calls = [index * pause for index in range(5000)]
    # a second may begin with any call and, at worst, delay it by a twentieth
    for start in calls[:50]:
        inside = sum(start <= call < start + 1.05 for call in calls)
        assert inside * size <= rate


@pytest.mark.parametrize("rate", [1, 10, 150, 1000])
def test_little_of_the_rate_is_given_away(rate):
    size, pause = divide_rate(rate, 100)
    assert size / pause > 0.85 * rate


def test_no_rate_no_limit():
    assert divide_rate(0, 100) == (100, 0.0)


def test_rests():
    assert rest_seconds(0) == rest_seconds(BREAK_AFTER - 1) == 0
    rests = [rest_seconds(BREAK_AFTER + index) for index in range(7)]
    assert rests == [30, 60, 120, 240, 480, 600, 600]
    assert rest_seconds(10_000) == 600
