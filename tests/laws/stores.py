"""Document stores that runs are killed over, each read with nothing but its client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kept import KEPT
from pymongo import MongoClient

from tailrace.destinations.mongodb.database import MongoDatabase
from tailrace.testing import Seam

CHANGES = ("put_pipeline", "drop_pipeline", "add_undo", "drop_undos", "create", "alter", "drop", "swap", "claim")
SEAMS = (Seam(MongoDatabase, (*CHANGES, "write", "restore")),)
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


def _client(address: str) -> Any:
    """A client that doesn't wait long for a server that is gone, when it is closed."""
    return MongoClient(address, serverSelectionTimeoutMS=5000)


def _names(database: Any) -> set[str]:
    left = {f"undo {each['_id']}" for each in database["_tailrace_undo"].find()}
    return {*database.list_collection_names()} - _OWN | left
