from datetime import datetime

import pytest

from tools import arrays


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "{}"),
        ([1, None, 2], "{1,null,2}"),
        ([False, "NULL", ""], '{false,"NULL",""}'),
        ([datetime(2026, 5, 1, 10)], '{"2026-05-01 10:00:00"}'),
        (['a"b', "c\\", "d,{e}", "短信"], '{"a\\"b","c\\\\","d,{e}","短信"}'),
        (["a\nb", 'c"', None, "\\n"], '{"a\nb","c\\"",NULL,"\\\\n"}'),
    ],
)
def test_literal(values, text):
    assert arrays.literal(values) == text
