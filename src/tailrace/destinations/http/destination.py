"""A REST endpoint as a Destination: rows wait in a spool, and a commit sends them and then stores the checkpoint."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa

from tailrace import compute as pc
from tailrace.checkpoint_files import Checkpoints
from tailrace.destination import Inspectable, RefusedAtCommitError
from tailrace.destinations.http.answers import PassingError
from tailrace.destinations.http.client import Client, origin
from tailrace.destinations.http.delivery import Delivery, Ledger
from tailrace.destinations.http.kept import OtherCheckpoints, checkpoints_of, folder_of
from tailrace.destinations.http.outbox import Outbox, Sealed, Staged
from tailrace.destinations.http.parts import Request
from tailrace.destinations.http.rows import encoded, is_one_path
from tailrace.destinations.http.settings import Settings
from tailrace.errors import ConfigError, DestinationError, FencedError, RowsRefusedError, SchemaError
from tailrace.log import get_logger
from tailrace.model import LINE, Batch, Checkpoint, Method, Published, Receipt, Stream, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.keys import Keys
from tailrace.schema.steps import rows_by_token
from tailrace.spool import Spool

_log = get_logger("http")

TRAITS = Traits(
    name="http",
    guarantee="at least once; exactly once where the endpoint honours the key of each request",
    max_name_length=4096,
    methods=frozenset({Method.APPEND, Method.UPSERT}),
    case_sensitive=True,
)


class _GivenUpError(DestinationError):
    """An interrupted checkpoint can't be finished."""


class HttpDestination:
    """A Destination, and Inspectable, on a REST endpoint.

    A commit writes the checkpoint into the outbox, sends its requests, and stores the state. Where a run is killed in
    between, recover() sends what is in the outbox, under the same keys.
    """

    traits = TRAITS

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._keys = Keys(TRAITS)
        self._pipeline: str | None = None
        self._checkpoints: Checkpoints | None = None
        self._outbox: Outbox | None = None
        self._next = 1
        self._ledger = Ledger()
        self._texts = Spool()
        self._batches = Spool()
        self._rows: Counter[str] = Counter()
        self._is_sealed = False

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._settings,)

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, once what a killed run was sending is sent; see Destination."""
        with self._lock:
            self._discard()
            self._keys.begin()
            if pipeline != self._pipeline or self._checkpoints is None:
                self._close_checkpoints()
                self._checkpoints, self._outbox = checkpoints_of(pipeline, self._settings), self._outbox_of(pipeline)
                self._pipeline, self._ledger = pipeline, Ledger()
            last = self._checkpoints.recover(pipeline)
            last = self._finished(self._checkpoints, (last.number if last else 0) + 1) or last
            number = (last.number if last else 0) + 1
            if number != self._next:
                self._next, self._ledger = number, Ledger()
            self._ledger.restage()
            return last

    def remembered(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint that was sent in full, as far as that was noted; see Remembering."""
        checkpoints = checkpoints_of(pipeline, self._settings)
        with closing(checkpoints):
            return checkpoints.remembered(pipeline)

    def prepare(self, stream: Stream) -> None:
        """Raise where requests can't be made for the stream; see Destination."""
        with self._lock:
            self._keys.accept(stream)
        given = self._settings
        if stream.hard_delete and stream.is_merged and stream.deletions and not given.delete_url:
            raise ConfigError(
                f"stream {stream.name!r} has `hard_delete`, and the endpoint no URL to delete a row",
                key="delete_url",
                hint="set it, as in `https://host/rows/{key}`, or leave `hard_delete` out",
            )
        urls = [given.url, *([given.delete_url] if given.delete_url and stream.is_merged else [])]
        if "{key}" in given.url and not stream.key:
            raise ConfigError(
                f"stream {stream.name!r} has no key, and the URL wants one", key="url", hint="set `key_properties`"
            )
        if not all(is_one_path(url, stream) for url in urls):
            raise SchemaError("its name would be another path of the URL; give it another one", stream=stream.name)

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows, as texts, in a file of this machine; see Destination."""
        stream = batch.stream
        rows, refused = encoded(batch.rows, stream, self._settings)
        if refused:
            raise RowsRefusedError(f"stream {stream.name!r}: {len(refused)} rows can't be sent", refused)
        if self._checkpoints is None:
            raise DestinationError("nothing can be staged before the pipeline is recovered")
        self._texts.add(Batch(stream, rows, batch.checkpoint))
        self._batches.add(batch)
        token = secrets.token_hex(8)
        with self._lock:
            self._rows[token] = rows.num_rows
        return batch.receipt(rows.num_rows, token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Send the rows and then store the state; see Destination.

        Repeatable after a failure: what the endpoint has taken isn't sent again. RefusedAtCommitError comes once all
        other rows are taken.
        """
        with self._lock:
            if self._checkpoints is None or checkpoint.pipeline != self._pipeline:
                raise DestinationError("nothing can be committed before the pipeline is recovered")
            if checkpoint.number != self._next:
                raise FencedError(checkpoint.pipeline)
            self._require_staged(checkpoint)
            with self._checkpoints.committing(checkpoint):
                published = self._brought(checkpoint)
            self._next, self._ledger = checkpoint.number + 1, Ledger()
            self._discard()
            if self._outbox:
                self._outbox.clear()
            if checkpoint.activate:
                names = ", ".join(sorted({each.stream.name for each in checkpoint.activate}))
                _log.warning("an endpoint's rows of older table versions stay as they are", streams=names)
            return published

    def is_transient(self, error: Exception) -> bool:
        """Whether the call that raised this error may succeed when repeated; see Destination."""
        is_ours = isinstance(error, PassingError)
        return is_ours or bool(self._checkpoints and self._checkpoints.is_transient(error))

    def close(self) -> None:
        """Discard what isn't committed, and close connections; repeatable."""
        with self._lock:
            self._discard()
            self._close_checkpoints()
            if self._client is not None:
                self._client.close()
            self._client = None

    def check(self) -> Sequence[str]:
        """Ask the endpoint for the head of its address, which changes nothing; see Inspectable."""
        given, client = self._settings, self._connected()
        client.log_in()
        path = given.url if "{" not in given.url else f"{origin(given.url)}/"
        answer = client.send(Request("HEAD", path, {}))
        found = [f"{origin(given.url)} answers (HEAD: {answer.status}); nothing was sent to it."]
        if given.checkpoints is None:
            return [*found, "No place for checkpoints is set, so that a run can't have a --pipeline."]
        folder = folder_of(given)
        if folder is not None:
            return [*found, f"Checkpoints are kept in the folder {folder.absolute()}."]
        other = checkpoints_of("check", given)
        with closing(other):
            assert isinstance(other, OtherCheckpoints)  # noqa: S101 there is no folder
            inner = other.destination
            return [
                *found,
                *(f"Checkpoints: {said}" for said in (inner.check() if isinstance(inner, Inspectable) else ())),
            ]

    def plan(self, stream: Stream) -> Sequence[str]:
        """What is sent for the stream, in words; see Inspectable."""
        self.prepare(stream)
        given = self._settings
        size = "for each row" if given.per_record else f"of up to {given.max_rows} rows"
        which = "the last row of each key" if stream.is_merged else "every row"
        said = [f"-- {given.http_method} {_shown(given.url)} {size}, as {given.format}: {which}"]
        if stream.is_merged and stream.hard_delete and given.delete_url:
            said.append(f"-- {given.delete_method} {_shown(given.delete_url)} for each row that is marked as deleted")
        return said

    def _require_staged(self, checkpoint: Checkpoint) -> None:
        """Raise unless the checkpoint publishes what is staged, without the rows that were refused before."""
        rows = rows_by_token(checkpoint.publish)
        if rows.keys() != self._rows.keys() or rows.total() + len(self._ledger.dropped) != self._rows.total():
            raise DestinationError(f"checkpoint {checkpoint.number} doesn't publish what is staged")

    def _brought(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Bring the staged rows to the endpoint; what that did, by stream."""
        ledger, outbox = self._ledger, self._outbox
        if outbox and self._texts.streams and ledger.dropped:
            outbox.drop(checkpoint, self._texts, ledger.dropped)
        elif outbox and self._texts.streams and not self._is_sealed:
            outbox.seal(checkpoint, self._texts)
            self._is_sealed = True
        published = self._deliver(checkpoint, self._texts, ledger)
        batches = [*self._refused(ledger.refused, checkpoint.number)]
        if batches:
            lines = {line for batch in batches for line in batch.rows[LINE].to_pylist()}
            reasons = {line: reason for line, reason in ledger.refused.items() if line in lines}
            ledger.dropped |= reasons
            ledger.refused = {}
            raise RefusedAtCommitError(f"the endpoint refuses {len(reasons)} rows", reasons, batches)
        return published

    def _refused(self, lines: Collection[int], number: int) -> Iterator[Batch]:
        """The staged rows of these lines."""
        wanted = pa.array(lines, pa.int64())
        for stream in self._batches.streams if lines else ():
            for table in self._batches.read(stream):
                rows = table.filter(pc.is_in(table[LINE], value_set=wanted))
                if rows.num_rows:
                    yield Batch(stream, rows, number)

    def _finished(self, checkpoints: Checkpoints, number: int) -> Checkpoint | None:
        """The checkpoint that a killed run has left in the outbox, once all of it is sent and stored."""
        if self._outbox is None:
            return None
        left = self._outbox.sealed(number)
        if left is not None and left.is_own:
            return None  # the runtime is about to commit it anew, or to end
        if left is not None:
            try:
                with checkpoints.committing(left.checkpoint):
                    self._finish(left)
            except _GivenUpError as error:
                _log.warning("an interrupted checkpoint is given up; it comes from the tap", why=str(error))
                left = None
        self._outbox.clear()
        return left.checkpoint if left else None

    def _finish(self, left: Sealed) -> None:
        """Send what is in the outbox: as it was at first, and then as it was once refused rows were dropped."""
        ledger = Ledger()
        self._deliver(left.checkpoint, left.staged, ledger)
        if left.dropped and ledger.refused.keys() <= {*left.dropped}:
            ledger.dropped, ledger.refused = dict.fromkeys(left.dropped, ""), {}
            self._deliver(left.checkpoint, left.staged, ledger)
        if ledger.refused:
            raise _GivenUpError(f"the endpoint refuses {len(ledger.refused)} rows")

    def _deliver(self, checkpoint: Checkpoint, staged: Staged, ledger: Ledger) -> Mapping[str, Published]:
        client = self._connected()
        return Delivery(client, self._settings, checkpoint.pipeline, checkpoint.number, ledger).run(staged)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(self._settings)
        return self._client

    def _outbox_of(self, pipeline: str) -> Outbox | None:
        folder: Path | None = self._settings.outbox or folder_of(self._settings)
        return None if folder is None or is_unnamed(pipeline) else Outbox(folder, pipeline, self._settings)

    def _discard(self) -> None:
        self._texts.clear()
        self._batches.clear()
        self._rows.clear()
        self._is_sealed = False

    def _close_checkpoints(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._checkpoints = None


def _shown(url: str) -> str:
    """The URL without its query, in which there may be secrets."""
    return origin(url) + urlsplit(url).path
