"""Runs in the place of Mage's destinations, in this process, as its runner starts them."""

import json

import duckdb

from tailrace.compat import mage_run
from tailrace.compat.mage import arguments

USERS = {
    "id": {"type": ["null", "string"]},
    "first_name": {"type": ["null", "string"]},
    "age": {"type": ["null", "integer"]},
    "User": {"type": ["null", "string"]},
    "date_joined": {"format": "date-time", "type": ["string"]},
    "power_level": {"type": ["null", "number"]},
}
ADA = {
    "id": 2,
    "first_name": "Ada",
    "age": 36,
    "User": "ada",
    "date_joined": "1993-08-28T00:00:00",
    "power_level": 99.99,
}


def schema(stream="demo_users", properties=USERS, **more):
    """A SCHEMA message as Mage's taps send it."""
    sent = {"key_properties": ["id"], "replication_method": "INCREMENTAL", "bookmark_properties": ["id"], **more}
    return {"type": "SCHEMA", "stream": stream, "schema": {"type": "object", "properties": properties}, **sent}


def upserted(**more):
    return schema(unique_constraints=["id"], unique_conflict_method="UPDATE", **more)


def record(stream="demo_users", **fields):
    return {"type": "RECORD", "stream": stream, "record": {**ADA, **fields}}


def state(stream="demo_users", **bookmark):
    return {"type": "STATE", "value": {"bookmarks": {stream: bookmark}}}


class Mage:
    """Runs into one table of a DuckDB."""

    def __init__(self, folder):
        self.folder = folder
        self.config = {"file_path": str(folder / "x.duckdb"), "table": "dim_users_v1"}
        self.state_file = folder / "state"

    def __call__(self, *messages, config=None, options=(), destination="duckdb"):
        """The exit code of a run over these messages."""
        lines = (each if isinstance(each, str) else json.dumps(each) for each in messages)
        (self.folder / "input").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        given = json.dumps({**self.config, **(config or {})})
        where = ["--state", str(self.state_file), "--input_file_path", str(self.folder / "input")]
        words = [destination, "--config_json", given, "--log_to_stdout", "1", *where, *options]
        return mage_run.run(arguments().parse_args(words))

    def rows(self, table="dim_users_v1"):
        """The rows of the table, by their columns."""
        with duckdb.connect(self.config["file_path"]) as connection:
            found = connection.sql(f'SELECT * FROM "{table}" ORDER BY ALL')
            return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]

    def state(self):
        """The state that the file has."""
        return json.loads(self.state_file.read_text(encoding="utf-8"))


def logged(text):
    """The lines of Mage's log in an output."""
    lines = [json.loads(line[line.index("{") :]) for line in text.splitlines() if "{" in line]
    return [line for line in lines if line.get("type") == "LOG"]
