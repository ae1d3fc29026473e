"""Excel workbooks for people: texts only, nothing in them is ever run."""

import io
import re
from collections.abc import Iterable, Sequence

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

#: Characters Excel shows of a cell, and of the name of a sheet.
MAX_CELL = 32_767
MAX_TITLE = 31
_FORBIDDEN_IN_TITLE = re.compile(r"[\[\]:*?/\\]")
#: Width of every column, in characters.
_WIDTH = 26


def write_workbook(sheets: Iterable[tuple[str, Iterable[Sequence[str]]]]) -> bytes:
    """Return a workbook of sheets, each a title and its rows, the header first."""
    book = Workbook(write_only=True)
    used: set[str] = set()
    for title, rows in sheets:
        sheet = book.create_sheet(_name(title, used))
        sheet.freeze_panes = "A2"
        rows = list(rows)
        for index in range(max(map(len, rows), default=0)):
            sheet.column_dimensions[get_column_letter(index + 1)].width = _WIDTH
        for number, row in enumerate(rows):
            sheet.append([_cell(sheet, text, is_bold=not number) for text in row])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _name(title, used):
    plain = _FORBIDDEN_IN_TITLE.sub(" ", title)[:MAX_TITLE].strip() or "-"
    name, number = plain, 1
    while name.casefold() in used:
        number += 1
        name = f"{plain[: MAX_TITLE - 4]} {number}"
    used.add(name.casefold())
    return name


def _cell(sheet, text, is_bold):
    cell = WriteOnlyCell(sheet, ILLEGAL_CHARACTERS_RE.sub("", text)[:MAX_CELL])
    # a text, whatever sign it begins with
    cell.data_type = "s"
    cell.alignment = Alignment(wrap_text=True, vertical="top")
    if is_bold:
        cell.font = Font(bold=True)
    return cell
