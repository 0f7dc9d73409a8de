"""Load a Singer file's records with DuckDB's own JSON reader: `read_json.py INPUT DATABASE STREAM [KEY]`.

A database may also be a file that ends with .parquet.
"""

import json
import sys

import duckdb

TYPES = {"integer": "BIGINT", "number": "DOUBLE", "string": "VARCHAR", "boolean": "BOOLEAN"}


def column_type(schema):
    """The DuckDB type of a property."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    kind = next(kind for kind in kinds if kind != "null")
    return "TIMESTAMPTZ" if schema.get("format") == "date-time" else TYPES.get(kind, "JSON")


def main() -> None:
    """Create the table or file from the file in one statement; with a key, of the last record of each."""
    source, database, stream, *key = sys.argv[1:]
    with open(source, encoding="utf-8") as file:  # noqa: PTH123 a script without tailrace
        properties = json.loads(file.readline())["schema"]["properties"]
    record = ", ".join(f'"{name}" {column_type(schema)}' for name, schema in properties.items())
    columns = f"columns = {{type: 'VARCHAR', record: 'STRUCT({record})'}}"
    read = f"read_json($1, format = 'newline_delimited', {columns})"
    if key:
        numbered = f"SELECT *, row_number() OVER () AS place FROM {read}"
        last = f"QUALIFY row_number() OVER (PARTITION BY record.{key[0]} ORDER BY place DESC) = 1"
        query = f"SELECT record.* FROM ({numbered}) WHERE type = 'RECORD' {last}"
    else:
        query = f"SELECT record.* FROM {read} WHERE type = 'RECORD'"
    if database.endswith(".parquet"):
        duckdb.execute(f"COPY ({query}) TO '{database}' (FORMAT parquet, COMPRESSION zstd)", [source])
        return
    with duckdb.connect(database) as connection:
        connection.execute(f"CREATE TABLE {stream} AS {query}", [source])


if __name__ == "__main__":
    main()
