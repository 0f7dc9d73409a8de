"""SQL with `?` for values, as drivers want it that have `%s`."""

from __future__ import annotations

import re

_PARTS = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`)|(\?|%s\b)|%""")


def percent(sql: str) -> str:
    """The statement with `%s` for each `?` that stands outside of quotes, and every other `%` doubled.

    In some dialects sqlglot writes `%s` by itself.
    """
    return _PARTS.sub(_spelled, sql)


def _spelled(match: re.Match[str]) -> str:
    quoted, mark = match.groups()
    if quoted:
        return str(quoted).replace("%", "%%")
    return "%s" if mark else "%%"
