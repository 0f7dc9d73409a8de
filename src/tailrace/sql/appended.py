"""Rows that go straight into their table within the open transaction, and may have to wait in staging after all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tailrace.errors import DestinationError, RowsRefusedError, SchemaError
from tailrace.model import Batch, Checkpoint, Receipt, Stream, TableName
from tailrace.spool import Spool
from tailrace.sql.catalogs import query_of
from tailrace.sql.dialect import Dialect
from tailrace.sql.failures import of_stream
from tailrace.sql.fitting import fitting_rows
from tailrace.sql.tables import Place
from tailrace.sql.unit_of_work import UnitOfWork

_MAX_BYTES = 512 << 20
"""So many bytes of rows are kept at most, which a checkpoint has only where STATEs are far apart."""


class Appended:
    """The rows of the checkpoint that stand in their tables, within the open transaction.

    Where there is a `spool` they are kept in it too, as long as they are few enough, and staged when the transaction is
    undone: its connection was lost, or a table that has such rows is altered, which would commit them. All later rows
    of the checkpoint are staged then as well, so that this happens once. `is_off` says that no rows go straight into
    their table, since statements of the user's come before all rows of a checkpoint.
    """

    def __init__(self, work: UnitOfWork, dialect: Dialect, spool: Spool | None, *, is_off: bool = False) -> None:
        self._work = work
        self._dialect = dialect
        self._spool = spool
        self._is_off = is_off
        self._is_full = False
        self._bytes = 0
        self._token = ""
        self._checkpoint = 0
        self._restaged: set[tuple[Stream, int]] = set()
        self._names: dict[Stream, str] = {}
        self._guarded: dict[TableName, bool] = {}

    def takes(self, place: Place) -> bool:
        """Whether rows may go straight into that table now."""
        if self._is_off:
            return False
        if self._spool is None:
            return True
        is_open = not self._names and not self._is_full and self._bytes < _MAX_BYTES
        return is_open and not self._is_guarded(place.table)

    def load(self, batch: Batch, place: Place) -> Receipt | None:
        """Load the rows into their table; None where they can't be kept besides, and the transaction is undone."""
        transaction = self._work.begun()
        rows = fitting_rows(self._dialect, batch, place.table, place.targets)
        self._work.session.load(place.table, place.columns, rows)
        transaction.add(batch.stream.name, place.table, rows.num_rows)
        if self._spool is not None:
            try:
                self._spool.add(batch)
            except DestinationError as error:
                self._is_full = True
                self._work.undo(error)
                return None
            self._token, self._checkpoint = transaction.token, batch.checkpoint
            self._bytes += batch.rows.nbytes
        return batch.receipt(rows.num_rows, transaction.token)

    def restage(self, stage: Callable[[Batch], Receipt]) -> None:
        """Stage the rows that a transaction has had which is undone; may be repeated where that fails."""
        transaction = self._work.transaction
        if self._spool is None or (transaction is not None and transaction.token == self._token):
            return
        for stream in self._spool.streams:
            for rows in self._spool.read(stream):
                batch = Batch(stream, rows, self._checkpoint)
                if (stream, batch.first_line) not in self._restaged:
                    self._names[stream] = _restaged(stage, batch)
                    self._restaged.add((stream, batch.first_line))
        self._spool.clear()

    def renamed(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with receipts that say where the rows are now."""
        if not self._names:
            return checkpoint
        publish = (
            replace(receipt, token=self._names[receipt.stream]) if receipt.token == self._token else receipt
            for receipt in checkpoint.publish
        )
        return replace(checkpoint, publish=tuple(publish))

    def forget(self) -> None:
        """Begin anew, with no rows."""
        self._token, self._bytes = "", 0
        self._restaged.clear()
        self._names.clear()
        self._guarded.clear()
        if self._spool is not None:
            self._spool.clear()

    def _is_guarded(self, table: TableName) -> bool:
        """Whether the table may refuse rows that its staging table would take."""
        if table not in self._guarded:
            self._guarded[table] = bool(query_of(self._work.session, self._dialect.catalog.guards, table))
        return self._guarded[table]


def _restaged(stage: Callable[[Batch], Receipt], batch: Batch) -> str:
    """Where the rows of the batch, which their table has taken once, are staged."""
    try:
        with of_stream(batch.stream.name):
            return stage(batch).token
    except (RowsRefusedError, SchemaError) as error:
        raise DestinationError(f"rows that were loaded once can't be staged: {error}; run again") from error
