"""MongoDB as the kit of documents asks for it."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any

import bson
import msgspec
import pyarrow as pa
import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.objectid import ObjectId
from pymongo import errors

from tailrace.destinations.mongodb.connection import PASSING, client_of, may_pass, translated
from tailrace.destinations.mongodb.ids import hashed, id_of, new_id
from tailrace.destinations.mongodb.settings import Settings
from tailrace.destinations.mongodb.values import Values
from tailrace.destinations.mongodb.writes import MARK, Written, give_back
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
from tailrace.model import Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import digest
from tailrace.tunnels import Tunnel

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

    Documents = Collection[dict[str, Any]]

_PIPELINES, _UNDO, _COLLECTIONS = "_tailrace_pipelines", "_tailrace_undo", "_tailrace_collections"
_CODEC: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_IS_MISSING = 26
_IS_THERE = 48
_AGAIN = 5
_FAREWELL_S = 2
"""For how long a server is told that its sessions end; one that is gone isn't waited for."""


class _Columns(msgspec.Struct, frozen=True):
    """What a collection's description has of its columns."""

    columns: tuple[TableColumn, ...]


class MongoDatabase:
    """A DocumentDatabase."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tunnel = Tunnel.of(settings.ssh, settings.host, settings.port, settings.timeout_s)
        self._lock = threading.Lock()
        self._client: pymongo.MongoClient[dict[str, Any]] | None = None
        self._values = Values(dates=settings.timestamps == "date")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._settings,)

    @property
    def rows_at_once(self) -> int:
        """See DocumentDatabase."""
        return self._settings.rows_at_once

    @property
    def connections(self) -> int:
        """See DocumentDatabase."""
        return self._settings.connections

    def open(self) -> None:
        """Nothing: collections come into being when they are written to."""

    def pipeline(self, name: str) -> tuple[Pipeline, str] | None:
        """What is remembered of a pipeline; see DocumentDatabase."""
        with translated():
            found = self._collection(_PIPELINES).find_one({"_id": name})
        return (msgspec.json.decode(found["content"], type=Pipeline), found["record"]) if found else None

    def put_pipeline(self, pipeline: Pipeline, replaced: str | None) -> bool:
        """Remember the pipeline; see DocumentDatabase."""
        content = msgspec.json.encode(pipeline).decode()
        document = {"_id": pipeline.name, "content": content, "record": secrets.token_hex(8)}
        with translated():
            pipelines = self._collection(_PIPELINES)
            if replaced is not None:
                return pipelines.replace_one({"_id": pipeline.name, "record": replaced}, document).matched_count == 1
            try:
                pipelines.insert_one(document)
            except errors.DuplicateKeyError:
                return False
            return True

    def drop_pipeline(self, name: str) -> None:
        """Forget the pipeline; see DocumentDatabase."""
        with translated():
            self._collection(_PIPELINES).delete_one({"_id": name})

    def add_undo(self, undo: Undo) -> None:
        """Keep a record; see DocumentDatabase."""
        place = {"pipeline": undo.pipeline, "fence": undo.fence, "order": undo.order}
        more = {"number": undo.number, "collection": undo.collection, "version": undo.version, "deletes": undo.deletes}
        name = f"{digest(undo.pipeline)}-{undo.fence}-{undo.order:010}"
        with translated():
            document = {"_id": name} | place | more | {"content": undo.content}
            self._collection(_UNDO).replace_one({"_id": name}, document, upsert=True)

    def undos(self, pipeline: str) -> Iterator[Undo]:
        """The pipeline's records; see DocumentDatabase."""
        with translated():
            found = self._collection(_UNDO).find({"_id": _of(pipeline), "pipeline": pipeline}).sort("_id", -1)
            for each in found:
                yield Undo(
                    pipeline,
                    each["fence"],
                    each["number"],
                    each["order"],
                    each["collection"],
                    each["version"],
                    bytes(each["content"]),
                    each.get("deletes", True),
                )

    def drop_undos(self, pipeline: str, fence: str) -> None:
        """Forget the records of a run; see DocumentDatabase."""
        with translated():
            self._collection(_UNDO).delete_many({"_id": _of(pipeline), "pipeline": pipeline, "fence": fence})

    def packed(self, documents: Sequence[Before]) -> bytes:
        """Documents as bytes; see DocumentDatabase."""
        content = [[at, None if was is None else was.fields] for at, was in documents]
        return bytes(bson.encode({"documents": content}))

    def unpacked(self, content: bytes) -> list[Before]:
        """The documents of `packed`; see DocumentDatabase."""
        documents = bson.decode(content, codec_options=_CODEC)["documents"]
        return [(at, None if fields is None else _stored(fields)) for at, fields in documents]

    def named(self, table: TableName) -> str:
        """The collection of a table; see DocumentDatabase."""
        return str(table)

    def beside(self, collection: str, fence: str) -> str:
        """The name of a collection that is built beside; see DocumentDatabase."""
        return f"_tailrace_new_{digest(collection)}_{fence}"

    def accept(self, stream: Stream, collection: str) -> None:
        """Nothing: a collection can have what any stream asks for."""

    def describe(self, collection: str) -> Description | None:
        """The collection; see DocumentDatabase."""
        with translated():
            if not self._database.list_collection_names(filter={"name": collection}):
                return None
            found = self._collection(_COLLECTIONS).find_one({"_id": collection})
        if found is None or "columns" not in found:
            return Description((), None)
        columns = msgspec.json.decode(found["columns"], type=_Columns).columns
        return Description(columns, tuple(found["key"]))

    def create(self, collection: str, stream: Stream, description: Description, like: str | None = None) -> None:  # noqa: ARG002 its streams are all alike
        """Make the collection; see DocumentDatabase."""
        self._describe(collection, description)
        with translated():
            model = self._options_of(like) if like else None
            try:
                self._database.create_collection(collection, check_exists=False, **(model or {}))
            except errors.OperationFailure as error:
                if error.code != _IS_THERE:
                    raise
            for index in self._indexes_of(like) if like and model is not None else ():
                keys, options = [*index.pop("key").items()], {k: v for k, v in index.items() if k not in ("v", "ns")}
                self._collection(collection).create_index(keys, **options)

    def alter(self, collection: str, description: Description) -> None:
        """Let the collection have the columns; see DocumentDatabase."""
        self._describe(collection, description)

    def drop(self, collection: str) -> None:
        """Drop the collection; see DocumentDatabase."""
        with translated():
            self._database.drop_collection(collection)
            self._collection(_COLLECTIONS).delete_one({"_id": collection})

    def swap(self, swap: Swap) -> None:
        """Let the collection beside take the other one's place; see DocumentDatabase."""
        with translated():
            descriptions = self._collection(_COLLECTIONS)
            found = descriptions.find_one({"_id": swap.beside})
            if self._database.list_collection_names(filter={"name": swap.beside}):
                self._collection(swap.beside).rename(swap.name, dropTarget=True)
            if found is not None:
                old = descriptions.find_one({"_id": swap.name}) or {}
                version = max(found.get("version", 0), old.get("version", 0))
                kept = found | {"_id": swap.name, "version": bson.Int64(version)}
                descriptions.replace_one({"_id": swap.name}, kept, upsert=True)
                descriptions.delete_one({"_id": swap.beside})

    def is_empty(self, collection: str) -> bool:
        """Whether there are no documents; see DocumentDatabase."""
        with translated():
            return self._collection(collection).find_one({}, {"_id": 1}) is None

    def count(self, collection: str) -> int:
        """The number of documents; see DocumentDatabase."""
        with translated():
            return self._collection(collection).count_documents({})

    def claim(self, collection: str) -> int:
        """The first of versions that are a commit's alone; see DocumentDatabase."""
        with translated():
            descriptions = self._collection(_COLLECTIONS)
            while True:
                found = descriptions.find_one({"_id": collection}, {"version": 1}) or {}
                have = found.get("version")
                version = bson.Int64(max((have or 0) + VERSIONS, time_ns() // 1000))
                same = {"version": have} if have is not None else {"version": {"$exists": False}}
                change = {"$set": {"version": version}}
                try:
                    done = descriptions.update_one({"_id": collection} | same, change, upsert=not found)
                except errors.DuplicateKeyError:
                    continue
                if done.matched_count or done.upserted_id is not None:
                    return int(version)

    def documents(
        self, rows: pa.Table, columns: Mapping[str, TableColumn], key: Sequence[str] = ()
    ) -> list[Fields | str]:
        """A document for each row; see DocumentDatabase."""
        return self._values.documents(rows, columns, key)

    def id_of(self, fields: Fields, key: Sequence[str]) -> Id:
        """The id of a document with a key; see DocumentDatabase."""
        return id_of(fields, key)

    def new_id(self, origin: str, line: int) -> ObjectId:
        """The id of a document without a key; see DocumentDatabase."""
        return new_id(origin, line)

    def read(self, collection: str, ids: Sequence[Id]) -> list[Stored | None]:
        """The documents of these ids; see DocumentDatabase."""
        with translated():
            found = {hashed(each["_id"]): _stored(each) for each in self._find(collection, {"_id": {"$in": [*ids]}})}
        return [found.get(hashed(at)) for at in ids]

    def older(self, collection: str, field: str, version: int, unmarked: str | None) -> Iterator[list[Stored]]:
        """Documents whose field is below the version; see DocumentDatabase."""
        condition: dict[str, Any] = {field: {"$lt": version}}
        several: list[Stored] = []
        with translated():
            for each in self._find(collection, condition | ({unmarked: None} if unmarked else {})):
                several.append(_stored(each))
                if len(several) >= self.rows_at_once:
                    yield several
                    several = []
        if several:
            yield several

    def write(self, collection: str, writes: Sequence[Write], mark: Mark) -> list[Outcome | str]:
        """Write documents; see DocumentDatabase."""
        written = Written(writes, mark)
        with translated():
            for _ in range(_AGAIN):
                left = written.left()
                if not left:
                    break
                self._write_some(collection, written, left)
        return written.outcomes("other programs write the same documents; load again")

    def restore(self, collection: str, documents: Sequence[Before], version: int, *, deletes: bool) -> None:
        """Give back what these were before; see DocumentDatabase."""
        with translated():
            give_back(self._collection(collection), documents, version, deletes=deletes)

    def refresh(self, collections: Sequence[str]) -> None:
        """Nothing: readers see what was written."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the driver's error may pass; see DocumentDatabase."""
        return may_pass(error)

    def check(self) -> Sequence[str]:
        """Where the database is; see DocumentDatabase."""
        with translated():
            answer = self._database.command("hello")
            self._database.list_collection_names()
        kind = f"the replica set {answer['setName']!r}" if "setName" in answer else "a server by itself"
        return [f"the database {self._settings.database!r} of {kind}"]

    def close(self) -> None:
        """Close the connections; repeatable."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            with pymongo.timeout(_FAREWELL_S):
                client.close()

    @property
    def _database(self) -> Database[dict[str, Any]]:
        with self._lock:
            if self._client is None:
                self._client = client_of(self._settings, self._tunnel)
            return self._client.get_database(self._settings.database, _CODEC)

    def _collection(self, name: str) -> Documents:
        return self._database[name]

    def _find(self, collection: str, condition: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        return iter(self._collection(collection).find(condition))

    def _write_some(self, collection: str, written: Written, left: Sequence[int]) -> None:
        """Write what is left of them, and find out what became of each."""
        requests = [written.request(at) for at in left]
        failed: Mapping[int, Mapping[str, Any]] = {}
        done: Mapping[str, Any]
        try:
            done = self._collection(collection).bulk_write(requests, ordered=False).bulk_api_result
        except errors.BulkWriteError as error:
            done = error.details
            if done["writeConcernErrors"] or any(each["code"] in PASSING for each in done["writeErrors"]):
                raise
            failed = {each["index"]: each for each in done["writeErrors"]}
        missed = written.take(left, failed, done["nMatched"] + done["nRemoved"])
        if missed:
            written.look(missed, self.read(collection, [written.writes[at].id for at in missed]))

    def _options_of(self, collection: str) -> dict[str, Any] | None:
        """What the collection was made with, such as a validator; None where there is none."""
        for each in self._database.list_collections(filter={"name": collection}):
            return {name: value for name, value in each.get("options", {}).items() if name != "uuid"}
        return None

    def _indexes_of(self, collection: str) -> list[dict[str, Any]]:
        return [dict(index) for index in self._collection(collection).list_indexes() if index["name"] != "_id_"]

    def _describe(self, collection: str, description: Description) -> None:
        columns = msgspec.json.encode(_Columns(description.columns)).decode()
        change = {"$set": {"columns": columns, "key": list(description.key or ())}}
        with translated():
            self._collection(_COLLECTIONS).update_one({"_id": collection}, change, upsert=True)


def _of(pipeline: str) -> dict[str, str]:
    """The ids of a pipeline's records of what to undo."""
    return {"$gte": f"{digest(pipeline)}-", "$lt": f"{digest(pipeline)}."}


def _stored(document: dict[str, Any]) -> Stored:
    mark = document.get(MARK)
    version = mark.get("version") if isinstance(mark, dict) else None
    return Stored(document["_id"], int(version) if isinstance(version, int) else 0, document)
