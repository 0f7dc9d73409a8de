"""Values that a table's types would change or refuse, found before they are sent: the rows of each, by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import RowsRefusedError
from tailrace.model import LINE, Batch, TableName
from tailrace.schema.cast import cast_rows
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Dialect

_LONGEST_STRING = 65_535

Beyond = Callable[[pa.ChunkedArray, "re.Match[str]"], pa.ChunkedArray]
"""Which values a type doesn't hold as they are; the match is that of the type's name."""


@dataclass(frozen=True, slots=True)
class _Limit:
    """A type that holds less than its kind, in these dialects."""

    dialects: frozenset[str]
    sql_type: re.Pattern[str]
    is_beyond: Beyond


def _limit(dialects: str, sql_type: str, is_beyond: Beyond) -> _Limit:
    return _Limit(frozenset(dialects.split()), re.compile(sql_type, re.IGNORECASE), is_beyond)


def _rounded(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Numbers that aren't what they are in 32 bits."""
    if not pa.types.is_floating(values.type):
        return _none(values)
    is_changed = pc.not_equal(values.cast(pa.float32()).cast(pa.float64()), values)
    return pc.and_(is_changed, pc.invert(pc.is_nan(values)))


def _cut(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Times of more digits behind the second than the type has; the type names them, or has its dialect's own."""
    if not pa.types.is_temporal(values.type) or pa.types.is_date(values.type):
        return _none(values)
    unit = 10 ** (6 - int(match["digits"] or 0))
    counts = values.cast(pa.int64())
    return pc.not_equal(pc.multiply(pc.divide(counts, unit), unit), counts)


def _too_many_characters(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts that are longer than the type, be it by spaces, which the database would cut."""
    return (
        pc.greater(pc.utf8_length(values), int(match["length"])) if pa.types.is_string(values.type) else _none(values)
    )


def _too_many_bytes(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts and bytes that are longer than the type."""
    is_long = pa.types.is_string(values.type) or pa.types.is_binary(values.type)
    return pc.greater(pc.binary_length(values), int(match["length"])) if is_long else _none(values)


def _padded(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Texts with a space at their end, which types of fixed length forget."""
    return pc.ends_with(values, " ") if pa.types.is_string(values.type) else _none(values)


def _out_of_range(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Integers beyond those of the type."""
    end = 2**15 if match[0].lower() == "smallint" else 2**31
    return pc.or_(pc.greater_equal(values, end), pc.less(values, -end))


def _not_ascii(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """Texts with other characters than ASCII's."""
    return pc.invert(pc.string_is_ascii(values)) if pa.types.is_string(values.type) else _none(values)


def _long_string_within(values: pa.ChunkedArray, _: re.Match[str]) -> pa.ChunkedArray:
    """JSON texts with a string in them that is longer than 65,535 bytes."""
    is_long = pc.greater(pc.binary_length(values), _LONGEST_STRING)
    if not pc.any(is_long).as_py():
        return _none(values)
    pairs = zip(is_long.to_pylist(), values, strict=True)
    found = [bool(long) and _has_long_string(msgspec.json.decode(text.as_py())) for long, text in pairs]
    return pa.chunked_array([pa.array(found, pa.bool_())])


def _has_long_string(value: object) -> bool:
    if isinstance(value, str):
        return len(value.encode()) > _LONGEST_STRING
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(map(_has_long_string, parts))


def _no_member(values: pa.ChunkedArray, match: re.Match[str]) -> pa.ChunkedArray:
    """Texts that an enumeration doesn't have to the letter."""
    if not pa.types.is_string(values.type):
        return _all(values)
    members = [member.replace("''", "'") for member in re.findall(r"'((?:[^']|'')*)'", match["members"])]
    return pc.and_(pc.is_valid(values), pc.invert(pc.is_in(values, value_set=pa.array(members, pa.string()))))


def _none(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([False] * len(values), pa.bool_())])


def _all(values: pa.ChunkedArray, _: re.Match[str] | None = None) -> pa.ChunkedArray:
    return pc.is_valid(values)


_LIMITS = (
    _limit("postgres redshift", "real", _rounded),
    _limit("mysql", r"float( unsigned)?", _rounded),
    _limit("postgres", r"(time|timestamp)\((?P<digits>\d)\).*", _cut),
    _limit("mysql", r"(time|timestamp|datetime)(\((?P<digits>\d)\))?( COMMENT .*)?", _cut),
    _limit("postgres", r"character( varying)?\((?P<length>\d+)\)", _too_many_characters),
    _limit("postgres redshift", r"character\(\d+\)", _padded),
    _limit("mysql", r"char\(\d+\).*", _padded),
    _limit("mysql", r"enum\((?P<members>.*)\).*", _no_member),
    _limit("postgres", r'money|name|"char"|numeric\(\d+,-\d+\)', _all),
    _limit(
        "redshift",
        r"(character varying|varchar|character|char|binary varying|varbyte)\((?P<length>\d+)\)",
        _too_many_bytes,
    ),
    _limit("redshift", r"(character|char)\(\d+\)", _not_ascii),
    _limit("redshift", "super", _long_string_within),
    _limit("redshift", "smallint|integer", _out_of_range),
)


def refuse_beyond_limits(dialect: Dialect, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
    """Raise RowsRefusedError for rows with a value that its column, of those by name, would change or refuse."""
    reasons: dict[int, str] = {}
    for name, column in columns.items():
        for limit in _LIMITS:
            match = limit.sql_type.fullmatch(column.sql_type) if dialect.sqlglot in limit.dialects else None
            if match:
                lines = rows[LINE].filter(limit.is_beyond(rows[name], match), null_selection_behavior="drop")
                reasons |= dict.fromkeys(
                    lines.to_pylist(), f"column {name!r}: {column.sql_type} doesn't hold it unchanged"
                )
    if reasons:
        raise RowsRefusedError(f"the table doesn't hold {len(reasons)} rows unchanged", reasons)


def fitting_rows(dialect: Dialect, batch: Batch, table: TableName, targets: Mapping[str, TableColumn]) -> pa.Table:
    """The batch's rows as their table takes them; RowsRefusedError when it doesn't take some unchanged.

    `targets` says which of the table's columns takes each of the stream's.
    """
    rows, refused = cast_rows(batch.rows, batch.stream, targets)
    if refused:
        raise RowsRefusedError(
            f"stream {batch.stream.name!r}: the table {table} doesn't take {len(refused)} rows unchanged", refused
        )
    refuse_beyond_limits(dialect, rows, {column.name: column for column in targets.values()})
    return rows


def refuse_null(rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
    """Raise RowsRefusedError for rows with a null where the column, of those by name, can't be null."""
    reasons: dict[int, str] = {}
    for name, column in columns.items():
        if not column.nullable:
            lines = rows[LINE].filter(pc.is_null(rows[name])).to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r} can't be null")
    if reasons:
        raise RowsRefusedError(f"{len(reasons)} rows have a null where there can be none", reasons)


def refuse_long_lines(lines: pa.ChunkedArray, numbers: pa.ChunkedArray, max_bytes: int) -> None:
    """Raise RowsRefusedError for rows that are longer as lines of text; `numbers` are their lines in the input."""
    found = numbers.filter(pc.greater(pc.binary_length(lines), max_bytes)).to_pylist()
    if found:
        reason = f"it has more than {max_bytes:,} bytes as a line of a file"
        raise RowsRefusedError(f"{len(found)} rows are too long", dict.fromkeys(found, reason))
