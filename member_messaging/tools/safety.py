"""When complaints and refusals are too many.

The customary border is one complaint in a thousand messages: Google's sender guidelines
ask bulk senders to stay below 0.10 % and never to reach 0.30 %, and carriers of SMS
measure in the same order. Refusals have no such border; a campaign is compared with
those before it.
"""


def rate(count: int, total: int) -> float:
    """Return ``count`` of ``total`` in percent; of nothing, 0."""
    return 100 * count / total if total else 0.0


def is_over(complaints: int, messages: int, limit: float, minimum: int) -> bool:
    """Return whether complaints are more than the limit allows.

    :param complaints: in the window
    :param messages: that left in the window; none, although there are complaints, is
        over any limit
    :param limit: percent; 0 switches the check off
    :param minimum: fewer complaints are never too many: one in ten messages of a small
        shop tells nothing
    """
    if not limit or not complaints or complaints < minimum:
        return False
    return not messages or rate(complaints, messages) > limit


def is_unusual(
    count: int,
    total: int,
    past_count: int,
    past_total: int,
    factor: float,
    minimum: int,
) -> bool:
    """Return whether a campaign lost far more members than those before it.

    :param count: refusals after the campaign's ``total`` messages
    :param past_count: refusals after the ``past_total`` messages of earlier campaigns;
        without any there is nothing to compare with, and nothing is unusual
    :param factor: how many times the earlier rate is too much; 0 switches it off
    :param minimum: fewer refusals are never unusual
    """
    if not factor or not past_total or count < minimum:
        return False
    # an earlier rate of nothing at all is taken for one refusal
    return rate(count, total) > factor * rate(max(past_count, 1), past_total)
