"""An album: tables as Arrow batches in one SQLite file, for readers who know Arrow.

*Durable when* the transaction is committed that gives a checkpoint's number to its batches.
*Visible when* the same: a batch without a number is nobody's yet.
*Load verb* INSERT of a batch as an Arrow IPC stream.
*Source* https://arrow.apache.org/docs/format/Columnar.html and https://www.sqlite.org/lang_transaction.html
"""

import secrets
import sqlite3
from contextlib import closing, contextmanager
from datetime import datetime

import pyarrow as pa
from msgspec.json import decode, encode
from pydantic import BaseModel, Field

from tailrace.errors import FencedError, RowsRefusedError
from tailrace.model import LINE, Checkpoint, Method, Published, Receipt, Traits
from tailrace.schema.cast import cast_rows
from tailrace.schema.evolve import TableColumn, changes

TRAITS = Traits(name="album", guarantee="exactly once", methods=frozenset({Method.APPEND}), case_sensitive=True)
TABLES = """CREATE TABLE IF NOT EXISTS tables (name PRIMARY KEY, columns, key);
CREATE TABLE IF NOT EXISTS batches (name, pipeline, fence, token, checkpoint, rows);
CREATE TABLE IF NOT EXISTS pipelines (name PRIMARY KEY, fence, number, state, at);"""
LAST, REMEMBER = "SELECT * FROM pipelines WHERE name = ?", "INSERT OR REPLACE INTO pipelines VALUES (?, ?, ?, ?, ?)"


class SETTINGS(BaseModel, extra="forbid"):
    path: str = Field(description="The file, which is made where there is none.")


def from_url(url):  # album:///path/to/file
    return {"path": url.removeprefix("album://")}


class Album:
    def __init__(self, settings):
        self.traits, self._path, self._owner = TRAITS, settings.path, ("", "")

    def recover(self, pipeline):
        self._owner = pipeline, secrets.token_hex(8)
        with self._transaction() as run:
            run("DELETE FROM batches WHERE pipeline = ? AND checkpoint IS NULL", [pipeline])
            _, _, number, state, at = run(LAST, [pipeline]).fetchone() or (pipeline, "", 0, None, None)
            run(REMEMBER, [*self._owner, number, state, at])
        return Checkpoint(pipeline, number, state, datetime.fromisoformat(at)) if number else None

    def prepare(self, stream):
        name, have, key = str(stream.table), [TableColumn.of(column) for column in stream.columns], None
        with self._transaction() as run:
            if found := run("SELECT columns, key FROM tables WHERE name = ?", [name]).fetchone():
                have, key = decode(found[0], type=list[TableColumn]), decode(found[1])
            fit = changes(have, stream, TRAITS, (), key)
            have += [TableColumn.of(column) for column in fit.add]
            run("INSERT OR REPLACE INTO tables VALUES (?, ?, ?)", [name, encode(have), encode(stream.key)])
        return fit

    def stage(self, batch):
        stream, token, sink = batch.stream, secrets.token_hex(8), pa.BufferOutputStream()
        rows, refused = cast_rows(batch.rows, stream, self.prepare(stream).targets)
        if refused:
            raise RowsRefusedError(f"the table {stream.table} doesn't take {len(refused)} rows unchanged", refused)
        with pa.ipc.new_stream(sink, rows.drop_columns(LINE).schema) as writer:
            writer.write_table(rows.drop_columns(LINE))
        with self._transaction() as run:
            values = [str(stream.table), *self._owner, token, sink.getvalue()]
            run("INSERT INTO batches VALUES (?, ?, ?, ?, NULL, ?)", values)
        return Receipt(stream, batch.checkpoint, rows.num_rows, batch.first_line, batch.last_line, token)

    def commit(self, checkpoint):
        number, published = checkpoint.number, {}
        with self._transaction() as run:
            if run(LAST, [checkpoint.pipeline]).fetchone()[:3] != (*self._owner, number - 1):
                raise FencedError(checkpoint.pipeline)
            for r in checkpoint.publish:
                run("UPDATE batches SET checkpoint = ? WHERE token = ?", [number, r.token])
                published[r.stream.name] = published.get(r.stream.name, Published()) + Published(inserted=r.rows)
            run(REMEMBER, [*self._owner, number, checkpoint.state, checkpoint.at.isoformat()])
            run("DELETE FROM pipelines WHERE name = ? AND ?", [checkpoint.pipeline, checkpoint.is_forgotten])
        return published

    def is_transient(self, error):
        return isinstance(error, sqlite3.OperationalError)

    def close(self):
        with self._transaction() as run:
            run("DELETE FROM batches WHERE pipeline = ? AND fence = ? AND checkpoint IS NULL", self._owner)

    @contextmanager
    def _transaction(self):  # committed at the end, undone by an error
        with closing(sqlite3.connect(self._path, timeout=60)) as connection, connection:
            connection.executescript(f"{TABLES}BEGIN IMMEDIATE")
            yield connection.execute


build = Album
