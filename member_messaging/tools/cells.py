"""What people write into the cells of a member list."""

import re
from datetime import date, timedelta

from .text import half_width

#: Countries that write the month first, and those that write the year first.
MONTH_FIRST = frozenset("AS FM GU MH MP PH PR PW US VI".split())
YEAR_FIRST = frozenset("CN HK HU IR JP KP KR LT MN MO SE TW".split())
#: Day 0 of Excel's calendar.
_EXCEL_ZERO = date(1899, 12, 30)

_INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_ROUNDED = re.compile(r"\d+([.,]\d+)?[eE]\+?\d+")
_TIME = re.compile(r"[ T]+\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?$")
_YEAR_FIRST = re.compile(r"(\d{4}) ?[-/.年] ?(\d{1,2}) ?[-/.月] ?(\d{1,2}) ?日?")
_YEAR_LAST = re.compile(r"(\d{1,2}) ?([-/.]) ?(\d{1,2}) ?[-/.] ?(\d{4})")


class CellError(ValueError):
    """A cell cannot be understood.

    :param str code: ``rounded`` (digits were lost in a spreadsheet), ``several``
        (more than one value), ``date`` (not a day) or ``ambiguous`` (two days)
    """

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


def clean(text: str) -> str:
    """Return ``text`` with ASCII digits and signs, plain dashes, nothing invisible."""
    text = _INVISIBLE.sub("", half_width(text)).replace("\u00a0", " ")
    return _DASHES.sub("-", text).strip()


def clean_number(text: str) -> str:
    """Return a member number, or any number that is a name, as it was meant.

    :raises CellError: ``rounded``
    """
    text = clean(text)
    if _ROUNDED.fullmatch(text):
        raise CellError("rounded")
    return re.sub(r"^(\d+)\.0+$", r"\1", text)


def clean_phone(text: str) -> str:
    """Return one telephone number without what spreadsheets and people add.

    :raises CellError: ``rounded`` or ``several``
    """
    text = clean_number(re.sub(r"^(?i:tel|phone)[.:]* *", "", clean(text)))
    parts = re.split(r"[/;,、\n]", text)
    if sum(len(re.sub(r"\D", "", part)) > 6 for part in parts) > 1:
        raise CellError("several")
    return text


def get_date_order(country_code: str | None) -> str:
    """How a country writes year, month and day: ``ymd``, ``mdy`` or ``dmy``."""
    if country_code in YEAR_FIRST:
        return "ymd"
    return "mdy" if country_code in MONTH_FIRST else "dmy"


def parse_date(text: str, order: str) -> date:
    """Return the day a cell means.

    Understood are 1990-01-31 with any of the usual signs, 1990年1月31日, 19900131, the
    number of a day in Excel (32904), and 31/01/1990. The last one is read by ``order``,
    see :func:`get_date_order`; where the year is usually written first, only if just
    one reading gives a day. Dots always separate day, month, year.

    :raises CellError: ``date`` or ``ambiguous``
    """
    text = _TIME.sub("", clean(text))
    if match := _YEAR_FIRST.fullmatch(text):
        return _make_date(*match.groups())
    if re.fullmatch(r"\d{8}", text):
        return _make_date(text[:4], text[4:6], text[6:])
    if match := re.fullmatch(r"(\d{5})(\.0+)?", text):
        return _EXCEL_ZERO + timedelta(days=int(match[1]))
    if match := _YEAR_LAST.fullmatch(text):
        first, sign, second, year = match.groups()
        if sign == "." or order == "dmy":
            return _make_date(year, second, first)
        if order == "mdy":
            return _make_date(year, first, second)
        if int(first) <= 12 and int(second) <= 12 and first != second:
            raise CellError("ambiguous")
        return _make_date(year, *sorted((first, second), key=int))
    raise CellError("date")


def _make_date(year, month, day):
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise CellError("date") from error


def split_tags(text: str) -> list[str]:
    """Return the tags of a cell, each once."""
    tags = (tag.strip() for tag in re.split(r"[,;|/、，；\n]", text))
    return list(dict.fromkeys(filter(None, tags)))
