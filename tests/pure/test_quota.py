"""What is left of a month's SMS, a budget, a trial batch."""

import doctest

import pytest

from tools import quota
from tools.quota import Quota, draw, find_shortage, get_least_rest


def test_example():
    assert doctest.testmod(quota).attempted
    assert not doctest.testmod(quota).failed


@pytest.mark.parametrize(
    ("limit", "reserve_rate", "share"),
    [
        (18_000, 30, 12_600),
        (10, 30, 7),  # 10 * 0.7 is less than 7
        (1, 30, 0),  # what cannot be divided is kept
        (3, 50, 1),
        (100, 0, 100),
        (100, 100, 0),
    ],
)
def test_c_4_share_of_promotions(limit, reserve_rate, share):
    assert Quota(limit, reserve_rate).share == share


@pytest.mark.parametrize(
    ("used", "used_advertising", "rest", "rest_of_promotions"),
    [
        (0, 0, 100, 70),
        (70, 70, 30, 0),  # the reserve is there for care
        (70, 0, 30, 30),  # care may use all of it
        (95, 60, 5, 5),
        (100, 70, 0, 0),
        (120, 90, 0, 0),  # the quota was lowered
    ],
)
def test_c_4_what_is_left(used, used_advertising, rest, rest_of_promotions):
    month = Quota(100, 30, used, used_advertising)
    assert month.get_rest(False) == rest
    assert month.get_rest(True) == rest_of_promotions


def test_no_limit():
    assert Quota(0, 30, 500, 500).get_rest(True) is None
    assert Quota(0, 30, 500, 500).get_rest(False) is None


def test_the_tightest_decides():
    account, company = Quota(100, 30, 90, 10), Quota(1000, 30, 700, 690)
    assert get_least_rest([account, company], False) == 10
    assert get_least_rest([account, company], True) == 10
    assert get_least_rest([Quota(0, 30), company], True) == 10
    assert get_least_rest([Quota(0, 30)], True) is None
    assert get_least_rest([], True) is None


def test_what_is_used_up():
    account, company = Quota(0, 30), Quota(10, 30, 8, 7)
    assert find_shortage([account, company], True, 1) == "share"
    assert find_shortage([account, company], False, 2) is None
    assert find_shortage([account, company], False, 3) == "all"
    assert find_shortage([account, company], True, 3) == "all"
    assert find_shortage([Quota(1, 0, 1), company], True, 1) == "all"
    assert find_shortage([account], True, 99) is None


def test_all_or_nothing():
    """What lacks money takes no SMS from others."""
    draws = [{"sms": 2, "money": 5}, {"sms": 2, "money": 1}, {"sms": 2}]
    assert draw(draws, {"sms": 4, "money": 2}) == ["money", None, None]


def test_money_is_exact():
    draws = [{"money": 0.05}] * 4
    assert draw(draws, {"money": 0.15}) == [None, None, None, "money"]
    assert draw([{"money": 0.1}, {"money": 0.2}], {"money": 0.3}) == [None, None]


def test_nothing_is_limited():
    assert draw([{"sms": 3}], {}) == [None]
    assert draw([], {"sms": 1}) == []
