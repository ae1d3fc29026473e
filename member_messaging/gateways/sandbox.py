"""A provider that sends nothing and otherwise behaves like one.

Accepts messages, lets time pass, reports, fails now and then with the codes carriers
use, and has members reply. What happens to a message follows from a hash of its key and
address: the same question always gets the same answer, and nothing needs to be stored.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone

from .base import Gateway
from .carriers import RECEIPT_OUTCOMES
from .types import (
    Capability,
    DeliveryReport,
    InboundMessage,
    Outbound,
    Outcome,
    PendingMessage,
    SendResult,
)

#: Options and their defaults. Rates are shares from 0 to 1: of all messages that are
#: refused at once, of the others that arrive, of those whose member refuses or says
#: yes. ``delay_seconds`` is the longest time until a report.
DEFAULTS = {
    "badnum_rate": 0.01,
    "delivered_rate": 0.96,
    "refuse_rate": 0.004,
    "yes_rate": 0.005,
    "delay_seconds": 120,
}
#: Addresses with these ends show one behaviour reliably.
ALWAYS_BADNUM = "0000"
ALWAYS_REFUSES = "0001"

#: What carriers say when a message did not arrive, in roughly their frequency.
FAILURES = (
    ("MK:0010", "Phone is switched off"),
    ("UNDELIV", "Not delivered"),
    ("EXPIRED", "Out of reach for too long"),
    ("MK:0001", "No such number"),
    ("MBBLACK", "On the carrier's block list"),
    ("MK:0005", "Number is suspended"),
    ("KEYWORD", "Filtered by content"),
)


class SandboxGateway(Gateway):
    """The provider of demonstrations; see the module for what it does.

    Numbers ending in 0000 are refused, those ending in 0001 get their message and
    answer "TD". Options: :data:`DEFAULTS`, and ``forward_date`` (naive UTC): reports
    about what was sent before come by then.
    """

    code = "sandbox"
    name = "Sandbox"
    capabilities = frozenset({Capability.REPORTS, Capability.INBOUND, Capability.QUERY})
    batch_size = 1000
    default_rate = 0
    is_simulation = True
    option_names = (*DEFAULTS, "forward_date")

    def probe(self) -> SendResult:
        """Accept any account."""
        return SendResult("", Outcome.OK)

    def _send(self, batch: Sequence[Outbound]) -> Iterator[SendResult]:
        for message in batch:
            fate = _Fate(message.key, message.address)
            if message.address.endswith(ALWAYS_BADNUM) or (
                not message.address.endswith(ALWAYS_REFUSES)
                and fate.share(0) < self._option("badnum_rate")
            ):
                yield SendResult(
                    message.key,
                    Outcome.BADNUM,
                    provider_code="sandbox.number",
                    provider_message="Not a mobile number",
                )
            else:
                yield SendResult(
                    message.key, Outcome.OK, provider_ref=fate.reference, parts=None
                )

    def query(
        self, pending: Sequence[PendingMessage], now: datetime
    ) -> list[DeliveryReport | InboundMessage]:
        """Report what is due by ``now``; a reply comes together with its report."""
        events: list[DeliveryReport | InboundMessage] = []
        longest = self._option("delay_seconds")
        forward = self.config.options.get("forward_date")
        if forward:
            forward = forward.replace(tzinfo=timezone.utc)
        for message in pending:
            fate = _Fate(message.key, message.address)
            due = message.sent_date + timedelta(seconds=fate.share(1) * longest)
            if forward and message.sent_date <= forward:
                due = min(due, forward)
            if due <= now:
                events += self._outcome(message, fate, due)
        return events

    def _outcome(
        self, message: PendingMessage, fate: "_Fate", due: datetime
    ) -> Iterator[DeliveryReport | InboundMessage]:
        refuses = message.address.endswith(ALWAYS_REFUSES)
        arrives = refuses or fate.share(2) < self._option("delivered_rate")
        yield fate.report(message, due, arrives)
        if not arrives:
            return
        share = fate.share(3)
        refuse_rate = self._option("refuse_rate")
        if refuses or share < refuse_rate:
            yield fate.reply(message, due, "TD")
        elif share < refuse_rate + self._option("yes_rate"):
            yield fate.reply(message, due, "Y")

    def _option(self, name: str) -> float:
        return float(self.config.options.get(name, DEFAULTS[name]))


class _Fate:
    """The hash that decides about one message."""

    def __init__(self, key: str, address: str):
        self._digest = hashlib.sha256(json.dumps([key, address]).encode()).digest()
        self.reference = f"sandbox-{self._digest[24:].hex()}"

    def share(self, index: int) -> float:
        """Return the ``index``-th number from 0 to 1 (0 to 5, independent)."""
        part = self._digest[4 * index : 4 * index + 4]
        return int.from_bytes(part, "big") / 2**32

    def report(
        self, message: PendingMessage, date: datetime, delivered: bool
    ) -> DeliveryReport:
        status = "delivered" if delivered else "failed"
        code, text = "DELIVERED", None
        if not delivered:
            # The square makes the first, harmless reasons the frequent ones.
            code, text = FAILURES[int(self.share(4) ** 2 * len(FAILURES))]
        return DeliveryReport(
            provider_ref=message.provider_ref or self.reference,
            address=message.address,
            status=status,
            event_ref=f"{self.reference}:{status}",
            outcome=RECEIPT_OUTCOMES.get(code),
            provider_code=code,
            provider_message=text,
            date=date,
            parts=1,
            key=message.key,
        )

    def reply(
        self, message: PendingMessage, date: datetime, text: str
    ) -> InboundMessage:
        return InboundMessage(
            address=message.address,
            text=text,
            event_ref=f"{self.reference}:reply",
            date=date,
            destination="sandbox",
        )
