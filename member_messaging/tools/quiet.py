"""When advertising may reach somebody: hours by law of the place, in its own time.

Laws name hours of the recipient's clock: 47 CFR 64.1200(c)(1) (USA: from 8 a.m. to
9 p.m. at the called party's location), Texas SB 140 of 2025 (Monday to Saturday from
9 a.m., Sunday from noon), Florida Statutes 501.059(8) (until 8 p.m.), in France 8 to
22 without Sundays and public holidays; in mainland China 8 to 21 is the custom of
carriers. Which of them hold where are records, this is only the reckoning.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache

import phonenumbers
import pytz
from phonenumbers.timezone import time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA

#: Every offset from UTC in use is a multiple of it, so that no hour is missed.
STEP = timedelta(minutes=15)
#: Longer than any row of public holidays.
HORIZON = timedelta(days=21)
NORTH_AMERICA = 1


@dataclass(frozen=True)
class Hours:
    """Hours of one place.

    :param week: per weekday, from Monday on: first minute of the day at which a message
        may arrive, and the first that is too late; equal ones: not at all
    :param holidays: local dates on which nothing may arrive
    """

    week: tuple[tuple[int, int], ...]
    holidays: frozenset[date] = frozenset()

    def is_open(self, local: datetime) -> bool:
        """Return whether a message may arrive at this local time."""
        start, end = self.week[local.weekday()]
        minute = local.hour * 60 + local.minute
        return start <= minute < end and local.date() not in self.holidays


def get_phone_place(number: str | None) -> tuple[str | None, tuple[str, ...]]:
    """Return country (ISO 3166) and time zones that a telephone number tells.

    :param number: in E.164
    :returns: None and no zone where it tells nothing; several zones if it may be used
        in any of them. Of the United States and their neighbours the area code tells,
        elsewhere that of a mobile number only the country: then all its zones count.
    """
    try:
        parsed = phonenumbers.parse(number or "")
    except phonenumbers.NumberParseException:
        return None, ()
    region = phonenumbers.region_code_for_number(
        parsed
    ) or phonenumbers.region_code_for_country_code(parsed.country_code)
    is_country = region not in (None, "ZZ", "001")
    if parsed.country_code == NORTH_AMERICA:
        zones = time_zones_for_number(parsed)
    else:
        zones = _get_code_zones(str(parsed.country_code))
        if len(zones) > 1:
            # the library's areas leave some out, such as Kaliningrad
            zones |= set(pytz.country_timezones.get(region, ()))
    return (region if is_country else None), tuple(sorted(filter(is_zone, zones)))


@cache
def _get_code_zones(code: str) -> frozenset[str]:
    return frozenset(
        zone
        for digits, zones in TIMEZONE_DATA.items()
        if digits.startswith(code)
        for zone in zones
    )


def is_zone(name: str) -> bool:
    """Return whether there is a time zone of this name."""
    return name in pytz.all_timezones_set


def get_next_open(
    moment: datetime, zones: Iterable[str], hours: Iterable[Hours]
) -> datetime | None:
    """Return the first time from a moment on at which a message may arrive.

    Where somebody is in one of several zones, or under one of several laws, it is a
    time that all of them allow. On the days on which clocks change every local time is
    what clocks show.

    :param moment: naive UTC; so is what is returned
    :returns: ``moment`` itself if that is one; None if there is none in three weeks
    """
    places = [pytz.timezone(zone) for zone in zones]
    rules = list(hours)
    for candidate in _get_candidates(moment):
        aware = candidate.replace(tzinfo=timezone.utc)
        if all(
            rule.is_open(aware.astimezone(place)) for place in places for rule in rules
        ):
            return candidate
    return None


def _get_candidates(moment: datetime) -> Iterator[datetime]:
    yield moment
    end = moment + HORIZON
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = day + (moment - day) // STEP * STEP + STEP
    while moment <= end:
        yield moment
        moment += STEP
