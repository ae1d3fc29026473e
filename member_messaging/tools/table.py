"""Tables people hand in: CSV and XLSX files, read row by row, and CSV written back.

Nothing is guessed silently: what cannot be read for certain is either refused as a
whole (:class:`TableError`) or marked on its row (:class:`Problem`). Texts for people
are made elsewhere; here are codes.
"""

import codecs
import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from itertools import islice

from openpyxl import load_workbook

#: Bytes of a file, and of everything packed into an XLSX file.
MAX_FILE = 50 * 2**20
MAX_UNPACKED = 500 * 2**20
#: Rows below the header, and columns.
MAX_ROWS = 200_000
MAX_COLUMNS = 200
#: Characters of a cell; Excel itself holds 32,767.
MAX_CELL = 2**15
#: Characters of a column's name.
MAX_HEADER = 200
#: Rows in which the header is looked for.
HEADER_ROWS = 20

SEPARATORS = (",", ";", "\t", "|")
#: What may be chosen by hand → Python's name.
ENCODINGS = {
    "utf-8": "utf-8-sig",
    "utf-16": "utf-16",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "windows-1252": "cp1252",
}

#: The module's limit is for the whole process. Lower than a file, it would end a cell
#: in its middle and take the rest for rows.
csv.field_size_limit(max(csv.field_size_limit(), MAX_FILE))

#: A spreadsheet runs a cell that begins with one of these.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
#: What stands in a cell and hardly in the name of a column.
_DATA = re.compile(r"[+(]?\d[\d\s().+/:-]{4,}|[^@\s]+@[^@\s]+\.[^@\s]+")
#: openpyxl's types of cells that hold no value of their own.
_CELL_TYPES = {"f": "formula", "e": "error"}
_CHUNK = 2**20


class TableError(ValueError):
    """The file as a whole is refused.

    :param str code: ``empty``, ``size``, ``unpacked``, ``format``, ``xls``,
        ``damaged``, ``binary``, ``encoding``, ``encoding_wrong``, ``header``,
        ``no_header``, ``duplicate``, ``columns`` or ``rows``
    :param details: numbers and names that belong into the text
    """

    def __init__(self, code: str, **details):
        super().__init__(code, details)
        self.code = code
        self.details = details


@dataclass(frozen=True)
class Problem:
    """Something wrong with a row.

    ``code``: ``quote`` (quotation marks do not match), ``cells`` (more cells than
    columns), ``long`` (a cell is too long and was cut), ``formula`` or ``error`` (an
    XLSX cell is one). ``column`` counts from 0; None concerns the whole row.
    """

    code: str
    column: int | None = None
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A row that is not empty; as many ``cells`` as the table has columns.

    ``number`` is the one a spreadsheet shows, from 1.
    """

    number: int
    cells: list[str]
    problems: list[Problem] = field(default_factory=list)


class Table:
    """A file that can be read; iterate over it for its :class:`Row` objects.

    ``header`` holds the names of the columns, empty where a column has none.
    ``encoding`` and ``separator`` tell what was found; None for XLSX.
    """

    def __init__(self, data: bytes, encoding: str = "", separator: str = ""):
        """
        :param encoding: a key of :data:`ENCODINGS`; found out if empty
        :param separator: one character; found out if empty
        :raises TableError: the file cannot be read at all
        """
        self._data = data
        self.encoding = self.separator = None
        if not data.strip():
            raise TableError("empty")
        if len(data) > MAX_FILE:
            raise TableError("size", size=len(data), limit=MAX_FILE)
        self._is_workbook = _is_workbook(data)
        if not self._is_workbook:
            self.encoding = _find_encoding(data, encoding)
            self.separator = separator or _find_separator(self._get_lines())
        self._header_number, self.header = self._read_header()

    def __iter__(self) -> Iterator[Row]:
        """
        :raises TableError: there are more rows than :data:`MAX_ROWS`, or the file
            turns out to be damaged
        """
        width = len(self.header)
        count = 0
        for number, cells, problems in self._get_rows():
            if number <= self._header_number or not (any(cells) or problems):
                continue
            count += 1
            if count > MAX_ROWS:
                raise TableError("rows", limit=MAX_ROWS)
            cells = [*map(unescape, cells), *[""] * (width - len(cells))]
            if any(cells[width:]):
                problems = [*problems, Problem("cells", detail=str(len(cells)))]
            yield Row(number, cells[:width], problems)

    def has_more_than(self, count: int) -> bool:
        """Whether there are more than so many rows; reads no further."""
        return next(islice(self, count, None), None) is not None

    def _read_header(self):
        for number, cells, problems in islice(self._get_rows(), HEADER_ROWS):
            while cells and not cells[-1]:
                cells.pop()
            if not cells and not problems:
                continue
            if problems or max(map(len, cells)) > MAX_HEADER:
                raise TableError("header", row=number)
            if len(cells) > MAX_COLUMNS:
                raise TableError("columns", count=len(cells), limit=MAX_COLUMNS)
            if any(map(_DATA.fullmatch, cells)):
                raise TableError("no_header", row=number)
            names = Counter(cell.casefold() for cell in cells if cell)
            if twice := [name for name, count in names.items() if count > 1]:
                raise TableError("duplicate", names=twice)
            return number, cells
        raise TableError("empty")

    def _get_rows(self):
        """:returns: iterator over (number, stripped cells, problems)"""
        return self._read_workbook() if self._is_workbook else self._read_lines()

    # ---------------------------------------------------------------------- CSV

    def _get_lines(self):
        return io.TextIOWrapper(
            io.BytesIO(self._data), encoding=self.encoding, newline=""
        )

    def _read_lines(self):
        stream = self._get_lines()
        # Excel's own hint in the first line, which is no row of the table
        if not stream.readline(6).startswith("sep=") or not self.separator:
            stream.seek(0)
        else:
            stream.readline()
        reader = csv.reader(stream, delimiter=self.separator, strict=True)
        number = 0
        while True:
            number += 1
            line = reader.line_num + 1
            try:
                cells, problems = next(reader), []
            except StopIteration:
                return
            except csv.Error:
                lines = f"{line}–{reader.line_num}".removesuffix(f"–{line}")
                cells, problems = [], [Problem("quote", detail=lines)]
            yield number, *_check_cells(cells, problems)

    # --------------------------------------------------------------------- XLSX

    def _read_workbook(self):
        try:
            book = load_workbook(
                io.BytesIO(self._data), read_only=True, keep_links=False
            )
            with closing(book):
                sheets = book.worksheets
                visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"]
                sheet = (visible or sheets)[0]
                # What a file claims as its size may be a million empty columns.
                sheet.reset_dimensions()
                for number, row in enumerate(sheet.rows, 1):
                    if number > MAX_ROWS * 2:
                        raise TableError("rows", limit=MAX_ROWS)
                    problems = [
                        Problem(_CELL_TYPES[cell.data_type], index)
                        for index, cell in enumerate(row)
                        if cell.value is not None and cell.data_type in _CELL_TYPES
                    ]
                    yield (
                        number,
                        *_check_cells(
                            [_get_text(cell.value) for cell in row], problems
                        ),
                    )
        except TableError:
            raise
        except Exception as error:
            # openpyxl and zipfile raise a dozen kinds of errors for broken files.
            raise TableError("damaged", error=str(error)[:200]) from error


def _check_cells(cells, problems):
    """:returns: the cells stripped and cut to length, the problems with those cut"""
    for index, cell in enumerate(cells):
        if len(cell) > MAX_CELL:
            problems.append(Problem("long", index, str(len(cell))))
            cell = cell[:MAX_CELL]
        cells[index] = cell.strip()
    return cells, problems


def _get_text(value) -> str:
    """A spreadsheet's value as people see it; numbers without ``.0``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and abs(value) >= 10**15:
        # Excel keeps 15 digits: the others are lost, and this says so
        return f"{value:E}"
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds")
    if isinstance(value, date):
        return value.isoformat()
    # PostgreSQL holds no NUL
    return str(value).replace("\0", "")


def _is_workbook(data):
    """Whether the file is XLSX; refuse what is neither that nor text.

    :raises TableError: another format, or a package that unpacks to too much
    """
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise TableError("xls")
    if data.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b")):
        raise TableError("format")
    if not data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            parts = package.infolist()
            # No part ever yields more than it declares.
            unpacked = sum(part.file_size for part in parts)
            if unpacked > MAX_UNPACKED:
                raise TableError("unpacked", size=unpacked, limit=MAX_UNPACKED)
            if "xl/workbook.xml" not in package.namelist():
                raise TableError("format")
            for part in parts:
                # Spreadsheets have none; entities in it can grow without end.
                if part.filename.endswith((".xml", ".rels")):
                    with package.open(part) as stream:
                        if b"<!DOCTYPE" in stream.read(1024):
                            raise TableError("damaged", error="DOCTYPE")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise TableError("damaged", error=str(error)[:200]) from error
    return True


def _find_encoding(data, chosen):
    """:returns: Python's name of the encoding, of which all of ``data`` is valid"""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        found = "utf-8-sig"
    elif chosen:
        found = ENCODINGS[chosen]
        if found == "utf-16":
            found = "utf-16-le"
    elif b"\0" in data[:4096]:
        # UTF-16 without its mark: one byte of every ASCII character is zero.
        is_big, is_little = 0 in data[:4096:2], 0 in data[1:4096:2]
        found = "utf-16-be" if is_big else "utf-16-le"
        if is_big == is_little or not _is_text(data, found):
            raise TableError("binary")
        return found
    elif _is_text(data, "utf-8-sig"):
        return "utf-8-sig"
    elif _is_chinese(data) and _is_text(data, "gb18030"):
        return "gb18030"
    else:
        raise TableError("encoding")
    if not _is_text(data, found):
        raise TableError("encoding_wrong", encoding=chosen or found)
    return found


def _is_text(data, encoding):
    """Whether ``data`` is valid in an encoding.

    :raises TableError: it is, and contains what no text contains
    """
    chunks = (data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK))
    try:
        if any(map(_CONTROL.search, codecs.iterdecode(chunks, encoding))):
            raise TableError("binary")
    except UnicodeDecodeError:
        return False
    return True


def _is_chinese(data):
    """Whether bytes above 127 form pairs as in Chinese text.

    Nearly any bytes are valid GB18030, "Müller" of a Western computer among them; but
    the common characters have both bytes above 160.
    """
    pairs = common = 0
    for run in re.findall(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]", data[:_CHUNK]):
        pairs += 1
        common += run[0] > 160 and run[1] > 160
    return pairs > 0 and common >= 0.7 * pairs


def _find_separator(stream):
    """The separator that makes the first rows equally wide; the comma if none does."""
    text = "".join(islice(stream, HEADER_ROWS))[: 2**16]
    if match := re.match(r"sep=(.)\r?\n", text):
        return match[1]

    def rate(separator):
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        widths = []
        with suppress(csv.Error):
            for cells in rows:
                if any(cells):
                    widths.append(len(cells))
        if not widths or widths[0] < 2:
            return (0, 0)
        return (sum(width == widths[0] for width in widths) / len(widths), widths[0])

    return max(SEPARATORS, key=rate)


# -------------------------------------------------------------------------- writing


def escape(cell: str) -> str:
    """Let a spreadsheet show a text instead of running it as a formula."""
    return f"'{cell}" if _is_formula(cell.lstrip("'")) else cell


def unescape(cell: str) -> str:
    """Undo :func:`escape`, so that a file written here can be read again."""
    return cell[1:] if cell[:1] == "'" and _is_formula(cell.lstrip("'")) else cell


def _is_formula(cell: str) -> bool:
    return cell.startswith(_FORMULA_SIGNS)


def write_rows(stream, rows) -> int:
    """Write a table to an open text file row by row, as :func:`write_csv` does.

    :param rows: iterable of iterables of texts, the header first; None is empty
    :returns: how many rows there were, the header included
    """
    writer = csv.writer(stream)
    count = 0
    for row in rows:
        writer.writerow([escape(cell or "") for cell in row])
        count += 1
    return count


def write_csv(rows) -> bytes:
    """A CSV file that Excel opens with the right characters and without formulas.

    :param rows: iterable of iterables of texts, the header first
    """
    stream = io.StringIO(newline="")
    write_rows(stream, rows)
    return stream.getvalue().encode("utf-8-sig")
