"""Time zones of telephone numbers."""

from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, country_code_for_region
from phonenumbers.tzdata import TIMEZONE_DATA

#: Countries that share +1 are told apart by three more digits, mobile numbers as well.
#: Elsewhere only the numbers of fixed lines have area codes.
_SHARED_CODE, _SHARED_DIGITS = "1", 4


@cache
def get_phone_zones() -> dict[str, str]:
    """Return what begins the numbers of exactly one time zone.

    No prefix begins with another one, so that a number has at most one of them.

    :returns: digits behind the plus sign → name of the zone
    """
    prefixes = {str(code) for code in COUNTRY_CODE_TO_REGION_CODE} | {
        digits[:_SHARED_DIGITS]
        for digits in TIMEZONE_DATA
        if digits.startswith(_SHARED_CODE) and len(digits) >= _SHARED_DIGITS
    }
    zones = {}
    for prefix in sorted(prefixes):
        inside = {
            name
            for digits, names in TIMEZONE_DATA.items()
            if digits.startswith(prefix)
            for name in names
        }
        if len(inside) == 1:
            zones[prefix] = inside.pop()
    return zones


def get_country_zone(code: str, zones: list[str]) -> str | None:
    """Return the time zone all of a country keeps, as far as one can tell.

    A country with several zones is still clear when its telephone numbers know one:
    China has a zone for Urumqi, its clocks show Beijing time.

    :param code: ISO 3166 code of two letters
    :param zones: every zone of the country
    """
    if len(zones) == 1:
        return zones[0]
    digits = country_code_for_region(code)
    if len(COUNTRY_CODE_TO_REGION_CODE.get(digits, ())) == 1:
        zone = get_phone_zones().get(str(digits))
        return zone if zone in zones else None
    return None
