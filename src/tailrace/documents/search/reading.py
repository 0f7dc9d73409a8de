"""Documents as they are in an index: by their ids, or all that a query finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tailrace.documents.database import Stored
from tailrace.documents.search.cluster import NOT_FOUND, Answer, Cluster, Reason, path_of
from tailrace.documents.search.mappings import MARK
from tailrace.errors import DestinationError

_LEAST_OURS = 2**40
"""Our versions are microseconds since 1970, or more; an engine's own count from 1."""

_KEPT_FOR = "10m"


_NAMES = {"id": "_id", "index": "_index", "version": "_version", "source": "_source"}


class _Document(msgspec.Struct, frozen=True, rename=_NAMES):
    """A document of an answer, and the index that it is in."""

    id: str
    index: str = ""
    found: bool = True
    version: int = 0
    source: dict[str, msgspec.Raw] = {}
    error: Reason | None = None

    @property
    def mark(self) -> dict[str, Any]:
        """What a document that was only created says of where it is from."""
        if MARK not in self.source:
            return {}
        mark = msgspec.json.decode(self.source[MARK])
        return mark if isinstance(mark, dict) else {}

    @property
    def stored(self) -> Stored:
        """The document as the kit has it; its version is that which it was created with, or last written."""
        created = self.mark.get("version")
        version = created if isinstance(created, int) else self.version
        return Stored(self.id, version if version >= _LEAST_OURS else 0, self.source)


Document = _Document


class _Several(msgspec.Struct, frozen=True):
    docs: list[_Document]


class _Hits(msgspec.Struct, frozen=True):
    hits: list[_Document]


class _Found(msgspec.Struct, frozen=True):
    hits: _Hits
    scroll: str | None = msgspec.field(default=None, name="_scroll_id")


class Documents:
    """Reads documents, `size` at once."""

    def __init__(self, cluster: Cluster, size: int) -> None:
        self._cluster = cluster
        self._size = size

    def read(self, index: str, ids: Sequence[str]) -> list[Document | None]:
        """The documents of these ids, in their order."""
        if not ids:
            return []
        answer = self._cluster.answer("POST", path_of(index, "_mget"), {"ids": [*ids]})
        found = self._decoded(answer, _Several).docs
        for each in found:
            if each.error is not None:
                raise DestinationError(f"{index}: documents can't be read: {each.error}")
        return [each if each.found else None for each in found]

    def found(self, index: str, query: Mapping[str, Any]) -> Iterator[list[Document]]:
        """The documents that a query finds, as they are when it begins."""
        self._cluster.ask("POST", path_of(index, "_refresh"))
        body = {"size": self._size, "query": query, "sort": ["_doc"], "version": True}
        answer = self._cluster.answer("POST", path_of(index, "_search"), body, scroll=_KEPT_FOR)
        page = self._decoded(answer, _Found)
        try:
            while page.hits.hits:
                yield page.hits.hits
                body = {"scroll_id": page.scroll, "scroll": _KEPT_FOR}
                answer = self._cluster.answer("POST", "/_search/scroll", body, is_repeatable=False)
                page = self._decoded(answer, _Found)
        finally:
            if page.scroll is not None:
                self._cluster.ask("DELETE", "/_search/scroll", {"scroll_id": page.scroll}, but={NOT_FOUND})

    def _decoded(self, answer: Answer | None, kind: Any) -> Any:
        if answer is None:
            raise DestinationError("no answer")
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except msgspec.DecodeError as error:
            raise self._cluster.unreadable(answer) from error
