"""A batch's columns cast to the table's kinds, without loss; a row with a value that can't be is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pyarrow as pa

from tailrace import compute as pc
from tailrace.model import LINE, Column, Kind, Stream
from tailrace.schema.evolve import TableColumn
from tailrace.schema.kinds import INT_DIGITS, MAX_DIGITS
from tailrace.schema.texts import JSON_TEXTS, READABLE, TEXTS, parsed, parsed_uuid

Cast = Callable[[pa.ChunkedArray, pa.DataType], pa.ChunkedArray]
"""All of a column's values as another type, or ValueError when one of them would change."""

_TIMESTAMP = pa.timestamp("us")
_MAX_SHOWN = 80


def cast_rows(rows: pa.Table, stream: Stream, targets: Mapping[str, TableColumn]) -> tuple[pa.Table, dict[int, str]]:
    """The rows in the table's kinds, and the reason for each row that is refused, by input line.

    `targets` says which column of the table each of the stream's goes into; the rows come back with the table's
    column names, LINE last, without columns that have no target and without the refused rows.
    """
    names: list[str] = []
    arrays: list[pa.ChunkedArray] = []
    refused: dict[int, str] = {}
    for column in stream.columns:
        target = targets.get(column.name)
        if target is None:
            continue
        values = rows[column.name]
        names.append(target.name)
        try:
            arrays.append(_cast(values, column, target))
        except ValueError:
            for row in failing(values, partial(_cast, column=column, target=target)):
                reason = f"column {column.name!r}: {_shown(values[row])} doesn't go into {target.spelling} unchanged"
                line = rows[LINE][row].as_py()
                refused[line] = f"{refused[line]}; {reason}" if line in refused else reason
    if refused:
        is_refused = pc.is_in(rows[LINE], value_set=pa.array(list(refused), pa.int64()))
        return cast_rows(rows.filter(pc.invert(is_refused)), stream, targets)[0], refused
    return pa.table([*arrays, rows[LINE]], names=[*names, LINE]), refused


def failing(values: pa.ChunkedArray, cast: Callable[[pa.ChunkedArray], object]) -> list[int]:
    """The positions of the values that can't be cast, found by bisection."""
    found: list[int] = []
    parts = [(0, len(values))]
    while parts:
        start, count = parts.pop()
        try:
            cast(values.slice(start, count))
        except ValueError:
            if count == 1:
                found.append(start)
            else:
                half = count // 2
                parts += [(start + half, count - half), (start, half)]
    return found


def converted(values: pa.ChunkedArray, have: Column, want: Column) -> pa.ChunkedArray:
    """Values cast from one column's kind to another's; ValueError if a value would change, or no cast exists."""
    if have.spelling == want.spelling:
        return values
    cast = CASTS.get((have.kind, want.kind))
    if cast is None:
        raise ValueError(f"{have.kind} doesn't go into {want.kind}")
    return cast(values, want.arrow)


def _cast(values: pa.ChunkedArray, column: Column, target: TableColumn) -> pa.ChunkedArray:
    if column.is_empty and target.arrow is not None:
        return pa.chunked_array([pa.nulls(len(values), target.arrow)])
    if target.kind is None or (target.kind is column.kind and target.arrow in (None, column.arrow)):
        return values
    cast = CASTS.get((column.kind, target.kind))
    # A type chosen by hand may have no cast of ours; then the database takes the values as it can.
    return values if cast is None else cast(values, target.arrow or _unlimited(column))


def _unlimited(column: Column) -> pa.DataType:
    """The decimal for values that go into a column of the table with more digits than Arrow has."""
    if column.kind is Kind.INT:
        return pa.decimal128(INT_DIGITS, 0)
    return pa.decimal128(MAX_DIGITS, INT_DIGITS)


def _shown(value: pa.Scalar) -> str:
    text = str(value.as_py())
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def _plain(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    return values.cast(to)


def _int_to_decimal(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    return _rescaled(values.cast(pa.decimal128(INT_DIGITS, 0)), to)


def _rescaled(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    # Arrow multiplies past 128 bits without saying so, so that what comes out is compared with what went in.
    decimals = values.cast(to)
    return _if_same(decimals, decimals.cast(values.type), values)


def _float_to_decimal(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    # The shortest text that reads back as the same float is what the number was written as.
    decimals = values.cast(pa.string()).cast(to)
    return _if_same(decimals, decimals.cast(pa.string()).cast(values.type), values)


def _decimal_to_float(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    floats = values.cast(pa.string()).cast(to)
    return _if_same(floats, _float_to_decimal(floats, values.type), values)


def _to_date(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    days = values.cast(_TIMESTAMP).cast(to)
    return _if_same(days, days.cast(_TIMESTAMP), values.cast(_TIMESTAMP))


def _date_to_timestamp(values: pa.ChunkedArray, to: pa.DataType) -> pa.ChunkedArray:
    return values.cast(_TIMESTAMP).cast(to)


def _if_same(result: pa.ChunkedArray, back: pa.ChunkedArray, given: pa.ChunkedArray) -> pa.ChunkedArray:
    """The result, if casting it back gives the same values."""
    if pc.all(pc.equal(back, given)).as_py() is False:
        raise ValueError("a value would change")
    return result


def _to_text(kind: Kind) -> Cast:
    return lambda values, _: TEXTS[kind](values)


def _to_json(kind: Kind) -> Cast:
    return lambda values, _: JSON_TEXTS[kind](values)


CASTS: dict[tuple[Kind, Kind], Cast] = {
    **{(kind, Kind.TEXT): _to_text(kind) for kind in TEXTS},
    **{(kind, Kind.JSON): _to_json(kind) for kind in JSON_TEXTS},
    **{(Kind.TEXT, kind): parsed(kind) for kind in READABLE},
    (Kind.TEXT, Kind.UUID): parsed_uuid,
    (Kind.BOOL, Kind.INT): _plain,
    (Kind.INT, Kind.FLOAT): _plain,
    (Kind.INT, Kind.DECIMAL): _int_to_decimal,
    (Kind.FLOAT, Kind.INT): _plain,
    (Kind.FLOAT, Kind.DECIMAL): _float_to_decimal,
    (Kind.DECIMAL, Kind.INT): _plain,
    (Kind.DECIMAL, Kind.FLOAT): _decimal_to_float,
    (Kind.DECIMAL, Kind.DECIMAL): _rescaled,
    (Kind.DATE, Kind.TIMESTAMP): _date_to_timestamp,
    (Kind.DATE, Kind.TIMESTAMPTZ): _date_to_timestamp,
    (Kind.TIMESTAMP, Kind.DATE): _to_date,
    (Kind.TIMESTAMP, Kind.TIMESTAMPTZ): _plain,
    (Kind.TIMESTAMPTZ, Kind.DATE): _to_date,
    (Kind.TIMESTAMPTZ, Kind.TIMESTAMP): _plain,
}
"""(from, to) -> the cast. Two kinds that differ and aren't here have no cast without loss."""
