"""Files as people hand them in."""

import io
import zipfile
from datetime import date, datetime

import pytest
from openpyxl import Workbook

from tools import table
from tools.table import Problem, Table, TableError, escape, unescape, write_csv

ROWS = [["姓名", "手机", "City"], ["李娜", "13800138000", "北京"], ["Tom", "", "Paris"]]


def make_csv(rows=ROWS, separator=",", end="\r\n"):
    return end.join([*(separator.join(row) for row in rows), ""])


def make_xlsx(*rows, **parts):
    """:param parts: file name → bytes to put into the package"""
    book = Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    if parts:
        with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as package:
            for name, content in parts.items():
                package.writestr(name, content)
    return stream.getvalue()


def read(data, *options):
    """:returns: header and rows, every row being without problems"""
    found = Table(data, *options)
    rows = list(found)
    assert not any(row.problems for row in rows)
    return [found.header, *(row.cells for row in rows)]


def refuse(data, *options):
    """:returns: code of the refusal"""
    with pytest.raises(TableError) as refusal:
        list(Table(data, *options))
    return refusal.value


# ------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk"],
)
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators(encoding, separator):
    assert read(make_csv(separator=separator).encode(encoding)) == ROWS


def test_utf_16_with_either_mark():
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        assert read(mark + make_csv().encode(encoding)) == ROWS


def test_western_bytes_are_not_taken_for_chinese():
    rows = [["Name", "Stadt"], ["Jörg Müller", "Köln"], ["Zoë Weiß", "Übersee"]]
    data = make_csv(rows).encode("cp1252")
    assert refuse(data).code == "encoding"
    assert read(data, "windows-1252") == rows


def test_rare_chinese_characters():
    rows = [["姓名", "手机"], ["朱镕基 陶喆", "13800138000"], ["李娜 王伟 张敏", ""]]
    assert read(make_csv(rows).encode("gbk")) == rows


def test_chosen_encoding_is_wrong():
    refusal = refuse(make_csv().encode("gb18030"), "utf-8")
    assert refusal.code == "encoding_wrong"
    assert refusal.details == {"encoding": "utf-8"}


def test_chosen_separator():
    rows = [["a,b", "c"], ["1,2", "3"]]
    assert read(make_csv(rows, ";").encode(), "", ";") == rows


def test_separator_named_by_excel():
    assert read(("sep=;\r\n" + make_csv(separator=";")).encode()) == ROWS


def test_line_ends():
    for end in ("\n", "\r\n", "\r"):
        assert read(make_csv(end=end).encode()) == ROWS


# ---------------------------------------------------------------- whole files


@pytest.mark.parametrize(
    "data, code",
    [
        (b"", "empty"),
        (b" \r\n\r\n", "empty"),
        (b",,,\r\n,,\r\n", "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "format"),
        (b"%PDF-1.7\n", "format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
        (bytes(range(256)) * 20, "binary"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0", "binary"),
        (b"name,phone\r\n\x01\x02,1", "binary"),
        (b"PK\x03\x04 and no more of it", "damaged"),
        (b"Tom,13800138000\r\nTim,13800138001\r\n", "no_header"),
        (b"Tom,tom@example.com\r\n", "no_header"),
        (b"Tom,1990-01-31\r\n", "no_header"),
        (b"Phone,name,PHONE\r\n1,2,3\r\n", "duplicate"),
        (b",".join([b"x%d" % n for n in range(201)]), "columns"),
        (b"name," + b"x" * 300 + b"\r\n1,2", "header"),
        (b'name,"phone\r\n1,2\r\n', "header"),
    ],
)
def test_refused(data, code):
    assert refuse(data).code == code


def test_names_of_duplicate_columns():
    assert refuse(b"Phone,name,PHONE\r\n1,2,3\r\n").details == {"names": ["phone"]}


def test_too_large(monkeypatch):
    monkeypatch.setattr(table, "MAX_FILE", 20)
    assert refuse(make_csv().encode()).code == "size"


def test_too_many_rows(monkeypatch):
    monkeypatch.setattr(table, "MAX_ROWS", 1)
    assert refuse(make_csv().encode()).code == "rows"
    assert refuse(make_xlsx(*ROWS)).code == "rows"


def test_length():
    rows = Table(make_csv().encode())
    assert rows.has_more_than(1)
    assert not rows.has_more_than(2)


# ----------------------------------------------------------------------- rows


def test_numbers_of_rows():
    """As a spreadsheet counts them: empty rows and line ends in cells included."""
    data = b'a,b\r\n\r\n"1\n2",x\r\n,,\r\n3,y\r\n'
    rows = list(Table(data))
    assert [(row.number, row.cells) for row in rows] == [
        (3, ["1\n2", "x"]),
        (5, ["3", "y"]),
    ]


def test_short_and_long_rows():
    short, empty_rest, long = Table(b"a,b\r\n1\r\n1,2,,\r\n1,2,3\r\n")
    assert (short.cells, short.problems) == (["1", ""], [])
    assert (empty_rest.cells, empty_rest.problems) == (["1", "2"], [])
    assert (long.cells, [p.code for p in long.problems]) == (["1", "2"], ["cells"])


def test_huge_cell_concerns_its_row():
    rows = list(Table(b"a,b\r\n" + b"x" * 10 * 2**20 + b",1\r\n2,3\r\n"))
    assert rows[0].problems == [Problem("long", 0, str(10 * 2**20))]
    assert len(rows[0].cells[0]) == table.MAX_CELL
    assert (rows[1].cells, rows[1].problems) == (["2", "3"], [])


def test_quotation_marks():
    data = b'a,b\r\n"x"y,1\r\n"say ""hi"", x",2\r\n5" disk,3\r\n'
    broken, *good = Table(data)
    assert broken.problems == [Problem("quote", detail="2")]
    assert [row.cells[0] for row in good] == ['say "hi", x', '5" disk']


def test_quotation_mark_never_closed():
    """The lines it swallows are named."""
    data = b'a,b\r\n1,2\r\n"x,1\r\ny,2\r\nz,3\r\n'
    good, broken = Table(data)
    assert good.cells == ["1", "2"]
    assert broken.problems == [Problem("quote", detail="3–5")]


def test_read_twice():
    rows = Table(make_csv().encode())
    assert list(rows) == list(rows)


# ----------------------------------------------------------------------- XLSX


def test_values_of_a_workbook():
    data = make_xlsx(
        ["Text", "Whole", "Phone", "Part", "Day", "Time", "Yes", "Empty", "Long"],
        [" a ", 12, 13800138000.0, 1.5, date(1990, 1, 31), datetime(2020, 1, 2, 3, 4)],
        ["0138", None, 1.38e10, 0, datetime(1990, 1, 31), None, True, None, 10**16],
    )
    assert read(data)[1:] == [
        ["a", "12", "13800138000", "1.5", "1990-01-31", "2020-01-02 03:04:00"]
        + [""] * 3,
        ["0138", "", "13800000000", "0", "1990-01-31", "", "TRUE", "", "1.000000E+16"],
    ]


def test_workbook_header_is_not_in_the_first_row():
    data = make_xlsx([], ["a", "b"], [], ["1", "2"])
    found = Table(data)
    assert found.header == ["a", "b"]
    assert [row.number for row in found] == [4]


def test_formulas_and_errors():
    [row] = Table(make_xlsx(["a", "b", "c"], ["=1+1", "#REF!", "-x"]))
    assert row.problems == [Problem("formula", 0), Problem("error", 1)]


def test_damaged_workbook():
    data = make_xlsx(*ROWS)
    assert refuse(data[: len(data) // 2]).code == "damaged"
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, content in parts.items():
            package.writestr(name, b"<x" if "sheet1" in name else content)
    assert refuse(stream.getvalue()).code == "damaged"


def test_another_package():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        package.writestr("word/document.xml", "<x/>")
    assert refuse(stream.getvalue()).code == "format"


def test_bomb(monkeypatch):
    monkeypatch.setattr(table, "MAX_UNPACKED", 2**20)
    data = make_xlsx(*ROWS, **{"xl/media/x.bin": b"\0" * 2**21})
    assert len(data) < 2**15
    assert refuse(data).code == "unpacked"


def test_entities():
    data = make_xlsx(*ROWS, **{"xl/x.xml": b'<?xml version="1.0"?><!DOCTYPE x []><x/>'})
    assert refuse(data).code == "damaged"


def test_claimed_size_is_not_believed():
    data = make_xlsx(["a", "b"], ["1", "2"])
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content.replace(b'"A1:B2"', b'"A1:XFD1048576"'))
    assert read(stream.getvalue()) == [["a", "b"], ["1", "2"]]


# -------------------------------------------------------------------- writing


@pytest.mark.parametrize(
    "cell", ["=1+1", "+86 138", "-1", "@x", "=cmd|' /C calc'!A0", "'=1", "''-1"]
)
def test_formulas_are_shown(cell):
    assert escape(cell) == f"'{cell}"
    assert unescape(escape(cell)) == cell


@pytest.mark.parametrize("cell", ["", "a", "'", "'t Hooft", "1=1"])
def test_other_texts_stay(cell):
    assert escape(cell) == unescape(cell) == cell


def test_written_file_can_be_read():
    rows = [["姓名", "Note"], ["=1+1", 'a "b", c'], ["+86 138", "d\ne"]]
    data = write_csv(rows)
    assert data.startswith(b"\xef\xbb\xbf")
    assert b"'=1+1" in data
    assert read(data) == rows
