import pytest

from tools import arrays


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "{}"),
        ([1, None, 2], '{"1",NULL,"2"}'),
        ([False, "NULL", ""], '{"False","NULL",""}'),
        (['a"b', "c\\", "d,{e}", "短信"], '{"a\\"b","c\\\\","d,{e}","短信"}'),
    ],
)
def test_literal(values, text):
    assert arrays.literal(values) == text
