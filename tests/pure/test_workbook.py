import io

from openpyxl import load_workbook

from tools.workbook import write_workbook


def read(sheets):
    """:returns: sheet → rows of (value, type)"""
    book = load_workbook(io.BytesIO(write_workbook(sheets)))
    return {
        sheet.title: [[(cell.value, cell.data_type) for cell in row] for row in sheet]
        for sheet in book
    }


def test_texts_are_never_formulas():
    texts = ["=1+1", "+8613800000000", "-1", "@x", "12", "拒收\nR"]
    [header, row] = read([("A", [["Text"] * 6, texts])])["A"]
    assert row == [(text, "s") for text in texts]
    assert header[0] == ("Text", "s")


def test_titles_excel_refuses():
    sheets = read([("a/b:c", []), ("A b c", []), ("x" * 40, []), ("", [])])
    assert list(sheets) == ["a b c", "A b c 2", "x" * 31, "-"]


def test_what_excel_cannot_hold_is_left_out():
    [[(value, _type)]] = read([("A", [["\0\x08" + "y" * 40_000]])])["A"]
    assert value == "y" * 32_767
