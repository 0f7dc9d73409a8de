"""Load a Singer file's records into a DuckDB file with dlt: `load_with_dlt.py INPUT DATABASE STREAM [KEY]`."""

import json
import sys

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

    pipeline = dlt.pipeline(
        pipeline_name="bench",
        destination=dlt.destinations.duckdb(database),
        dataset_name="main",
        pipelines_dir=database + ".pipelines",
    )
    pipeline.run(records(), loader_file_format="parquet")


if __name__ == "__main__":
    main()
