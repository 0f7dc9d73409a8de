"""JSON text as structs and lists: each object in it is read as a record is, exactly, or the row is refused."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Protocol, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Struct, field

from tailrace import compute as pc
from tailrace.decode.bare import BareObjects
from tailrace.decode.refusal import json_path, shown
from tailrace.errors import Violation
from tailrace.model import LINE, Column, Decoded, Inexact, Kind, Noted, Stream
from tailrace.schema.cast import failing
from tailrace.schema.evolve import TableColumn
from tailrace.schema.nested import Nested, nested_of
from tailrace.schema.texts import TEXTS

_ITEM = "v"
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_N = TypeVar("_N", bound=Noted)


class Read(Struct):
    """Rows whose JSON text has become structs and lists, which is for nothing while some are refused.

    `refused` are the reasons by input line. By JSON path, with `[]` for items of arrays, `inexact` are numbers that a
    float changes, and `coerced` values that came as another type than the schema's.
    """

    rows: pa.Table
    refused: dict[int, str] = field(default_factory=dict)
    inexact: dict[str, Inexact] = field(default_factory=dict)
    coerced: dict[str, Noted] = field(default_factory=dict)


def read_nested(rows: pa.Table, stream: Stream, targets: Mapping[str, TableColumn], schema: pa.Schema) -> Read:
    """The rows, which have the table's column names, with its structs and lists in the types that the schema has.

    `targets` says which column of the table each of the stream's goes into.
    """
    read = Read(rows)
    lines = rows[LINE]
    for column in stream.columns:
        target = targets.get(column.name)
        if target is None or not target.nested or not column.nested:
            continue
        reader = _reader_for(column.nested, target.nested, schema.field(target.name).type, stream.coerce)
        chunks, start, notes = [], 0, _Notes()
        for chunk in rows[target.name].chunks:
            spot = _Spot(column.path, start=start)
            chunks.append(reader.read(_texts(chunk), spot, notes))
            start += len(chunk)
        for row, violations in sorted(notes.violations.items()):
            line, reason = lines[row].as_py(), "; ".join(map(str, violations))
            read.refused[line] = f"{read.refused[line]}; {reason}" if line in read.refused else reason
        read.inexact |= _of_lines(notes.inexact, lines)
        read.coerced |= _of_lines(notes.coerced, lines)
        at = read.rows.schema.get_field_index(target.name)
        read.rows = read.rows.set_column(at, target.name, pa.chunked_array(chunks, reader.arrow))
    return read


def _of_lines(found: Mapping[str, _N], lines: pa.ChunkedArray) -> dict[str, _N]:
    """The notes, with the input line of their first value in place of its row."""
    return {name: replace(noted, first_line=lines[noted.first_line].as_py()) for name, noted in found.items()}


class _Spot(Struct, frozen=True):
    """Where an array of values stands: a column, the members of one name in objects above, or the items of arrays.

    A column's `path` is where it stands in the record, and `start` its first row. `bounds` of items say where those of
    each array begin, and where the last ones end.
    """

    path: tuple[str, ...] = ()
    start: int = 0
    above: _Spot | None = None
    bounds: Sequence[int] = ()

    def position(self, at: int) -> tuple[int, str]:
        """The row of a value, and its JSON path."""
        if self.above is None:
            return self.start + at, json_path(self.path)
        if self.path:
            row, path = self.above.position(at)
            return row, path + json_path(self.path)[1:]
        array = bisect_right(self.bounds, at) - 1
        row, path = self.above.position(array)
        return row, f"{path}[{at - self.bounds[array]}]"

    @property
    def name(self) -> str:
        """Its JSON path, `[]` in it the items of arrays."""
        above = self.above.name if self.above else "$"
        return above + (json_path(self.path)[1:] if self.path else "[]")


class _Notes(Struct):
    """What is wrong with rows, and notes about values by their path; a note's first line is a row here."""

    violations: dict[int, list[Violation]] = field(default_factory=dict)
    inexact: dict[str, Inexact] = field(default_factory=dict)
    coerced: dict[str, Noted] = field(default_factory=dict)

    def refuse(self, spot: _Spot, at: int, code: str, expected: str, got: str, within: str = "") -> None:
        """Note that a value, or what is at a path within it, can't be held."""
        row, path = spot.position(at)
        self.violations.setdefault(row, []).append(Violation(code, path + within, expected, got))

    def refuse_all_but(self, texts: pa.Array, is_it: pa.Array, spot: _Spot, expected: str) -> None:
        """Note the values that don't begin as they must."""
        for at in pc.indices_nonzero(pc.invert(is_it)).to_pylist():
            self.refuse(spot, at, "type", expected, shown(texts[at].as_py().encode()))

    def note(self, found: dict[str, _N], noted: _N, spot: _Spot, within: str, at: int) -> None:
        """Add a note about the values of a path, the first of which stands at that position."""
        name, here = spot.name + within, replace(noted, first_line=spot.position(at)[0])
        found[name] = found[name] + here if name in found else here


class _ValueReader(Protocol):
    """Reads the values at one path of a nested column."""

    @property
    def arrow(self) -> pa.DataType:
        """The type of what it gives."""

    def read(self, texts: pa.Array, spot: _Spot, notes: _Notes) -> pa.Array:
        """The values of JSON texts, large strings that begin where the value does; null is null."""


@lru_cache(maxsize=256)
def _reader_for(want: str, have: str, arrow: pa.DataType, coerce: str) -> _ValueReader:
    """The reader of a stream's nested column into a table's."""
    found = _reader(nested_of(want), nested_of(have), arrow, coerce)
    if found is None:
        raise ValueError(f"{have} has no structs and lists")
    return found


def _reader(want: Nested, have: Nested, arrow: pa.DataType, coerce: str) -> _ValueReader | None:
    """The reader of one path; None for a leaf."""
    if have.is_leaf:
        return None
    return _Objects(want, have, arrow, coerce) if have.fields else _Arrays(want, have, arrow, coerce)


class _Member:
    """A field of objects: the column that takes it, and what reads it further where that has JSON text.

    The column's name is the field's behind a dot, so that it is no name that batches have for something else.
    """

    def __init__(self, name: str, want: Nested, have: Nested, arrow: pa.DataType, coerce: str) -> None:
        self._arrow = arrow
        self._inner = _reader(want, have, arrow, coerce)
        self._kind = Kind.JSON if self._inner or have.is_text else want.kind
        self.name = name
        self.schema = {} if self._kind is Kind.JSON else {"type": [*want.types, "null"]}
        if self._inner and coerce == "exact":
            # Without strings among its types it takes the text of an object or array as what it spells.
            self.schema = {"type": ["object", "array", "null"]}
        self.column = Column(f".{name}", (name,), self._kind, want.precision, want.scale, encoding=want.encoding)

    def read(self, values: pa.Array, spot: _Spot, notes: _Notes) -> pa.Array:
        """The field's values, from those of its column."""
        if self._inner:
            return self._inner.read(_texts(values), spot, notes)
        if self._kind is Kind.TIME:
            values = TEXTS[Kind.TIME](pa.chunked_array([values])).combine_chunks()
        try:
            return values.cast(self._arrow)
        except ValueError:
            for at in failing(values, partial(pc.cast, target_type=self._arrow)):
                notes.refuse(spot, at, "range", f"what the table's {self._arrow} holds", str(values[at]))
            return pa.nulls(len(values), self._arrow)


def _decoder_of(members: Sequence[_Member], coerce: str) -> BareObjects:
    """Decodes objects that have these fields."""
    return BareObjects([each.column for each in members], {each.name: each.schema for each in members}, coerce)


class _Objects:
    """Objects as structs."""

    def __init__(self, want: Nested, have: Nested, arrow: pa.DataType, coerce: str) -> None:
        types = {each.name: each.type for each in arrow}
        self.arrow = arrow
        self._by_name = {
            name: _Member(name, inner, have.fields[name], types[name], coerce) for name, inner in want.fields.items()
        }
        self._decoder = _decoder_of([*self._by_name.values()], coerce)

    def read(self, texts: pa.Array, spot: _Spot, notes: _Notes) -> pa.Array:
        """The objects; see _ValueReader."""
        is_object = pc.starts_with(texts, "{")
        notes.refuse_all_but(texts, is_object, spot, "an object")
        present = pc.fill_null(is_object, fill_value=False)
        if not pc.any(present).as_py():
            return pa.nulls(len(texts), self.arrow)
        decoded = self._decoder.decode(texts.filter(present))
        kept = _noted(decoded, present, spot, notes, prefix="$")
        columns = [self._column(each, decoded, kept, spot, notes) for each in self.arrow]
        return pa.StructArray.from_arrays(columns, fields=[*self.arrow], mask=pc.invert(present))

    def _column(self, wanted: pa.Field, decoded: Decoded, kept: pa.Array, spot: _Spot, notes: _Notes) -> pa.Array:
        member = self._by_name.get(wanted.name)
        if member is None:
            return pa.nulls(len(kept), wanted.type)
        values = _spread(decoded.rows[member.column.name].combine_chunks(), kept)
        return member.read(values, _Spot((wanted.name,), above=spot), notes)


class _Arrays:
    """Arrays as lists; their items are read as fields of objects, in which nothing else is."""

    def __init__(self, want: Nested, have: Nested, arrow: pa.DataType, coerce: str) -> None:
        if want.items is None or have.items is None:
            raise ValueError(f"{want.spelling} doesn't go into {have.spelling}")
        self.arrow = arrow
        self._item = _Member(_ITEM, want.items, have.items, arrow.value_type, coerce)
        self._decoder = _decoder_of([self._item], coerce)

    def read(self, texts: pa.Array, spot: _Spot, notes: _Notes) -> pa.Array:
        """The arrays; see _ValueReader."""
        is_array = pc.starts_with(texts, "[")
        notes.refuse_all_but(texts, is_array, spot, "an array")
        present = pc.fill_null(is_array, fill_value=False)
        items: list[msgspec.Raw] = []
        bounds = [0]
        for at, text in enumerate(pc.if_else(present, texts, None).to_pylist()):
            if text is not None:
                try:
                    items += _ITEMS.decode(text)
                except msgspec.DecodeError as error:
                    notes.refuse(spot, at, "not_json", "JSON", f"{shown(text.encode())} ({error})")
            bounds.append(len(items))
        values = self._read(items, _Spot(above=spot, bounds=bounds), notes)
        kind = pa.LargeListArray if pa.types.is_large_list(self.arrow) else pa.ListArray
        return kind.from_arrays(bounds, values, type=self.arrow, mask=pc.invert(present))

    def _read(self, items: Sequence[msgspec.Raw], spot: _Spot, notes: _Notes) -> pa.Array:
        if not items:
            return pa.array([], self.arrow.value_type)
        decoded = self._decoder.decode_values(_ITEM, items)
        kept = _noted(decoded, pa.repeat(pa.scalar(value=True), len(items)), spot, notes, prefix=f"$.{_ITEM}")
        return self._item.read(_spread(decoded.rows[self._item.column.name].combine_chunks(), kept), spot, notes)


def _texts(values: pa.Array) -> pa.Array:
    """JSON texts that begin where the value does, and have no end of line."""
    texts = pc.ascii_ltrim_whitespace(values.cast(pa.large_string()))
    return pc.replace_substring(texts, "\n", " ") if pc.any(pc.match_substring(texts, "\n")).as_py() else texts


def _noted(decoded: Decoded, present: pa.Array, spot: _Spot, notes: _Notes, *, prefix: str) -> pa.Array:
    """Which of the values came through, of those that were present; what is wrong with the others is noted.

    `prefix` is the JSON path that a value had when it was decoded.
    """
    is_noted = decoded.refused or decoded.inexact or decoded.coerced
    positions = pc.indices_nonzero(present) if is_noted else pa.nulls(0)

    def note(found: dict[str, _N], here: Mapping[str, _N]) -> None:
        for name, noted in here.items():
            within = json_path((name[1:],)).removeprefix(prefix)
            notes.note(found, noted, spot, within, positions[noted.first_line - 1].as_py())

    note(notes.inexact, decoded.inexact)
    note(notes.coerced, decoded.coerced)
    for refused in decoded.refused:
        at = positions[refused.line - 1].as_py()
        for each in refused.violations:
            notes.refuse(spot, at, each.code, each.expected, each.got, each.path.removeprefix(prefix).removeprefix("$"))
    if not decoded.refused:
        return present
    lines = pa.array([refused.line for refused in decoded.refused], pa.int64())
    is_refused = pc.is_in(_numbered(present), value_set=lines)
    return pc.and_(present, pc.invert(is_refused))


def _numbered(present: pa.Array) -> pa.Array:
    """The values that are present, counted from 1."""
    return pc.cumulative_sum(present.cast(pa.int64()))


def _spread(values: pa.Array, kept: pa.Array) -> pa.Array:
    """The values at the positions that are kept, nulls at the others."""
    if len(values) == len(kept):
        return values
    return values.take(pc.if_else(kept, pc.subtract(_numbered(kept), 1), None))
