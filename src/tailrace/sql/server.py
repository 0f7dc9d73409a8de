"""A destination on a database server: batches are staged over several sessions at once, and committed in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace

from tailrace.errors import CommitUnknownError, DestinationError, FencedError, RowsRefusedError, SchemaError
from tailrace.model import Batch, Checkpoint, Method, Published, Receipt, Stream, TableName, Traits
from tailrace.schema.names import digest
from tailrace.sql import statements
from tailrace.sql.checkpoints import Row, is_unnamed, prefix
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Dialect
from tailrace.sql.exchanges import Exchanges
from tailrace.sql.failures import of_stream, of_table
from tailrace.sql.files import Files, StagedFiles
from tailrace.sql.limits import fitting_rows
from tailrace.sql.obstacles import ObstacleTables
from tailrace.sql.publish import Staging, waits
from tailrace.sql.session import Database, LoggedSession
from tailrace.sql.staging import StagingTables, Waiting
from tailrace.sql.tables import Place


@dataclass(frozen=True, slots=True)
class Serving:
    """What tells one database server from another.

    `appends_directly`: rows that wait for nothing go into their table within the commit's own transaction, over one
    session; a lost connection then ends the run. Otherwise all rows are staged. `unlogged` says whether staging tables
    can be without a log. `ddl_commits` says that DDL ends the open transaction. `files` is where rows wait; without
    it they wait in staging tables. `obstacles` is the query of what is wrong with a table; see ObstacleTables.
    """

    appends_directly: bool = False
    unlogged: bool = False
    ddl_commits: bool = False
    files: Files | None = None
    obstacles: str = ""


class ServerDestination(SqlDestination):
    """A Destination, and Inspectable, on a database server of that dialect.

    Rows wait in staging tables, or in files, whose names begin with the pipeline's prefix; the commit brings them into
    their tables in one transaction with the checkpoint, and what they waited in is dropped after it. Tables are made
    and altered in transactions of their own, so that nobody waits for the checkpoint's.
    """

    def __init__(
        self, database: Database, dialect: Dialect, traits: Traits, serving: Serving, schema: str | None = None
    ) -> None:
        super().__init__(database, dialect, traits, schema)
        self._serving = serving
        self._staged: Waiting = (
            StagedFiles(serving.files, dialect) if serving.files else StagingTables(database, dialect)
        )
        if serving.obstacles:
            self._tables = ObstacleTables(dialect, traits, schema, serving.obstacles)
        self._tables.stages_all = not serving.appends_directly
        self._exchanges = Exchanges(dialect, self._tables, schema)
        self._landed: tuple[Checkpoint, dict[str, Published]] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._database, self._dialect, self.traits, self._serving, self._schema)

    def stage(self, batch: Batch) -> Receipt:
        """Load the rows into their staging table, or into the open transaction; see Destination."""
        stream = batch.stream
        if self._serving.appends_directly and not waits(stream) and stream.method is not Method.REPLACE:
            return super().stage(batch)
        with self._lock, self._in_one_piece(), of_stream(stream.name):
            place = self._place(stream)
        try:
            with of_stream(stream.name):
                with of_table(self._database, stream):
                    staging = self._staged.of(stream, lambda number: self._made(stream, place, number))
                rows = fitting_rows(self._dialect, batch, staging.place.table, staging.place.targets)
                self._staged.load(staging, batch, rows)
        except (RowsRefusedError, SchemaError):
            raise
        except DestinationError as error:
            with self._lock:
                if self._is_fenced():
                    raise FencedError(self._pipeline) from error
            raise
        return Receipt(stream, batch.checkpoint, rows.num_rows, batch.first_line, batch.last_line, staging.table.name)

    def commit(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """Publish the receipts, apply the activations and store the state, in one transaction; see Destination.

        Where DDL ends a transaction the exchange of replaced tables comes after it; when that fails, this may be
        repeated, and begins there.
        """
        if self._landed is None or self._landed[0] != checkpoint:
            self._landed = checkpoint, self._committed(checkpoint)
        if self._serving.ddl_commits and checkpoint.replace:
            with self._lock, self._in_one_piece():
                self._exchanges.finish(self._open(), self._pipeline)
                self._places.clear()
        published, self._landed = self._landed[1], None
        return published

    def close(self) -> None:
        """Undo what isn't committed and let go of the sessions; repeatable."""
        with self._lock:
            self._roll_back(None)
            if is_unnamed(self._pipeline) and not self._serving.ddl_commits:
                with suppress(DestinationError):  # no later run looks for what this one leaves
                    self._drop_left_over(self._pipeline)
            super().close()
            self._staged.close()

    def _committed(self, checkpoint: Checkpoint) -> dict[str, Published]:
        try:
            return dict(super().commit(checkpoint))
        except FencedError as error:
            if self._has_landed(checkpoint):
                raise CommitUnknownError(
                    f"checkpoint {checkpoint.number} was committed by an attempt that seemed to have failed"
                ) from error
            raise

    def _made(self, stream: Stream, place: Place, number: int) -> tuple[Staging, str]:
        """A new staging table, and what makes it."""
        is_temporary = self._serving.files is not None
        name = f"{prefix(self._pipeline)}{digest(self._fence)}_{number}"
        table = TableName(name, None if is_temporary else self._schema)
        create = self._tables.staging(place, table, unlogged=self._serving.unlogged, temporary=is_temporary)
        return Staging(stream, table, place), create

    def _roll_back(self, error: BaseException | None) -> None:
        super()._roll_back(error)
        if isinstance(error, DestinationError) and self.is_transient(error):
            self._disconnect()  # the connection may be what has failed

    def _taken_over(self, pipeline: str, fence: str) -> Row | None:
        """The pipeline's row as it was; the tables that others left of it go once it is ours."""
        for sql in self._tables.schemas(self._open(), self._schema):
            self._run(sql)
            self._disconnect()  # a session may begin in that schema
        for sql in self._own_tables():
            self._run(sql)
        self._begun()
        session = self._open()
        row = self._checkpoints.take_over(session, pipeline, fence)
        self._run("COMMIT")
        self._transaction = None
        self._staged.begin(prefix(pipeline))
        if self._serving.ddl_commits:
            self._exchanges.finish(session, pipeline)
            self._exchanges.finish_unnamed(session)
        self._drop_left_over(pipeline)
        return row

    def _drop_left_over(self, pipeline: str) -> None:
        for table in self._left_over(pipeline):
            with suppress(DestinationError):  # an older run may hold it; the names of ours are others
                self._run(statements.drop_table(self._dialect, table))

    def _own_tables(self) -> list[str]:
        """The statements that make the tables in which tailrace remembers."""
        wanted = {self._checkpoints.table: self._checkpoints.create}
        if self._serving.ddl_commits:
            wanted[self._exchanges.table] = self._exchanges.create
        return [create for table, create in wanted.items() if self._tables.found(self._open(), table) is None]

    def _alter(self, table: TableName, changed: Sequence[str]) -> None:
        """Run what makes a table fit: at once and apart, unless rows wait for the table in the open transaction."""
        if self._serving.ddl_commits:
            for sql in changed:
                self._run(sql)
        elif self._transaction is not None and table in self._transaction.tables:
            self._run("SAVEPOINT tailrace_alter")
            try:
                super()._alter(table, changed)
            except DestinationError:
                with suppress(DestinationError):  # the connection may be what has failed
                    self._run("ROLLBACK TO SAVEPOINT tailrace_alter")
                raise
        else:
            try:
                with closing(LoggedSession(self._database.open())) as session:
                    for sql in (self._dialect.begin, *changed, "COMMIT"):
                        session.execute(sql)
            except DestinationError as error:
                if self._transaction is None or not self.is_transient(error):
                    raise
                super()._alter(table, changed)  # it may be our own transaction that holds a lock, by a foreign key

    def _require_staged(self, checkpoint: Checkpoint) -> None:
        names = {staging.table.name for staging in self._staged.tables}
        direct = tuple(receipt for receipt in checkpoint.publish if receipt.token not in names)
        super()._require_staged(replace(checkpoint, publish=direct))

    def _published(self, checkpoint: Checkpoint) -> dict[str, Published]:
        for stream in (*(activation.stream for activation in checkpoint.activate), *checkpoint.replace):
            self._place(stream)
        stagings = [self._recast(staging) for staging in self._staged.tables]
        direct = self._begun().direct
        self._staged.arrive(self._open())
        promised = Counter[str]()
        for receipt in checkpoint.publish:
            promised[receipt.token] += receipt.rows
        for staging in stagings:
            found = self._open().query(statements.count_rows(self._dialect, staging.table))[0][0]
            if found != promised[staging.table.name]:
                raise DestinationError(
                    f"checkpoint {checkpoint.number} can't be committed: {found} rows are staged for "
                    f"{staging.place.table}, and it publishes {promised[staging.table.name]}; run again"
                )
        return self._publish(checkpoint, direct, stagings)

    def _let_go(self, staging: Staging) -> None:
        self._staged.let_go(self._open(), staging)

    def _swapped(self, stream: Stream) -> Published:
        if not self._serving.ddl_commits:
            return super()._swapped(stream)
        beside, table = self._place(stream).table, self._tables.named(stream)
        self._exchanges.add(self._open(), self._pipeline, beside, table)
        if self._tables.found(self._open(), table) is None:
            return Published()
        rows = self._open().query(statements.count_rows(self._dialect, table))[0][0]
        return Published(deleted=int(str(rows)))

    def _tidy(self) -> None:
        self._staged.discard()
        super()._tidy()

    def _has_landed(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint is committed, and by this run."""
        with self._lock, suppress(DestinationError):
            row = self._checkpoints.row(self._open(), checkpoint.pipeline)
            is_ours = row is None or row.fence == self._fence
            return is_ours and self._checkpoints.has_landed(row, checkpoint)
        return False
