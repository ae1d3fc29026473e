"""The best hour of the day."""

import random
from datetime import time

import pytest

from tools.hours import (
    DEFAULT_INDUSTRY,
    INDUSTRIES,
    KERNEL,
    WEEKEND,
    Industry,
    Window,
    pick,
    smooth,
)

ALL_DAY = range(24)


def make_histogram(**hours):
    """``h9=2`` stands for 2 at nine o'clock."""
    return [hours.get(f"h{hour}", 0) for hour in range(24)]


def test_an_hour_speaks_for_its_neighbours():
    assert smooth(make_histogram(h9=3)) == make_histogram(h8=3, h9=6, h10=3)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"h0": 1}, {"h23": 1, "h0": 2, "h1": 1}),
        ({"h23": 1}, {"h22": 1, "h23": 2, "h0": 1}),
    ],
)
def test_the_day_is_a_circle(before, after):
    assert smooth(make_histogram(**before)) == make_histogram(**after)


def test_smoothing_any_histogram():
    """Nothing is lost, and turning the clock turns the result."""
    chance = random.Random(3)
    for _round in range(200):
        histogram = [chance.randrange(9) for _hour in range(24)]
        smoothed = smooth(histogram)
        assert sum(smoothed) == sum(weight for _step, weight in KERNEL) * sum(histogram)
        turn = chance.randrange(24)
        turned = histogram[turn:] + histogram[:turn]
        assert smooth(turned) == smoothed[turn:] + smoothed[:turn]


def test_many_around_an_hour_beat_one_peak():
    assert pick(make_histogram(h9=4, h14=3, h15=3, h16=3), ALL_DAY) == 15


def test_first_of_equals():
    histogram = make_histogram(h9=1, h18=1)
    assert pick(histogram, range(24)) == 9
    assert pick(histogram, range(23, -1, -1)) == 18


def test_nights_are_not_proposed():
    histogram = make_histogram(h3=9, h19=1)
    assert pick(histogram, INDUSTRIES["retail"].hours) == 19


def test_late_facts_speak_for_the_last_hour():
    assert pick(make_histogram(h21=1), INDUSTRIES["retail"].hours) == 20


def test_nothing_known_of_the_day():
    assert pick(make_histogram(), ALL_DAY) is None
    assert pick(make_histogram(h3=9), INDUSTRIES["retail"].hours) is None


def test_any_pick_is_allowed_and_best():
    chance = random.Random(7)
    for _round in range(200):
        histogram = [chance.choice((0, 0, 1, 5)) for _hour in range(24)]
        hours = chance.choice(list(INDUSTRIES.values())).hours
        hour = pick(histogram, hours)
        smoothed = smooth(histogram)
        if hour is None:
            assert not any(smoothed[other] for other in hours)
        else:
            assert hour in hours
            assert smoothed[hour] == max(smoothed[other] for other in hours)


@pytest.mark.parametrize(
    ("code", "hour"),
    [
        ("retail", 11),
        ("catering", 11),
        ("ecommerce", 21),
        ("education", 10),
        ("office", 12),
    ],
)
def test_hour_of_an_industry(code, hour):
    assert INDUSTRIES[code].hour == hour


def test_industries():
    assert DEFAULT_INDUSTRY in INDUSTRIES
    assert INDUSTRIES["catering"].windows == (
        Window(time(10, 30), time(11, 30)),
        Window(time(16), time(17)),
    )
    assert INDUSTRIES["education"].windows[0].weekdays == WEEKEND


@pytest.mark.parametrize("industry", INDUSTRIES.values(), ids=INDUSTRIES)
def test_windows_lie_within_the_day(industry):
    first, end = industry.day
    for window in industry.windows:
        assert time(first) <= window.start < window.end <= time(end)
    assert sorted(industry.hours) == list(range(first, end))
    assert industry.hours[0] == industry.hour


def test_order_of_equal_hours():
    industry = Industry((Window(time(10), time(11)),), day=(8, 13))
    assert industry.hours == (10, 9, 11, 8, 12)
