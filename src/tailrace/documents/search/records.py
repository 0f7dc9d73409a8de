"""tailrace's own records in a cluster: pipelines, documents to undo, and the versions that were claimed."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from time import time_ns
from typing import Any

import msgspec

from tailrace.documents.database import VERSIONS, Pipeline, Undo
from tailrace.documents.search.bulk import Bulk, Request
from tailrace.documents.search.cluster import CONFLICT, NOT_FOUND, Cluster, path_of
from tailrace.errors import DestinationError

_EXISTS = 400
_AT_ONCE = 8
"""How many documents to undo are read with one call; each has some megabytes at most."""

Place = tuple[int, int]
"""What names a version of a record: its sequence number, and the term of its primary."""


class Records:
    """The records, in an index of their own. Thread-safe."""

    def __init__(self, cluster: Cluster, index: str, replicas: int | None) -> None:
        self._cluster = cluster
        self._index = index
        self._replicas = replicas
        self._bulk = Bulk(cluster, 5 << 20, {})
        self._kept: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Make the index, if it isn't there."""
        if self._cluster.ask("GET", path_of(self._index), but={NOT_FOUND}) is not None:
            return
        copies = {"auto_expand_replicas": "0-1"} if self._replicas is None else {"number_of_replicas": self._replicas}
        settings = {"number_of_shards": 1, "hidden": True, "translog": {"durability": "request"}, **copies}
        keyword = {"type": "keyword"}
        fields = {"kind": keyword, "pipeline": keyword, "fence": keyword, "order": {"type": "long"}}
        body = {"settings": {"index": settings}, "mappings": {"dynamic": False, "properties": fields}}
        answer = self._cluster.ask("PUT", path_of(self._index), body, but={_EXISTS})
        if answer is None and self._cluster.ask("GET", path_of(self._index), but={NOT_FOUND}) is None:
            self._cluster.ask("PUT", path_of(self._index), body)  # which says why it can't be

    def pipeline(self, name: str) -> tuple[Pipeline, Place] | None:
        """What is remembered of a pipeline, and what names that very record."""
        found = self._get(f"pipeline-{_hash(name)}")
        if found is None:
            return None
        return msgspec.json.decode(found["_source"]["content"], type=Pipeline), _place(found)

    def put_pipeline(self, pipeline: Pipeline, replaced: Place | None) -> bool:
        """Remember the pipeline in place of that very record or, for None, if there is none; or False."""
        content = msgspec.json.encode(pipeline).decode()
        return self._put(f"pipeline-{_hash(pipeline.name)}", {"kind": "pipeline", "content": content}, replaced)

    def drop_pipeline(self, name: str) -> None:
        """Forget the pipeline."""
        self._cluster.ask("DELETE", path_of(self._index, "_doc", f"pipeline-{_hash(name)}"), but={NOT_FOUND})

    def add_undo(self, undo: Undo) -> None:
        """Keep a record."""
        name = f"undo-{_hash(undo.pipeline)}-{undo.fence}-{undo.order:010}"
        self._keep(undo.pipeline, undo.fence, name)
        place = {"kind": "undo", "pipeline": _hash(undo.pipeline), "fence": undo.fence, "order": undo.order}
        more = {"number": undo.number, "collection": undo.collection, "version": undo.version, "deletes": undo.deletes}
        content = {"content": base64.b64encode(undo.content).decode()}
        self._cluster.ask("PUT", path_of(self._index, "_doc", name), place | more | content)

    def undos(self, pipeline: str) -> Iterator[Undo]:
        """The pipeline's records, those of one run with the last one first."""
        self._cluster.ask("POST", path_of(self._index, "_refresh"))
        terms = [{"term": {"kind": "undo"}}, {"term": {"pipeline": _hash(pipeline)}}]
        after: dict[str, Any] = {}
        while True:
            order = [{"order": "desc"}, {"fence": "desc"}]
            query = {"size": _AT_ONCE, "query": {"bool": {"filter": terms}}, "sort": order} | after
            hits = self._cluster.ask("POST", path_of(self._index, "_search"), query)["hits"]["hits"]
            for hit in hits:
                each = hit["_source"]
                self._keep(pipeline, each["fence"], hit["_id"])
                yield Undo(
                    pipeline,
                    each["fence"],
                    each["number"],
                    each["order"],
                    each["collection"],
                    each["version"],
                    base64.b64decode(each["content"]),
                    each.get("deletes", True),
                )
            if len(hits) < _AT_ONCE:
                return
            after = {"search_after": hits[-1]["sort"]}

    def drop_undos(self, pipeline: str, fence: str) -> None:
        """Forget the records of that run of the pipeline, which were added or read before."""
        with self._lock:
            names = self._kept.get((pipeline, fence), [])
        if not names:
            return
        failed = [item for item in self._bulk.write(self._index, _deletions(names)) if item.status not in (200, 404)]
        if failed:
            raise DestinationError(f"{self._index}: a record can't be removed: {failed[0].reason}")
        with self._lock:
            self._kept.pop((pipeline, fence), None)

    def claimed(self, index: str) -> int:
        """The first of the VERSIONS that were claimed last; 0 where none were."""
        found = self._get(f"claim-{_hash(index)}")
        return 0 if found is None else int(found["_source"]["version"])

    def claim(self, index: str, least: int = 0) -> int:
        """The first of VERSIONS that are a commit's alone, above all that were claimed for the index before."""
        name = f"claim-{_hash(index)}"
        while True:
            found = self._get(name)
            have = 0 if found is None else int(found["_source"]["version"])
            version = max(have + VERSIONS, least, time_ns() // 1000)
            fields = {"kind": "claim", "collection": index, "version": version}
            if self._put(name, fields, None if found is None else _place(found)):
                return version

    def _keep(self, pipeline: str, fence: str, name: str) -> None:
        with self._lock:
            self._kept.setdefault((pipeline, fence), []).append(name)

    def _get(self, name: str) -> Any:
        return self._cluster.ask("GET", path_of(self._index, "_doc", name), but={NOT_FOUND})

    def _put(self, name: str, fields: dict[str, Any], replaced: Place | None) -> bool:
        """Put a record in place of that very one, or if there is none; whether that was done, by this call."""
        mark = secrets.token_hex(8)
        place: dict[str, Any] = {"op_type": "create"} if replaced is None else _params(replaced)
        body = fields | {"mark": mark}
        answer = self._cluster.ask("PUT", path_of(self._index, "_doc", name), body, but={CONFLICT}, **place)
        if answer is not None:
            return True
        found = self._get(name)  # a call whose answer was lost is made again by the client, and meets itself
        return found is not None and found["_source"].get("mark") == mark


def _params(place: Place) -> dict[str, Any]:
    return {"if_seq_no": str(place[0]), "if_primary_term": str(place[1])}


def _place(found: dict[str, Any]) -> Place:
    return found["_seq_no"], found["_primary_term"]


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _deletions(names: Sequence[str]) -> list[Request]:
    return [Request("delete", name) for name in dict.fromkeys(names)]
