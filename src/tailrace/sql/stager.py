"""Loads rows of one stream to where they wait, in another process than the one that commits them."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from tailrace.errors import DestinationError
from tailrace.model import LINE, Batch, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.fitting import fitting_rows
from tailrace.sql.session import Database, LoggedSession, Session
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Place, create_staging

if TYPE_CHECKING:
    from tailrace.sql.files import Files


class TableStager:
    """A Stager that fills a staging table of its own, in one transaction; the token is the table's name.

    `table` is what the name begins with, by which a later run of the pipeline finds and drops what nobody adopts.
    """

    def __init__(
        self, database: Database, statements: Statements, place: Place, table: TableName, kind: Mapping[str, bool]
    ) -> None:
        self._made_from = (database, statements, place, table, kind)
        self._table: TableName | None = None
        self._session: Session | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def stage(self, batch: Batch) -> None:
        """Load the batch's rows; see Stager."""
        database, statements, place, start, kind = self._made_from
        rows = fitting_rows(statements.dialect, batch, place.table, place.targets)
        if self._session is None:
            self._table = TableName(f"{start.name}_{secrets.token_hex(4)}", start.schema)
            self._session = LoggedSession(database.open())
            self._session.execute(create_staging(statements, place, self._table, **kind))
            self._session.execute(statements.dialect.begin)
        if self._table is not None:
            self._session.load(self._table, rows.column_names, rows)

    def seal(self) -> str:
        """Commit what is loaded; see Stager."""
        if self._session is None or self._table is None:
            return ""
        self._session.execute("COMMIT")
        self._session.close()
        self._session = None
        return self._table.name

    def discard(self) -> None:
        """Drop the table; see Stager."""
        _, statements, *_ = self._made_from
        session, self._session = self._session, None
        with suppress(DestinationError):
            if session is not None and self._table is not None:
                session.execute("ROLLBACK")
                session.execute(statements.drop_table(self._table))
        with suppress(DestinationError):
            if session is not None:
                session.close()


class FileStager:
    """A Stager that puts a file for each batch into the folder of a staging table; the token lists the files."""

    def __init__(self, files: Files, statements: Statements, place: Place, folder: str) -> None:
        self._made_from = (files, statements, place, folder)
        self._names: list[str] = []

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def stage(self, batch: Batch) -> None:
        """Write the batch's rows to a file; see Stager."""
        files, statements, place, folder = self._made_from
        rows = fitting_rows(statements.dialect, batch, place.table, place.targets)
        columns = {column.name: column for column in place.targets.values()}
        name = f"{folder}/{batch.first_line}-{batch.last_line}-{secrets.token_hex(4)}"
        files.put(name, rows, columns | {LINE: TableColumn(LINE, Kind.INT, nullable=False)})
        self._names.append(name)

    def seal(self) -> str:
        """The names of the files; see Stager."""
        self._made_from[0].close()
        return json.dumps(self._names)

    def discard(self) -> None:
        """Remove nothing by itself: the folder is removed with what the driver has put there. See Stager."""
        with suppress(DestinationError):
            self._made_from[0].close()


def names_of_token(token: str) -> Sequence[str]:
    """The files that a FileStager's token lists."""
    names: list[str] = json.loads(token)
    return names
