"""Load a Singer file's records with dlt: `load_with_dlt.py INPUT DATABASE STREAM [KEY]`.

A database is a DuckDB file, the address of a PostgreSQL database, or a folder: `files:///path` for Parquet files,
`delta:///path` for Delta Lake. Its files are written as dlt loads them fastest.
"""

import json
import sys
from pathlib import Path

import dlt


def main() -> None:
    """Run one dlt pipeline over the file's RECORD messages."""
    source, database, stream, *key = sys.argv[1:]

    @dlt.resource(
        name=stream, primary_key=key or None, write_disposition="merge" if key else "append", max_table_nesting=0
    )
    def records():
        with open(source, encoding="utf-8") as file:  # noqa: PTH123 as dlt's users write it
            for line in file:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    yield message["record"]

    scheme, _, folder = database.partition("://")
    how = {"loader_file_format": "csv" if scheme == "postgresql" else "parquet"}
    if scheme == "postgresql":
        destination = dlt.destinations.postgres(database)
    elif folder:
        destination = dlt.destinations.filesystem(f"file://{folder}")
        how |= {"table_format": "delta"} if scheme == "delta" else {}
    else:
        destination = dlt.destinations.duckdb(database)
    pipeline = dlt.pipeline(
        pipeline_name="bench",
        destination=destination,
        dataset_name="public" if scheme == "postgresql" else "main",
        pipelines_dir=str(Path.cwd() / "pipelines"),
    )
    pipeline.run(records(), **how)


if __name__ == "__main__":
    main()
