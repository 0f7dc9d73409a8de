"""Tables to be put in the place of others, remembered by a commit for databases where DDL ends a transaction."""

from __future__ import annotations

from contextlib import suppress

from msgspec import Struct

from tailrace.errors import DestinationError
from tailrace.model import Kind, TableName
from tailrace.pipelines import is_unnamed
from tailrace.schema.evolve import TableColumn
from tailrace.sql.session import Session
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Tables

TABLE = "_tailrace_exchanges"
"""The name of the table, in the destination's default schema."""

_NAMES = ("pipeline", "new_schema", "new_name", "schema", "name")
_KEY = ("pipeline", "new_name")


class Exchange(Struct, frozen=True):
    """A commit of the pipeline has decided that the new table takes the place of the table."""

    pipeline: str
    new: TableName
    table: TableName


class Exchanges:
    """One database's table of exchanges: what a pipeline's commit has decided, and a crash may have left undone."""

    def __init__(self, statements: Statements, tables: Tables, schema: str | None) -> None:
        self.table = TableName(TABLE, schema)
        self._statements = statements
        self._tables = tables

    @property
    def create(self) -> str:
        """CREATE TABLE, unless it exists."""
        columns = [TableColumn(name, Kind.TEXT, nullable=name not in _KEY) for name in _NAMES]
        return self._statements.create_table(self.table, columns, _KEY, exists=True)

    def add(self, session: Session, pipeline: str, new: TableName, table: TableName) -> None:
        """Remember, with the open transaction, that the new table takes the place of the table."""
        sql = self._statements.insert_values(self.table, _NAMES)
        session.execute(sql, (pipeline, new.schema, new.name, table.schema, table.name))

    def finish(self, session: Session, pipeline: str) -> None:
        """Do what the pipeline's commits have decided. Repeatable: what a crash has left is done the next time."""
        for decided in self._decided(session, pipeline):
            self._finish(session, decided)

    def recover(self, session: Session, pipeline: str) -> None:
        """Do what the pipeline's commits have decided, and those of runs without a pipeline.

        No later run has the name of such a run: what it has left is done as far as that goes.
        """
        for decided in self._decided(session):
            if decided.pipeline == pipeline:
                self._finish(session, decided)
            elif is_unnamed(decided.pipeline):
                with suppress(DestinationError):
                    self._finish(session, decided)

    def _decided(self, session: Session, pipeline: str | None = None) -> list[Exchange]:
        """What the pipeline's commits have decided, or those of all."""
        given = {} if pipeline is None else {"pipeline": pipeline}
        sql = self._statements.select_given(self.table, _NAMES, [*given])
        return [
            Exchange(str(of), TableName(str(new), _text(new_schema)), TableName(str(name), _text(schema)))
            for of, new_schema, new, schema, name in session.query(sql, [*given.values()])
        ]

    def _finish(self, session: Session, decided: Exchange) -> None:
        new, table = decided.new, decided.table
        try:
            if self._tables.exists(session, new):
                self._exchange(session, new, table)
        except DestinationError:
            if self._tables.exists(session, new):  # otherwise another run has done it just now
                raise
        session.execute(self._statements.delete_given(self.table, _KEY), (decided.pipeline, new.name))

    def _exchange(self, session: Session, new: TableName, table: TableName) -> None:
        is_there = self._tables.exists(session, table)
        if is_there and self._tables.layout(session, new)[1] != self._tables.layout(session, table)[1]:
            session.execute(self._statements.drop_table(table))
            is_there = False
        if not is_there:
            session.execute(self._statements.rename_table(new, table.name))
            return
        for sql in self._statements.exchange_tables(new, table, TableName(f"{new.name}_old", new.schema)):
            session.execute(sql)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
