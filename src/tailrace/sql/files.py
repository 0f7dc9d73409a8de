"""Rows that wait for their commit in files, which the commit copies into its transaction in one go."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Protocol

import pyarrow as pa
from msgspec import Struct

from tailrace.destination import Stager
from tailrace.errors import DestinationError
from tailrace.model import LINE, Batch, Kind, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.spool import Spool
from tailrace.sql.publisher import Staging
from tailrace.sql.session import Database, Session
from tailrace.sql.stager import FileStager, names_of_token
from tailrace.sql.staging import Make, Waiting
from tailrace.sql.statements import Statements
from tailrace.sql.unit_of_work import UnitOfWork


class Files(Protocol):
    """Where files wait, in folders. Picklable before use, and thread-safe; raises DestinationError."""

    def put(self, name: str, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
        """Write the rows to the file of that name, which is replaced; durable on return.

        `columns` are those of the table that the rows are for, by name. Raises RowsRefusedError for rows that it
        would refuse, since the commit can't name them.
        """

    def copy(self, session: Session, table: TableName, columns: Sequence[str], names: Sequence[str]) -> None:
        """Copy all rows of the files into these columns of the table, within the session's transaction."""

    def remove(self, folder: str) -> None:
        """Remove all files of the folder."""

    def close(self) -> None:
        """Close connections; repeatable, and more may be put after it."""


class InFiles(Struct, frozen=True):
    """Rows wait in files, which the commit copies into its transaction.

    `temporary`: it copies them into temporary tables, which it makes and drops; otherwise into tables of their own,
    without a log, which are made before the transaction and dropped after it.
    """

    files: Files
    temporary: bool = True
    stages_all: ClassVar[bool] = True

    def made(self, work: UnitOfWork, database: Database, statements: Statements) -> Waiting:  # noqa: ARG002 as others
        """The rows that wait of one destination; see WaitsIn."""
        return StagedFiles(self.files, statements, temporary=self.temporary)


class StagedFiles:
    """Waiting, in files: a folder for each revision of a stream, a file for each batch; see InFiles."""

    def __init__(self, files: Files, statements: Statements, *, temporary: bool = True) -> None:
        self.kind: Mapping[str, bool] = {"temporary": True} if temporary else {"unlogged": True}
        self.is_serial = False
        self.spool: Spool | None = None
        self._is_temporary = temporary
        self._files = files
        self._statements = statements
        self._lock = threading.Lock()
        self._folder = ""
        self._stagings: dict[Stream, Staging] = {}
        self._creates: dict[TableName, str] = {}
        self._names: dict[TableName, set[str]] = {}
        self._expected: set[TableName] = set()
        self._others: set[str] = set()
        self._made = 0

    @property
    def tables(self) -> list[Staging]:
        """The tables; see Waiting."""
        return [*self._stagings.values()]

    def begin(self, folder: str) -> None:
        """Remove all files of the pipeline; see Waiting."""
        self._folder = folder
        self._stagings, self._creates, self._names = {}, {}, {}
        self._expected.clear()
        self._files.remove(folder)

    def takes(self, batch: Batch) -> bool:  # noqa: ARG002 as others
        """Whether rows wait: all do; see Waiting."""
        return True

    def of(self, stream: Stream, make: Make) -> Staging:
        """The stream's table, to be made by the commit; see Waiting."""
        with self._lock:
            if stream not in self._stagings:
                self._made += 1
                staging, create = make(self._made)
                self._stagings[stream] = staging
                self._creates[staging.table] = create
                self._names[staging.table] = set()
            return self._stagings[stream]

    def stager(self, staging: Staging) -> Stager | None:
        """What puts files into a folder beside the others; see Waiting."""
        folder = f"{self._folder}/{staging.table.name}"
        self._others.add(folder)
        return FileStager(self._files, self._statements, staging.place, folder)

    def adopt(self, stream: Stream, make: Make, token: str) -> str:
        """Have a stager's files copied with the others; see Waiting."""
        staging = self.of(stream, make)
        with self._lock:
            self._names[staging.table].update(names_of_token(token))
        return staging.table.name

    def load(self, staging: Staging, batch: Batch, rows: pa.Table) -> None:
        """Write the batch's rows to a file; see Waiting."""
        name = f"{self._folder}/{staging.table.name}/{batch.first_line}-{batch.last_line}"
        columns = {column.name: column for column in staging.place.targets.values()}
        self._files.put(name, rows, columns | {LINE: TableColumn(LINE, Kind.INT, nullable=False)})
        with self._lock:
            self._names[staging.table].add(name)

    def refit(self, session: Session, staging: Staging, create: str, wider: Sequence[str]) -> None:
        """Have the table made by another statement, or alter it where it is made already; see Waiting."""
        self._creates[staging.table] = create
        if not self._is_temporary:
            for sql in wider:
                session.execute(sql)

    def expect(self, session: Session) -> None:
        """Make the tables that aren't temporary; see Waiting."""
        if not self._is_temporary:
            for staging in self.tables:
                if staging.table in self._expected:  # an attempt before may have made it
                    session.execute(self._statements.drop_table(staging.table))
                self._expected.add(staging.table)
                session.execute(self._creates[staging.table])

    def arrive(self, session: Session) -> None:
        """Make the tables that are temporary, and copy the files into all; see Waiting."""
        for staging in self.tables:
            if self._is_temporary:
                session.execute(self._creates[staging.table])
            names = sorted(self._names[staging.table])
            if names:
                self._files.copy(session, staging.table, [*staging.place.columns, LINE], names)

    def drop(self, session: Session, staging: Staging) -> None:
        """Drop a table that is temporary; see Waiting."""
        if self._is_temporary:
            session.execute(self._statements.drop_temporary(staging.table))

    def undone(self) -> None:
        """Nothing: files stay what they are."""

    def discard(self, session: Session | None) -> None:
        """Remove the files of this run, and tables that aren't temporary; see Waiting."""
        stagings = self.tables
        self._stagings, self._creates, self._names = {}, {}, {}
        for staging in stagings:
            if session and not self._is_temporary:
                session.execute(self._statements.drop_table(staging.table))
            self._files.remove(f"{self._folder}/{staging.table.name}")

    def close(self) -> None:
        """Remove the files, as far as that goes."""
        with suppress(DestinationError):
            self.discard(None)
        with suppress(DestinationError):
            while self._others:
                self._files.remove(self._others.pop())
        self._files.close()
