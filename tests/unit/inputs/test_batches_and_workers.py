"""Inputs with BATCH messages among those that workers stage: rows come in the order of lines all the same."""

import json
import sqlite3
from contextlib import closing

from tailrace import load

SCHEMA = {"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {"type": "integer"}}}, "key_properties": []}


def record(number):
    return {"type": "RECORD", "stream": "s", "record": {"id": number}}


def test_rows_that_workers_staged_come_behind_the_records_of_inputs_before(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"id": 1}\n')
    encoding, manifest = {"format": "jsonl"}, [f"file://{tmp_path}/b.jsonl"]
    batch = {"type": "BATCH", "stream": "s", "encoding": encoding, "manifest": manifest}
    inputs = [SCHEMA, batch, record(2)], [SCHEMA, record(3), record(4)], [SCHEMA, record(5), batch]
    for number, messages in enumerate(inputs):
        (tmp_path / f"{number}.singer").write_text("".join(json.dumps(message) + "\n" for message in messages))
    parallel = {"backend": "threading", "workers": 2}
    to = f"sqlite:///{tmp_path}/s.db"
    load(str(tmp_path / "*.singer"), to, batch_roots=[str(tmp_path)], parallel=parallel)
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        assert connection.execute("SELECT id FROM s ORDER BY rowid").fetchall() == [(1,), (2,), (3,), (4,), (5,), (1,)]
