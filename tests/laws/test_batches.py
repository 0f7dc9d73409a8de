"""Records that come by files of BATCH messages make the tables that they would make by themselves, on any destination.

Messages are the same each time; with TAILRACE_EXAMPLES so many times as many others are tried instead.
"""

import gzip
import json
import os
import time
from datetime import date
from itertools import groupby
from random import Random

import pyarrow as pa
import pytest
from changing_streams import expected, random_messages, shown
from loads import a_place
from pyarrow import parquet
from test_checkpoints import SERVERS, WIDENS_KEYS

from tailrace import load

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {"memory": 60, "sqlite": 25, "duckdb": 15, "postgres": 8, "mysql": 4, "delta": 6}


def batched(lines, folder, chance):
    """The lines, of which runs of records of one stream and version stand in files; and how many runs do."""
    sent, count = [], 0
    for origin, run in groupby(
        map(json.loads, lines), key=lambda each: (each["type"], each.get("stream"), each.get("version"))
    ):
        messages = [*run]
        if origin[0] != "RECORD" or chance.random() < 0.3:
            sent += messages
            continue
        version = {} if origin[2] is None else {"version": origin[2]}
        written = [message["record"] for message in messages]
        cut = chance.randint(0, len(written))
        files = [
            file_of(part, folder / f"{count}-{number}", chance)
            for number, part in enumerate((written[:cut], written[cut:]))
            if part
        ]
        sent += [
            {"type": "BATCH", "stream": origin[1], "encoding": form, "manifest": [f"file://{path}"], **version}
            for form, path in files
        ]
        count += 1
    return [json.dumps(message) for message in sent], count


def file_of(records, path, chance):
    """The records in a file of any format; and what a message says of it."""
    form = chance.choice(["jsonl", "gzip", "parquet", "arrow"])
    if form in {"jsonl", "gzip"}:
        data = b"".join(json.dumps(record).encode() + b"\n\n" for record in records)
        path.write_bytes(gzip.compress(data) if form == "gzip" else data)
        return {"format": "jsonl", "compression": "gzip" if form == "gzip" else "none"}, path
    table = pa.Table.from_pylist([typed(record) for record in records], schema_of(records))
    if form == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return {"format": form}, path


def typed(record):
    return {name: date(2024, 1, 31) if value == "2024-01-31" else value for name, value in record.items()}


def schema_of(records):
    """The types of all fields that any of the records has."""
    names = dict.fromkeys(name for record in records for name in record)
    return pa.schema([(name, pa.array([typed(record).get(name) for record in records]).type) for name in names])


@pytest.mark.parametrize("kind", EXAMPLES)
def test_records_that_come_by_files_make_the_same_tables(kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in SERVERS else None
    first, files = time.time_ns() if MORE else 0, 0
    for seed in range(first, first + EXAMPLES[kind] * max(1, MORE)):
        messages = random_messages(seed, widens_keys=kind in WIDENS_KEYS)
        with a_place(kind, server) as place:
            lines, count = batched(messages.lines(is_cut=True), place.folder, Random(seed))
            report = load(
                lines,
                place.url,
                pipeline="p",
                batch_roots=[str(place.folder)],
                tell=place.told.append,
                **messages.settings,
            )
            tables = {plan.name: place.rows(plan.name) for plan in messages.plans}
        told = "\n".join([f"seed {seed}", *lines])
        assert {name: shown(rows) for name, rows in tables.items()} == expected(messages), told
        assert report.total.uncommitted == 0, told
        files += count
    assert files > EXAMPLES[kind]
