"""Run conformance and laws on the newest of everything that can be had, and record what passed on which version.

`make newest` runs it; docs/proven.json is the record, of which docs/generate.py makes docs/proven.md and a sentence on
each destination's page. What can't be had here keeps the record that it has.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from xml.etree import ElementTree as ET

from services import bigquery, mariadb, mongodb, mysql, postgres, s3, search, snowflake
from services.processes import MissingServiceError

ROOT = Path(__file__).parents[1]
RECORD = ROOT / "docs" / "proven.json"
OWN, NEWER = ROOT / ".venv" / "bin" / "python", ROOT / ".work" / "newest" / "bin" / "python"
LIBRARIES = ("deltalake", "duckdb", "pyiceberg")
"""What is loaded by a library: its newest release is tried, where the constraints have an older one."""
SPREAD = ("test_checkpoints", "test_two_runs")
EVERYWHERE = ("test_crashes", "test_connections")
OF_MYSQL = ("servers/test_mysql*.py", "servers/test_tls.py", "servers/test_errors.py", "servers/test_keys_servers.py")

OF_BIGQUERY = ("servers/test_bigquery.py",)
OF_MONGODB = ("servers/test_mongodb.py",)
OF_SEARCH = ("servers/test_search_engines.py", "attacks/test_search_names.py")


@dataclass(frozen=True, slots=True)
class Proof:
    """Tests of a destination on one kind of server, or with a library."""

    destination: str
    on: str
    """What it is proven on, but for the version."""
    version: Callable[[], str]
    chosen: str
    """Which of the tests, in pytest's words."""
    laws: tuple[str, ...] = SPREAD
    more: tuple[str, ...] = ()
    is_library: bool = False
    """Whether it runs with the newest releases of libraries."""

    def files(self) -> list[Path]:
        """The files of tests."""
        named = [f"conformance/test_conformance_{self.destination}*.py", *(f"laws/{law}.py" for law in self.laws)]
        tests = ROOT / "tests"
        return [path for pattern in (*named, *self.more) for path in sorted(tests.glob(pattern))]


def main() -> int:
    """Try each of the proofs, or those of the destinations that are named; how many failed."""
    wanted = set(sys.argv[1:])
    failed = 0
    for proof in PROOFS:
        if wanted and proof.destination not in wanted:
            continue
        try:
            entry = _tried(proof)
        except MissingServiceError as missing:
            sys.stdout.write(f"{proof.on}: not had here: {missing}\n")
            continue
        failed += bool(entry["failed"])
        sys.stdout.write(f"{proof.on} {entry['version']}: {entry['passed']} passed, {entry['failed']} failed\n")
        _record(entry)
    subprocess.run([OWN, ROOT / "docs" / "generate.py"], check=True)
    return failed


def _record(entry: dict[str, str | int]) -> None:
    """Put the entry into the record, in the place of the one before it."""
    record = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else []
    by_name = {(kept["destination"], kept["on"]): kept for kept in [*record, entry]}
    in_order = [by_name[name] for proof in PROOFS if (name := (proof.destination, proof.on)) in by_name]
    RECORD.write_text(json.dumps(in_order, indent=1) + "\n", encoding="utf-8")


def _tried(proof: Proof) -> dict[str, str | int]:
    """The record of running the tests now."""
    version = proof.version()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.xml"
        words = ["-W", "error", "-q", "-n", "2", f"--junitxml={path}", "-k", proof.chosen, *map(str, proof.files())]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        python = _python() if proof.is_library else OWN
        subprocess.run([python, "-m", "pytest", *words], check=False, cwd=ROOT, env=environment)
        found = ET.parse(path).getroot()
    suite = found if found.tag == "testsuite" else found[0]
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    bad = counts["failures"] + counts["errors"]
    passed = counts["tests"] - bad - counts["skipped"]
    if not passed:
        raise MissingServiceError("none of its tests ran")
    return {
        "destination": proof.destination,
        "on": proof.on,
        "version": version,
        "date": datetime.now(UTC).date().isoformat(),
        "passed": passed,
        "failed": bad,
        "lacks": counts["skipped"],
        "laws": ", ".join(["conformance", *(law.removeprefix("test_").replace("_", " ") for law in proof.laws)])
        + (", server tests" if proof.more else ""),
    }


@cache
def _python() -> str:
    """The Python of the newest libraries: our own, or that of an environment made for them."""
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE))
    newest = {name: _newest_release(name) for name in LIBRARIES}
    if all(newest[name] in (pinned[name], None) for name in LIBRARIES):
        return str(OWN)
    others = [f"{name}=={version}" for name, version in pinned.items() if name not in LIBRARIES]
    NEWER.parent.parent.mkdir(parents=True, exist_ok=True)
    constraints = NEWER.parent.parent.with_name("newest.txt")
    constraints.write_text("\n".join(others) + "\n", encoding="utf-8")
    if not NEWER.exists():
        subprocess.run([OWN, "-m", "venv", "--without-pip", NEWER.parent.parent], check=True)
    pip = [OWN, "-m", "pip", "--python", NEWER.parent.parent, "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--upgrade", "--constraint", constraints, "--editable", ".[dev]", *LIBRARIES], check=True, cwd=ROOT
    )
    return str(NEWER)


def _newest_release(name: str) -> str | None:
    """The newest release of a library, where the index says so."""
    words = [OWN, "-m", "pip", "index", "versions", "--disable-pip-version-check", name]
    said = subprocess.run(words, capture_output=True, check=False, text=True).stdout
    found = re.match(r"\S+ \(([^)]+)\)", said)
    return found[1] if found else None


def _library(name: str) -> str:
    asking = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([_python(), "-c", asking], capture_output=True, check=True, text=True).stdout.strip()


def _sqlite() -> str:
    asking = "import sqlite3; print(sqlite3.sqlite_version)"
    return subprocess.run([OWN, "-c", asking], capture_output=True, check=True, text=True).stdout.strip()


def _stand_in() -> str:
    return f"{postgres.version(postgres.installed_program)} and {s3.version()}"


PROOFS = (
    Proof("postgres", "PostgreSQL, newest", partial(postgres.version, postgres.newest_program), "newest_postgres"),
    Proof(
        "postgres",
        "PostgreSQL of Debian 12",
        partial(postgres.version, postgres.installed_program),
        "postgres and not newest_postgres",
    ),
    Proof("mysql", "MySQL", mysql.version, "mysql and not mariadb", SPREAD + EVERYWHERE, OF_MYSQL),
    Proof("mysql", "MariaDB of Debian 12", mariadb.version, "mariadb", SPREAD + EVERYWHERE, OF_MYSQL),
    Proof("redshift", "PostgreSQL and moto behind a proxy, in place of Redshift", _stand_in, "redshift"),
    Proof("snowflake", "fakesnow, in place of Snowflake", snowflake.version, "snowflake", SPREAD + EVERYWHERE),
    Proof(
        "bigquery", "bqemulator, in place of BigQuery", bigquery.version, "bigquery", SPREAD + EVERYWHERE, OF_BIGQUERY
    ),
    Proof("mongodb", "secantusdb, in place of MongoDB", mongodb.version, "mongodb", SPREAD + EVERYWHERE, OF_MONGODB),
    *(
        Proof(engine, name, partial(search.version_of, engine), engine, SPREAD + EVERYWHERE, OF_SEARCH)
        for engine, name in (("opensearch", "OpenSearch"), ("elasticsearch", "Elasticsearch"))
    ),
    Proof("duckdb", "duckdb", partial(_library, "duckdb"), "duckdb", is_library=True),
    Proof("sqlite", "SQLite", _sqlite, "sqlite"),
    Proof("files", "local files, and moto in place of S3", s3.version, "files"),
    Proof("delta", "deltalake", partial(_library, "deltalake"), "delta", is_library=True),
    Proof("iceberg", "pyiceberg", partial(_library, "pyiceberg"), "iceberg", is_library=True),
)

if __name__ == "__main__":
    sys.exit(main())
