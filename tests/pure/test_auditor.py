"""The auditor of the simulated month finds what is wrong, and nothing else."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from system import auditor
from system.auditor import Limit, Sent, Told, Word

NOON = datetime(2026, 10, 14, 4)  # 12:00 in Shanghai, a Wednesday
LI = Sent(1, 1, "promotion", 7, "+8613800138000", NOON, country="CN")
AGREED = Word(7, "promotion", "granted", NOON - timedelta(days=9))


def at(text, **values):
    return replace(LI, date=datetime.fromisoformat(text), **values)


def test_twice():
    other = replace(LI, message=2, profile=8)
    assert not auditor.check_once([LI, replace(other, number="+8613800138001")])
    assert not auditor.check_once([LI, replace(LI, campaign=2)])
    assert auditor.check_once([LI, other]), "the number"
    assert auditor.check_once([LI, replace(other, profile=7, number="+1")])


@pytest.mark.parametrize(
    ("limit", "days", "is_wrong"),
    [
        (Limit(1, timedelta(days=1)), [0, 1, 2], False),
        (Limit(1, timedelta(days=1)), [0, 0.99], True),
        (Limit(3, timedelta(days=30)), [0, 10, 20, 30], False),
        (Limit(3, timedelta(days=30)), [0, 29.9, 10, 20], True),
        (Limit(1, timedelta(days=1), ("content",)), [0, 0.5], False),
        (Limit(1, timedelta(days=1), engagement="low"), [0, 0.5], False),
        (Limit(1, timedelta(days=1), engagement="high"), [0, 0.5], True),
    ],
)
def test_limits(limit, days, is_wrong):
    sent = [replace(LI, date=NOON + timedelta(days=day)) for day in days]
    assert bool(auditor.check_limits(sent, [limit], {7: "high"})) is is_wrong


@pytest.mark.parametrize(
    ("message", "is_wrong"),
    [
        (at("2026-10-14 12:59"), False),
        (at("2026-10-14 13:00"), True),
        (at("2026-10-14 13:00", category="notice"), False),
        (at("2026-10-13 23:59"), True),
        # the zone of the contact counts more than the number
        (at("2026-10-14 13:00", zone="America/New_York"), False),
        # clocks in Berlin go back on 25 October, in New York a week later
        (at("2026-10-24 06:00", number="+4915112345678", country="DE"), False),
        (at("2026-10-25 06:00", number="+4915112345678", country="DE"), True),
        (
            at("2026-10-31 12:30", number="+12125550100", state="NY", country="US"),
            False,
        ),
        (at("2026-11-01 12:30", number="+12125550100", state="NY", country="US"), True),
        # Texas: Sunday from noon, and Sunday is not yet over for who is anywhere
        (at("2026-10-18 16:30", number="+12145550100", state="TX", country="US"), True),
        (
            at("2026-10-18 17:00", number="+12145550100", state="TX", country="US"),
            False,
        ),
        (at("2026-10-18 15:30", number="+12125550100", country=None), True),
        # France: no Sunday, no holiday
        (at("2026-10-18 12:00", number="+33612345678", country="FR"), True),
        (at("2026-11-11 12:00", number="+33612345678", country="FR"), True),
        (at("2026-11-12 12:00", number="+33612345678", country="FR"), False),
        # Russia from end to end: eleven in Kaliningrad is nine in the evening there
        (at("2026-10-14 08:59", number="+79161234567", country=None), False),
        (at("2026-10-14 09:00", number="+79161234567", country=None), True),
    ],
)
def test_hours(message, is_wrong):
    assert bool(auditor.check_hours([message], {date(2026, 11, 11)})) is is_wrong


@pytest.mark.parametrize(
    ("words", "is_wrong"),
    [
        ([AGREED], False),
        ([], True),
        ([replace(AGREED, date=NOON + timedelta(seconds=1))], True),
        ([AGREED, replace(AGREED, state="refused")], True),
        ([AGREED, replace(AGREED, state="refused", purpose="service")], False),
        ([replace(AGREED, expiry=NOON.date())], False),
        ([replace(AGREED, expiry=date(2026, 10, 13))], True),
    ],
)
def test_words(words, is_wrong):
    assert bool(auditor.check_words([LI], words)) is is_wrong
    notice = replace(LI, category="notice")
    refused = [replace(AGREED, state="refused", purpose="service")]
    assert not auditor.check_words([notice], [])
    assert auditor.check_words([notice], refused)


def test_refusals():
    no = Told(LI.number, NOON)
    again = Told(LI.number, NOON, is_no=False)
    assert auditor.check_refusals([LI], [no])
    assert not auditor.check_refusals([LI], [no, again])
    assert not auditor.check_refusals([LI], [replace(no, number="+1")])
    assert not auditor.check_refusals([replace(LI, date=NOON - timedelta(1))], [no])
    assert not auditor.check_refusals([replace(LI, category="care")], [no])
    assert auditor.check_refusals(
        [replace(LI, category="care")], [replace(no, is_everything=True)]
    )


def test_reserve():
    sent = [replace(LI, parts=2)] * 35
    assert not auditor.check_reserve(sent, 100, 30)
    assert auditor.check_reserve([*sent, LI], 100, 30)
    assert not auditor.check_reserve([*sent, replace(LI, category="care")], 100, 30)
    assert not auditor.check_reserve([*sent, at("2026-11-14 04:00")], 100, 30)
