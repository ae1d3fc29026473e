"""Exchange rates as step functions of the day.

A step function is a list of (first day, value) in order of days; the first one starts
on ``date.min``.
"""

from bisect import bisect_right
from datetime import date


def merge_rates(own, shared):
    """Merge the rates a company keeps itself with those of all companies.

    Its own rates go before the shared ones from the first of them on. Days before any
    rate have the company's first one, else the first shared one; without rates it is 1.

    :param list[tuple[date, float]] own: in order of days
    :param list[tuple[date, float]] shared: in order of days
    :returns: step function
    """
    first = (own or shared or [(None, 1.0)])[0][1]
    return [
        (date.min, first),
        *(step for step in shared if not own or step[0] < own[0][0]),
        *own,
    ]


def divide_rates(rates, base_rates):
    """:returns: step function of the quotients of two step functions"""
    steps = []
    for day in sorted({day for day, _rate in (*rates, *base_rates)}):
        factor = value_on(day, rates) / value_on(day, base_rates)
        if not steps or factor != steps[-1][1]:
            steps.append((day, factor))
    return steps


def value_on(day, steps):
    """:returns: value of a step function on a day"""
    return steps[bisect_right(steps, day, key=lambda step: step[0]) - 1][1]
