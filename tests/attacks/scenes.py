"""Destinations under attack, each with a victim: a table, another pipeline's checkpoint, and files beside."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from urllib.parse import urlsplit

import duckdb
import mysql.connector
import psycopg
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

import tailrace
from tailrace.destinations import open_destination, scheme_of, traits_of
from tailrace.destinations.memory import MemoryDestination
from tailrace.lake.entries import folder_of
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, record, schema, state

VICTIMS = [{"id": 1, "name": "kept"}]


def load(url, *messages, **settings):
    """The report of loading these messages."""
    return tailrace.load((json.dumps(message).encode() for message in messages), url, **settings)


class Scene:
    """A destination at `url` and what an attack must not change; what it writes is in `root`, beside other files."""

    keyed = True
    schemas = True
    default_schema = None
    longest = 1000

    def __init__(self, url, root, **settings):
        self.url, self.root, self.settings = url, root, settings
        self.traits = traits_of(scheme_of(url))
        self.method = {} if self.keyed else {"method": "append"}
        (root.parent / "beside").mkdir()
        (root.parent / "beside" / "file").write_text("kept", encoding="utf-8")

    def begin(self):
        """Put the victim there."""
        sent = [schema({"id": INT, "name": TEXT}, ["id"] if self.keyed else [], "victim")]
        sent += [record(row, "victim") for row in VICTIMS]
        self.load(*sent, state({"kept": True}), pipeline="victim")
        self._before = self._beside()
        self._names = self.names()

    def load(self, *messages, **settings):
        """The report of loading these messages, by the scene's own settings unless others are given."""
        self.close()
        return load(self.url, *messages, **(self.settings | self.method | settings))

    def close(self):
        """Let go of what the scene has open."""

    def require_unharmed(self, *made):
        """All that was there is as it was, and there are no other tables but those `made`: (schema, table) names."""
        assert self.rows(TableName("victim")) == VICTIMS
        self.close()
        destination = open_destination(self.url, self.settings)
        try:
            recovered = destination.recover("victim")
        finally:
            destination.close()
        assert recovered is not None
        assert json.loads(recovered.state) == {"kept": True}
        assert self._beside() == self._before
        assert self.names() - self._names <= {name for table in made for name in self.folded(table)}

    def folded(self, table):
        """A table's names among `names`."""
        return (table.name,)

    def _beside(self):
        parent = self.root.parent
        paths = [path for path in parent.rglob("*") if path.is_file() and not path.is_relative_to(self.root)]
        own = {path for path in paths if path.parent == parent and path.name.startswith("own.")}
        return {(path, path.read_bytes()) for path in paths if path not in own}


class Sql(Scene):
    """A database, by a client of Python's DB-API."""

    listing = ""
    quote = '"'
    _session = None

    def connected(self):
        """A session of somebody else."""
        raise NotImplementedError

    def run(self, statement):
        """The names of the columns, and the rows, of a query."""
        if self._session is None:
            self._session = self.connected()
        cursor = self._session.cursor()
        cursor.execute(statement)
        return [column[0] for column in cursor.description], cursor.fetchall()

    def close(self):
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def names(self):
        return {name for (name,) in self.run(self.listing)[1] if not name.startswith("_tailrace_")}

    def rows(self, table):
        parts = [part for part in (table.schema or self.default_schema, table.name) if part]
        where = ".".join(self.quote + part.replace(self.quote, self.quote * 2) + self.quote for part in parts)
        names, rows = self.run("SELECT * FROM " + where)
        return [dict(zip(names, row, strict=True)) for row in rows]


class DuckDB(Sql):
    listing = "SELECT table_name FROM duckdb_tables()"

    def connected(self):
        return duckdb.connect(self.root / "own.duckdb")


class SQLite(Sql):
    schemas = False
    listing = "SELECT name FROM sqlite_master WHERE type = 'table'"

    def connected(self):
        return sqlite3.connect(self.root / "own.sqlite")


class Postgres(Sql):
    listing = (
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' "
        "AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    behind = ""
    default_schema = "public"

    def connected(self):
        return psycopg.connect(self.behind or self.url)


class Redshift(Postgres):
    longest = 63  # of names in what stands in for it

    def __init__(self, url, behind, root):
        super().__init__(url, root)
        self.behind = behind


class MySQL(Sql):
    listing = (
        "SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN "
        "('mysql', 'sys', 'information_schema', 'performance_schema')"
    )
    quote = "`"

    def connected(self):
        parts = urlsplit(self.url)
        login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        return mysql.connector.connect(**login, database=parts.path[1:], use_pure=True, charset="utf8mb4")


class Lake(Scene):
    """A lake in a folder, whose tables the destination's own listing finds."""

    def names(self):
        return {path.name for path in self.root.iterdir() if not path.name.startswith("_tailrace")}

    def folded(self, table):
        return [folder_of(name) for name in (table.schema, table.name) if name][:1]


class Delta(Lake):
    def rows(self, table):
        found = DeltaTable(str(self.root.joinpath(*(folder_of(name) for name in (table.schema, table.name) if name))))
        return [dict(row) for row in pa.table(found.to_pyarrow_table()).to_pylist()]


class Iceberg(Scene):
    def _catalog(self):
        return load_catalog(
            "default", type="sql", uri=f"sqlite:///{self.root}/own.db", warehouse=str(self.root / "lake")
        )

    def names(self):
        with closing(self._catalog()) as catalog:
            names = [catalog.list_tables(space) for space in catalog.list_namespaces()]
        return {name[-1] for found in names for name in found if not name[-1].startswith("_tailrace_")}

    def rows(self, table):
        with closing(self._catalog()) as catalog:
            found = catalog.load_table((table.schema or "main", table.name)).scan().to_arrow()
        return [dict(row) for row in found.to_pylist()]


class Files(Lake):
    keyed = False

    def rows(self, table):
        destination = open_destination(self.url, self.settings)
        try:
            paths = destination.files(table)
        finally:
            destination.close()
        return [row for path in paths for row in self._read(path.removeprefix("file://"))]

    def _read(self, path):
        match self.settings["format"]:
            case "parquet":
                return pyarrow.parquet.read_table(path, partitioning=None).to_pylist()
            case "csv":
                return pyarrow.csv.read_csv(path).to_pylist()
        return pyarrow.json.read_json(path).to_pylist()


class Memory(Scene):
    def names(self):
        return set(self._tables())

    def rows(self, table):
        return self._tables()[str(table)]

    def folded(self, table):
        return (str(table),)

    def _tables(self):
        return MemoryDestination(urlsplit(self.url).netloc).tables()


def _server(kind, made):
    def scene(request, tmp_path):
        server = request.getfixturevalue(f"{kind}_server")
        url = request.getfixturevalue(f"{kind}_url")
        return made(server, url, _root(tmp_path))

    return scene


def _root(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    return root


def _file(made, address, **settings):
    def scene(_, tmp_path):
        root = _root(tmp_path)
        return made(address.format(root=root, name=tmp_path.name), root, **settings)

    return scene


SCENES = {
    "duckdb": _file(DuckDB, "duckdb:///{root}/own.duckdb"),
    "sqlite": _file(SQLite, "sqlite:///{root}/own.sqlite"),
    "postgres": _server("postgres", lambda _, url, root: Postgres(url, root)),
    "mariadb": _server("mariadb", lambda _, url, root: MySQL(url, root)),
    "mysql": _server("mysql", lambda _, url, root: MySQL(url, root)),
    "redshift": _server("redshift", lambda server, url, root: Redshift(url, server.behind(url), root)),
    "delta": _file(Delta, "delta:{root}"),
    "iceberg": _file(Iceberg, "iceberg+sqlite:///{root}/own.db?warehouse={root}/lake&namespace=main"),
    "parquet": _file(Files, "files:{root}", format="parquet"),
    "csv": _file(Files, "files:{root}", format="csv"),
    "jsonl": _file(Files, "files:{root}", format="jsonl"),
    "memory": _file(Memory, "memory://{name}"),
}
