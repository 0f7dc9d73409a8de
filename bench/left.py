"""What a loader left in a folder: `left.py files|delta FOLDER INPUT STREAM` prints it as JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from delimited import properties
from deltalake import DeltaTable

DLT_OWN = "pipelines"
"""The folder in which dlt keeps a copy of what it loaded."""

IS_RIGHT = {
    "integer": pa.types.is_int64,
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "date-time": lambda kind: pa.types.is_timestamp(kind) and kind.tz is not None,
}
"""By kind of property: whether a column type holds its values unchanged."""


def parquet_files(scheme: str, folder: Path, stream: str) -> Iterator[Path]:
    """The table's files: those listed by Delta Lake's log, or all in the folder."""
    if scheme == "delta":
        table = next(folder.rglob(f"{stream}/_delta_log")).parent
        return (Path(uri.removeprefix("file://")) for uri in DeltaTable(table).file_uris())
    return (path for path in folder.rglob("*.parquet") if DLT_OWN not in path.parts)


def about(path: Path, source: Path, partition: Sequence[str]) -> str:
    """A file's compression, and which column types of the stream weren't kept."""
    compression = pq.read_metadata(path).row_group(0).column(0).compression.lower()
    found = pq.read_schema(path)
    wrong: Counter[str] = Counter()
    for name, schema in properties(source).items():
        kind = _kind(schema)
        if name not in found.names:
            wrong[f"{kind} is missing"] += name not in partition
        elif not IS_RIGHT[kind](found.field(name).type):
            wrong[f"{kind} is {found.field(name).type}"] += 1
    changes = [f"{what} in {count}" for what, count in wrong.items() if count]
    return f"{compression}; {'; '.join(changes) or 'types as in the schema'}"


def _kind(schema: dict[str, Any]) -> str:
    return schema.get("format") or next(kind for kind in schema["type"] if kind != "null")


def main() -> None:
    """Rows counted in the files, MiB, number of folders, and a description."""
    scheme, folder, source, stream = sys.argv[1:]
    lines = [*Path(folder).glob("*.jsonl")]
    paths = lines or [*parquet_files(scheme, Path(folder), stream)]
    if lines:
        with lines[0].open("rb") as file:
            rows, what = sum(1 for _ in file), "JSON"
    else:
        rows = sum(pq.read_metadata(path).num_rows for path in paths)
        partition = [part.partition("=")[0] for part in paths[0].parts if "=" in part]
        what = about(paths[0], Path(source), partition)
    mib = sum(path.stat().st_size for path in paths) / 2**20
    found = {"rows": rows, "mib": mib, "partitions": len({path.parent for path in paths}), "about": what}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
