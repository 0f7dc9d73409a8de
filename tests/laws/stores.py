"""Document stores that runs are killed over, each read with nothing but its client."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kept import KEPT
from pymongo import MongoClient
from reading_search import client_of, rows

from tailrace.destinations.mongodb.database import MongoDatabase
from tailrace.documents.search.database import SearchDatabase
from tailrace.testing import Seam

CHANGES = ("put_pipeline", "drop_pipeline", "add_undo", "drop_undos", "create", "alter", "drop", "swap", "claim")
SEAMS = tuple(Seam(kind, (*CHANGES, "write", "restore")) for kind in (MongoDatabase, SearchDatabase))
"""What changes something in a document store."""

_OWN = {"_tailrace_pipelines", "_tailrace_collections", "_tailrace_undo"}


@dataclass(frozen=True, slots=True)
class Mongo:
    """A database of MongoDB; `address` leads to it directly."""

    address: str
    url: str

    def names(self) -> set[str]:
        """Its collections, without tailrace's own, and the records of what is still to be undone."""
        return self._used(_names)

    def read(self, table: str) -> list[dict[str, Any]]:
        """The documents of a collection, by the names of their fields."""
        return self._used(lambda database: [*database[table].find({}, {"_id": 0, "_tailrace": 0})])

    def _used(self, use: Callable[[Any], Any]) -> Any:
        name = urlsplit(self.address).path.removeprefix("/")
        return KEPT.used(self.address, _client, lambda client: use(client[name]))


@dataclass(frozen=True, slots=True)
class Search:
    """Indices of one prefix in a search engine; `address` leads to it directly."""

    address: str
    url: str

    def names(self) -> set[str]:
        """The indices, by their aliases if they have some, and the records of what is still to be undone."""
        prefix = self._prefix()

        def use(client: Any) -> set[str]:
            found = client.indices.get_alias(index=f"{prefix}*", expand_wildcards="all")
            named = {name for index, each in found.items() for name in each["aliases"] or [_whose(index)]}
            records = f"{prefix}tailrace-records"
            if records not in named:
                return {name.removeprefix(prefix) for name in named}
            client.indices.refresh(index=records)
            query = {"term": {"kind": "undo"}}
            left = client.search(index=records, body={"query": query, "_source": False})["hits"]["hits"]
            own = {name.removeprefix(prefix) for name in named} - {"tailrace-records"}
            return own | {f"undo {hit['_id']}" for hit in left}

        return self._used(use)  # type: ignore[no-any-return]

    def read(self, table: str) -> list[dict[str, Any]]:
        """The documents of an index, by the names of their fields."""
        return self._used(lambda client: rows(client, f"{self._prefix()}{table}"))  # type: ignore[no-any-return]

    def _prefix(self) -> str:
        return urlsplit(self.address).path.removeprefix("/")

    def _used(self, use: Callable[[Any], Any]) -> Any:
        return KEPT.used(self.address, _client_of_engine, use)


def _whose(index: str) -> str:
    """The data stream of a backing index; the name of any other index."""
    return re.sub(r"^\.ds-(.*)-\d{6}$", r"\1", index)


def _client_of_engine(address: str) -> Any:
    parts = urlsplit(address)
    return client_of(parts.scheme, f"http://{parts.netloc}")


def _client(address: str) -> Any:
    """A client that doesn't wait long for a server that is gone, when it is closed."""
    return MongoClient(address, serverSelectionTimeoutMS=5000)


def _names(database: Any) -> set[str]:
    left = {f"undo {each['_id']}" for each in database["_tailrace_undo"].find()}
    return {*database.list_collection_names()} - _OWN | left
