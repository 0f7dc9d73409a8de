"""Tables to be put in the place of others, remembered by a commit for databases where DDL ends a transaction."""

from __future__ import annotations

from contextlib import suppress

from sqlglot import exp

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
        for new, table in self._decided(session, pipeline):
            try:
                if self._tables.exists(session, new):
                    self._exchange(session, new, table)
            except DestinationError:
                if self._tables.exists(session, new):  # otherwise another run has done it just now
                    raise
            done = exp.and_(_is_given("pipeline"), _is_given("new_name"))
            sql = self._statements.written(exp.Delete(this=self._source(), where=exp.Where(this=done)))
            session.execute(sql, (pipeline, new.name))

    def finish_unnamed(self, session: Session) -> None:
        """Do what commits of runs without a pipeline have decided, as far as that goes: no later run has their name."""
        pipelines = exp.select(exp.column("pipeline", quoted=True)).distinct().from_(self._source())
        for (pipeline,) in session.query(self._statements.written(pipelines)):
            if is_unnamed(str(pipeline)):
                with suppress(DestinationError):
                    self.finish(session, str(pipeline))

    def _decided(self, session: Session, pipeline: str) -> list[tuple[TableName, TableName]]:
        rows = exp.select(*(exp.column(name, quoted=True) for name in _NAMES[1:])).from_(self._source())
        found = session.query(self._statements.written(rows.where(_is_given("pipeline"))), (pipeline,))
        return [
            (TableName(str(new), _text(new_schema)), TableName(str(name), _text(schema)))
            for new_schema, new, schema, name in found
        ]

    def _exchange(self, session: Session, new: TableName, table: TableName) -> None:
        if not self._tables.exists(session, table):
            session.execute(self._statements.rename_table(new, table.name))
            return
        for sql in self._statements.exchange_tables(new, table, TableName(f"{new.name}_old", new.schema)):
            session.execute(sql)

    def _source(self) -> exp.Table:
        return exp.table_(TABLE, db=self.table.schema, quoted=True)


def _is_given(name: str) -> exp.EQ:
    return exp.EQ(this=exp.column(name, quoted=True), expression=exp.Placeholder())


def _text(value: object) -> str | None:
    return None if value is None else str(value)
