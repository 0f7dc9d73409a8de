"""SQL with marks for values: as drivers want it that have `%s`, and where a database takes no parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PARTS = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`)|(\?|%s\b)|%""")


def percent(sql: str) -> str:
    """The statement with `%s` for each `?` that stands outside of quotes, and every other `%` doubled.

    In some dialects sqlglot writes `%s` by itself.
    """
    return _PARTS.sub(_spelled, sql)


def count_marks(sql: str) -> int:
    """How many values the statement takes."""
    return sum(bool(match[2]) for match in _PARTS.finditer(sql))


def _spelled(match: re.Match[str]) -> str:
    quoted, mark = match.groups()
    if quoted:
        return str(quoted).replace("%", "%%")
    return "%s" if mark else "%%"


def with_numbers(sql: str, parameters: Sequence[object]) -> tuple[str, Sequence[object]]:
    """The statement with digits for its parameters, where all of them are whole numbers, as lines are.

    Some databases take no parameters in subqueries.
    """
    if not all(type(parameter) is int for parameter in parameters):
        return sql, parameters
    left = iter(parameters)
    return _PARTS.sub(lambda match: str(next(left)) if match[2] else match[0], sql), ()


def with_literals(sql: str, values: Sequence[object]) -> str:
    """A statement that takes no parameters, with the values that stand at its end."""
    for value in reversed(values):
        before, _, after = sql.rpartition("%s")
        sql = f"{before}{literal(str(value))}{after}"
    return sql


def literal(text: str) -> str:
    """A text in quotes, whether the database escapes by a backslash or not."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
