"""How long the record of a message is kept.

China's rule on SMS (MIIT Order 31 of 2015) makes whoever sends keep number,
time, text and subscription for at least five months, and this addon promises six. After
that nobody needs the text: what became of the message is enough for every figure.

An erasure (GDPR 17, PIPL 47) does not end a duty to keep; it ends every use beside it.
"""

from calendar import monthrange
from datetime import datetime, timedelta

#: Months below which no setting goes.
FLOOR_MONTHS = 6
#: Where a law asks for the record of each message: numbers and country of the sender.
STATUTORY_PREFIX = "+86"
STATUTORY_COUNTRY = "CN"
#: So long a message that has left waits for the report that says what became of it.
SETTLING = timedelta(days=7)


def months_before(moment: datetime, months: int) -> datetime:
    """Return the same time of day so many months earlier; of a day the month does not
    have, its last day."""
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def mask(number: str) -> str:
    """Return a telephone number of which a stranger cannot tell whose it is."""
    hidden = max(len(number) - 8, 0)
    return number[:4] + "*" * hidden + number[4 + hidden :]
