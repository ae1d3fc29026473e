"""Whether a campaign goes on after its trial batch."""

import pytest

from tools.trial import Limits, Trial, find_faults, get_size

LIMITS = Limits(
    delivery_rate=80,
    complaint_rate=0.1,
    complaint_minimum=3,
    refusal_rate=5,
    refusal_minimum=5,
)


@pytest.mark.parametrize(
    ("size", "is_rate", "total", "expected"),
    [
        (100, False, 5, 100),
        (5, True, 1000, 50),
        (5, True, 1001, 51),
        (0.1, True, 10, 1),
        (7, True, 100, 7),  # 7 * 100 / 100 in floats is not less
        (0, True, 1000, 0),
        (0, False, 1000, 0),
    ],
)
def test_size(size, is_rate, total, expected):
    assert get_size(size, is_rate, total) == expected


@pytest.mark.parametrize(
    ("delivered", "failed", "open_", "is_time_up", "faults"),
    [
        (0, 0, 100, False, None),
        (10, 40, 50, False, None),  # the reports that come first are not like the last
        (80, 20, 0, False, []),  # exactly the limit
        (79, 21, 0, False, ["delivery"]),
        (79, 21, 1, False, None),
        (79, 21, 1, True, ["delivery"]),
        (8, 2, 90, True, []),  # of those reported
        (0, 0, 100, True, []),  # a provider that reports nothing
        (0, 100, 0, False, ["delivery"]),  # refused at once
    ],
)
def test_deliveries(delivered, failed, open_, is_time_up, faults):
    trial = Trial(delivered, failed, open_)
    assert find_faults(trial, LIMITS, is_time_up) == faults


def test_complaints_and_refusals_stop_at_once():
    assert find_faults(Trial(1, 0, 99, complaints=3), LIMITS, False) == ["complaints"]
    assert find_faults(Trial(1, 0, 99, refusals=6), LIMITS, False) == ["refusals"]
    assert find_faults(Trial(1, 0, 99, refusals=5), LIMITS, False) is None
    assert find_faults(Trial(100, 0, 0, complaints=2), LIMITS, False) == []


def test_everything_at_once():
    trial = Trial(0, 10, 0, complaints=5, refusals=5)
    assert find_faults(trial, LIMITS, True) == ["complaints", "refusals", "delivery"]


def test_0_is_off():
    off = Limits(0, 0, 3, 0, 5)
    assert find_faults(Trial(0, 10, 0, complaints=9, refusals=9), off, True) == []
