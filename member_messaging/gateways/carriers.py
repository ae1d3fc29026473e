"""What providers in mainland China have in common: registered texts, numbers, times,
and what carriers say in delivery reports, whoever relays them.

Source of the codes: public code lists of several messaging platforms and of CMPP.
"""

import logging
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import ClassVar

from .base import Gateway
from .reading import outcome_by_status
from .types import Capability, Outbound, Outcome, SendResult

_logger = logging.getLogger(__name__)

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


#: Result class by carrier code in a delivery report. A block list says that somebody
#: refuses, not that somebody has complained about this message. The codes are not
#: standardised; one that is not listed (above all the ``MA:`` family, which vendors
#: explain in three different ways) is a failure without further consequence.
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


class MainlandGateway(Gateway):
    """A provider that sends registered texts under a registered signature."""

    capabilities = frozenset(
        {
            Capability.REPORTS,
            Capability.INBOUND,
            Capability.WEBHOOK,
            Capability.QUERY,
            Capability.REGISTERED_TEMPLATES,
        }
    )
    query_size = 20
    requires_registered_template = True
    default_rate = 1000
    required_fields = ("api_key", "api_secret", "signature", "callback_secret")
    #: Result class by code of the API.
    error_outcomes: ClassVar[Mapping[str, Outcome]] = {}

    def _refuse(self, message: Outbound) -> SendResult | None:
        if not message.template_code:
            code, outcome = "local.template", Outcome.TEMPLATE
        elif not is_number(message.address):
            code, outcome = "local.number", Outcome.BADNUM
        else:
            return None
        return SendResult(message.key, outcome, provider_code=code)

    def _outcome(self, status: int, code: str, message: str = "") -> Outcome:
        """Return what a refusal means.

        :param status: HTTP status of the answer
        :param code: the vendor's, may be empty
        :param message: the vendor's words
        """
        known = self._lookup("send_outcomes", self.error_outcomes, code)
        outcome = known or outcome_by_status(status, bool(code))
        if outcome is Outcome.BUG:
            _logger.error("%s refused our request: %s %s", self.name, code, message)
        return outcome

    def _receipt_outcome(self, code: str) -> Outcome | None:
        """Return what a code in a report of failure means: the carrier's, in whatever
        case, or one of the API, which the platform uses for refusals of its own."""
        for written in (code, code.upper()):
            if known := self._lookup("report_outcomes", RECEIPT_OUTCOMES, written):
                return known
        return self._lookup("send_outcomes", self.error_outcomes, code)
