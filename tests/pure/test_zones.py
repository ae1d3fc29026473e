"""Time zones of telephone numbers and countries."""

import pytest
from phonenumbers import parse
from phonenumbers.timezone import time_zones_for_number

from tools.zones import get_country_zone, get_phone_zones


def find_zone(number):
    """The zone of a number in E.164 format, looked up as the database does it."""
    zones = get_phone_zones()
    found = [zones[number[1:end]] for end in range(2, 6) if number[1:end] in zones]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+8613800138000", "Asia/Shanghai"),
        ("+85251234567", "Asia/Hong_Kong"),
        ("+12125550123", "America/New_York"),
        ("+13105550123", "America/Los_Angeles"),
        ("+79161234567", None),  # mobile numbers of all of Russia
    ],
)
def test_number(number, zone):
    assert find_zone(number) == zone


def test_no_prefix_begins_with_another():
    prefixes = sorted(get_phone_zones())
    assert len(prefixes) > 100
    assert not any(
        longer.startswith(prefix)
        for prefix, longer in zip(prefixes, prefixes[1:], strict=False)
    )


def test_agrees_with_the_library():
    for prefix, zone in get_phone_zones().items():
        number = parse("+" + prefix.ljust(11, "5"))
        names = time_zones_for_number(number)
        assert zone in names or names == ("Etc/Unknown",), number


@pytest.mark.parametrize(
    ("code", "zones", "zone"),
    [
        ("IN", ["Asia/Kolkata"], "Asia/Kolkata"),
        ("CN", ["Asia/Shanghai", "Asia/Urumqi"], "Asia/Shanghai"),
        ("US", ["America/New_York", "America/Los_Angeles"], None),
        # the telephone numbers know a zone only that is not the country's
        ("PS", ["Asia/Gaza", "Asia/Hebron"], None),
        ("AQ", [], None),
    ],
)
def test_country(code, zones, zone):
    assert get_country_zone(code, zones) == zone
