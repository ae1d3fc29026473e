"""Columns of values for one SQL statement.

psycopg2 writes a list as an expression of one node per value, which PostgreSQL reads
slowly; an array written as text costs half of that.
"""

from collections.abc import Iterable


def literal(values: Iterable) -> str:
    """Return values as the text of a PostgreSQL array, for ``%s::type[]``.

    ``None`` becomes NULL; everything else is taken as text.
    """
    return "{" + ",".join(map(_quote, values)) + "}"


def _quote(value) -> str:
    if value is None:
        return "NULL"
    text = str(value)
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
