"""Hours at which advertising may reach somebody (C2; rules US-2, US-3, EU-11, G-3)."""

import random
from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import pytz

from tools.quiet import Hours, get_next_open, get_phone_place

DAY = (8 * 60, 21 * 60)
EVERY_DAY = Hours((DAY,) * 7)
TEXAS = Hours(((9 * 60, 21 * 60),) * 6 + ((12 * 60, 21 * 60),))
FRANCE = Hours(((8 * 60, 22 * 60),) * 6 + ((0, 0),), frozenset({date(2026, 7, 14)}))
NEVER = Hours(((0, 0),) * 7)


def at(text):
    return datetime.fromisoformat(text)


def local(moment, zone):
    return moment.replace(tzinfo=timezone.utc).astimezone(pytz.timezone(zone))


@pytest.mark.parametrize(
    ("moment", "zones", "hours", "expected"),
    [
        # 20:59 and 21:00 in Shanghai
        ("2026-11-25 12:59", ["Asia/Shanghai"], [EVERY_DAY], "2026-11-25 12:59"),
        ("2026-11-25 13:00", ["Asia/Shanghai"], [EVERY_DAY], "2026-11-26 00:00"),
        ("2026-11-25 12:59:59", ["Asia/Shanghai"], [EVERY_DAY], "2026-11-25 12:59:59"),
        ("2026-11-25 13:07:08", ["Asia/Shanghai"], [EVERY_DAY], "2026-11-26 00:00"),
        # Texas (US-3): a Sunday begins at noon, 18:00 UTC in winter
        ("2026-11-29 15:00", ["America/Chicago"], [TEXAS], "2026-11-29 18:00"),
        ("2026-11-28 15:00", ["America/Chicago"], [TEXAS], "2026-11-28 15:00"),
        # El Paso or Dallas (G-3): when both are awake
        (
            "2026-11-28 15:00",
            ["America/Chicago", "America/Denver"],
            [TEXAS],
            "2026-11-28 16:00",
        ),
        # the stricter of two laws
        (
            "2026-11-28 14:30",
            ["America/Chicago"],
            [EVERY_DAY, TEXAS],
            "2026-11-28 15:00",
        ),
        # France (EU-11): no Sunday, no 14 July
        ("2026-07-12 10:00", ["Europe/Paris"], [FRANCE], "2026-07-13 06:00"),
        ("2026-07-13 20:00", ["Europe/Paris"], [FRANCE], "2026-07-15 06:00"),
        # half and quarter hours
        ("2026-11-25 00:00", ["Asia/Kolkata"], [EVERY_DAY], "2026-11-25 02:30"),
        ("2026-11-25 00:00", ["Asia/Kathmandu"], [EVERY_DAY], "2026-11-25 02:15"),
        # nobody forbids anything
        ("2026-11-25 18:00", ["Asia/Shanghai"], [], "2026-11-25 18:00"),
    ],
)
def test_next_open(moment, zones, hours, expected):
    assert get_next_open(at(moment), zones, hours) == at(expected)


def test_never():
    assert get_next_open(at("2026-11-25 10:00"), ["Asia/Shanghai"], [NEVER]) is None


@pytest.mark.parametrize("seed", range(20))
def test_us_2_every_zone_and_clock_change(seed):
    """Whatever the zone, also on the days on which its clocks change."""
    chance = random.Random(seed)
    zones = pytz.all_timezones
    changes = (at("2026-03-08"), at("2026-03-29"), at("2026-10-25"), at("2026-11-01"))
    for _turn in range(40):
        zone = chance.choice(zones)
        moment = chance.choice(changes) + timedelta(
            minutes=chance.randrange(-1440, 2880)
        )
        due = get_next_open(moment, [zone], [EVERY_DAY])
        assert due >= moment
        assert 8 <= local(due, zone).hour < 21, (zone, moment)
        # not later than needed: the quarter of an hour before was closed
        if due > moment:
            before = local(due - timedelta(minutes=15), zone)
            assert due - timedelta(minutes=15) < moment or not EVERY_DAY.is_open(before)


#: Zones whose clocks change, by an hour or half of one, in both halves of the world,
#: and some whose clocks do not.
ZONES = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Phoenix"),
    *("America/Los_Angeles", "America/Anchorage", "America/St_Johns"),
    *("Europe/London", "Europe/Paris", "Europe/Berlin", "Europe/Athens"),
    *("Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe"),
    *("Pacific/Auckland", "Pacific/Chatham", "Pacific/Honolulu"),
    *("Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu"),
)
QUARTER = timedelta(minutes=15)


def find_changes(zone):
    """:returns: the days of 2026, at noon UTC, on which the clocks of a zone change"""
    zone = ZoneInfo(zone)
    days = [
        datetime(2026, 1, 1, 12, tzinfo=timezone.utc) + timedelta(n) for n in range(365)
    ]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [
        day.replace(tzinfo=None)
        for day, (before, after) in zip(days[1:], pairwise(offsets), strict=True)
        if before != after
    ]


def test_clocks_change():
    assert [len(find_changes(zone)) for zone in ("Europe/Paris", "Asia/Tokyo")] == [
        2,
        0,
    ]


@pytest.mark.parametrize(
    ("zone", "hours"),
    [
        *((zone, EVERY_DAY) for zone in ZONES),
        ("America/Chicago", TEXAS),
        ("Europe/Paris", FRANCE),
    ],
)
def test_every_quarter_of_an_hour_around_clock_changes(zone, hours):
    """The first moment that is open by another library's clocks; nothing before is."""

    def is_open(moment):
        there = moment.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(zone))
        start, end = hours.week[there.weekday()]
        return (
            start <= there.hour * 60 + there.minute < end
            and there.date() not in hours.holidays
        )

    for noon in find_changes(zone) or [at("2026-07-12 12:00")]:
        moment = noon - timedelta(hours=36)
        expected = None
        # backwards, so that what comes next is known
        for step in reversed(range(4 * 24 * 4)):
            now = moment + step * QUARTER
            expected = now if is_open(now) else expected
            if step < 2 * 24 * 4:
                assert get_next_open(now, [zone], [hours]) == expected, now


@pytest.mark.parametrize(
    ("number", "place"),
    [
        ("+8613800138000", ("CN", ("Asia/Shanghai",))),
        ("+12125550100", ("US", ("America/New_York",))),
        ("+33612345678", ("FR", ("Europe/Paris",))),
        ("no number", (None, ())),
        (None, (None, ())),
        ("", (None, ())),
        # satellites belong to no country
        ("+870773111632", (None, ())),
    ],
)
def test_phone_place(number, place):
    assert get_phone_place(number) == place


def test_number_used_in_several_zones():
    country, zones = get_phone_place("+79161234567")
    assert country == "RU" and len(zones) > 1


def test_no_zone_of_a_country_is_forgotten():
    """The library knows Bucharest instead of Kaliningrad, whose clocks stay."""
    _country, zones = get_phone_place("+79161234567")
    assert {"Europe/Kaliningrad", "Asia/Kamchatka"} <= set(zones)
    moment = at("2026-07-14 05:30")
    due = get_next_open(moment, zones, [EVERY_DAY])
    assert local(due, "Europe/Kaliningrad").hour >= 8
