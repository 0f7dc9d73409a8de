"""A destination on a SQL database: rows wait, and become visible in one transaction with the checkpoint."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from tailrace.destination import Stager
from tailrace.errors import CommitUnknownError, DestinationError, FencedError, RowsRefusedError, SchemaError
from tailrace.model import Batch, Checkpoint, Published, Receipt, Stream, TableName, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.names import digest
from tailrace.schema.steps import rows_by_token, steps_of
from tailrace.sql.appended import Appended
from tailrace.sql.checkpoints import Checkpoints, Row, prefix
from tailrace.sql.dialect import Ddl
from tailrace.sql.exchanges import Exchanges
from tailrace.sql.failures import of_rows, of_stream, of_table
from tailrace.sql.fitting import fitting_rows
from tailrace.sql.label import Label
from tailrace.sql.loads import Loads, Run
from tailrace.sql.places import Places
from tailrace.sql.publisher import Publisher, Staging
from tailrace.sql.session import Database
from tailrace.sql.settings import DEFAULT, Options
from tailrace.sql.staging import WaitsIn
from tailrace.sql.statements import Statements
from tailrace.sql.tables import Place, Tables
from tailrace.sql.unit_of_work import UnitOfWork, run_own


class SqlDestination:
    """A Destination, and Inspectable, on a database that has these statements.

    `waits_in` is where rows wait for their commit, `options` are what settings say of all tables, and `label` is kept
    up to date for the database. An error that ends the open transaction loses what waits in it, and the next commit
    says so.
    """

    def __init__(
        self,
        database: Database,
        statements: Statements,
        traits: Traits,
        waits_in: WaitsIn,
        options: Options = DEFAULT,
        label: Label | None = None,
    ) -> None:
        self.traits = traits
        self._made_from = (database, statements, traits, waits_in, options, label)
        self._label = label or Label()
        self._is_labelled = label is not None
        self._database = database
        self._statements = statements
        self._dialect = statements.dialect
        self._options = options
        self._own_schema = options.checkpoint_schema or options.schema
        self._lock = threading.RLock()
        self._work = UnitOfWork(database, self._dialect.begin, undoes_temporary=self._dialect.undoes_temporary)
        self._waiting = waits_in.made(self._work, database, statements)
        has_before_sql = bool(options.before_sql)
        self._appended = Appended(self._work, self._dialect, self._waiting.spool, is_off=has_before_sql)
        stages_all = waits_in.stages_all or has_before_sql
        self._tables = Tables(statements, traits, options.schema, options.design, stages_all=stages_all)
        self._places = Places(self._work, database, statements, self._tables, traits)
        self._publisher = Publisher(statements)
        self._checkpoints = Checkpoints(statements, self._own_schema)
        self._exchanges = (
            Exchanges(statements, self._tables, self._own_schema) if self._dialect.ddl is Ddl.OUTSIDE else None
        )
        self._loads = Loads(statements, self._own_schema) if options.loads else None
        self._landed: tuple[Checkpoint, dict[str, Published]] | None = None
        self._pipeline = ""
        self._fence, self._since = "", datetime.now(UTC)
        self._has_stagers = False

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    def connect_ahead(self) -> None:
        """Begin to connect; see Eager. A session that is named after its pipeline is opened once that is known."""
        if not self._is_labelled:
            self._work.open_ahead()

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Destination."""
        with self._lock:
            self._undo(None)
            self._appended.forget()
            self._places.begin()
            self._pipeline, fence = "", secrets.token_hex(8)
            self._label.pipeline, self._label.checkpoint = pipeline, None
            self._checkpoints = Checkpoints(self._statements, self._own_schema, pipeline)
            with self._in_one_piece():
                row = self._taken_over(pipeline, fence)
            self._label.checkpoint = (row.number if row else 0) + 1
            self._pipeline, self._fence, self._since = pipeline, fence, datetime.now(UTC)
            self._places.name(pipeline, fence)
            return row.checkpoint(pipeline) if row else None

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Remembering."""
        with self._lock, self._in_one_piece():
            checkpoints = Checkpoints(self._statements, self._own_schema, pipeline)
            is_there = self._database.exists() and self._tables.exists(self._work.session, checkpoints.table)
            row = checkpoints.row(self._work.session, pipeline) if is_there else None
            return row.checkpoint(pipeline) if row else None

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        with self._lock, self._in_one_piece(), of_stream(stream.name):
            self._places.prepare(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Have the batch's rows wait, or load them within the open transaction; see Destination."""
        stream = batch.stream
        with self._lock, self._in_one_piece(), of_stream(stream.name):
            self._restage()
            place = self._places.of(stream)
            if not self._waiting.takes(batch) and self._appended.takes(place):
                return self._appended.load(batch, place) or self._staged(batch, place)
            if self._waiting.is_serial:
                return self._staged(batch, place)
        try:
            with of_stream(stream.name):
                return self._staged(batch, place)
        except (RowsRefusedError, SchemaError):
            raise
        except DestinationError as error:
            with self._lock:
                if self._is_fenced():
                    raise FencedError(self._pipeline) from error
            raise

    def stager(self, stream: Stream) -> Stager | None:
        """What has the stream's rows wait, from another process; see Distributed."""
        with self._lock, self._in_one_piece():
            self._has_stagers = True
            return self._waiting.stager(self._made(stream, self._places.of(stream), 0)[0])

    def adopt(self, receipt: Receipt) -> Receipt:
        """Have what a stager has staged published with the others; see Distributed."""
        stream = receipt.stream
        with self._lock, self._in_one_piece(), of_stream(stream.name):
            make = partial(self._made, stream, self._places.of(stream))
            return replace(receipt, token=self._waiting.adopt(stream, make, receipt.token))

    def disown(self, stream: Stream, token: str) -> None:
        """Nothing: what nobody adopts is found by its name when the run ends, or by the next; see Distributed."""

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Publish the receipts, apply the activations and store the state, in one transaction; see Destination.

        Where DDL ends a transaction the exchange of replaced tables comes after it; when that fails, this may be
        repeated, and begins there.
        """
        with self._lock:
            if self._landed is None or self._landed[0] != checkpoint:
                self._landed = checkpoint, self._committed(checkpoint)
            if self._exchanges and checkpoint.replace:
                with self._in_one_piece():
                    self._exchanges.finish(self._work.session, self._pipeline)
                    self._places.forget()
                    for stream in checkpoint.replace:
                        for sql in self._tables.resume_layout(stream, self._tables.named(stream)):
                            self._work.run(sql)
            published, self._landed = self._landed[1], None
            self._label.checkpoint = checkpoint.number + 1
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        return self._work.is_transient(error)

    def close(self) -> None:
        """Undo what isn't committed and close the sessions; repeatable."""
        with self._lock:
            self._undo(None)
            self._appended.forget()
            if self._has_stagers or (is_unnamed(self._pipeline) and self._dialect.ddl is Ddl.APART):
                with suppress(DestinationError):  # a later run may not look for what this one leaves
                    start = prefix(self._pipeline)
                    self._drop_left_over(start if is_unnamed(self._pipeline) else start + digest(self._fence))
            if self._waiting.tables:
                with suppress(DestinationError):  # the next run looks for what this one leaves, unless it has looked
                    self._waiting.discard(self._work.session)
            self._work.disconnect()
            self._waiting.close()

    def check(self) -> Sequence[str]:
        """One sentence for each thing found when connecting; see Inspectable."""
        return self._database.check()

    def plan(self, stream: Stream) -> Sequence[str]:
        """The statements that prepare() would run now, and the swap of a replaced table, none of them run."""
        with self._lock:
            return self._places.plan(stream)

    @contextmanager
    def _in_one_piece(self) -> Iterator[None]:
        """Undo the transaction on any error but those that leave it as it was."""
        try:
            yield
        except (RowsRefusedError, SchemaError):
            raise
        except BaseException as error:
            self._undo(error)
            if isinstance(error, DestinationError) and self._is_fenced():
                raise FencedError(self._pipeline) from error
            raise

    def _undo(self, error: BaseException | None) -> None:
        """Undo the transaction and forget what waited in it; `error` is why."""
        self._places.forget()
        self._waiting.undone()
        self._work.undo(error)

    def _is_fenced(self) -> bool:
        """Whether another run is known to have taken the pipeline over."""
        if self._pipeline:
            with suppress(DestinationError):
                row = self._checkpoints.row(self._work.session, self._pipeline)
                return row is not None and row.fence != self._fence
        return False

    def _taken_over(self, pipeline: str, fence: str) -> Row | None:
        """The pipeline's row as it was; the tables that others left of it go once it is ours."""
        work = self._work
        options = self._options
        for schema in dict.fromkeys((options.schema, options.staging_schema, self._own_schema)):
            for sql in self._tables.schemas(work.session, schema):
                work.run(sql)
                if self._exchanges:
                    work.disconnect()  # a session may begin in that schema
        for sql in self._own_tables():
            work.run(sql)
        work.begun()
        row = self._checkpoints.take_over(work.session, pipeline, fence)
        work.commit()
        if self._exchanges:
            self._exchanges.recover(work.session, pipeline)
        self._waiting.begin(prefix(pipeline))
        self._drop_left_over(prefix(pipeline))
        return row

    def _own_tables(self) -> list[str]:
        """The statements that make the tables in which tailrace remembers."""
        owners = (self._checkpoints, self._exchanges, self._loads)
        wanted = {owner.table: owner.create for owner in owners if owner is not None}
        missing = [table for table in wanted if not self._tables.exists(self._work.session, table)]
        return [sql for table in missing for sql in (wanted[table], *self._statements.lasting(table))]

    def _drop_left_over(self, start: str) -> None:
        """Drop the tables that runs have made for themselves, and left, whose names begin so."""
        for schema, name in self._work.session.query(self._dialect.catalog.tables, (start,)):
            table = TableName(str(name), str(schema) if schema else None)
            with suppress(DestinationError):  # an older run may hold it; the names of ours are others
                self._work.run(self._statements.drop_table(table))

    def _restage(self) -> None:
        """Stage the rows that stood in a transaction which is undone."""
        self._appended.restage(lambda batch: self._staged(batch, self._places.of(batch.stream)))

    def _staged(self, batch: Batch, place: Place) -> Receipt:
        """Load the rows to where they wait."""
        with of_table(self._database.rules, batch.stream):
            staging = self._waiting.of(batch.stream, lambda number: self._made(batch.stream, place, number))
        rows = fitting_rows(self._dialect, batch, staging.place.table, staging.place.targets)
        self._waiting.load(staging, batch, rows)
        return batch.receipt(rows.num_rows, staging.table.name)

    def _made(self, stream: Stream, place: Place, number: int) -> tuple[Staging, str]:
        """A new staging table, and what makes it."""
        is_temporary = self._waiting.kind.get("temporary", False)
        name = f"{prefix(self._pipeline)}{digest(self._fence)}_{number}"
        table = TableName(name, None if is_temporary else self._options.staging_schema or self._options.schema)
        return Staging(stream, table, place), self._tables.staging(place, table, **self._waiting.kind)

    def _committed(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """Commit the checkpoint; what it did to each stream's table."""
        with self._in_one_piece():
            for stream in (*(activation.stream for activation in checkpoint.activate), *checkpoint.replace):
                self._places.of(stream)
            self._restage()
        checkpoint = self._appended.renamed(checkpoint)
        self._require_known(checkpoint)
        try:
            with of_rows(self._database.rules), self._in_one_piece():
                published = self._published(checkpoint)
                self._checkpoints.store(self._work.session, checkpoint, self._fence)
                if self._loads:
                    self._loads.add(self._work.session, checkpoint, Run(self._fence, self._since), published)
            try:
                self._work.commit()
            except DestinationError as error:
                self._settle(checkpoint, error)
        except FencedError as error:
            if self._has_landed(checkpoint):
                raise CommitUnknownError(
                    f"checkpoint {checkpoint.number} was committed by an attempt that seemed to have failed"
                ) from error
            raise
        self._appended.forget()
        with suppress(DestinationError):  # the checkpoint is committed, whatever becomes of the rest
            self._waiting.discard(self._work.session)
            self._work.session.release_memory()
        return published

    def _require_known(self, checkpoint: Checkpoint) -> None:
        """Raise where the checkpoint publishes what isn't there, or not what waits in the open transaction."""
        transaction = self._work.transaction
        direct = {transaction.token: sum(transaction.rows.values())} if transaction else {}
        names = {staging.table.name for staging in self._waiting.tables}
        promised = rows_by_token([receipt for receipt in checkpoint.publish if receipt.token not in names])
        if promised != Counter(direct):
            raise DestinationError(
                f"checkpoint {checkpoint.number} can't be committed: what waits in the database isn't what it "
                "publishes, since the transaction was undone, or other processes have staged; run again"
            ) from self._work.lost

    def _published(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """What the checkpoint did to each stream's table, within the open transaction."""
        self._waiting.expect(self._work.session)
        stagings = [self._places.recast(staging, self._waiting) for staging in self._waiting.tables]
        published = {name: Published(inserted=rows) for name, rows in self._work.begun().rows.items()}
        self._waiting.arrive(self._work.session)
        stagings = self._publisher.arrived(self._work.session, checkpoint, stagings)
        run_own(self._work, "before_sql", self._options.before_sql)
        for steps in steps_of(stagings, checkpoint.activate):
            with of_stream(steps.name):
                done = self._publisher.publish(self._work.session, steps, checkpoint.at, self._places.of)
                for staging in steps.staged:
                    self._waiting.drop(self._work.session, staging)
            published[steps.name] = published.get(steps.name, Published()) + done
        for stream in checkpoint.replace:
            with of_stream(stream.name):
                swapped = self._swapped(stream)
            published[stream.name] = published.get(stream.name, Published()) + swapped
        run_own(self._work, "after_sql", self._options.after_sql)
        return published

    def _swapped(self, stream: Stream) -> Published:
        """Put the table that was built beside in the place of the stream's, or remember that this is to be done."""
        session, place, table = self._work.session, self._places.of(stream), self._tables.named(stream)
        swapped = self._places.exchange_rows(place, table)
        if swapped is None:
            exists = self._tables.exists(session, table)
            swapped = Published(deleted=self._publisher.count(session, table) if exists else 0)
            if self._exchanges:
                self._exchanges.add(session, self._pipeline, place.table, table)
                return swapped
            self._publisher.swap(session, place.table, table)
            for sql in self._tables.late_indexes(stream, table):
                self._work.run(sql)
        self._places.drop(stream)
        return swapped

    def _settle(self, checkpoint: Checkpoint, error: DestinationError) -> None:
        """Find out whether a COMMIT that failed has landed; raises unless it has."""
        self._work.lost = error
        self._work.disconnect()
        self._places.forget()
        self._waiting.undone()
        try:
            row = self._checkpoints.row(self._work.session, checkpoint.pipeline)
        except DestinationError:
            raise CommitUnknownError(
                f"the connection was lost while checkpoint {checkpoint.number} was committed, and the pipeline's "
                "checkpoint can't be read back; run again, which finds out and goes on from there"
            ) from error
        if self._checkpoints.has_landed(row, checkpoint):
            return
        if row and row.fence != self._fence:
            raise FencedError(checkpoint.pipeline) from error
        raise DestinationError(
            f"checkpoint {checkpoint.number} wasn't committed, and nothing of it is visible: {error}; run again"
        ) from error.__cause__

    def _has_landed(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint is committed, and by this run."""
        with suppress(DestinationError):
            row = self._checkpoints.row(self._work.session, checkpoint.pipeline)
            is_ours = row is None or row.fence == self._fence
            return is_ours and self._checkpoints.has_landed(row, checkpoint)
        return False
