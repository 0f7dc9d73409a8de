"""A destination on a SQL database: one session under a lock, rows and checkpoint in one open transaction."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime

from tailrace.errors import CommitUnknownError, DestinationError, FencedError, RowsRefusedError, SchemaError
from tailrace.model import Activation, Batch, Checkpoint, Method, Published, Receipt, Stream, TableName, Traits
from tailrace.schema.keys import Keys
from tailrace.schema.names import digest
from tailrace.schema.owners import Owners
from tailrace.sql import keeping, publish, statements
from tailrace.sql.checkpoints import Checkpoints, Row, prefix
from tailrace.sql.dialect import Dialect
from tailrace.sql.failures import of_rows, of_stream, of_table
from tailrace.sql.limits import fitting_rows
from tailrace.sql.publish import LAST_LINE, Staging, Transaction
from tailrace.sql.session import Database, LoggedSession, Session
from tailrace.sql.tables import Place, Tables


class SqlDestination:
    """A Destination, and Inspectable, on a database of that dialect. `schema` is where tables stand by default.

    Everything since the last commit waits in one transaction; an error that ends the transaction loses what was
    staged, and the next commit says so.
    """

    def __init__(self, database: Database, dialect: Dialect, traits: Traits, schema: str | None = None) -> None:
        self.traits = traits
        self._database = database
        self._dialect = dialect
        self._schema = schema
        self._tables = Tables(dialect, traits, schema)
        self._checkpoints = Checkpoints(dialect, schema)
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._transaction: Transaction | None = None
        self._lost: BaseException | None = None
        self._places: dict[Stream, Place] = {}
        self._keys = Keys(traits)
        self._owners = Owners(traits)
        self._pipeline = ""
        self._fence = ""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._database, self._dialect, self.traits, self._schema)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last committed checkpoint; see Destination."""
        with self._lock:
            self._roll_back(None)
            self._keys.begin()
            self._owners.begin()
            self._pipeline, fence = "", secrets.token_hex(8)
            with self._in_one_piece():
                row = self._taken_over(pipeline, fence)
            self._pipeline, self._fence = pipeline, fence
            return Checkpoint(pipeline, row.number, row.state, row.at) if row and row.at else None

    def prepare(self, stream: Stream) -> None:
        """Make the table exist and fit the stream; see Destination."""
        with self._lock, self._in_one_piece(), of_stream(stream.name):
            if stream.method is Method.REPLACE:
                table = self._accept(stream)
                if self._is_kept(stream):
                    self._fitted(stream, table)
                self._tables.require_room(self._open(), self._replacing(stream), table)
            else:
                self._place(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Take the batch's rows into the open transaction; see Destination."""
        with self._lock, self._in_one_piece(), of_stream(batch.stream.name):
            stream, place = batch.stream, self._place(batch.stream)
            transaction = self._begun()
            if stream.waits_for_commit:
                staging = self._staging(stream, place)
                rows = fitting_rows(self._dialect, batch, staging.place.table, staging.place.targets)
                self._open().load(staging.table, rows.column_names, rows)
            else:
                rows = fitting_rows(self._dialect, batch, place.table, place.targets)
                self._open().load(place.table, place.columns, rows)
                transaction.direct[stream.name] = transaction.direct.get(stream.name, 0) + rows.num_rows
                transaction.tables.add(place.table)
            transaction.rows += rows.num_rows
            return Receipt(
                stream, batch.checkpoint, rows.num_rows, batch.first_line, batch.last_line, transaction.token
            )

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Publish the receipts, apply the activations and store the state, in one transaction; see Destination."""
        with self._lock:
            self._require_staged(checkpoint)
            with of_rows(self._database), self._in_one_piece():
                published = self._published(checkpoint)
                self._checkpoints.store(self._open(), checkpoint, self._fence)
            try:
                self._run("COMMIT")
            except DestinationError as error:
                self._settle(checkpoint, error)
            self._transaction = None
            with suppress(DestinationError):  # the checkpoint is committed, whatever becomes of the rest
                self._tidy()
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        return error.__cause__ is not None and self._database.is_transient(error.__cause__)

    def close(self) -> None:
        """Undo what isn't committed and close the session; repeatable."""
        with self._lock:
            self._disconnect()

    def check(self) -> Sequence[str]:
        """One sentence for each thing found when connecting; see Inspectable."""
        return self._database.check()

    def plan(self, stream: Stream) -> Sequence[str]:
        """The statements that prepare() would run now, and the swap of a replaced table, none of them run."""
        with self._lock:
            table = self._tables.named(stream)
            found, kept, schemas = None, None, []
            if self._database.exists():
                found = self._tables.examined(self._open(), table, stream)
                kept = self._is_kept(stream)
                schemas = self._tables.schemas(self._open(), table.schema)
            if kept or stream.method is not Method.REPLACE:
                exchange = [statements.delete_rows(self._dialect, table)] if kept else []
                return [*schemas, *self._tables.statements(found, stream, table), *exchange]
            beside = self._beside(table)
            return [
                *schemas,
                *self._tables.statements(None, stream, beside),
                statements.drop_table(self._dialect, table),
                statements.rename_table(self._dialect, beside, table.name),
            ]

    def _open(self) -> Session:
        if self._session is None:
            self._session = LoggedSession(self._database.open())
        return self._session

    def _disconnect(self) -> None:
        session, self._session = self._session, None
        self._transaction = None
        self._places.clear()
        if session is not None:
            with suppress(DestinationError):
                session.close()

    def _run(self, sql: str, parameters: Sequence[object] = ()) -> int:
        return self._open().execute(sql, parameters)

    def _begun(self) -> Transaction:
        """The open transaction, which is begun when there is none."""
        if self._transaction is None:
            self._run(self._dialect.begin)
            self._transaction = Transaction()
        return self._transaction

    @contextmanager
    def _in_one_piece(self) -> Iterator[None]:
        """Undo the transaction on any error but those that leave it as it was."""
        try:
            yield
        except (RowsRefusedError, SchemaError):
            raise
        except BaseException as error:
            self._roll_back(error)
            if isinstance(error, DestinationError) and self._is_fenced():
                raise FencedError(self._pipeline) from error
            raise

    def _roll_back(self, error: BaseException | None) -> None:
        """Undo the transaction and forget what waited in it; `error` is why."""
        self._lost = error
        self._places.clear()
        if self._transaction is not None:
            self._transaction = None
            try:
                self._run("ROLLBACK")
            except DestinationError:
                self._disconnect()  # what a session has open is undone when it is closed

    def _is_fenced(self) -> bool:
        """Whether another run is known to have taken the pipeline over."""
        if self._pipeline:
            with suppress(DestinationError):
                row = self._checkpoints.row(self._open(), self._pipeline)
                return row is not None and row.fence != self._fence
        return False

    def _taken_over(self, pipeline: str, fence: str) -> Row | None:
        """The pipeline's row as it was; from here on the pipeline is ours, without the tables others left of it."""
        self._begun()
        for sql in (*self._tables.schemas(self._open(), self._schema), self._checkpoints.create):
            self._run(sql)
        for table in self._left_over(pipeline):
            self._run(statements.drop_table(self._dialect, table))
        row = self._checkpoints.take_over(self._open(), pipeline, fence)
        self._run("COMMIT")
        self._transaction = None
        return row

    def _left_over(self, pipeline: str) -> list[TableName]:
        """The tables that runs of the pipeline have made for themselves, and left."""
        found = self._open().query(self._dialect.tables, (prefix(pipeline),))
        return [TableName(str(name), str(schema) if schema else None) for schema, name in found]

    def _accept(self, stream: Stream) -> TableName:
        """The stream's table; raises SchemaError where it or its key can't be the stream's."""
        self._keys.accept(stream)
        table = self._tables.named(stream)
        self._owners.accept(stream, table)
        return table

    def _place(self, stream: Stream) -> Place:
        """Where the stream's rows go; its table is made, or altered, when need be."""
        if stream in self._places:
            return self._places[stream]
        table, loaded = self._accept(stream), stream
        if stream.method is Method.REPLACE:
            if self._is_kept(stream):
                return self._place_into(stream, self._fitted(stream, table))
            table, loaded = self._beside(table), self._replacing(stream)
        place = self._places[stream] = self._fitted(loaded, table)
        return place

    def _fitted(self, loaded: Stream, table: TableName) -> Place:
        """Where the stream's rows go in that table, which is made, or altered, when need be."""
        found = self._tables.examined(self._open(), table, loaded)
        changed = self._tables.statements(found, loaded, table)
        if changed:
            schemas = self._tables.schemas(self._open(), table.schema) if found is None else ()
            with of_table(self._database, loaded):
                self._alter(table, [*schemas, *changed])
            self._places = {other: place for other, place in self._places.items() if place.table != table}
            found = self._tables.examined(self._open(), table, loaded)
        if found is None:
            raise DestinationError(f"the table {table} was made and isn't there; another program may have dropped it")
        return self._tables.place(found, loaded, table)

    def _is_kept(self, stream: Stream) -> bool:
        """Whether the stream replaces the rows of its table, and not the table."""
        is_replaced = stream.method is Method.REPLACE
        table = self._tables.named(stream)
        return is_replaced and keeping.is_kept(self._open(), self._dialect, self._tables, stream, table)

    def _place_into(self, stream: Stream, kept: Place) -> Place:
        """Where rows wait, in columns as they have in the end, until they replace those of a table that is kept."""
        table = self._beside(kept.table)
        found = self._tables.found(self._open(), table)
        key = kept.key(stream)
        if changed := keeping.refitted(self._dialect, table, found, [*kept.targets.values()], key):
            with of_table(self._database, stream):
                self._alter(table, changed)
        place = self._places[stream] = Place(table, kept.targets, is_unique=bool(key), into=kept.table)
        return place

    def _alter(self, table: TableName, changed: Sequence[str]) -> None:  # noqa: ARG002 others alter some apart
        """Run what makes a table fit, within the open transaction."""
        self._begun()
        for sql in changed:
            self._run(sql)

    def _replacing(self, stream: Stream) -> Stream:
        """The stream as its new table takes it: what the contract leaves out of the present table isn't in it."""
        found, table = None, self._tables.named(stream)
        if stream.contract != "evolve":
            found = self._tables.found(self._open(), table)
        if found is None:
            return stream
        loaded = self._tables.loaded(found, stream)
        return replace(stream, columns=tuple(c for c in stream.columns if c.name in loaded), contract="evolve")

    def _beside(self, table: TableName) -> TableName:
        """The table that is built to replace that one."""
        return TableName(prefix(self._pipeline) + digest(self._fence + str(table)), table.schema)

    def _staging(self, stream: Stream, place: Place) -> Staging:
        stagings = self._begun().stagings
        if stream not in stagings:
            table = TableName(f"_tailrace_stage_{len(stagings) + 1}")
            with of_table(self._database, stream):
                self._run(self._tables.staging(place, table, temporary=True))
            stagings[stream] = Staging(stream, table, place)
        return stagings[stream]

    def _require_staged(self, checkpoint: Checkpoint) -> None:
        """Raise unless the open transaction holds the rows that the checkpoint publishes, and no others."""
        token, rows = (self._transaction.token, self._transaction.rows) if self._transaction else ("", 0)
        is_ours = all(receipt.token == token for receipt in checkpoint.publish)
        if not is_ours or sum(receipt.rows for receipt in checkpoint.publish) != rows:
            raise DestinationError(
                f"checkpoint {checkpoint.number} can't be committed: what waits in the database isn't what it "
                "publishes, since the transaction was undone, or other processes have staged; run again"
            ) from self._lost

    def _published(self, checkpoint: Checkpoint) -> dict[str, Published]:
        """What the checkpoint did to each stream's table, within the open transaction."""
        transaction = self._begun()
        stagings = [self._recast(staging) for staging in transaction.stagings.values()]
        return self._publish(checkpoint, transaction.direct, stagings)

    def _tidy(self) -> None:
        """Do what is left to do after a commit."""
        self._open().release_memory()

    def _publish(
        self, checkpoint: Checkpoint, direct: Mapping[str, int], stagings: Sequence[Staging]
    ) -> dict[str, Published]:
        published = {name: Published(inserted=rows) for name, rows in direct.items()}
        streams = [*(staging.stream for staging in stagings), *(a.stream for a in checkpoint.activate)]
        for name in dict.fromkeys(stream.name for stream in streams):
            staged = [staging for staging in stagings if staging.stream.name == name]
            activations = [activation for activation in checkpoint.activate if activation.stream.name == name]
            with of_stream(name):
                merged = self._merged(staged, activations, checkpoint.at)
            published[name] = published.get(name, Published()) + merged
        for stream in checkpoint.replace:
            with of_stream(stream.name):
                swapped = self._swapped(stream)
            published[stream.name] = published.get(stream.name, Published()) + swapped
        return published

    def _merged(self, stagings: list[Staging], activations: list[Activation], at: datetime) -> Published:
        """Merge what is staged of a stream, with its activations in between, in the order of lines."""
        session, dialect = self._open(), self._dialect
        stagings.sort(key=lambda staging: staging.stream.revision)
        done, first = Published(), 0
        for activation in [*sorted(activations, key=lambda a: a.line), None]:
            end = activation.line if activation else LAST_LINE
            for staging in stagings:
                done += publish.merge(session, dialect, staging, first, end)
            if activation:
                done += publish.activate(session, dialect, self._place(activation.stream), activation, at)
            first = end
        for staging in stagings:
            self._let_go(staging)
        return done

    def _recast(self, staging: Staging) -> Staging:
        """The staging table for its table as that is now: rows that waited while a column became wider do so too."""
        if self._places.get(staging.stream) is staging.place:
            return staging
        found = self._tables.found(self._open(), staging.place.table)
        if found is None:
            raise DestinationError(f"the table {staging.place.table} isn't there; another program may have dropped it")
        place, wider = self._tables.recast(found, staging.place, staging.table)
        for sql in wider:
            self._run(sql)
        return replace(staging, place=place)

    def _let_go(self, staging: Staging) -> None:
        """Drop a staging table whose rows are where they belong."""
        self._run(statements.drop_table(self._dialect, staging.table))

    def _swapped(self, stream: Stream) -> Published:
        """Put the table that was built beside in the place of the stream's."""
        place, table = self._place(stream), self._tables.named(stream)
        beside = place.table
        if place.into and (have := self._tables.found(self._open(), beside)):
            swapped = keeping.exchange_rows(self._open(), self._dialect, beside, have, table)
        else:
            exists = self._tables.found(self._open(), table) is not None
            swapped = publish.swap(self._open(), self._dialect, beside, table, exists=exists)
        self._places = {other: place for other, place in self._places.items() if place.table != beside}
        return swapped

    def _settle(self, checkpoint: Checkpoint, error: DestinationError) -> None:
        """Find out whether a COMMIT that failed has landed; raises unless it has."""
        self._lost = error
        self._disconnect()
        try:
            row = self._checkpoints.row(self._open(), checkpoint.pipeline)
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
