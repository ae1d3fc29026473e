"""Whether a campaign goes on after its trial batch."""

import math
from dataclasses import dataclass

from .safety import is_over, rate


@dataclass(frozen=True)
class Trial:
    """What has become of a trial batch so far.

    ``delivered`` and ``failed`` are reported, ``open`` are not yet; ``complaints`` and
    ``refusals`` are of members who got it.
    """

    delivered: int
    failed: int
    open: int
    complaints: int = 0
    refusals: int = 0

    @property
    def reported(self) -> int:
        """Messages whose fate is known."""
        return self.delivered + self.failed

    @property
    def total(self) -> int:
        """All messages of the batch."""
        return self.reported + self.open


@dataclass(frozen=True)
class Limits:
    """What is asked of a trial batch; rates are percent, 0 switches a check off.

    :param delivery_rate: at least so many of those reported have been delivered
    :param complaint_rate: at most, of all messages
    :param complaint_minimum: fewer are never too many
    :param refusal_rate: at most, of all messages
    :param refusal_minimum: fewer are never too many
    """

    delivery_rate: float
    complaint_rate: float
    complaint_minimum: int
    refusal_rate: float
    refusal_minimum: int


def get_size(size: float, is_rate: bool, total: int) -> int:
    """Return how many messages go first.

    :param size: a number of messages, or percent of ``total``
    """
    return math.ceil(round(size * total / 100, 4)) if is_rate else math.ceil(size)


def find_faults(trial: Trial, limits: Limits, is_time_up: bool) -> list[str] | None:
    """Judge a trial batch.

    Too many complaints or refusals are a fault as soon as they are there. Deliveries
    are judged when all reports have come or the time is up: the first reports are not
    like the last ones.

    :returns: of ``"complaints"``, ``"refusals"``, ``"delivery"``, what keeps the
        campaign from going on; None: it is too early to tell
    """
    faults = []
    if is_over(
        trial.complaints,
        trial.total,
        limits.complaint_rate,
        limits.complaint_minimum,
    ):
        faults.append("complaints")
    if is_over(
        trial.refusals, trial.total, limits.refusal_rate, limits.refusal_minimum
    ):
        faults.append("refusals")
    if trial.open and not is_time_up:
        return faults or None
    if trial.reported and rate(trial.delivered, trial.reported) < limits.delivery_rate:
        faults.append("delivery")
    return faults
