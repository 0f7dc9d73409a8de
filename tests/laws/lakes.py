"""Lakes that runs are killed over: tailrace comes to them by way of trouble, readers directly, by other libraries."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlencode

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from obstore.store import LocalStore, ObjectStore, S3Store
from places import Place, Places
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table
from services.faults import FaultProxy, Rates
from services.s3 import S3Server

from tailrace.destinations import open_destination
from tailrace.lake.filesystem import ArrowStore
from tailrace.objects import Folder
from tailrace.testing import Seam, Subject

KINDS = ("files", "delta", "iceberg")
_SOME, _FEW = (Rates(error=rate, slow_down=rate, cut_before=rate, cut_after=rate) for rate in (0.01, 0.004))
TROUBLE = {"files": _SOME, "delta": _SOME, "iceberg": _FEW}
"""How much trouble there is while runs are killed: much the same for each run, since Iceberg makes more requests."""

PREFIX, NAMESPACE = "lakes/one", "main"
_JOURNAL, _ENTRY = "_tailrace", re.compile(r"_tailrace/([^/]+)/(\d+)\.json")
_DONE_ANEW = 2
"""Tables are at the last entry of the journal, or at the one before."""

_OBJECTS = Seam(Folder, ("put", "put_new", "put_file", "remove"))
SEAMS = {
    "files": (_OBJECTS,),
    "delta": (_OBJECTS, Seam(DeltaTable, ("create_write_transaction",))),
    "iceberg": (
        Seam(ArrowStore, ("put_file", "remove")),
        Seam(SqlCatalog, ("create_namespace", "create_table", "commit_table", "drop_table")),
    ),
}
"""What changes something in a lake."""


class LakeReader(Protocol):
    """Reads a lake."""

    @property
    def url(self) -> str:
        """The address that tailrace loads into."""

    def names(self) -> set[str]:
        """The names of its tables."""

    def read(self, table: str) -> list[dict[str, Any]]:
        """The visible rows of a table by column name; none where it isn't there."""

    def states(self, pipeline: str) -> list[str | None]:
        """The states of the journal's entries that a table may be at, the newest first; None before the first."""

    def leftovers(self) -> list[str]:
        """Objects that nothing refers to."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The folder that a lake is in: on this machine, or in a bucket that tailrace comes to by way of trouble.

    `settings` are those of tailrace. `delta` and `iceberg` are the options by which the libraries come to it directly.
    """

    store: ObjectStore
    url: str
    settings: Mapping[str, str] = field(default_factory=dict)
    delta: Mapping[str, str] = field(default_factory=dict)
    iceberg: Mapping[str, str] = field(default_factory=dict)
    faults: FaultProxy | None = None
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The entries that were read, which never change."""

    def names(self, folder: str = "") -> list[str]:
        """The names of all objects in a folder of the lake's."""
        return [found["path"] for found in obstore.list(self.store, folder or None).collect()]

    def read(self, name: str) -> bytes:
        """The content of an object."""
        return obstore.get(self.store, name).bytes().to_bytes()

    def entries(self, folder: str = _JOURNAL) -> dict[str, list[dict[str, Any]]]:
        """The entries of each pipeline's journal that are objects, the newest first; each is read once."""
        found: dict[str, list[dict[str, Any]]] = {}
        for name in sorted(self.names(folder), reverse=True):
            if named := _ENTRY.fullmatch(name):
                if name not in self.known:
                    self.known[name] = json.loads(self.read(name))
                found.setdefault(unquote(named[1]), []).append(self.known[name])
        return found

    def waiting(self) -> list[str]:
        """Objects that wait for a checkpoint, or should not be there any more."""
        return [name for name in self.names(_JOURNAL) if "/staging/" in name]

    def is_settled(self) -> bool:
        """Whether no process is connected any more."""
        return self.faults is None or not self.faults.clients()


@dataclass(frozen=True, slots=True)
class Files:
    """Files that manifests list, those of all pipelines together."""

    objects: Objects

    @property
    def url(self) -> str:
        """See LakeReader."""
        return f"{self.objects.url}?{urlencode(self.objects.settings)}"

    def names(self) -> set[str]:
        """See LakeReader."""
        return {table["table"] for table in self._listed()}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See LakeReader."""
        listed = self._listed()
        voids = {name for found in listed for name in found.get("voids", ())}
        files = [file["path"] for found in listed if found["table"] == table for file in found.get("files", ())]
        assert len(files) == len(set(files)), "a file is listed twice"
        read = [pq.read_table(io.BytesIO(self.objects.read(name))) for name in files if name not in voids]
        return pa.concat_tables(read).to_pylist() if read else []

    def states(self, pipeline: str) -> list[str | None]:
        """See LakeReader; manifests are what makes files visible, so there is no table at an older one."""
        return _states(self.objects.entries(f"{_JOURNAL}/{pipeline}").get(pipeline, []))[:1]

    def leftovers(self) -> list[str]:
        """See LakeReader."""
        listed = {file["path"] for table in self._listed() for file in table.get("files", ())}
        rows = {name for name in self.objects.names() if not name.startswith(f"{_JOURNAL}/")}
        return [*rows - listed, *self.objects.waiting()]

    def _listed(self) -> list[dict[str, Any]]:
        """What manifests say of tables."""
        manifests = [manifest for journal in self.objects.entries().values() for manifest in journal]
        return [table for manifest in manifests for table in manifest.get("tables", ())]


@dataclass(frozen=True, slots=True)
class Delta:
    """Tables of Delta Lake."""

    objects: Objects

    @property
    def url(self) -> str:
        """See LakeReader."""
        return f"delta+{self.objects.url}?{urlencode(self.objects.settings)}"

    def names(self) -> set[str]:
        """See LakeReader."""
        return {name.partition("/_delta_log/")[0] for name in self.objects.names() if "/_delta_log/" in name}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See LakeReader."""
        try:
            opened = DeltaTable(f"{self.objects.url}/{table}", storage_options=dict(self.objects.delta))
        except TableNotFoundError:
            return []
        return opened.to_pyarrow_table().to_pylist()

    def states(self, pipeline: str) -> list[str | None]:
        """See LakeReader."""
        return _states(self.objects.entries(f"{_JOURNAL}/{pipeline}").get(pipeline, []))

    def leftovers(self) -> list[str]:
        """See LakeReader."""
        names = self.objects.names()
        files = {name for name in names if name.endswith(".parquet") and "/_delta_log/" not in name}
        files -= {name for name in names if name.startswith(f"{_JOURNAL}/")}
        return [*files - {name for table in self.names() for name in self._files(table)}, *self.objects.waiting()]

    def _files(self, table: str) -> Iterator[str]:
        """The files that any version of a table has."""
        for name in self.objects.names(f"{table}/_delta_log"):
            if name.endswith(".json"):
                for action in map(json.loads, self.objects.read(name).splitlines()):
                    if "add" in action:
                        yield f"{table}/{unquote(action['add']['path'])}"


@dataclass(frozen=True, slots=True)
class Iceberg:
    """Tables of a catalog of Iceberg that is a SQLite file."""

    objects: Objects
    path: Path
    journals: dict[str, str] = field(default_factory=dict)
    """Whose each journal is, once that is known."""

    @property
    def url(self) -> str:
        """See LakeReader."""
        places = {"warehouse": self.objects.url, "namespace": NAMESPACE, **self.objects.settings}
        return f"iceberg+sqlite:///{self.path}?{urlencode(places)}"

    def names(self) -> set[str]:
        """See LakeReader."""
        return {name for name in self._tables() if not name.startswith("_tailrace_journal_")}

    def read(self, table: str) -> list[dict[str, Any]]:
        """See LakeReader."""
        with self._catalog() as catalog:
            try:
                return catalog.load_table((NAMESPACE, table)).scan().to_arrow().to_pylist() if catalog else []
            except NoSuchTableError:
                return []

    def states(self, pipeline: str) -> list[str | None]:
        """See LakeReader."""
        journals = [name for name in self._tables() if name.startswith("_tailrace_journal_")]
        entries = []
        with self._catalog() as catalog:
            for name in journals:
                if self.journals.get(name, pipeline) == pipeline:
                    read = _entries(catalog.load_table((NAMESPACE, name)))
                    entries += read
                    if read:
                        self.journals[name] = read[0]["pipeline"]
        entries = [entry for entry in entries if entry["pipeline"] == pipeline]
        return _states(sorted(entries, key=lambda entry: entry["sequence"], reverse=True))

    def leftovers(self) -> list[str]:
        """See LakeReader; what a journal's table has of earlier entries is its own affair, but nothing waits in it."""
        with self._catalog() as catalog:
            tables = [catalog.load_table((NAMESPACE, name)) for name in self.names()]
            known = {path for table in tables for path in table.inspect.all_files()["file_path"].to_pylist()}
        known = {path.removeprefix(f"{self.objects.url}/") for path in known}
        files = {name for name in self.objects.names() if name.endswith(".parquet")}
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
        uri = {"type": "sql", "uri": f"sqlite:///{self.path}", "warehouse": self.objects.url}
        with closing(load_catalog("default", **uri, **self.objects.iceberg)) as catalog:
            yield catalog


def _entries(journal: Table) -> list[dict[str, Any]]:
    """The entries that any snapshot of a journal has."""
    found = {}
    for snapshot in journal.metadata.snapshots:
        for row in journal.scan(snapshot_id=snapshot.snapshot_id).to_arrow().to_pylist():
            entry = json.loads(row["entry"])
            found[entry["sequence"]] = entry
    return [*found.values()]


def _states(entries: list[dict[str, Any]]) -> list[str | None]:
    """The states of the last entry and of the one before it, from entries of which the newest is the first."""
    found = [entry.get("state") for entry in entries]
    is_whole = not entries or entries[-1]["sequence"] == 1
    return [*found, *[None] * is_whole][:_DONE_ANEW]


def lakes(kind: str, server: S3Server, faults: FaultProxy, folder: Path) -> Places:
    """New lakes of that kind in buckets of the server; catalogs are in the folder."""
    numbers = count(1)

    def place() -> Place:
        return _place(kind, _bucket(server, faults), folder / f"{next(numbers)}.db")

    return place


def local_lake(kind: str, folder: Path) -> Place:
    """A new lake of that kind in a folder of this machine."""
    (folder / "lake").mkdir()
    objects = Objects(LocalStore(folder / "lake"), (folder / "lake").as_uri())
    return _place(kind, objects, folder / "catalog.db")


def _bucket(server: S3Server, faults: FaultProxy) -> Objects:
    name, keys = server.bucket(), {"access_key_id": server.key, "secret_access_key": server.secret}
    options = {"region": server.region, "endpoint": server.endpoint, **keys}
    return Objects(
        S3Store(name, prefix=PREFIX, **options, client_options={"allow_http": True}),
        f"s3://{name}/{PREFIX}",
        {"region": server.region, "endpoint": faults.endpoint, **keys},
        {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_REGION": server.region,
            "AWS_ACCESS_KEY_ID": server.key,
            "AWS_SECRET_ACCESS_KEY": server.secret,
            "AWS_ALLOW_HTTP": "true",
            "aws_conditional_put": "etag",
        },
        {f"s3.{name.replace('_', '-')}": value for name, value in options.items()},
        faults,
    )


def _place(kind: str, objects: Objects, catalog: Path) -> Place:
    made: dict[str, LakeReader] = {
        "files": Files(objects),
        "delta": Delta(objects),
        "iceberg": Iceberg(objects, catalog),
    }
    reader = made[kind]

    def rows(table: str, schema: str | None = None) -> list[dict[str, Any]]:
        assert schema is None
        return reader.read(table)

    def leftovers(tables: Collection[str]) -> Collection[str]:
        return {*reader.names() - {*tables}, *reader.leftovers()}

    subject = Subject(
        open=lambda: open_destination(reader.url, {}),
        rows=rows,
        seams=SEAMS[kind],
        remembered=reader.states,
        leftovers=leftovers,
        is_settled=objects.is_settled,
    )
    return Place(reader.url, subject)
