"""Where each stream's rows go, in tables that are made, or altered, for them when need be."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from tailrace.errors import DestinationError
from tailrace.model import Method, Published, Stream, TableName, Traits
from tailrace.schema.keys import Keys
from tailrace.schema.names import digest
from tailrace.schema.owners import Owners
from tailrace.schema.plans import ByPlan
from tailrace.schema.steps import as_replaced
from tailrace.sql import keeping
from tailrace.sql.alterations import Alterations
from tailrace.sql.checkpoints import prefix
from tailrace.sql.dialect import Ddl
from tailrace.sql.failures import of_table
from tailrace.sql.publisher import Staging
from tailrace.sql.session import Database
from tailrace.sql.staging import Waiting
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Place, Tables
from tailrace.sql.unit_of_work import UnitOfWork


class Places:
    """The places of a run's streams. Rows of a stream that is replaced go into a table beside the one that is there."""

    def __init__(
        self, work: UnitOfWork, database: Database, statements: Statements, tables: Tables, traits: Traits
    ) -> None:
        self._work = work
        self._database = database
        self._statements = statements
        self._tables = tables
        self._alterations = Alterations(work, database, statements.dialect)
        self._places = ByPlan[Place]()
        self._schemas: set[str] = set()
        self._keys = Keys(traits)
        self._owners = Owners(traits)
        self._pipeline = self._fence = ""

    def begin(self) -> None:
        """Forget everything, since a run begins."""
        self.forget()
        self._keys.begin()
        self._owners.begin()

    def name(self, pipeline: str, fence: str) -> None:
        """Say whose run it is, after which the tables beside others are named."""
        self._pipeline, self._fence = pipeline, fence

    def forget(self) -> None:
        """Look at all tables anew."""
        self._places.clear()
        self._schemas.clear()

    def prepare(self, stream: Stream) -> None:
        """Make the stream's table, or have it fit. One that is replaced is looked at, and altered if it stays."""
        if stream.method is not Method.REPLACE or self._places.get(stream) is not None:
            self.of(stream)
            return
        table = self._accept(stream)
        if self._is_kept(stream):
            self._fitted(stream, table)
        self._tables.require_room(self._work.session, self._replacing(stream), table)

    def of(self, stream: Stream) -> Place:
        """Where the stream's rows go; its table is made, or altered, when need be."""
        if (known := self._places.get(stream)) is not None:
            return known
        table, loaded = self._accept(stream), stream
        if stream.method is Method.REPLACE:
            if self._is_kept(stream):
                return self._place_into(stream, self._fitted(stream, table))
            table, loaded = self._beside(table), self._replacing(stream)
        return self._places.put(stream, self._fitted(loaded, table))

    def holds(self, stream: Stream, place: Place) -> bool:
        """Whether that is still the place of the stream, in a table that is as it was."""
        return self._places.get(stream) is place

    def recast(self, staging: Staging, waiting: Waiting) -> Staging:
        """The staging table for its table as that is now: rows that waited while a column became wider do so too."""
        if self.holds(staging.stream, staging.place):
            return staging
        found = self._tables.found(self._work.session, staging.place.table)
        if found is None:
            raise DestinationError(f"the table {staging.place.table} isn't there; another program may have dropped it")
        place, wider = self._tables.recast(found, staging.place, staging.table)
        if wider:
            create = self._tables.staging(place, staging.table, **waiting.kind)
            waiting.refit(self._work.session, staging, create, wider)
        return structs.replace(staging, place=place)

    def exchange_rows(self, place: Place, table: TableName) -> Published | None:
        """Put the rows of a place in the place of those of a table that stays; None where it doesn't stay."""
        have = self._tables.found(self._work.session, place.table) if place.into else None
        return keeping.exchange_rows(self._work.session, self._statements, place.table, have, table) if have else None

    def drop(self, stream: Stream) -> None:
        """Look at the stream's tables anew, since one of them has changed or is there no more."""
        self._places.drop(stream.name)

    def plan(self, stream: Stream) -> Sequence[str]:
        """The statements that prepare() would run now, and the swap of a replaced table, none of them run."""
        statements, table = self._statements, self._tables.named(stream)
        found, kept, schemas = None, False, []
        if self._database.exists():
            session = self._work.session
            found = self._tables.examined(session, table, stream)
            kept = self._is_kept(stream)
            schemas = self._tables.schemas(session, table.schema)
        if kept or stream.method is not Method.REPLACE:
            exchange = [statements.delete_rows(table)] if kept else []
            return [*schemas, *self._tables.statements(found, stream, table), *exchange]
        beside = self._beside(table)
        exchange = [statements.drop_table(table), statements.rename_table(beside, table.name)]
        if statements.dialect.ddl is Ddl.OUTSIDE and found:
            exchange = statements.exchange_tables(beside, table, TableName(f"{beside.name}_old", beside.schema))
            exchange += self._tables.resume_layout(stream, table)
        made = self._tables.statements(None, stream, beside)
        return [*schemas, *made, *exchange, *self._tables.late_indexes(stream, table)]

    def _accept(self, stream: Stream) -> TableName:
        """The stream's table; raises SchemaError where it or its key can't be the stream's."""
        self._keys.accept(stream)
        table = self._tables.named(stream)
        self._owners.accept(stream, table)
        return table

    def _fitted(self, loaded: Stream, table: TableName) -> Place:
        """Where the stream's rows go in that table, which is made, or altered, when need be."""
        found = self._tables.examined(self._work.session, table, loaded)
        changed = self._tables.statements(found, loaded, table)
        if changed:
            schemas = self._missing_schemas(table) if found is None else ()
            with of_table(self._database.rules, loaded):
                self._alterations.run(table, [*schemas, *changed])
            self.drop(loaded)
            made = self._tables.made(loaded) if found is None else None
            found = made or self._tables.examined(self._work.session, table, loaded)
        if found is None:
            raise DestinationError(f"the table {table} was made and isn't there; another program may have dropped it")
        return self._tables.place(found, loaded, table)

    def _missing_schemas(self, table: TableName) -> list[str]:
        """CREATE SCHEMA of the table's, unless it is known to be there."""
        missing = [] if table.schema in self._schemas else self._tables.schemas(self._work.session, table.schema)
        if table.schema and not missing:
            self._schemas.add(table.schema)
        return missing

    def _is_kept(self, stream: Stream) -> bool:
        """Whether the stream replaces the rows of its table, and not the table."""
        is_replaced = stream.method is Method.REPLACE
        table = self._tables.named(stream)
        return is_replaced and keeping.is_kept(
            self._work.session, self._statements.dialect, self._tables, stream, table
        )

    def _place_into(self, stream: Stream, kept: Place) -> Place:
        """Where rows wait, in columns as they have in the end, until they replace those of a table that is kept."""
        table = self._beside(kept.table)
        found = self._tables.found(self._work.session, table)
        key = kept.key(stream)
        if changed := keeping.refitted(self._statements, table, found, [*kept.targets.values()], key):
            with of_table(self._database.rules, stream):
                self._alterations.run(table, changed)
        return self._places.put(stream, Place(table, kept.targets, is_unique=bool(key), into=kept.table))

    def _replacing(self, stream: Stream) -> Stream:
        """The stream as its new table takes it: what the contract leaves out of the present table isn't in it."""
        found, table = None, self._tables.named(stream)
        if stream.contract != "evolve":
            found = self._tables.found(self._work.session, table)
        return as_replaced(stream, self._tables.loaded(found, stream)) if found else stream

    def _beside(self, table: TableName) -> TableName:
        """The table that is built to replace that one."""
        return TableName(prefix(self._pipeline) + digest(self._fence + str(table)), table.schema)
