from datetime import date

from tools.rates import divide_rates, merge_rates, value_on

MAY, JUNE, JULY = (date(2024, month, 1) for month in (5, 6, 7))


def test_without_rates():
    assert merge_rates([], []) == [(date.min, 1.0)]


def test_days_before_any_rate_have_the_first():
    assert merge_rates([], [(MAY, 2.0), (JUNE, 3.0)])[0] == (date.min, 2.0)
    assert merge_rates([(JUNE, 5.0)], [(MAY, 2.0)])[0] == (date.min, 5.0)


def test_own_rates_end_the_shared_ones():
    steps = merge_rates([(JUNE, 5.0)], [(MAY, 2.0), (JULY, 3.0)])
    assert [value_on(day, steps) for day in (MAY, JUNE, JULY)] == [2.0, 5.0, 5.0]


def test_quotient():
    steps = divide_rates(
        merge_rates([], [(MAY, 6.0), (JULY, 8.0)]),
        merge_rates([], [(MAY, 2.0), (JUNE, 3.0), (JULY, 4.0)]),
    )
    assert steps == [(date.min, 3.0), (JUNE, 2.0)]
