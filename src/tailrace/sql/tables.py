"""A stream's table: what it has, what it needs, and which of its columns takes each of the stream's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, structs

from tailrace.errors import SchemaError
from tailrace.model import LINE, Column, Kind, Method, Stream, TableName, Traits
from tailrace.schema.evolve import Fit, TableColumn, changes
from tailrace.sql.catalogs import query_of
from tailrace.sql.design import PLAIN, Design, design_of, require_known
from tailrace.sql.dialect import Ddl
from tailrace.sql.digits import refuse_digits
from tailrace.sql.found import Found, Problem
from tailrace.sql.generated import IDENTITY, refuse_generated, without_generated
from tailrace.sql.keys import noted
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements
from tailrace.sql.table_checks import refuse_long_key, refuse_problems, refuse_unkeyable
from tailrace.sql.types import with_plain_types

_SHOWN_COLUMN = 4
"""Where SHOW PRIMARY KEYS has the name of the column."""


class Place(Struct, frozen=True):
    """Where a stream's rows go: the table, its column for each loaded one of the stream's, and its other columns.

    `cleared` are columns that have no value in rows that get new ones; see Fit. They aren't among the `others`.
    `is_unique` says that the table itself holds rows apart by the stream's key. `into` is the table that takes all rows
    of this one in the end, in the place of its own. `partition` is as in Found.
    """

    table: TableName
    targets: Mapping[str, TableColumn]
    others: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    is_unique: bool = False
    into: TableName | None = None
    partition: str = ""

    @property
    def columns(self) -> list[str]:
        """The names of the table's columns that are loaded."""
        return [target.name for target in self.targets.values()]

    def key(self, stream: Stream) -> list[str]:
        """The table's columns that the stream's key stands in."""
        return [self.targets[name].name for name in stream.key]

    def name(self, column: Column | None) -> str | None:
        """The table's column for one of the stream's; None when it isn't loaded."""
        target = self.targets.get(column.name) if column else None
        return target.name if target else None


class Tables:
    """Reads the tables of one database and says what makes them fit. `schema` is the default one.

    `stages_all` says that the rows of every stream wait in a table that has their line too.
    """

    def __init__(
        self,
        statements: Statements,
        traits: Traits,
        schema: str | None,
        designs: Mapping[str, Design] | None = None,
        *,
        stages_all: bool = False,
    ) -> None:
        self._statements = statements
        self._dialect = statements.dialect
        self._traits = traits
        self._schema = schema
        self._stages_all = stages_all
        self._designs = designs or {}
        require_known(self._designs, self._dialect.designs, traits.name)

    def named(self, stream: Stream) -> TableName:
        """The stream's table, in the schema that it stands in; raises where the stream can't have one."""
        with_plain_types(self._dialect, stream)
        table = stream.table
        if table.schema and not self._dialect.catalog.schemas:
            raise SchemaError(
                f"{self._traits.name} has no schemas, and the table is {table}; leave `schema` unset, or put it into "
                "the table's name with `table:`",
                stream=stream.name,
            )
        return TableName(table.name, table.schema or self._schema)

    def schemas(self, session: Session, schema: str | None) -> list[str]:
        """CREATE SCHEMA, where the schema isn't there: even IF NOT EXISTS takes the right to make schemas."""
        if not schema or not self._dialect.catalog.schemas or session.query(self._dialect.catalog.schemas, (schema,)):
            return []
        return [self._statements.create_schema(schema)]

    def exists(self, session: Session, table: TableName) -> bool:
        """Whether there is a table of that name."""
        catalog = self._dialect.catalog
        return bool(query_of(session, catalog.exists or catalog.columns, table))

    def layout(self, session: Session, table: TableName) -> tuple[str, str]:
        """The column that a table is parted by, and all of its layout; empty where there is none that matters."""
        rows = query_of(session, self._dialect.catalog.layout, table) if self._dialect.catalog.layout else ()
        return (str(rows[0][0] or ""), str(rows[0][1])) if rows else ("", "")

    def found(self, session: Session, table: TableName) -> Found | None:
        """What the database has under that name, None if nothing.

        Where a statement shows the key, its rows are those columns in order; a key that is shown isn't enforced.
        """
        rows = query_of(session, self._dialect.catalog.columns, table)
        if not rows:
            return None
        columns = []
        key = {}
        note: tuple[str, ...] | None = None
        constraint = ""
        generated = {str(name): str(what) for name, *_, what in rows if what}
        for name, sql_type, nullable, has_default, place, comment, constrained, what in rows:
            if what and what != IDENTITY:
                continue
            kind, precision, scale = self._dialect.kind_of(str(sql_type))
            columns.append(
                TableColumn(str(name), kind, precision, scale, bool(nullable), str(sql_type), bool(has_default))
            )
            note = noted(comment)
            if place:
                key[place] = str(name)
                constraint = str(constrained)
        if shown := self._statements.show_key(table):
            key = dict(enumerate(str(row[_SHOWN_COLUMN]) for row in session.query(shown)))
        asked = self._dialect.catalog.problems
        problems = [Problem(*map(str, row)) for row in query_of(session, asked, table)] if asked else []
        known = tuple(key[place] for place in sorted(key, key=str)) or note
        partition, _ = self.layout(session, table)
        return Found(tuple(columns), known, constraint, generated, tuple(problems), partition)

    def examined(self, session: Session, table: TableName, stream: Stream) -> Found | None:
        """What the database has under that name; where the stream would have a column altered, with what pins it.

        Raises SchemaError where the name is that of something that takes no rows, the table would have more columns
        than it can, or NOT NULL would be dropped and can't be.
        """
        found = self.found(session, table)
        stream = with_plain_types(self._dialect, stream)
        self.require_room(session, stream, table, found)
        fit = self._fit(found, stream) if found and self._dialect.catalog.pins else Fit()
        if found is None or not (fit.widen or fit.relax):
            return found
        pins = [
            (name and str(name), str(what), str(matters))
            for name, what, matters in query_of(session, self._dialect.catalog.pins, table)
        ]
        for name in fit.relax:
            if held := [what for of, what, matters in pins if matters == "null" and of in (None, name)]:
                raise SchemaError(
                    f"the column has to lose NOT NULL in the table {table}, since the stream may have null or has no "
                    f"such column any more, and {held[0]} is in the way; drop that, and make it anew afterwards",
                    stream=stream.name,
                    column=name,
                )
        decimals = {widening.have.name for widening in fit.widen if widening.want.kind is Kind.DECIMAL}
        return structs.replace(found, columns=tuple(_pinned(column, pins, decimals) for column in found.columns))

    def require_room(self, session: Session, stream: Stream, table: TableName, found: Found | None = None) -> None:
        """Raise SchemaError where no table of that name can take the stream: see `others` and `max_columns`."""
        if other := query_of(session, self._dialect.catalog.others, table) if self._dialect.catalog.others else ():
            raise SchemaError(
                f"its table would be {table}, and there is {other[0][0]} of that name, which takes no rows; set "
                "another `table:` for it under `streams:`, or drop what is there",
                stream=stream.name,
            )
        if found and (generated := self._filled(found, stream)):
            refuse_generated(stream, generated, table, self._traits)
        fit = self._fit(found, stream) if found else Fit(add=stream.columns)
        new: list[Column | TableColumn] = [*fit.add, *(widening.want for widening in fit.widen)]
        refuse_digits(session, self._dialect, self._traits, stream, table, new)
        count = len(found.columns if found else ()) + len(fit.add)
        is_staged = self._stages_all or stream.waits_for_commit or stream.method is Method.REPLACE
        limit = self._dialect.max_columns - is_staged
        if self._dialect.max_columns and count > limit:
            raise SchemaError(
                f"the table {table} would have {count:,} columns, and {self._traits.name} has tables of "
                f"{self._dialect.max_columns:,}{', one of which tailrace takes to load it' if is_staged else ''}; "
                "leave some out (`select: false` under `columns:`), or keep objects whole (`nested: json`)",
                stream=stream.name,
                have=f"{limit} columns",
                want=f"{count} columns",
            )

    def statements(self, found: Found | None, stream: Stream, table: TableName) -> list[str]:
        """What makes the table fit the stream. Raises SchemaError where nothing does."""
        statements, stream = self._statements, with_plain_types(self._dialect, stream)
        if found is None:
            return self._creation(stream, table)
        fit = self._fit(found, stream)
        refuse_problems(statements, found, fit, stream, table)
        refuse_long_key(statements, found, fit, stream, table)
        if generated := self._filled(found, stream):
            refuse_generated(stream, generated, table, self._traits)
        changed = statements.add_columns(table, [_table_column(column) for column in fit.add])
        changed += [statements.alter_type(table, widening.want) for widening in fit.widen]
        if self._dialect.relaxes:
            widened = {widening.have.name: widening.want for widening in fit.widen}
            relaxed = [widened.get(column.name, column) for column in found.columns if column.name in fit.relax]
            changed += [statements.drop_not_null(table, column) for column in relaxed]
        return changed

    def made(self, stream: Stream) -> Found | None:
        """What a table is that the statements have just made for the stream; None where that must be looked up."""
        stream = with_plain_types(self._dialect, stream)
        is_plain = design_of(self._designs, stream) is PLAIN and not any(column.sql_type for column in stream.columns)
        if not (self._dialect.shows_types_as_made and is_plain):
            return None
        unique = stream.key if stream.method is not Method.APPEND and not self._dialect.keeps_key_in_comment else ()
        key = stream.key if stream.method is not Method.APPEND else ()
        columns = []
        for column in stream.columns:
            sql_type = self._dialect.spelled(column)
            kind, precision, scale = self._dialect.kind_of(sql_type)
            columns.append(TableColumn(column.name, kind, precision, scale, column.name not in key, sql_type))
        return Found(tuple(columns), stream.key, "PRIMARY KEY" if unique else "")

    def indexes(self, stream: Stream, table: TableName) -> list[str]:
        """What makes the indexes of a new table."""
        columns = {column.name: _table_column(column) for column in stream.columns}
        asked = design_of(self._designs, stream).indexes
        return [self._statements.create_index(table, [columns[name] for name in names]) for names in asked]

    def late_indexes(self, stream: Stream, table: TableName) -> list[str]:
        """What makes them once the table has taken another's place: some databases rename no table that has any."""
        return self.indexes(stream, table) if self._are_indexed_later(stream) else []

    def resume_layout(self, stream: Stream, table: TableName) -> list[str]:
        """What keeps the table in the stream's layout once it has taken the place of another."""
        return self._statements.resume_layout(table, design_of(self._designs, stream))

    def place(self, found: Found, stream: Stream, table: TableName) -> Place:
        """Where the stream's rows go in a table that fits."""
        stream = with_plain_types(self._dialect, stream)
        have, fit = {column.name: column for column in found.columns}, self._fit(found, stream)
        targets = {name: have.get(target.name, target) for name, target in fit.targets.items()}
        taken = {target.name for target in targets.values()}
        others = tuple(name for name in have if name not in {*taken, *fit.cleared})
        return Place(table, targets, others, fit.cleared, is_unique=bool(found.constraint), partition=found.partition)

    def loaded(self, found: Found, stream: Stream) -> frozenset[str]:
        """The stream's columns that its contract lets into the table."""
        return frozenset(self._fit(found, stream).targets)

    def staging(self, place: Place, table: TableName, *, temporary: bool = False, unlogged: bool = False) -> str:
        """CREATE TABLE of a table that takes a stream's rows and refuses the types its table would."""
        return create_staging(self._statements, place, table, temporary=temporary, unlogged=unlogged)

    def recast(self, found: Found, place: Place, staging: TableName) -> tuple[Place, list[str]]:
        """The place in its table as that is now, and what makes a staging table fit that was made for it before.

        Values in staging go the way of those in the table: where they go doesn't change, but a column may be wider.
        """
        have = {column.name: column for column in found.columns}
        targets = {name: have.get(target.name, target) for name, target in place.targets.items()}
        wider = [
            self._statements.alter_type(staging, target)
            for name, target in targets.items()
            if self._dialect.spelled(target) != self._dialect.spelled(place.targets[name])
        ]
        taken = {*place.cleared, *(target.name for target in targets.values())}
        others = tuple(name for name in have if name not in taken)
        return structs.replace(place, targets=targets, others=others), wider

    def _are_indexed_later(self, stream: Stream) -> bool:
        return stream.method is Method.REPLACE and self._dialect.ddl is not Ddl.OUTSIDE

    def _filled(self, found: Found, stream: Stream) -> dict[str, str]:
        """The table's columns that take no values by the way in which the stream's rows come."""
        is_copied = not self._stages_all and stream.method is Method.APPEND and not stream.versioned
        return {name: what for name, what in found.generated.items() if what != IDENTITY or not is_copied}

    def _fit(self, found: Found, stream: Stream) -> Fit:
        stream = without_generated(stream, self._filled(found, stream), self._traits)
        fit = changes(found.columns, stream, self._traits, self._dialect.alterable, found.key, found.constraint)
        taken = {target.name for target in fit.targets.values()}
        missing = [name for name in fit.relax if name not in taken]
        if missing and not self._dialect.relaxes:
            raise SchemaError(
                f"the table {stream.table} has the column {missing[0]!r}, which is NOT NULL, has no default, and isn't "
                f"in the stream; {self._traits.name} can't alter that, so make the table anew without it",
                stream=stream.name,
                column=missing[0],
            )
        return fit

    def _creation(self, stream: Stream, table: TableName) -> list[str]:
        refuse_unkeyable(self._dialect, stream, table, self._traits)
        key = stream.key if stream.method is not Method.APPEND else ()
        columns = [_table_column(column, nullable=column.name not in key) for column in stream.columns]
        design = design_of(self._designs, stream)
        indexes = self.indexes(stream, table) if not self._are_indexed_later(stream) else []
        if key and not self._dialect.keeps_key_in_comment:
            return [self._statements.create_table(table, columns, key, design), *indexes]
        return [*self._statements.create_noted(table, columns, stream.key, design), *indexes]


def _pinned(column: TableColumn, pins: Iterable[tuple[object, str, str]], decimals: Collection[str]) -> TableColumn:
    """The column, with what keeps it from being altered; `decimals` are those that become decimals."""
    of = [what for name, what, matters in pins if name in (None, column.name) and matters != "text"]
    texts = [what for name, what, matters in pins if name in (None, column.name) and matters == "text"]
    return structs.replace(column, pinned=", ".join(of if column.name in decimals else of + texts))


def _table_column(column: Column, *, nullable: bool = True) -> TableColumn:
    return TableColumn(
        column.name, column.kind, column.precision, column.scale, nullable=nullable, sql_type=column.sql_type or ""
    )


def create_staging(
    statements: Statements, place: Place, table: TableName, *, temporary: bool = False, unlogged: bool = False
) -> str:
    """CREATE TABLE of a table that takes the rows of a place and refuses the types its table would."""
    key = (LINE,) if not statements.dialect.keeps_key_in_comment and not unlogged else ()
    columns = [*place.targets.values(), TableColumn(LINE, Kind.INT, nullable=False)]
    return statements.create_table(table, columns, key, temporary=temporary, unlogged=unlogged)
