"""Values that a database has no way to hold: NUL in text and in JSON, NaN and infinity."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, TableName
from tailrace.sql.catalogs import Catalog, query_of
from tailrace.sql.session import Session

_NUL = "\0"
_SIGNS = r"\u0000"
_ESCAPED = r"((?:^|[^\\])(?:\\\\)*)\\u0000"
"""JSON's escape of NUL; where its backslash is itself escaped, it is none."""


def without_nul(
    rows: pa.Table, database: str, json_columns: Callable[[], Collection[str]], *, strips: bool
) -> pa.Table:
    """The rows with NUL left out of text; RowsRefusedError for those that have one, unless it is to be stripped.

    `json_columns` gives the columns that hold JSON, in which NUL is written as an escape; it is asked where one may be.
    """
    reasons: dict[int, list[str]] = {}
    may_be_json = [name for name in rows.column_names if _is_text(rows, name) and _has(rows[name], _SIGNS)]
    in_json = set(json_columns()) if may_be_json else set()
    for name in rows.column_names:
        if not _is_text(rows, name):
            continue
        is_json = name in in_json and name in may_be_json
        found = pc.match_substring_regex(rows[name], _ESCAPED) if is_json else pc.match_substring(rows[name], _NUL)
        if not pc.any(found).as_py():
            continue
        if strips:
            stripped = _without_escapes(rows[name]) if is_json else pc.replace_substring(rows[name], _NUL, "")
            rows = rows.set_column(rows.column_names.index(name), name, stripped)
            continue
        reason = f"column {name!r}: {database} has no NUL in {'JSON' if is_json else 'text'} (`nul: strip` drops it)"
        for line in rows[LINE].filter(found).to_pylist():
            reasons.setdefault(line, []).append(reason)
    if reasons:
        said = {line: "; ".join(of_line) for line, of_line in reasons.items()}
        raise RowsRefusedError(f"{database} has no NUL in text, and {len(reasons)} rows have one", said)
    return rows


def refuse_infinite(rows: pa.Table, columns: Sequence[str], database: str) -> None:
    """Raise RowsRefusedError for rows with NaN or infinity in one of these columns; `database` is its name."""
    reasons: dict[int, str] = {}
    for name in columns:
        if pa.types.is_floating(rows.schema.field(name).type):
            lines = rows[LINE].filter(pc.invert(pc.is_finite(rows[name]))).to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r}: {database} has no NaN and no infinity")
    if reasons:
        raise RowsRefusedError(f"{database} has no NaN and no infinity, and {len(reasons)} rows have one", reasons)


def typed(session: Session, catalog: Catalog, table: TableName, sql_type: str) -> Callable[[], list[str]]:
    """What gives the table's columns of a type, as the database spells it."""

    def names() -> list[str]:
        rows = query_of(session, catalog.columns, table)
        return [str(name) for name, spelled, *_ in rows if spelled == sql_type]

    return names


def _is_text(rows: pa.Table, name: str) -> bool:
    return bool(pa.types.is_string(rows.schema.field(name).type))


def _has(values: pa.ChunkedArray, text: str) -> bool:
    return bool(pc.any(pc.match_substring(values, text)).as_py())


def _without_escapes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    # One that comes right behind another is found the next time.
    while pc.any(pc.match_substring_regex(values, _ESCAPED)).as_py():
        values = pc.replace_substring_regex(values, _ESCAPED, r"\1")
    return values
