"""Where a number comes from, by its first digits.

Source: the tables of ``phonenumbers`` (Google's libphonenumber). A number keeps its
digits when its owner moves to another carrier, so the carrier is the original one.
"""

from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from phonenumbers.carrierdata import CARRIER_DATA

#: Length of the beginnings: ``+`` and three digits decide about the country, ``+86``
#: and four about the carrier.
COUNTRY_LENGTH = 4
CARRIER_LENGTH = 7


@cache
def countries() -> dict[str, str]:
    """Return the beginning of an E.164 number → ISO code of the country.

    Countries that share a calling code count as the largest of them (+1 as US).
    """
    found = {}
    for digits in range(100, 1000):
        for length in (1, 2, 3):
            regions = COUNTRY_CODE_TO_REGION_CODE.get(int(str(digits)[:length]))
            if regions and regions[0] != "001":
                found[f"+{digits}"] = regions[0]
    return found


@cache
def carriers(lang: str) -> dict[str, str]:
    """Return the beginning of a mainland number → name of the carrier.

    :param lang: ``"zh"`` for Chinese names, else English ones
    """
    found = {}
    for digits in range(1000, 2000):
        number = f"86{digits}"
        for length in range(len(number), 2, -1):
            if names := CARRIER_DATA.get(number[:length]):
                found[f"+{number}"] = names.get(lang) or names["en"]
                break
    return found
