"""Names of indices: made by a template, cleaned to what an index may be called."""

from __future__ import annotations

import re
from datetime import date

from tailrace.errors import ConfigError
from tailrace.model import TableName
from tailrace.schema.names import digest, fitted

MAX_BYTES = 255
_FENCE_BYTES = 17
_UNUSABLE = re.compile(r'[\\/*?"<>|\s,#:\x00-\x1f\x7f]')
_FIRST = re.compile(r"^[-_+.]+")
_WORD = re.compile(r"\{\{\s*(\w+)\s*\}\}|\{(\w+)\}")
_WORDS = {
    "stream_name": "stream",
    "current_timestamp_daily": "date",
    "current_timestamp_monthly": "month",
    "current_timestamp_yearly": "year",
}
"""Words of templates that were written for other targets."""


def checked_template(template: str) -> str:
    """The template, if it is one; ValueError says what it has that no template can have."""
    left = _WORD.sub("", template)
    if "{" in left or "}" in left:
        raise ValueError(
            f"{template!r} isn't a template: within braces there is one word of {{stream}}, {{schema}}, {{table}}, "
            "{date}, {month}, {year}; values of records, functions and conditions can't be in the name of an index"
        )
    parts = _parts(TableName("a"), date(2024, 1, 31))
    for match in _WORD.finditer(template):
        word = match[1] or match[2]
        if _WORDS.get(word, word) not in parts:
            raise ValueError(f"{template!r} has the unknown word {word!r}; there are {', '.join(sorted(parts))}")
    if not template.strip():
        raise ValueError("an index needs a name")
    return template


def index_name(template: str, table: TableName, today: date, prefix: str = "") -> str:
    """The name of a table's index."""
    parts = _parts(table, today)
    text = _WORD.sub(lambda match: parts[_WORDS.get(match[1] or match[2], match[1] or match[2])], template)
    return fitted(f"{prefix}{cleaned(text, is_first=not prefix)}", MAX_BYTES - _FENCE_BYTES)


def cleaned(text: str, *, is_first: bool = True) -> str:
    """The text as an index may be called; ConfigError where nothing is left of it."""
    name = _UNUSABLE.sub("_", text.lower())
    if is_first:
        name = _FIRST.sub("", name)
    if not name.strip("."):
        raise ConfigError(f"{text!r} can't be the name of an index", key="index_format", hint="put letters before it")
    return name


def beside_name(index: str, fence: str) -> str:
    """The name of an index that a run builds to take another one's place."""
    if len(index.encode()) + _FENCE_BYTES > MAX_BYTES:
        index = f"{index[:100]}-{digest(index)}"
    return f"{index}-{fence}"


def _parts(table: TableName, today: date) -> dict[str, str]:
    return {
        "stream": str(table),
        "schema": table.schema or "",
        "table": table.name,
        "date": f"{today:%Y.%m.%d}",
        "month": f"{today:%Y.%m}",
        "year": f"{today:%Y}",
    }
