"""The loaders that load into a database server: the command of each, how rows are counted, and where the time goes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from delimited import properties
from loaders import RIVALS, ROOT, TAILRACE, WORK, Command, Input, dlt_into, make, right
from measure import Outcome, measured

sys.path.append(str(ROOT))
from services.mariadb import mariadb
from services.postgres import postgres

PROGRAMS = {"PostgreSQL": "psql", "MariaDB": "/usr/sbin/mariadbd"}
"""The command that prints a server's version, by the client in the server's package."""
DECODING = "tailrace's decoder, to nowhere"
STARTING = "tailrace, without records"

ServerLoader = Callable[[Input, Path, str], Command]


def tailrace(of: Input, _folder: Path, url: str) -> Command:
    """tailrace, at default settings."""
    return [str(TAILRACE / "tailrace"), "load", "--to", url], of.path


def tailrace_staging(of: Input, _folder: Path, url: str) -> Command:
    """tailrace, with append-only rows that survive a lost connection."""
    return [str(TAILRACE / "tailrace"), "load", "--to", url, "--set", "append_through=staging"], of.path


def meltanolabs(of: Input, folder: Path, url: str, *, use_copy: bool = False) -> Command:
    """PyPI's meltanolabs-target-postgres, without its metadata columns, which the others don't write either."""
    config = {**_login(url), "database": urlsplit(url).path[1:], "default_target_schema": "public"}
    config |= {"add_record_metadata": False, "activate_version": False, "use_copy": use_copy}
    (folder / "config.json").write_text(json.dumps(config))
    return [str(RIVALS / "meltanolabs-target-postgres/bin/target-postgres"), "--config", "config.json"], of.path


def meltanolabs_copy(of: Input, folder: Path, url: str) -> Command:
    """The same, with the setting that lets it use COPY."""
    return meltanolabs(of, folder, url, use_copy=True)


def pipelinewise(of: Input, folder: Path, url: str) -> Command:
    """PyPI's pipelinewise-target-postgres, at default settings."""
    config = {**_login(url), "dbname": urlsplit(url).path[1:], "default_target_schema": "public"}
    (folder / "config.json").write_text(json.dumps(config | {"primary_key_required": of.key is not None}))
    return [str(RIVALS / "pipelinewise-target-postgres/bin/target-postgres"), "--config", "config.json"], of.path


def dlt(of: Input, _folder: Path, url: str) -> Command:
    """dlt, with a resource that yields the records."""
    return dlt_into(url, of)


def copy(of: Input, folder: Path, url: str) -> Command:
    """A COPY by psql of the rows as CSV, into a table that is there; with a key, the last row of each, in one go."""
    make_table(of, url)
    rows, columns = delimited(of, "postgres"), list(properties(of.path))
    names = ", ".join(columns)
    lines = [f"\\copy {of.stream} ({names}) FROM '{rows}' (FORMAT csv)"]
    if of.key:
        values = ", ".join(f"{name} = excluded.{name}" for name in columns if name != of.key)
        last = f"SELECT DISTINCT ON ({of.key}) {names} FROM staged ORDER BY {of.key}, place DESC"
        lines = [
            f"CREATE TEMPORARY TABLE staged (LIKE {of.stream}, place bigint);",
            f"\\copy staged ({names}, place) FROM '{rows}' (FORMAT csv)",
            f"INSERT INTO {of.stream} ({names}) {last} ON CONFLICT ({of.key}) DO UPDATE SET {values};",
        ]
    (folder / "load.sql").write_text("\n".join(lines) + "\n")
    return [*client(url), "--single-transaction", "-v", "ON_ERROR_STOP=1", "-f", "load.sql"], None


def load_data(of: Input, _folder: Path, url: str) -> Command:
    """MariaDB's own LOAD DATA of the rows as text, into a table that is there; with a key, the last row of each."""
    make_table(of, url)
    replace = "REPLACE " if of.key else ""
    statement = (
        f"LOAD DATA LOCAL INFILE '{delimited(of, 'mariadb')}' {replace}INTO TABLE {of.stream} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' LINES TERMINATED BY '\\n' "
        f"({', '.join(properties(of.path))})"
    )
    return [*client(url), "--local-infile=1", "-e", statement], None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of server, the loaders measured on it, and the one that sets the limit."""

    name: str
    start: Callable[[], AbstractContextManager[Any]]
    loaders: dict[str, ServerLoader]
    limit: str

    def measures(self, of: Input, server: Any) -> dict[str, Callable[[], Outcome]]:
        """What is measured on that input: the loaders, of which keyed rows need one less, and parts of tailrace."""
        names = [name for name in self.loaders if not (of.key and name == STAGING)]
        parts = {DECODING: partial(decode, of), STARTING: partial(start, of, server)}
        return {name: partial(load, self, name, of, server) for name in names} | parts


STAGING = "tailrace, append_through=staging"
KINDS = {
    "postgres": Kind(
        "PostgreSQL",
        postgres,
        {
            "tailrace": tailrace,
            STAGING: tailrace_staging,
            "meltanolabs-target-postgres": meltanolabs,
            "meltanolabs-target-postgres, use_copy": meltanolabs_copy,
            "pipelinewise-target-postgres": pipelinewise,
            "dlt (CSV)": dlt,
            "psql \\copy": copy,
        },
        "psql \\copy",
    ),
    "mariadb": Kind("MariaDB", mariadb, {"tailrace": tailrace, "LOAD DATA": load_data}, "LOAD DATA"),
}
INPUTS = [
    Input("flights", "19 columns, append-only", 336_776),
    Input("accounts", "upsert over 100,000 keys", 500_000, "id"),
]


def _login(url: str) -> dict[str, Any]:
    at = urlsplit(url)
    return {"host": at.hostname, "port": at.port, "user": at.username, "password": at.password}


def client(url: str) -> list[str]:
    """The server's own client program, at that database."""
    at = urlsplit(url)
    if at.scheme == "postgresql":
        return ["psql", url, "--no-psqlrc", "--quiet"]
    login = [f"--host={at.hostname}", f"--port={at.port}", f"--user={at.username}", f"--password={at.password}"]
    return ["mariadb", "--no-defaults", *login, at.path[1:]]


def rows_in(url: str, table: str) -> int:
    """How many rows a loader left behind."""
    how = ["-At", "-c"] if url.startswith("postgresql") else ["-N", "-B", "-e"]
    words = [*client(url), *how, f"SELECT count(*) FROM {table}"]
    return int(subprocess.run(words, capture_output=True, check=True).stdout)


def delimited(of: Input, server: str) -> Path:
    """The input's rows as the server's own loader reads them."""
    path = WORK / f"{of.name}.{server}.csv"
    numbered = ["--numbered"] if of.key and server == "postgres" else []
    make(path, lambda part: ["delimited.py", str(of.path), str(part), server, *numbered])
    return path


def make_table(of: Input, url: str) -> None:
    """Create the stream's table as tailrace does."""
    words = [str(TAILRACE / "tailrace"), "load", str(schema_of(of)), "--to", url]
    subprocess.run(words, capture_output=True, check=True)


def schema_of(of: Input) -> Path:
    """A file with only the input's SCHEMA message."""
    path = WORK / f"{of.name}.schema"
    with of.path.open("rb") as file:
        path.write_bytes(file.readline())
    return path


def load(kind: Kind, name: str, of: Input, server: Any) -> Outcome:
    """Measure one loader on one input, in a fresh database, after earlier writes are flushed."""
    folder = WORK / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    url = server.database()
    command, stdin = kind.loaders[name](of, folder, url)
    if kind is KINDS["postgres"]:
        subprocess.run([*client(url), "-c", "CHECKPOINT"], check=True)
    result = right(name, of, measured(command, stdin, folder))
    outcome = Outcome(result, rows_in(url, of.stream), of.rows)
    server.drop(url)
    shutil.rmtree(folder)
    return outcome


def decode(of: Input) -> Outcome:
    """Measure the reader and the decoder on the input, without Python's start."""
    words = [str(TAILRACE / "python"), str(ROOT / "bench/decode.py"), str(of.path), str(of.records)]
    result = right(DECODING, of, measured(words, None, WORK))
    return Outcome(replace(result, seconds=float(result.said)), of.records, of.records)


def start(of: Input, server: Any) -> Outcome:
    """Measure tailrace on a file without records: start, connection, and creation of the table."""
    url = server.database()
    words = [str(TAILRACE / "tailrace"), "load", str(schema_of(of)), "--to", url]
    outcome = Outcome(right(STARTING, of, measured(words, None, WORK)), rows_in(url, of.stream), 0)
    server.drop(url)
    return outcome


def against_limit(kind: Kind, outcomes: dict[str, Outcome]) -> list[str]:
    """A sentence comparing tailrace's time with that of the server's own loader."""
    if not all(name in outcomes and outcomes[name].is_right for name in ("tailrace", kind.limit)):
        return []
    parts = ("tailrace", kind.limit, DECODING, STARTING)
    ours, limit, decoding, starting = (outcomes[name].measured.seconds for name in parts)
    sentence = (
        f"Of tailrace's {ours:.2f} s, decoding takes {decoding:.2f} s. The rest is {(ours - decoding) / limit:.2f} "
        f"times the {limit:.2f} s of `{kind.limit}`, and {(ours - decoding - starting) / limit:.2f} times without the "
        f"{starting:.2f} s in which tailrace starts, connects and makes the table."
    )
    return [sentence, ""]
