"""Data streams: documents that are only created, in backing indices that an engine begins anew from time to time.

An id is one of its backing index alone. A request that is repeated after a rollover creates a document again, and what
was created is looked for in all backing indices, by queries.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import msgspec

from tailrace.documents.database import Fields, Id, Mark, Outcome, Stored
from tailrace.documents.search.cluster import NOT_FOUND, Cluster, path_of
from tailrace.documents.search.indices import TIMESTAMP, Indices
from tailrace.documents.search.mappings import MARK
from tailrace.documents.search.reading import Document, Documents
from tailrace.errors import DestinationError, SchemaError
from tailrace.model import Method, Stream

_ABSENT = (None, msgspec.Raw(b"null"))


class DataStreams:
    """The data streams of a run. Thread-safe.

    `asked` are patterns of streams that are to have one, or None for all; `field` gives the `@timestamp` of documents
    that have none of their own.
    """

    def __init__(
        self, cluster: Cluster, indices: Indices, documents: Documents, asked: Collection[str] | None, field: str
    ) -> None:
        self._cluster = cluster
        self._indices = indices
        self._documents = documents
        self._asked = asked
        self._field = field
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ...] | None] = {}
        self._created = Counter[tuple[str, int]]()

    def begin(self) -> None:
        """Forget everything, since a run begins."""
        with self._lock:
            self._known.clear()
            self._created.clear()

    def accept(self, stream: Stream, index: str) -> None:
        """Remember whether that is a data stream; SchemaError where it can't have what the stream asks for."""
        is_asked = self._asked is None or any(fnmatchcase(stream.name, pattern) for pattern in self._asked)
        is_there = self._indices.is_data_stream(index)
        if is_asked and is_there is False:
            raise DestinationError(
                f"{index} is an index, and no data stream; delete it, give the stream another table or `index_format`, "
                "or leave the stream out of `data_streams`"
            )
        if (is_asked or is_there) and (reason := _refusal(stream)):
            raise SchemaError(
                f"{index} is a data stream, to which documents are only added: {reason}", stream=stream.name
            )
        with self._lock:
            self._known[index] = self._times(stream) if is_asked or is_there else None

    def has(self, index: str) -> bool:
        """Whether that is a data stream, of which a stream was accepted."""
        with self._lock:
            return self._known.get(index) is not None

    def stamped(self, index: str, fields: Fields) -> Fields:
        """The fields with a `@timestamp`: their own, that of the other field, or now."""
        for name in self._known[index] or ():
            if fields.get(name) not in _ABSENT:
                return fields | {TIMESTAMP: fields[name]}
        return fields | {TIMESTAMP: f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}

    def _times(self, stream: Stream) -> tuple[str, ...]:
        """The columns that give documents their time, the best one first, by what records or tables call them."""
        named = [c.name for field in (TIMESTAMP, self._field) for c in stream.columns if field in (c.name, *c.path[:1])]
        return tuple(dict.fromkeys(named))

    def read(self, index: str, ids: Sequence[Id]) -> list[Document | None]:
        """The documents of these ids, in their order."""
        found = {each.id: each for several in self._documents.found(index, _with(ids)) for each in several}
        return [found.get(at) for at in ids]

    def require_none(self, index: str, documents: Collection[Stored]) -> None:
        """Raise DestinationError where an activated version would change documents of a data stream."""
        if documents and self.has(index):
            raise DestinationError(
                f"{index} is a data stream, in which documents of older versions (ACTIVATE_VERSION) can't be deleted "
                "or marked; leave the stream out of `data_streams`, or let its tap send what is new, without versions"
            )

    def note(self, index: str, mark: Mark, outcomes: Sequence[Outcome | str]) -> None:
        """Remember how many documents were created."""
        with self._lock:
            self._created[index, mark.version] += sum(outcome is Outcome.DONE for outcome in outcomes)

    def settle(self, index: str) -> None:
        """Delete what was created twice: by a request that was repeated, behind a rollover."""
        with self._lock:
            created = {version: count for (name, version), count in self._created.items() if name == index}
            for version in created:
                del self._created[index, version]
        for version, count in created.items():
            self._cluster.ask("POST", path_of(index, "_refresh"))
            query = {"term": {f"{MARK}.version": version}}
            found = self._cluster.ask("POST", path_of(index, "_count"), {"query": query})
            if int(found["count"]) > count:
                seen = set[Id]()
                for several in self._documents.found(index, query):
                    for each in several:
                        if each.id in seen:
                            self._cluster.ask("DELETE", path_of(each.index, "_doc", each.id), but={NOT_FOUND})
                        seen.add(each.id)
                self._cluster.ask("POST", path_of(index, "_refresh"))

    def delete(self, index: str, documents: Sequence[tuple[Id, Stored | None]]) -> None:
        """Delete documents that were created, from all backing indices."""
        self._cluster.ask("POST", path_of(index, "_refresh"))
        body = {"query": _with([at for at, was in documents if was is None])}
        # What is deleted at once by two runs that recover is a conflict of either, and gone.
        path = path_of(index, "_delete_by_query")
        done = self._cluster.ask("POST", path, body, conflicts="proceed", refresh="true")
        if done["failures"]:
            raise DestinationError(f"{index}: what a run has written can't be undone: {done['failures'][0]}")


def _with(ids: Sequence[Id]) -> dict[str, object]:
    return {"ids": {"values": [*ids]}}


def _refusal(stream: Stream) -> str | None:
    """Why the stream can't be loaded into a data stream, and what to do."""
    if stream.method is Method.REPLACE:
        return "`method: replace` needs an index; leave the stream out of `data_streams`"
    if stream.is_merged:
        return (
            "rows that are told apart by a key need an index; set `method: append`, which keeps every row, or leave "
            "the stream out of `data_streams`"
        )
    return None
