import pytest

from tools.domains import get_required, get_required_ids

A, B, C, D = (("abcd"[i], "=", i) for i in range(4))


@pytest.mark.parametrize(
    "domain, required",
    [
        ([], []),
        ([A], [A]),
        (["&", A, "&", B, C], [A, B, C]),
        (["&", "|", A, B, C], [C]),
        (["&", A, "|", B, "&", C, D], [A]),
        (["&", "!", A, B], [B]),
        (["&", "!", "|", A, B, C], [C]),
        (["|", "!", A, "&", B, C], []),
        (["&", "|", "&", A, B, "!", C, D], [D]),
    ],
)
def test_required(domain, required):
    assert get_required(domain) == required


@pytest.mark.parametrize(
    "domain, ids",
    [
        ([("partner_id", "=", 7)], [7]),
        ([("partner_id", "in", (7, 8))], [7, 8]),
        ([("partner_id", "in", ())], []),
        (["&", ("kind", "=", "order"), ("partner_id", "=", 7)], [7]),
        (["|", ("kind", "=", "order"), ("partner_id", "=", 7)], None),
        ([("partner_id", "not in", [7])], None),
        ([("partner_id", "=", False)], None),
        ([("partner_id", "in", [7, False])], None),
        ([("partner_id", "ilike", "Amy")], None),
        ([], None),
    ],
)
def test_required_ids(domain, ids):
    assert get_required_ids(domain, "partner_id") == ids
