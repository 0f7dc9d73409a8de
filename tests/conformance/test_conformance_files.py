"""Files do what every destination does, but merge; manifests and files are read by DuckDB and pyarrow alone."""

import base64
import csv
import datetime as dt
import gzip
import json
from decimal import Decimal
from urllib.parse import quote

import duckdb
import msgspec
import pytest
import zstandard

from tailrace.destinations import open_destination
from tailrace.testing import DELETIONS, UPSERTS, Subject, behaviours

NO_UPSERT = "rows of plain files aren't changed: streams with keys are appended, upsert is refused"
NO_DELETION = "rows of plain files aren't changed: neither marks nor versions delete any"
LACKS = dict.fromkeys(UPSERTS, NO_UPSERT) | dict.fromkeys(DELETIONS, NO_DELETION)


TEXT_VARIES = frozenset({"kinds", "texts", "evolution", "names", "columns", "checkpoints"})
VARIES = {
    "parquet": None,
    # How values, nulls and names are written, in files of any size and of columns that change; where, it is the same.
    "csv": TEXT_VARIES,
    # As CSV, with names in each line.
    "jsonl": TEXT_VARIES,
    # How objects are listed, put if absent and removed; what is in them is the same.
    "s3": frozenset({"refusals", "checkpoints", "contract"}),
}
CASES = [(subject, behaviour) for subject, varies in VARIES.items() for behaviour in behaviours(varies)]


@pytest.fixture
def subject(request, tmp_path):
    root = tmp_path / "lake"
    if request.param == "s3":
        server = request.getfixturevalue("s3_server")
        bucket = server.bucket()
        url = f"s3://{bucket}/lake?{server.query}"
    else:
        compression = {"csv": "&compression=gzip", "jsonl": "&compression=zstd"}.get(request.param, "")
        url = f"files://{quote(str(root))}?format={request.param}{compression}"

    def rows(table, schema=None):
        if request.param == "s3":
            server.download(bucket, "lake", root)
        return listed_rows(root, table, schema)

    return Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS, varies=VARIES[request.param])


def listed_rows(root, table, schema):
    """The rows of the files that manifests list, by the columns that they name."""
    entries = [json.loads(path.read_bytes()) for path in root.glob("_tailrace/*/*.json")]
    entries.sort(key=lambda entry: (entry.get("at", ""), entry["sequence"]))
    changes = [c for e in entries for c in e.get("tables", ()) if (c["table"], c.get("schema")) == (table, schema)]
    voids = {path for change in changes for path in change.get("voids", ())}
    columns = {}
    for change in changes:
        columns = {} if change.get("replace") else columns
        columns |= {column["name"]: column["kind"] for column in change["columns"]}
    files = [file["path"] for change in changes for file in change.get("files", ()) if file["path"] not in voids]
    found = [row for path in files for row in file_rows(root / path, columns)]
    return [{name: row.get(name) for name in columns} for row in found]


def file_rows(path, kinds):
    """A file's rows; a value that is text in it is read by its column's kind."""
    if path.suffix == ".zst":
        with zstandard.open(path) as file:
            lines = file.read().split(b"\n")[:-1]
        raws = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines]
        return [
            {n: None if bytes(v) == b"null" else OF_JSON[kinds[n]](bytes(v)) for n, v in row.items()} for row in raws
        ]
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as lines:
            names = next(csv.reader(lines))
        reading = (
            "read_csv(?, auto_detect = false, delim = ',', quote = '\"', escape = '\"', header = true, columns = ?"
        )
        null = "NULL" if len(names) == 1 and kinds[names[0]] in TEXTS else ""
        found = duckdb.execute(
            f"SELECT * FROM {reading}, new_line = '\\n', allow_quoted_nulls = ?, nullstr = '{null}')",
            [str(path), dict.fromkeys(names, "VARCHAR"), len(names) == 1 and not null],
        )
        rows = found.fetchall()
        return [
            {n: None if v is None else OF_CSV[kinds[n]](v) for n, v in zip(names, row, strict=True)} for row in rows
        ]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]


def plain(value):
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo else value


def instant(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


OF_CSV = {
    "BOOL": lambda text: {"true": True, "false": False}[text],
    "INT": int,
    "FLOAT": float,
    "DECIMAL": Decimal,
    **dict.fromkeys(("TEXT", "JSON", "UUID"), str),
    "BINARY": base64.b64decode,
    "DATE": dt.date.fromisoformat,
    "TIME": dt.time.fromisoformat,
    "TIMESTAMP": dt.datetime.fromisoformat,
    "TIMESTAMPTZ": instant,
}
TEXTS = ("TEXT", "JSON", "UUID", "BINARY")
"""Kinds that are texts in CSV; null is NULL among them where they are a file's only column, and `""` among others."""

QUOTED = ("TEXT", "UUID", "BINARY", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ")
OF_JSON = {kind: lambda text, read=read: read(text.decode()) for kind, read in OF_CSV.items()} | {
    kind: lambda text, read=OF_CSV[kind]: read(json.loads(text)) for kind in QUOTED
}


@pytest.mark.parametrize(("subject", "behaviour"), CASES, indirect=["subject"])
def test_files(subject, behaviour):
    behaviour(subject)
