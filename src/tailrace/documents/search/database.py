"""A search engine as the kit of documents asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import structs

from tailrace.documents.database import (
    VERSIONS,
    Before,
    Description,
    Fields,
    Id,
    Mark,
    Outcome,
    Pipeline,
    Stored,
    Swap,
    Undo,
    Write,
)
from tailrace.documents.search import ids
from tailrace.documents.search.bulk import Bulk, Request
from tailrace.documents.search.cluster import NOT_FOUND, Cluster, Connection, path_of
from tailrace.documents.search.indices import Indices, Layout
from tailrace.documents.search.names import beside_name, cleaned, index_name
from tailrace.documents.search.reading import Documents
from tailrace.documents.search.records import Place, Records
from tailrace.documents.search.settings import SearchSettings
from tailrace.documents.search.streams import DataStreams
from tailrace.documents.search.values import documents
from tailrace.documents.search.writes import Written
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import Stream, TableName
from tailrace.schema.evolve import TableColumn

_AGAIN = 5
_UNTOLD = frozenset({401, 403, NOT_FOUND})
"""Statuses of a cluster that doesn't say to this login, or to nobody, which engine it is."""

Connect = Callable[[Any], Connection]
"""Makes the client of a cluster, by its settings."""


class SearchDatabase:
    """A DocumentDatabase. `product` is what the engine is called, and `lacks` are types of fields that it hasn't."""

    def __init__(self, settings: SearchSettings, connect: Connect, product: str, lacks: frozenset[str]) -> None:
        self._made_from = (settings, connect, product, lacks)
        self._settings = settings
        self._cluster = Cluster(_Late(lambda: connect(settings)), product)
        self._records = Records(self._cluster, settings.named(settings.records_index), settings.number_of_replicas)
        layout = Layout(
            settings.number_of_shards,
            settings.number_of_replicas,
            settings.index_settings,
            settings.mappings,
            lacks,
        )
        self._indices = Indices(self._cluster, layout)
        self._documents = Documents(self._cluster, settings.rows_at_once)
        self._streams = DataStreams(
            self._cluster, self._indices, self._documents, settings.streams_of_data, settings.timestamp_field
        )
        params = {"refresh": "wait_for"} if settings.refresh == "wait_for" else {}
        if settings.ingest_pipeline:
            params["pipeline"] = settings.ingest_pipeline
        self._bulk = Bulk(self._cluster, settings.bulk_bytes, params)
        self._today = datetime.now(UTC).date()
        self._is_met = False

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._made_from

    @property
    def rows_at_once(self) -> int:
        """See DocumentDatabase."""
        return self._settings.rows_at_once

    @property
    def connections(self) -> int:
        """See DocumentDatabase."""
        return self._settings.connections

    def open(self) -> None:
        """Make what tailrace keeps its own records in; names have the date of now until the next time."""
        self._today = datetime.now(UTC).date()
        self._streams.begin()
        if not self._is_met and (found := self._cluster.ask("GET", "/", but=_UNTOLD)) is not None:
            self._require_product(found)
        self._is_met = True
        self._records.open()

    def pipeline(self, name: str) -> tuple[Pipeline, Place] | None:
        """What is remembered of a pipeline; see DocumentDatabase."""
        return self._records.pipeline(name)

    def put_pipeline(self, pipeline: Pipeline, replaced: Place | None) -> bool:
        """Remember the pipeline; see DocumentDatabase."""
        return self._records.put_pipeline(pipeline, replaced)

    def drop_pipeline(self, name: str) -> None:
        """Forget the pipeline; see DocumentDatabase."""
        self._records.drop_pipeline(name)

    def add_undo(self, undo: Undo) -> None:
        """Keep a record; see DocumentDatabase."""
        self._records.add_undo(undo)

    def undos(self, pipeline: str) -> Iterator[Undo]:
        """The pipeline's records; see DocumentDatabase."""
        return self._records.undos(pipeline)

    def drop_undos(self, pipeline: str, fence: str) -> None:
        """Forget the records of a run; see DocumentDatabase."""
        self._records.drop_undos(pipeline, fence)

    def packed(self, documents: Sequence[Before]) -> bytes:
        """Documents as bytes; see DocumentDatabase."""
        return msgspec.json.encode([(at, None if was is None else was.fields) for at, was in documents])

    def unpacked(self, content: bytes) -> list[Before]:
        """The documents of `packed`; see DocumentDatabase."""
        several = msgspec.json.decode(content, type=list[tuple[str, dict[str, msgspec.Raw] | None]])
        return [(at, None if fields is None else Stored(at, 0, fields)) for at, fields in several]

    def named(self, table: TableName) -> str:
        """The index of a table; see DocumentDatabase."""
        settings = self._settings
        name = index_name(settings.index_format or "{stream}", table, self._today, cleaned_prefix(settings.prefix))
        if name == settings.named(settings.records_index):
            raise ConfigError(
                f"the table {table} would be the index {name!r}, which has tailrace's records", key="table"
            )
        return name

    def beside(self, collection: str, fence: str) -> str:
        """The name of an index that is built beside; see DocumentDatabase."""
        return beside_name(collection, fence)

    def accept(self, stream: Stream, collection: str) -> None:
        """Refuse what a data stream can't have; see DocumentDatabase."""
        self._streams.accept(stream, collection)

    def describe(self, collection: str) -> Description | None:
        """The index; see DocumentDatabase."""
        return self._indices.describe(collection)

    def create(self, collection: str, stream: Stream, description: Description, like: str | None = None) -> None:
        """Make the index; see DocumentDatabase."""
        if self._streams.has(collection):
            self._indices.create_data_stream(collection, stream, description)
        else:
            self._indices.create(collection, stream, description, like)

    def alter(self, collection: str, description: Description) -> None:
        """Let the index have the columns; see DocumentDatabase."""
        self._indices.alter(collection, description)

    def drop(self, collection: str) -> None:
        """Drop the index; see DocumentDatabase."""
        self._indices.drop(collection)

    def swap(self, swap: Swap) -> None:
        """Let the index beside take the other one's place; see DocumentDatabase."""
        self._records.claim(swap.name, self._records.claimed(swap.beside) + VERSIONS)
        self._indices.swap(swap)

    def is_empty(self, collection: str) -> bool:
        """Whether there are no documents; see DocumentDatabase."""
        return self.count(collection) == 0

    def count(self, collection: str) -> int:
        """The number of documents; see DocumentDatabase."""
        if self._cluster.ask("POST", path_of(collection, "_refresh"), but={NOT_FOUND}) is None:
            return 0
        return int(self._cluster.ask("GET", path_of(collection, "_count"))["count"])

    def claim(self, collection: str) -> int:
        """The first of versions that are a commit's alone; see DocumentDatabase."""
        return self._records.claim(collection)

    def documents(
        self,
        rows: pa.Table,
        columns: Mapping[str, TableColumn],
        key: Sequence[str] = (),  # noqa: ARG002 what a document can have, its key can
    ) -> list[Fields | str]:
        """A document for each row; see DocumentDatabase."""
        return documents(rows, columns)

    def id_of(self, fields: Fields, key: Sequence[str]) -> str:
        """The id of a document with a key; see DocumentDatabase."""
        return ids.id_of([fields[name] for name in key])

    def new_id(self, origin: str, line: int) -> str:
        """The id of a document without a key; see DocumentDatabase."""
        return ids.new_id(origin, line)

    def read(self, collection: str, ids: Sequence[Id]) -> list[Stored | None]:
        """The documents of these ids; see DocumentDatabase."""
        return [None if found is None else found.stored for found in self._documents.read(collection, ids)]

    def older(self, collection: str, field: str, version: int, unmarked: str | None) -> Iterator[list[Stored]]:
        """Documents whose field is below the version; see DocumentDatabase."""
        conditions: dict[str, Any] = {"filter": [{"range": {field: {"lt": version}}}]}
        if unmarked is not None:
            conditions["must_not"] = [{"exists": {"field": unmarked}}]
        for several in self._documents.found(collection, {"bool": conditions}):
            older = [found.stored for found in several]
            self._streams.require_none(collection, older)
            yield older

    def write(self, collection: str, writes: Sequence[Write], mark: Mark) -> list[Outcome | str]:
        """Write documents; see DocumentDatabase."""
        is_stream = self._streams.has(collection)
        if is_stream:
            writes = [
                structs.replace(write, fields=self._streams.stamped(collection, write.fields)) for write in writes
            ]
        read = self._streams.read if is_stream else self._documents.read
        written = Written(writes, mark, creates=is_stream)
        for _ in range(_AGAIN):
            left = written.left()
            if not left:
                break
            items = self._bulk.write(collection, [written.request(at) for at in left])
            doubtful = written.take(left, items, self._cluster.product)
            if doubtful:
                found = read(collection, [writes[at].id for at in doubtful])
                unexplained = written.look(doubtful, found)
                if unexplained is not None:
                    self._require_claimed(collection, *unexplained)
        outcomes = written.outcomes("other programs write the same documents; load again")
        if is_stream:
            self._streams.note(collection, mark, outcomes)
        return outcomes

    def restore(self, collection: str, documents: Sequence[Before], version: int, *, deletes: bool) -> None:
        """Give back what these were before; see DocumentDatabase.

        They get the last of these versions: what the run still sends is older. One that is gone is deleted again, so
        that a late write doesn't bring it back; that of insert_ignore does, which has no version of its own.
        """
        is_stream = self._indices.is_data_stream(collection)
        if is_stream is None:
            return  # and with the index all that was written there
        if is_stream:
            self._streams.delete(collection, documents)
            return
        found = self._documents.read(collection, [at for at, _ in documents])
        last = version + VERSIONS - 1
        requests: list[Request] = []
        for (at, was), now in zip(documents, found, strict=True):
            if now is not None and not (version <= now.stored.version < version + VERSIONS):
                continue
            if now is None and was is not None and not deletes:
                continue
            own = last if now is None else max(last, now.version)
            if was is None:
                requests.append(Request("delete", at, own))
            else:
                requests.append(Request("index", at, own, msgspec.json.encode(was.fields)))
        failed = [i for i in self._bulk.write(collection, requests) if i.status >= 300 and i.status not in (404, 409)]  # noqa: PLR2004
        if failed:
            raise DestinationError(f"{collection}: what a run has written can't be undone: {failed[0].reason}")

    def refresh(self, collections: Sequence[str]) -> None:
        """Let readers see what was written, if that is wanted; see DocumentDatabase."""
        for collection in collections:
            if self._streams.has(collection):
                self._streams.settle(collection)
            if self._settings.refresh == "true":
                self._cluster.ask("POST", path_of(collection, "_refresh"), but={NOT_FOUND})

    def is_transient(self, error: BaseException) -> bool:
        """Whether an error may pass; see DocumentDatabase."""
        return self._cluster.is_transient(error)

    def check(self) -> Sequence[str]:
        """Which cluster it is; see DocumentDatabase."""
        found = self._cluster.ask("GET", "/")
        self._require_product(found)
        return [f"{self._cluster.product} {found['version']['number']}, the cluster {found.get('cluster_name')!r}"]

    def close(self) -> None:
        """Close the connections; repeatable."""
        self._cluster.close()

    def _require_product(self, found: Mapping[str, Any]) -> None:
        """Raise DestinationError where the cluster says that it is of the other engine."""
        product = found.get("version", {}).get("distribution", "elasticsearch")
        if product != (own := self._cluster.product.lower()):
            raise DestinationError(
                f"this is a cluster of {product}, into which the destination {own!r} doesn't load: write {product!r} "
                f"in its place, as in `--to {product}://...`"
            )

    def _require_claimed(self, collection: str, name: str, version: int) -> None:
        """Raise DestinationError where a document's version is above all that tailrace has written with."""
        if version >= self._records.claimed(collection) + VERSIONS:
            raise DestinationError(
                f"{collection}: the document {name!r} has the version {version}, which another program has given it, "
                "and which is above all that tailrace writes with, so that the document can't be written; delete it "
                "there and index it again without a version of its own"
            )


class _Late:
    """A connection that is made when it is first used."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._lock = threading.Lock()

    def perform(self, method: str, target: str, body: bytes | None, kind: str) -> Any:
        """See Connection."""
        return self._made().perform(method, target, body, kind)

    def is_transient(self, error: BaseException) -> bool:
        """See Connection."""
        return self._made().is_transient(error)

    def close(self) -> None:
        """See Connection."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _made(self) -> Connection:
        with self._lock:
            if self._connection is None:
                self._connection = self._connect()
            return self._connection


def cleaned_prefix(prefix: str) -> str:
    """What all names begin with."""
    return cleaned(prefix) if prefix else ""
