"""What a table lacks for a stream's rows, and which of its columns takes each column of the stream."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from msgspec import Struct, field, structs

from tailrace.errors import SchemaError
from tailrace.model import ARROW, Column, Fill, Kind, Method, Stream, Traits
from tailrace.schema.keys import folded, other_key, spelled
from tailrace.schema.kinds import FITS, INT_DIGITS, MAX_DIGITS, SPELLED_VARIOUSLY, WIDENINGS
from tailrace.schema.names import fitted
from tailrace.schema.nested import NestedConflictError, grown, nested_of, nested_text

_KEYED = frozenset({Method.UPSERT, Method.INSERT_IGNORE})


class TableColumn(Struct, frozen=True):
    """A column that a destination's table has.

    `kind` is None for a type that tailrace doesn't know. A DECIMAL of `precision` 0 has no limit. `sql_type` is the
    destination's own spelling. `has_default` says that rows may leave the column out though it isn't nullable.
    `nested` says of JSON that is structs and lists what these are, as `schema.nested` writes it. `pinned` names what
    keeps the column from being altered (`the view v`), if anything does.
    """

    name: str
    kind: Kind | None
    precision: int = 0
    scale: int = 0
    nullable: bool = True
    sql_type: str = ""
    has_default: bool = False
    nested: str | None = None
    pinned: str = ""

    @classmethod
    def of(cls, column: Column, name: str | None = None) -> TableColumn:
        """A new nullable column for a stream's column, under another name if one is given."""
        nested = nested_text(nested_of(column.nested).of_table) if column.nested else None
        spelled = column.sql_type or ""
        return cls(name or column.name, column.kind, column.precision, column.scale, sql_type=spelled, nested=nested)

    @property
    def spelling(self) -> str:
        """The kind as text, with the digits of a decimal; the destination's own type if the kind is unknown."""
        if self.nested:
            return nested_of(self.nested).spelling
        if self.kind is Kind.DECIMAL and self.precision:
            return f"DECIMAL({self.precision},{self.scale})"
        return self.kind.value if self.kind else self.sql_type or "a type that tailrace doesn't know"

    @property
    def arrow(self) -> pa.DataType | None:
        """The Arrow type of its values; None if the kind is unknown or has more digits than Arrow's decimals."""
        if self.nested:
            return nested_of(self.nested).arrow
        if self.kind is Kind.DECIMAL:
            is_held = 0 < self.precision <= MAX_DIGITS
            return pa.decimal128(self.precision, self.scale) if is_held else None
        return ARROW[self.kind] if self.kind else None


class Widening(Struct, frozen=True):
    """A column of the table that gets a wider type in place."""

    have: TableColumn
    want: TableColumn


class Fit(Struct, frozen=True):
    """How to alter a table for a stream, and where the stream's columns go then.

    `add` are new columns under their names in the table. `relax` are columns of the table that must lose NOT NULL.
    `targets` maps each loaded column of the stream to the table's, as it is after the changes; `dropped` are the
    stream's columns that are left out under `contract: discard_columns`. `cleared` are the table's columns that earlier
    values of the stream's columns went into, by their kinds: a row that gets a new value has none there.
    """

    add: tuple[Column, ...] = ()
    widen: tuple[Widening, ...] = ()
    relax: tuple[str, ...] = ()
    targets: Mapping[str, TableColumn] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()

    @property
    def is_change(self) -> bool:
        """Whether the table has to be altered."""
        return bool(self.add or self.widen or self.relax)


class _Choice(Struct, frozen=True):
    """The column of the table for one column of the stream, and what that takes."""

    target: TableColumn
    have: TableColumn | None = None
    add: Column | None = None
    widening: Widening | None = None


class _Table(Struct, frozen=True):
    """The table's columns for one stream, and what may be done to them."""

    have: Mapping[str, TableColumn]
    stream: Stream
    traits: Traits
    alterable: Collection[tuple[Kind, Kind]]

    def folded(self, name: str) -> str:
        return name if self.traits.case_sensitive else name.lower()

    def column(self, name: str) -> TableColumn | None:
        return self.have.get(self.folded(name))

    def choice(self, column: Column) -> _Choice:
        """The column of that name, widened if needed; else one beside it; else a new one."""
        there = self.column(column.name)
        if there is None:
            return _added(column, column.name, None)
        placed = self._in(column, there)
        if placed is not None and placed.widening and column.name in self.stream.key and _is_respelled(placed.widening):
            raise self._refusal(column, there, "is of the key, whose values have no one spelling as text")
        if placed is not None:
            return placed
        if column.name in needed(self.stream):
            held = f" while {there.pinned} stands on it" if there.pinned else " in place"
            raise self._refusal(column, there, f"can't be altered{held}, and rows are told apart by it")
        name = beside(column.name, column.kind, self.traits)
        other = self.column(name)
        placed = self._in(column, other) if other else None
        if placed is None and other and self.stream.contract == "evolve":
            raise self._refusal(column, other, "can't be altered in place")
        return placed or _added(column, name, there)

    def _in(self, column: Column, there: TableColumn) -> _Choice | None:
        if _is_held(column, there):
            return _Choice(there, there)
        wider = self._grown(column, there) if there.nested else _widened(column, there)
        if wider == there:
            return _Choice(there, there)
        if wider is None or there.pinned or (there.kind, wider.kind) not in self.alterable:
            return None
        return _Choice(wider, there, widening=Widening(there, wider))

    def _grown(self, column: Column, there: TableColumn) -> TableColumn | None:
        """The table's structs with the stream's fields added; None if the stream has no structs."""
        if column.nested is None or there.nested is None:
            return None
        try:
            nested = grown(nested_of(there.nested), nested_of(column.nested), there.name)
        except NestedConflictError as conflict:
            if self.stream.contract != "evolve":
                return None
            have, want = conflict.have.spelling, conflict.want.spelling
            raise SchemaError(
                f"the table {self.stream.table} has {conflict.path!r} as {have}, the stream wants {want}, and what is "
                f"within structs and lists only gains fields; set another kind for the field, or for the whole column, "
                f"under `columns:`, or `nested: json`",
                stream=self.stream.name,
                column=column.name,
                have=have,
                want=want,
            ) from conflict
        return structs.replace(there, nested=nested_text(nested))

    def _refusal(self, column: Column, there: TableColumn, reason: str) -> SchemaError:
        return SchemaError(
            f"the table {self.stream.table} has {there.name!r} as {there.spelling}, the stream wants "
            f"{column.spelling}, and the column {reason}; alter it to {column.spelling} yourself, "
            f"or set another kind under `columns:`",
            stream=self.stream.name,
            column=column.name,
            have=there.spelling,
            want=column.spelling,
        )


def changes(
    have: Sequence[TableColumn],
    stream: Stream,
    traits: Traits,
    alterable: Collection[tuple[Kind, Kind]],
    key: Sequence[str] | None = None,
    constraint: str = "",
) -> Fit:
    """How to alter the table with the columns `have` so that it takes the stream's rows.

    `alterable` are the (from, to) kinds that the destination alters in place, losing nothing; (DECIMAL, DECIMAL) is
    more digits. `key` is the table's key, None when it isn't known, and `constraint` what it is called. Raises
    SchemaError where the table can't be made to fit, or mustn't be by the stream's contract.
    """
    named = {(c.name if traits.case_sensitive else c.name.lower()): c for c in have}
    table = _Table(named, stream, traits, alterable)
    _refuse_new_key(table, key, constraint)
    chosen: dict[str, _Choice] = {}
    dropped: list[str] = []
    for column in stream.columns:
        choice = table.choice(column)
        is_change = choice.add is not None or choice.widening is not None
        if is_change and stream.contract != "evolve":
            _refuse_change(column, choice, stream)
            dropped.append(column.name)
        else:
            chosen[column.name] = choice
    if not chosen:
        raise SchemaError(
            f"the table {stream.table} has none of the stream's columns, and `contract: discard_columns` adds none; "
            "alter the table, set `contract: evolve`, or skip the stream with `select: false`",
            stream=stream.name,
        )
    _refuse_shared(table, chosen)
    relax = _relaxed(table, chosen, key or ())
    return Fit(
        add=tuple(choice.add for choice in chosen.values() if choice.add),
        widen=tuple(choice.widening for choice in chosen.values() if choice.widening),
        relax=relax,
        targets={
            name: structs.replace(choice.target, nullable=True) if choice.target.name in relax else choice.target
            for name, choice in chosen.items()
        },
        dropped=tuple(dropped),
        cleared=tuple(_cleared(table, chosen, relax)),
    )


def _cleared(table: _Table, chosen: Mapping[str, _Choice], relaxed: Collection[str]) -> Iterator[str]:
    """The table's columns that hold the stream's earlier values, of another kind than the new ones."""
    taken = {table.folded(choice.target.name) for choice in chosen.values()}
    if taken >= table.have.keys():
        return
    for name in chosen:
        named = {beside(name, kind, table.traits): kind for kind in Kind} | {name: None}
        for other, kind in named.items():
            there = table.column(other)
            # Some databases have no type for some kinds but text.
            is_of_kind = there is not None and (kind is None or there.kind in {kind, Kind.TEXT, None})
            if there and is_of_kind and table.folded(other) not in taken and (there.nullable or there.name in relaxed):
                yield there.name


def beside(name: str, kind: Kind, traits: Traits) -> str:
    """The column beside that one, for values of a kind that it can't hold."""
    return fitted(f"{name}__{kind.lower()}", traits.max_name_length)


def needed(stream: Stream) -> frozenset[str]:
    """The columns that loading depends on, which can be neither renamed nor left out."""
    asked = stream.deletions if stream.hard_delete else ()
    metadata = (stream.filled_with(Fill.TABLE_VERSION), stream.deletion, *asked)
    return frozenset({*stream.key, *(column.name for column in metadata if column)})


def _added(column: Column, name: str, have: TableColumn | None) -> _Choice:
    return _Choice(TableColumn.of(column, name), have, add=replace(column, name=name, nullable=True, required=False))


def _is_held(column: Column, there: TableColumn) -> bool:
    """Whether the table's column takes the values unaltered; a type set by hand always does, as any takes nulls."""
    if column.is_empty:
        return True
    if there.nested:
        return False
    if there.kind is None or column.sql_type is not None or there.kind in FITS[column.kind]:
        return True
    if column.kind is Kind.DECIMAL and there.kind is Kind.DECIMAL and there.precision:
        return column.scale <= there.scale and column.precision - column.scale <= there.precision - there.scale
    return column.kind is there.kind


def _is_respelled(widening: Widening) -> bool:
    """Whether values would become text that taps may spell in several ways, so that keys would differ."""
    have, want = widening.have, widening.want
    is_whole = have.kind is Kind.DECIMAL and have.scale == 0 and have.precision > 0
    return want.kind in (Kind.TEXT, Kind.JSON) and have.kind in SPELLED_VARIOUSLY and not is_whole


def _widened(column: Column, there: TableColumn) -> TableColumn | None:
    """The type that holds both the column's values and the stream's; None if there is none."""
    if there.kind is None or column.kind not in WIDENINGS[there.kind]:
        return None
    precision = scale = 0
    if column.kind is Kind.DECIMAL:
        before = INT_DIGITS if there.kind is Kind.INT else there.precision - there.scale
        scale = max(column.scale, there.scale)
        precision = max(column.precision - column.scale, before) + scale
        if precision > MAX_DIGITS:
            return None
    return structs.replace(there, kind=column.kind, precision=precision, scale=scale, sql_type="")


def _refuse_new_key(table: _Table, key: Sequence[str] | None, constraint: str) -> None:
    """Raise SchemaError if the table has another key than the stream."""
    stream, traits = table.stream, table.traits
    if not table.have or stream.method is Method.REPLACE:
        return
    wanted, columns = folded(stream.key, traits), folded([column.name for column in stream.columns], traits)
    if stream.method in _KEYED:
        if key is None and not wanted <= table.have.keys():
            missing = next(name for name in stream.key if table.folded(name) not in table.have)
            raise SchemaError(
                f"the table {stream.table} has no column {missing!r}, which is in the stream's key "
                f"{spelled(stream.key)}; add it with its values, or set `key_properties` to columns that are there",
                stream=stream.name,
                column=missing,
                have="no such column",
                want=spelled(stream.key),
            )
        is_other = key is not None and wanted != folded(key, traits)
    else:
        # Rows that are appended may leave a key of their table's to the database, but not fill it as they like.
        is_other = key is not None and wanted != folded(key, traits) <= columns
    if is_other:
        raise other_key(stream, key or (), traits, f"the table {stream.table} has the former", constraint)


def _refuse_change(column: Column, choice: _Choice, stream: Stream) -> None:
    """Raise SchemaError if the contract is freeze, or the column can't be left out."""
    is_needed = column.name in needed(stream)
    if stream.contract == "discard_columns" and not is_needed:
        return
    have = choice.have.spelling if choice.have else "no such column"
    want = choice.target.spelling if column.nested else column.spelling
    reason = ", and rows are told apart by this column" if stream.contract == "discard_columns" else ""
    raise SchemaError(
        f"the table {stream.table} has {have}, the stream wants {want}, and `contract: {stream.contract}` "
        f"leaves the table as it is{reason}; alter the table yourself, set `contract: evolve`, or leave the field "
        f"out with `select: false` under `columns:`",
        stream=stream.name,
        column=column.name,
        have=have,
        want=want,
    )


def _refuse_shared(table: _Table, chosen: Mapping[str, _Choice]) -> None:
    taken: dict[str, str] = {}
    for name, choice in chosen.items():
        target = table.folded(choice.target.name)
        if target in taken:
            raise SchemaError(
                f"the columns {taken[target]!r} and {name!r} would both go into {choice.target.name!r} of the table "
                f"{table.stream.table}; give one another name under `columns:`",
                stream=table.stream.name,
                column=name,
            )
        taken[target] = name


def _relaxed(table: _Table, chosen: Mapping[str, _Choice], key: Sequence[str]) -> tuple[str, ...]:
    """The columns that must become nullable: the stream may send null, or no longer has the column."""
    stream = table.stream
    kept = {table.folded(name) for name in (*stream.key, *key)}
    taken = {table.folded(choice.target.name): name for name, choice in chosen.items()}
    relaxed = []
    for name, there in table.have.items():
        if there.nullable or name in kept:
            continue
        column = stream.column(taken[name]) if name in taken else None
        if column is None and there.has_default:
            continue
        if column is None or column.nullable or not column.required:
            if stream.contract == "evolve":
                relaxed.append(there.name)
            elif column is None:
                raise SchemaError(
                    f"the table {stream.table} has the column {there.name!r}, which is NOT NULL and which the stream "
                    f"doesn't have, and `contract: {stream.contract}` leaves the table as it is; let it be null, or "
                    "give it a default",
                    stream=stream.name,
                    column=there.name,
                    have=f"{there.spelling} NOT NULL",
                    want="no such column",
                )
    return tuple(relaxed)
