from datetime import datetime

import pytest

from tools.retention import mask, months_before


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        ("2026-11-25 08:30:00", 6, "2026-05-25 08:30:00"),
        ("2026-03-15 00:00:00", 6, "2025-09-15 00:00:00"),
        ("2026-08-31 12:00:00", 6, "2026-02-28 12:00:00"),
        ("2024-08-31 12:00:00", 6, "2024-02-29 12:00:00"),
        ("2026-01-01 00:00:00", 24, "2024-01-01 00:00:00"),
        ("2026-12-31 23:59:59", 1, "2026-11-30 23:59:59"),
    ],
)
def test_months_before(day, months, expected):
    moment = datetime.fromisoformat(day)
    assert months_before(moment, months) == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("number", "expected"),
    [("+8613812345678", "+861******5678"), ("+85212345678", "+852****5678"), ("", "")],
)
def test_mask(number, expected):
    assert mask(number) == expected
    assert len(mask(number)) == len(number)
