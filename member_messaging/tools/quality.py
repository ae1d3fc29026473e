"""When a gateway delivers worse than it used to."""

from math import sqrt

#: Fewer messages prove nothing, however few arrived.
LEAST_RECENT = 200
LEAST_PAST = 1000
#: One-sided z of 3.09: without a change, one comparison in a thousand comes so far.
CRITICAL_Z = 3.09
#: With very many messages the smallest difference is significant and nobody's concern.
LEAST_DROP = 0.02


def has_fallen(
    recent_delivered: int, recent_sent: int, past_delivered: int, past_sent: int
) -> bool:
    """Tell whether the share of delivered messages has fallen significantly.

    The one-sided test of two proportions with their pooled variance (NIST/SEMATECH
    e-Handbook of Statistical Methods, 7.3.3), beyond :data:`CRITICAL_Z`; the difference
    must also be at least :data:`LEAST_DROP`, and there must be enough messages for the
    normal distribution to hold. Both counts must be taken in the same way: a report
    that may still come has to be missing on both sides.

    :raises ValueError: more were delivered than sent
    """
    if recent_delivered > recent_sent or past_delivered > past_sent:
        raise ValueError("more delivered than sent")
    if recent_sent < LEAST_RECENT or past_sent < LEAST_PAST:
        return False
    drop = past_delivered / past_sent - recent_delivered / recent_sent
    pooled = (past_delivered + recent_delivered) / (past_sent + recent_sent)
    deviation = sqrt(pooled * (1 - pooled) * (1 / recent_sent + 1 / past_sent))
    return drop >= LEAST_DROP and drop > CRITICAL_Z * deviation
