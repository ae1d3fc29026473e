import pytest

from tools import ledger
from tools.table import write_csv


def make_rows(count, chain="1", **values):
    """A chain of so many rows, each said a minute after the other."""
    rows, previous = [], ""
    for position in range(1, count + 1):
        row = {
            **dict.fromkeys(ledger.COLUMNS, ""),
            "member": "M0001",
            "chain": chain,
            "position": str(position),
            "date": f"2026-01-01 10:{position:02d}:00",
            "state": "granted",
            **values,
        }
        row["seal"] = previous = ledger.seal(row, previous)
        rows.append(row)
    return rows


def test_unbroken():
    rows = make_rows(3) + make_rows(2, chain="7")
    assert ledger.check(rows) == (5, None)
    assert ledger.check([]) == (0, None)


def test_seal_is_sha256_of_the_row():
    """Computed by `printf … | sha256sum`, so that others can check an export."""
    row = {name: str(number) for number, name in enumerate(ledger.SEALED)}
    assert ledger.seal(row, "") == (
        "1ac08b464827a78581db4447487567d048283bf73d3698ffd4b347f707b28cb1"
    )


@pytest.mark.parametrize("name", ledger.SEALED)
def test_every_fact_is_sealed(name):
    rows = make_rows(4)
    rows[1][name] += "0"
    count, broken = ledger.check(rows)
    assert count == 1
    assert broken is rows[1]


def test_moved_to_another_member():
    rows = make_rows(2)
    for row in rows:
        row["member"] = "M0002"
    assert ledger.check(rows) == (2, None)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.pop(1),
        lambda rows: rows.insert(1, rows[0]),
        lambda rows: rows.reverse(),
        lambda rows: rows[1].update(seal=""),
        lambda rows: rows.insert(2, rows.pop(1)),
    ],
)
def test_rows_taken_added_or_moved(change):
    rows = make_rows(4)
    change(rows)
    assert ledger.check(rows)[1]


def test_sealed_anew_differs_from_an_earlier_export():
    """Who forges a row has to change the seal of every later one."""
    before, after = make_rows(4), make_rows(4, state="refused")
    assert ledger.check(after) == (4, None)
    assert all(a["seal"] != b["seal"] for a, b in zip(before, after, strict=True))


def test_export_and_command(tmp_path, capsys):
    rows = make_rows(2, evidence='=1+1, "x"\r\n拒收')
    path = tmp_path / "ledger.csv"
    path.write_bytes(
        write_csv([ledger.COLUMNS, *([r[n] for n in ledger.COLUMNS] for r in rows)])
    )
    assert ledger.read_export(path.read_bytes()) == rows
    assert ledger.main(str(path)) == 0
    assert capsys.readouterr().out == "unbroken: 2 rows\n"
    path.write_bytes(path.read_bytes().replace(b"10:02:00", b"10:03:00"))
    assert ledger.main(str(path)) == 1
    assert "member M0001, chain 1, row 2" in capsys.readouterr().out


def test_other_files_are_refused():
    with pytest.raises(ValueError, match="other columns"):
        ledger.read_export(b"name,phone\nWang,1\n")


def erase(rows):
    """Erase the evidence of a chain and say so in its last row."""
    for row in rows:
        if row["evidence"]:
            row["evidence"] = ledger.ERASED
    last = {
        **rows[-1],
        "position": str(len(rows) + 1),
        "state": "refused",
        "source": ledger.ERASURE,
        "evidence": ledger.digest(rows),
    }
    last["seal"] = ledger.seal(last, rows[-1]["seal"])
    return [*rows, last]


def test_erased_is_not_broken(tmp_path, capsys):
    rows = erase(make_rows(3, evidence="Form of Amy")) + make_rows(1, chain="7")
    assert ledger.check(rows) == (5, None)
    assert [verdict for _row, verdict in ledger.follow(rows)] == [
        *["erased"] * 3,
        *["sealed"] * 2,
    ]
    path = tmp_path / "ledger.csv"
    path.write_bytes(
        write_csv([ledger.COLUMNS, *([r[n] for n in ledger.COLUMNS] for r in rows)])
    )
    assert ledger.main(str(path)) == 0
    assert capsys.readouterr().out == "unbroken: 5 rows, 3 of them erased\n"


@pytest.mark.parametrize("name", sorted({*ledger.SEALED} - {"chain", "position"}))
def test_what_an_erasure_left_is_sealed(name):
    rows = erase(make_rows(3, evidence="Form of Amy"))
    rows[1][name] += "0"
    assert ledger.check(rows)[1]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.pop(),
        lambda rows: rows[-1].update(source="staff"),
        lambda rows: rows[-1].update(evidence=""),
        lambda rows: rows[0].update(seal=rows[1]["seal"]),
        lambda rows: rows.pop(1),
    ],
)
def test_erasure_is_not_said_by_anybody(change):
    rows = erase(make_rows(3, evidence="Form of Amy"))
    change(rows)
    assert ledger.check(rows)[1]


def test_the_word_itself_is_an_evidence_like_any_other():
    rows = make_rows(2, evidence=ledger.ERASED)
    assert [verdict for _row, verdict in ledger.follow(rows)] == ["sealed", "sealed"]


def test_an_erased_row_does_not_hide_behind_a_later_one():
    """Erased after the row that says so: nobody has said that."""
    rows = erase(make_rows(2))
    rows[0]["evidence"] = ledger.ERASED
    assert ledger.check(rows)[1]
