"""An auditor of the outbox who takes nobody's word for it.

Reads what was sent, to whom, and what they had said, by plain SQL, and reckons with
``zoneinfo`` and tables of its own whether each message was allowed. It calls no rule of
the addon, so that both would have to make the same mistake. Every check returns
offences as text; none is good news.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cache
from zoneinfo import ZoneInfo

ADVERTISING = ("promotion", "content")
HOUR = 60
#: First minute of the day at which advertising may arrive and the first that is too
#: late, per weekday from Monday on; equal ones: not at all.
USUAL = ((8 * HOUR, 21 * HOUR),) * 7
LAWS = {
    "FR": ((8 * HOUR, 22 * HOUR),) * 6 + ((0, 0),),
    "US-TX": ((9 * HOUR, 21 * HOUR),) * 6 + ((12 * HOUR, 21 * HOUR),),
    "US-FL": ((8 * HOUR, 20 * HOUR),) * 7,
}
CLOSED_ON_HOLIDAYS = ("FR",)
#: Numbers → country, and every zone in which such a number may be.
NUMBERS = {
    "+86": ("CN", ("Asia/Shanghai",)),
    "+1212": ("US", ("America/New_York",)),
    "+1305": ("US", ("America/New_York",)),
    "+1312": ("US", ("America/Chicago",)),
    "+1214": ("US", ("America/Chicago",)),
    "+1415": ("US", ("America/Los_Angeles",)),
    "+1602": ("US", ("America/Phoenix",)),
    "+1808": ("US", ("Pacific/Honolulu",)),
    "+33": ("FR", ("Europe/Paris",)),
    "+44": ("GB", ("Europe/London",)),
    "+49": ("DE", ("Europe/Berlin",)),
    "+91": ("IN", ("Asia/Kolkata",)),
    "+55": ("BR", ("America/Noronha", "America/Sao_Paulo", "America/Rio_Branco")),
    "+61": ("AU", ("Australia/Perth", "Australia/Adelaide", "Australia/Sydney")),
    "+7": ("RU", ("Europe/Kaliningrad", "Europe/Moscow", "Asia/Kamchatka")),
}


@dataclass(frozen=True)
class Sent:
    """A message that left.

    :param state: of the country in which the member lives, such as ``TX``
    :param parts: SMS it was billed as
    """

    message: int
    campaign: int
    category: str
    profile: int
    number: str
    date: datetime
    zone: str | None = None
    country: str | None = None
    state: str | None = None
    parts: int = 1

    @property
    def is_advertising(self):
        return self.category in ADVERTISING


@dataclass(frozen=True)
class Word:
    """A row of the consent ledger."""

    profile: int
    purpose: str
    state: str
    date: datetime
    expiry: date | None = None


@dataclass(frozen=True)
class Told:
    """What somebody in the world said, whether or not the ledger knows.

    :param is_no: a refusal, or the word that takes it back
    :param is_everything: not advertising only
    """

    number: str
    date: datetime
    is_no: bool = True
    is_everything: bool = False


@dataclass(frozen=True)
class Limit:
    """At most so many messages of these categories to a member in any such period.

    :param engagement: only for members who react so often
    """

    count: int
    period: timedelta
    categories: tuple[str, ...] = ADVERTISING
    engagement: str | None = None


# ------------------------------------------------------------------------- reading


def read_sent(cr):
    """:returns: list of :class:`Sent`: whatever has left, or may have"""
    cr.execute(
        """
        SELECT m.id, m.campaign_id, c.category, m.profile_id, m.address,
               COALESCE(m.sent_date, m.claimed_date), pa.tz, country.code, state.code,
               m.parts
          FROM member_message m
          JOIN member_campaign c ON c.id = m.campaign_id
          JOIN res_partner pa ON pa.id = m.partner_id
          LEFT JOIN res_country country ON country.id = pa.country_id
          LEFT JOIN res_country_state state ON state.id = pa.state_id
         WHERE m.state IN ('claimed', 'sent', 'delivered', 'uncertain')
            OR m.sent_date IS NOT NULL
        """
    )
    return [Sent(*row) for row in cr.fetchall()]


def read_words(cr):
    """:returns: list of :class:`Word`, in the order in which they were recorded"""
    cr.execute(
        "SELECT profile_id, purpose, state, date, expiry_date FROM member_consent"
        " WHERE channel = 'sms' ORDER BY id"
    )
    return [Word(*row) for row in cr.fetchall()]


def read_engagements(cr):
    cr.execute("SELECT id, engagement FROM member_profile")
    return dict(cr.fetchall())


# -------------------------------------------------------------------------- checks


def check_once(sent):
    """Nobody gets a campaign twice, and no number does."""
    seen, offences = set(), []
    for message in sent:
        for key in (("member", message.profile), ("number", message.number)):
            if (message.campaign, key) in seen:
                offences.append(f"{key} twice: {message}")
            seen.add((message.campaign, key))
    return offences


def check_limits(sent, limits, engagements):
    """Nobody gets more in a period than a limit says, wherever the period begins.

    :param engagements: profile → how often the member reacts
    """
    by_member = defaultdict(list)
    for message in sorted(sent, key=lambda message: message.date):
        by_member[message.profile].append(message)
    offences = []
    for profile, messages in by_member.items():
        for limit in limits:
            if limit.engagement not in (None, engagements.get(profile)):
                continue
            counted = [m for m in messages if m.category in limit.categories]
            offences += [
                f"more than {limit}: {first} … {last}"
                for first, last in zip(counted, counted[limit.count :], strict=False)
                if last.date - first.date < limit.period
            ]
    return offences


def check_hours(sent, holidays=()):
    """No advertising arrives at night, or on a day on which it must not.

    :param holidays: dates on which some countries have closed
    """
    return [
        f"at {local:%a %H:%M} in {local.tzinfo}: {message}"
        for message in sent
        if message.is_advertising
        for zone in _get_zones(message.zone, message.number)
        for local in [message.date.replace(tzinfo=timezone.utc).astimezone(zone)]
        for law in _get_laws(message.country, message.state, message.number)
        if not _is_open(law, local, holidays)
    ]


def _is_open(law, local, holidays):
    start, end = LAWS.get(law, USUAL)[local.weekday()]
    is_holiday = law in CLOSED_ON_HOLIDAYS and local.date() in holidays
    return start <= local.hour * HOUR + local.minute < end and not is_holiday


@cache
def _find_number(number):
    """:returns: what :data:`NUMBERS` says; a number it does not know is an error"""
    [found] = [NUMBERS[number[:n]] for n in range(2, 6) if number[:n] in NUMBERS]
    return found


@cache
def _get_zones(zone, number):
    """The member's own, else all in which such a number may be."""
    names = (zone,) if zone else _find_number(number)[1]
    return tuple(map(ZoneInfo, names))


def _get_laws(country, state, number):
    """Of the address, else of the number. Who lives nowhere in particular has the laws
    of all states."""
    country = country or _find_number(number)[0]
    if country != "US":
        return (country,)
    if state:
        return ("US", f"US-{state}")
    return ("US", "US-TX", "US-FL")


def check_words(sent, words):
    """Nobody gets advertising without having agreed, or anything after refusing it:
    what the ledger held when the message left counts.

    :param words: in the order in which they were recorded
    """
    ledger = defaultdict(list)
    for word in words:
        ledger[word.profile, word.purpose].append(word)
    offences = []
    for message in sent:
        purpose = "promotion" if message.is_advertising else "service"
        last = None
        for word in ledger[message.profile, purpose]:
            if word.date <= message.date:
                last = word
        is_granted = (
            last
            and last.state == "granted"
            and (not last.expiry or last.expiry >= message.date.date())
        )
        is_refused = last and last.state == "refused"
        if is_refused or (message.is_advertising and not is_granted):
            offences.append(f"{last or 'never agreed'}: {message}")
    return offences


def check_refusals(sent, told):
    """Nobody gets anything after saying no, however they said it, and whatever was
    queued by then."""
    by_number = defaultdict(list)
    for saying in sorted(told, key=lambda saying: saying.date):
        by_number[saying.number].append(saying)
    offences = []
    for message in sent:
        last = None
        for saying in by_number.get(message.number, ()):
            if saying.date <= message.date and (
                message.is_advertising or saying.is_everything
            ):
                last = saying
        if last and last.is_no:
            offences.append(f"{last}: {message}")
    return offences


def check_reserve(sent, quota, reserve_rate):
    """Advertising leaves a part of each month's SMS for care.

    :param quota: SMS of a calendar month (UTC)
    :param reserve_rate: per cent of them that advertising must not use
    """
    used = defaultdict(int)
    for message in sent:
        if message.is_advertising:
            used[f"{message.date:%Y-%m}"] += message.parts
    allowed = quota * (100 - reserve_rate) / 100
    return [
        f"{month}: advertising used {parts} of {allowed:g} SMS"
        for month, parts in used.items()
        if parts > allowed
    ]
