"""Judging gateways and numbers."""

import pytest

from tools.origins import carriers, countries
from tools.quality import has_fallen


@pytest.mark.parametrize(
    ("counts", "fallen"),
    [
        ((250, 300, 1900, 2000), True),
        ((284, 300, 1900, 2000), False),
        # better than before
        ((300, 300, 1900, 2000), False),
        # too few to say
        ((100, 199, 1900, 2000), False),
        ((100, 300, 900, 999), False),
        # nothing arrived, ever or any more
        ((0, 300, 0, 2000), False),
        ((0, 300, 2000, 2000), True),
        # significant, and too small to matter: 1.5 points of a million
        ((935_000, 1_000_000, 950_000, 1_000_000), False),
        ((925_000, 1_000_000, 950_000, 1_000_000), True),
        # two points of a few hundred are chance
        ((279, 300, 1900, 2000), False),
    ],
)
def test_has_fallen(counts, fallen):
    assert has_fallen(*counts) is fallen


@pytest.mark.parametrize("counts", [(301, 300, 1, 2000), (1, 300, 2001, 2000)])
def test_impossible_counts(counts):
    with pytest.raises(ValueError):
        has_fallen(*counts)


def test_countries():
    table = countries()
    samples = {"+861": "CN", "+852": "HK", "+120": "US", "+447": "GB", "+886": "TW"}
    assert samples.items() <= table.items()
    assert {len(start) for start in table} == {4}
    assert all(len(code) == 2 for code in table.values())


def test_carriers():
    english, chinese = carriers("en"), carriers("zh")
    assert english["+861380"] == english["+861399"] == "China Mobile"
    assert english["+861300"] == "China Unicom" and chinese["+861300"] == "中国联通"
    assert english["+861331"] == "China Telecom"
    assert english.keys() == chinese.keys()
    assert {len(start) for start in english} == {7}
    assert carriers("fr") == english
