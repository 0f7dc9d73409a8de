"""Lakes that runs are killed over: tailrace comes to them by way of trouble, readers directly, by other libraries."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlencode

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from obstore.store import S3Store
from places import PIPELINE, Database, Places, Reader
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from replaying_tap import SCHEMAS
from services.faults import FaultProxy, Rates
from services.s3 import S3Server

KINDS = ("files", "delta", "iceberg")
_SOME, _FEW = (Rates(error=rate, slow_down=rate, cut_before=rate, cut_after=rate) for rate in (0.01, 0.004))
TROUBLE = {"files": _SOME, "delta": _SOME, "iceberg": _FEW}
"""How much trouble there is while runs are killed: much the same for each run, since Iceberg makes more requests."""

PREFIX, NAMESPACE = "lakes/one", "main"
_JOURNAL, _ENTRY = "_tailrace", re.compile(r"_tailrace/([^/]+)/(\d+)\.json")
_DONE_ANEW = 2
"""Tables are at the last entry of the journal, or at the one before."""


class LakeReader(Reader, Protocol):
    """Reads a lake."""

    def positions(self) -> list[int]:
        """The positions of the journal's entries that a table may be at, the newest first; 0 when there is none."""

    def leftovers(self) -> list[str]:
        """Objects that nothing refers to."""


@dataclass(frozen=True, slots=True)
class Lake(Database):
    """A lake as the laws see it."""

    reader: LakeReader

    def positions(self) -> list[int]:
        """See Database."""
        return self.reader.positions()

    def position(self) -> int:
        """The position in the state of the journal's last entry."""
        return self.positions()[0]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """See Database."""
        return self.reader.read(table)

    def leftovers(self) -> list[str]:
        """Tables that are not the source's, and objects that nothing refers to."""
        return sorted({*self.reader.names() - {*SCHEMAS}, *self.reader.leftovers()})


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a server, and the folder in it that is the lake's."""

    server: S3Server
    faults: FaultProxy
    name: str
    objects: S3Store

    @property
    def url(self) -> str:
        """The lake's folder."""
        return f"s3://{self.name}/{PREFIX}"

    @property
    def troubled(self) -> dict[str, str]:
        """The settings by which tailrace comes to it."""
        keys = {"access_key_id": self.server.key, "secret_access_key": self.server.secret}
        return {"region": self.server.region, "endpoint": self.faults.endpoint, **keys}

    def names(self, folder: str = "") -> list[str]:
        """The names of all objects in a folder of the lake's."""
        start = f"{PREFIX}/{folder}".rstrip("/")
        return [found["path"].removeprefix(f"{PREFIX}/") for found in obstore.list(self.objects, start).collect()]

    def read(self, name: str) -> bytes:
        """The content of an object of the lake's folder."""
        return obstore.get(self.objects, f"{PREFIX}/{name}").bytes().to_bytes()

    def entries(self) -> dict[str, list[dict[str, Any]]]:
        """The entries of each pipeline's journal that are objects, the newest first."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name in sorted(self.names(_JOURNAL), reverse=True):
            if named := _ENTRY.fullmatch(name):
                found.setdefault(unquote(named[1]), []).append(json.loads(self.read(name)))
        return found

    def waiting(self) -> list[str]:
        """Objects that wait for a checkpoint, or should not be there any more."""
        return [name for name in self.names(_JOURNAL) if "/staging/" in name]


@dataclass(frozen=True, slots=True)
class Files:
    """Files that manifests list, those of all pipelines together."""

    bucket: Bucket

    @property
    def url(self) -> str:
        """See Reader."""
        return f"{self.bucket.url}?{urlencode(self.bucket.troubled)}"

    def names(self) -> set[str]:
        """See Reader."""
        return {table["table"] for table in self._listed()}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        listed = self._listed()
        voids = {name for found in listed for name in found.get("voids", ())}
        files = [file["path"] for found in listed if found["table"] == table for file in found.get("files", ())]
        assert len(files) == len(set(files)), "a file is listed twice"
        read = [pq.read_table(io.BytesIO(self.bucket.read(name))) for name in files if name not in voids]
        return pa.concat_tables(read).to_pylist() if read else []

    def users(self) -> int:
        """See Reader."""
        return self.bucket.faults.clients()

    def positions(self) -> list[int]:
        """See LakeReader; manifests are what makes files visible, so there is no table at an older one."""
        return _positions(self.bucket.entries().get(PIPELINE, []))[:1]

    def leftovers(self) -> list[str]:
        """See LakeReader."""
        listed = {file["path"] for table in self._listed() for file in table.get("files", ())}
        rows = {name for name in self.bucket.names() if not name.startswith(f"{_JOURNAL}/")}
        return [*rows - listed, *self.bucket.waiting()]

    def _listed(self) -> list[dict[str, Any]]:
        """What manifests say of tables."""
        manifests = [manifest for journal in self.bucket.entries().values() for manifest in journal]
        return [table for manifest in manifests for table in manifest.get("tables", ())]


@dataclass(frozen=True, slots=True)
class Delta:
    """Tables of Delta Lake."""

    bucket: Bucket

    @property
    def url(self) -> str:
        """See Reader."""
        return f"delta+{self.bucket.url}?{urlencode(self.bucket.troubled)}"

    def names(self) -> set[str]:
        """See Reader."""
        return {name.partition("/_delta_log/")[0] for name in self.bucket.names() if "/_delta_log/" in name}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        try:
            opened = DeltaTable(f"{self.bucket.url}/{table}", storage_options=self._options())
        except TableNotFoundError:
            return []
        return opened.to_pyarrow_table().to_pylist()

    def users(self) -> int:
        """See Reader."""
        return self.bucket.faults.clients()

    def positions(self) -> list[int]:
        """See LakeReader."""
        return _positions(self.bucket.entries().get(PIPELINE, []))

    def leftovers(self) -> list[str]:
        """See LakeReader."""
        names = self.bucket.names()
        files = {name for name in names if name.endswith(".parquet") and "/_delta_log/" not in name}
        files -= {name for name in names if name.startswith(f"{_JOURNAL}/")}
        return [*files - {name for table in self.names() for name in self._files(table)}, *self.bucket.waiting()]

    def _files(self, table: str) -> Iterator[str]:
        """The files that any version of a table has."""
        for name in self.bucket.names(f"{table}/_delta_log"):
            if name.endswith(".json"):
                for action in map(json.loads, self.bucket.read(name).splitlines()):
                    if "add" in action:
                        yield f"{table}/{unquote(action['add']['path'])}"

    def _options(self) -> dict[str, str]:
        server = self.bucket.server
        return {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": server.region,
            "AWS_ACCESS_KEY_ID": server.key,
            "AWS_SECRET_ACCESS_KEY": server.secret,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        }


@dataclass(frozen=True, slots=True)
class Iceberg:
    """Tables of a catalog of Iceberg that is a SQLite file."""

    bucket: Bucket
    path: Path

    @property
    def url(self) -> str:
        """See Reader."""
        places = {"warehouse": self.bucket.url, "namespace": NAMESPACE, **self.bucket.troubled}
        return f"iceberg+sqlite:///{self.path}?{urlencode(places)}"

    def names(self) -> set[str]:
        """See Reader."""
        return {name for name in self._tables() if not name.startswith("_tailrace_journal_")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See Reader."""
        with self._catalog() as catalog:
            try:
                return catalog.load_table((NAMESPACE, table)).scan().to_arrow().to_pylist() if catalog else []
            except NoSuchTableError:
                return []

    def users(self) -> int:
        """See Reader."""
        return self.bucket.faults.clients()

    def positions(self) -> list[int]:
        """See LakeReader."""
        journals = [name for name in self._tables() if name.startswith("_tailrace_journal_")]
        with self._catalog() as catalog:
            entries = [entry for name in journals for entry in _entries(catalog.load_table((NAMESPACE, name)))]
        entries = [entry for entry in entries if entry["pipeline"] == PIPELINE]
        return _positions(sorted(entries, key=lambda entry: entry["sequence"], reverse=True))

    def leftovers(self) -> list[str]:
        """See LakeReader; what a journal's table has of earlier entries is its own affair, but nothing waits in it."""
        with self._catalog() as catalog:
            tables = [catalog.load_table((NAMESPACE, name)) for name in self.names()]
            known = {path for table in tables for path in table.inspect.all_files()["file_path"].to_pylist()}
        known = {path.removeprefix(f"{self.bucket.url}/") for path in known}
        files = {name for name in self.bucket.names() if name.endswith(".parquet")}
        return [name for name in files - known if not name.startswith(f"{NAMESPACE}/{_JOURNAL}_journal_")] + [
            name for name in files if "/staging/" in name
        ]

    def _tables(self) -> list[str]:
        with self._catalog() as catalog:
            is_made = catalog and catalog.namespace_exists(NAMESPACE)
            return [name[-1] for name in catalog.list_tables(NAMESPACE)] if is_made else []

    @contextmanager
    def _catalog(self) -> Iterator[Catalog | None]:
        """The catalog, None where its file isn't there."""
        if not self.path.exists():
            yield None
            return
        server = self.bucket.server
        options = {
            "s3.endpoint": server.endpoint,
            "s3.region": server.region,
            "s3.access-key-id": server.key,
            "s3.secret-access-key": server.secret,
        }
        uri = {"type": "sql", "uri": f"sqlite:///{self.path}", "warehouse": self.bucket.url}
        with closing(load_catalog("default", **uri, **options)) as catalog:
            yield catalog


def _entries(journal: Table) -> list[dict[str, Any]]:
    """The entries that any snapshot of a journal has."""
    found = {}
    for snapshot in journal.metadata.snapshots:
        for row in journal.scan(snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist():
            entry = json.loads(row["entry"])
            found[entry["sequence"]] = entry
    return [*found.values()]


def _positions(entries: list[dict[str, Any]]) -> list[int]:
    """The positions of the last entry and of the one before it, from entries of which the newest is the first."""
    found = [json.loads(entry["state"])["position"] if entry.get("state") else 0 for entry in entries]
    is_whole = not entries or entries[-1]["sequence"] == 1
    return [*found, *[0] * is_whole][:_DONE_ANEW]


def lakes(kind: str, server: S3Server, faults: FaultProxy, folder: Path) -> Places:
    """New lakes of that kind; catalogs are in the folder."""
    numbers = count(1)

    def place() -> Database:
        name = server.bucket()
        objects = S3Store(
            name,
            region=server.region,
            endpoint=server.endpoint,
            access_key_id=server.key,
            secret_access_key=server.secret,
            client_options={"allow_http": True},
        )
        bucket = Bucket(server, faults, name, objects)
        if kind == "files":
            return Lake(Files(bucket), upserts=False)
        return Lake(Delta(bucket) if kind == "delta" else Iceberg(bucket, folder / f"{next(numbers)}.db"))

    return place
