"""A ledger nobody can alter unnoticed: each row is sealed together with the one before.

A chain of hashes as Haber and Stornetta describe it ("How to time-stamp a digital
document", Journal of Cryptology 3, 1991): the seal of a row is the SHA-256 of the seal
before it and of what the row says. To change, insert or remove a row, every later one
has to be sealed anew, which a copy of the ledger exported earlier gives away. What a
chain cannot tell by itself is that its newest rows are missing.

Every member has a chain of their own. One chain per company would make all cashiers
wait for each other, and the erasure of one member would break it for all.

When a member is erased, the evidence of their rows, which may name people, is replaced
by :data:`ERASED`. Their seals cannot be computed any more; so a last row of the chain
says that it was erased, and its evidence is the :func:`digest` of what is left. Whoever
alters one of these rows, or erases without saying so, breaks the chain as before.

An exported file is checked without Odoo, in the folder of the addon::

    python3 -m tools.ledger FILE
"""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .table import unescape

#: What a seal covers, in this order. A row may be moved to another member (merge) and
#: its company may be renamed, so neither is part of it; the chain is.
SEALED = (
    "chain",
    "position",
    "date",
    "recorded",
    "recorded_by",
    "channel",
    "purpose",
    "state",
    "basis",
    "source",
    "evidence",
    "wording",
    "expiry_date",
)
#: Columns of an export.
COLUMNS = ("member", *SEALED, "seal")
#: In place of an evidence that was erased.
ERASED = "[erased]"
#: Source of the row that says so.
ERASURE = "erasure"


def seal(row: Mapping[str, str], previous: str) -> str:
    """Return the seal of a row, 64 hexadecimal digits.

    :param row: texts by the names in :data:`SEALED`; others are ignored
    :param previous: seal of the row before; empty for the first one of a chain
    """
    content = [previous, *(row[name] for name in SEALED)]
    return sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def digest(rows: Iterable[Mapping[str, str]], before: str = "") -> str:
    """Return the SHA-256 of rows as they are now, 64 hexadecimal digits.

    :param rows: of one chain, in the order of ``position``, with their seals
    :param before: digest of the rows before these
    """
    for row in rows:
        content = [before, *(row[name] for name in SEALED), row["seal"]]
        text = json.dumps(content, ensure_ascii=False)
        before = sha256(text.encode()).hexdigest()
    return before


@dataclass(slots=True)
class _Chain:
    """How far a chain has been followed. ``open`` is its first erased row for which no
    row says so yet."""

    position: int = 0
    seal: str = ""
    digest: str = ""
    open: Mapping[str, str] | None = None

    def judge(self, row):
        """:returns: whether a row is ``sealed``, ``erased`` or ``broken``"""
        if row["position"] != str(self.position + 1):
            return "broken"
        if row["seal"] == seal(row, self.seal):
            is_true = row["source"] != ERASURE or row["evidence"] == self.digest
            return "sealed" if is_true else "broken"
        return "erased" if row["evidence"] == ERASED else "broken"

    def follow(self, row, verdict):
        self.position, self.seal = int(row["position"]), row["seal"]
        if verdict == "erased":
            self.open = self.open or row
        elif row["source"] == ERASURE:
            self.open = None
        self.digest = digest([row], self.digest)


def follow(
    rows: Iterable[Mapping[str, str]],
) -> Iterator[tuple[Mapping[str, str], str]]:
    """Yield each row and whether it is ``sealed``, ``erased`` or ``broken``; after the
    first that is broken nothing more.

    :param rows: of any number of chains, each from its first row on and in the order
        of ``position``, with all :data:`COLUMNS`
    """
    chains: dict[str, _Chain] = {}
    for row in rows:
        chain = chains.setdefault(row["chain"], _Chain())
        verdict = chain.judge(row)
        yield row, verdict
        if verdict == "broken":
            return
        chain.follow(row, verdict)
    for chain in chains.values():
        if chain.open:
            yield chain.open, "broken"
            return


def check(
    rows: Iterable[Mapping[str, str]],
) -> tuple[int, Mapping[str, str] | None]:
    """Follow chains until one breaks.

    :param rows: as for :func:`follow`
    :returns: number of rows that continue their chains, erased ones included, and the
        first one that does not; ``None``: unbroken
    """
    count = 0
    for row, verdict in follow(rows):
        if verdict == "broken":
            return count, row
        count += 1
    return count, None


def read_export(content: bytes) -> list[dict[str, str]]:
    """Return the rows of an exported file.

    :raises ValueError: it is no export of a ledger
    """
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError("no export of a consent ledger: other columns")
    return [
        {name: unescape(cell or "") for name, cell in row.items() if name}
        for row in reader
    ]


def main(path: str) -> int:
    """Check an exported file and print what was found.

    :returns: exit status, 0 if the ledger is unbroken
    """
    verdicts = Counter()
    for row, verdict in follow(read_export(Path(path).read_bytes())):
        verdicts[verdict] += 1
        if verdict == "broken":
            sys.stdout.write(
                f"broken: member {row['member']}, chain {row['chain']}, "
                f"row {row['position']} of {row['date']}\n"
            )
            return 1
    erased = verdicts["erased"]
    words = f", {erased} of them erased" if erased else ""
    sys.stdout.write(f"unbroken: {verdicts.total()} rows{words}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
