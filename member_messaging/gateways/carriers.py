"""What providers in mainland China have in common: numbers, times, and what carriers
say in delivery reports, whoever relays them.

Source of the codes: public code lists of several messaging platforms and of CMPP.
"""

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from .types import Outcome

#: Vendors write times without a zone; China has had no summer time since 1991.
SHANGHAI = timezone(timedelta(hours=8))
E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
#: A mobile number of the mainland, without +86.
MAINLAND = re.compile(r"1[3-9]\d{9}", re.ASCII)


def is_number(address: str) -> bool:
    """Tell whether an address is E.164 and, behind +86, a mobile number."""
    if not E164.fullmatch(address):
        return False
    return not address.startswith("+86") or bool(MAINLAND.fullmatch(address[3:]))


def to_e164(number: str) -> str:
    """Return a number as vendors write it as E.164: with +, 00 or nothing in front,
    mainland mobiles also without 86."""
    digits = number if number.isdecimal() else re.sub(r"\D", "", number)
    digits = digits.removeprefix("00")
    return f"+86{digits}" if MAINLAND.fullmatch(digits) else f"+{digits}"


def bare_signature(signature: str) -> str:
    """Return a sender signature without the brackets that the vendor adds."""
    return signature.strip().strip("【】")


def read_time(text) -> datetime | None:
    """Read ``YYYY-MM-DD HH:MM:SS``, Shanghai time, as aware UTC."""
    return _read_time(str(text))


@lru_cache(maxsize=1024)
def _read_time(text: str) -> datetime | None:
    """Many reports of a campaign are of the same second."""
    try:
        # strptime would be the slowest part of reading a report.
        local = datetime.fromisoformat(text)
        if local.tzinfo is None:
            local = local.replace(tzinfo=SHANGHAI)
        return local.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


#: Result class by carrier code in a delivery report. The codes are not standardised;
#: one that is not listed (above all the ``MA:`` family, which vendors explain in three
#: different ways) is a failure without further consequence.
RECEIPT_OUTCOMES = {
    **dict.fromkeys(
        ("EXPIRED", "UNDELIV", "MK:0010", "MK:0023", "002"), Outcome.POSTPONE
    ),
    **dict.fromkeys(
        (
            "MILIMIT",
            "LIMIT",
            "BEYONDN",
            "BEYONDM",
            "BEYONDH",
            "BEYONDD",
            "CTLIMIT",
            "DB:0142",
        ),
        Outcome.POSTPONE,
    ),
    **dict.fromkeys(
        (
            "MK:0001",
            "MK:0005",
            "MK:0013",
            "DB:0101",
            "DB:0102",
            "CB:0001",
            "CB:0053",
            "MI:0210",
        ),
        Outcome.BADNUM,
    ),
    **dict.fromkeys(
        (
            "MBBLACK",
            "DBBLACK",
            "BLACK",
            "TDBLACK",
            "TSBLACK",
            "DB:0144",
            "PUBLOKD",
            "BLOCKED",
            "HIGRISK",
        ),
        Outcome.OPTOUT,
    ),
    **dict.fromkeys(("IB:0008", "DB:9007"), Outcome.RETRY),
    **dict.fromkeys(
        ("KEYWORD", "MK:0014", "MK:0115", "ID:0076", "-106", "REJECTD"),
        Outcome.CONTENT,
    ),
    **dict.fromkeys(("XA:0003", "SIGFAIL", "SIGNBLOCKED", "QM_FAIL"), Outcome.TEMPLATE),
}
