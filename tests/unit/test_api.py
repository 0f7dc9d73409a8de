"""`tailrace.load` from Python: paths, streams, messages, and rows of every make."""

import gzip
import io
import json
import logging
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import tailrace
from tailrace.destinations.memory import MemoryDestination

ORDERS = Path(__file__).parents[2] / "examples" / "orders.singer"
ROWS = [{"id": 1, "name": "Ada", "score": 0.5}, {"id": 2, "name": None, "score": 2.25}]


@pytest.fixture
def memory():
    return MemoryDestination(uuid.uuid4().hex)


def read(memory, table):
    return sorted(memory.tables()[table], key=lambda row: row["id"])


def test_a_path_is_loaded(memory):
    report = tailrace.load(ORDERS, memory)
    assert (report.total.read, report.total.loaded, report.total.deduplicated) == (3, 2, 1)
    assert [row["total"] for row in read(memory, "orders")] == [Decimal("499.99"), Decimal("12.00")]


def test_a_compressed_path_is_loaded(memory, tmp_path):
    path = tmp_path / "orders.singer.gz"
    path.write_bytes(gzip.compress(ORDERS.read_bytes()))
    assert tailrace.load(str(path), memory).total.loaded == 2


def test_a_binary_stream_is_loaded(memory):
    assert tailrace.load(io.BytesIO(ORDERS.read_bytes()), memory).total.loaded == 2


@pytest.mark.parametrize("form", [json.loads, str, str.encode], ids=["mappings", "text", "bytes"])
def test_messages_are_loaded(memory, form):
    messages = [form(line) for line in ORDERS.read_text().splitlines()]
    states = []
    assert tailrace.load(messages, memory, tell=states.append).total.loaded == 2
    assert json.loads(states[0]) == {"bookmarks": {"orders": {"ordered_at": "2026-01-02T04:00:00Z"}}}


@pytest.mark.parametrize(
    "form",
    [
        list,
        iter,
        pa.Table.from_pylist,
        pl.DataFrame,
        pd.DataFrame,
        lambda rows: pa.table(pa.Table.from_pylist(rows)).to_reader(),
    ],
    ids=["list", "iterator", "arrow", "polars", "pandas", "reader"],
)
def test_rows_of_every_make_are_loaded(memory, form):
    report = tailrace.load(form(ROWS), memory, stream="people", key=["id"])
    assert report.streams["people"].loaded == 2
    assert read(memory, "people") == ROWS


def test_rows_are_upserted_by_their_key(memory):
    tailrace.load(ROWS, memory, stream="people", key=["id"])
    report = tailrace.load([{"id": 2, "name": "Bo", "score": 1.0}], memory, stream="people", key=["id"])
    assert report.total.updated == 1
    assert [row["name"] for row in read(memory, "people")] == ["Ada", "Bo"]


def test_values_of_python_stay_what_they_are(memory):
    row = {
        "id": 1,
        "price": Decimal("517.60"),
        "day": date(9999, 12, 31),
        "at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        "naive": datetime(2026, 1, 2, 3, 4, 5),
        "raw": b"\x00\xff",
        "flag": False,
    }
    tailrace.load([row], memory, stream="s")
    assert read(memory, "s") == [row]


def test_nested_values_become_json(memory):
    tailrace.load([{"id": 1, "tags": ["a", None], "at": {"x": 1}}], memory, stream="s")
    (row,) = read(memory, "s")
    assert (json.loads(row["tags"]), json.loads(row["at"])) == (["a", None], {"x": 1})


def test_rows_with_new_fields_later_grow_the_table(memory):
    rows = [{"id": n} if n < 50_000 else {"id": n, "late": "x"} for n in range(50_001)]
    assert tailrace.load(rows, memory, stream="s").total.loaded == 50_001
    assert read(memory, "s")[-1] == {"id": 50_000, "late": "x"}


def test_columns_of_rows_can_be_overridden(memory):
    columns = {"id": {"kind": "DECIMAL(10,2)"}, "name": {"select": False}}
    tailrace.load(ROWS, memory, stream="people", columns=columns)
    assert read(memory, "people") == [{"id": Decimal("1.00"), "score": 0.5}, {"id": Decimal("2.00"), "score": 2.25}]


def test_metadata_columns_are_filled_for_rows(memory):
    tailrace.load(ROWS, memory, stream="people", metadata="singer")
    first = read(memory, "people")[0]
    assert first["_sdc_received_at"] <= datetime.now(UTC)
    assert (first["_sdc_deleted_at"], first["_sdc_table_version"]) == (None, None)


def test_no_rows_make_an_empty_table(memory):
    tailrace.load(pa.table({"id": pa.array([], pa.int64())}), memory, stream="s")
    assert memory.tables() == {"s": []}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (5, "int holds no rows"),
        ([1], "a row is a int"),
    ],
)
def test_what_holds_no_rows_is_refused(memory, source, said):
    with pytest.raises(tailrace.ConfigError, match=said):
        tailrace.load(source, memory, stream="s")


def test_a_message_that_json_cant_hold_is_refused_with_its_place(memory):
    messages = [json.loads(line) for line in ORDERS.read_text().splitlines()]
    messages[2]["record"]["total"] = float("nan")
    with pytest.raises(tailrace.MessageError, match=r"line 3: .*\$\.record\.total"):
        tailrace.load(messages, memory)


def test_settings_are_checked_by_name(memory):
    with pytest.raises(tailrace.ConfigError, match="did you mean batch_rows"):
        tailrace.load(ORDERS, memory, batch_row=5)


def test_a_named_destination_takes_its_settings_too(tmp_path):
    assert tailrace.load(ORDERS, "sqlite", path=str(tmp_path / "x.db"), batch_rows=1).total.loaded == 2


def test_a_pipeline_goes_on_where_it_was(memory):
    first = tailrace.load(ORDERS, memory, pipeline="p")
    second = tailrace.load(ORDERS, memory, pipeline="p")
    assert (first.checkpoint, second.checkpoint) == (1, 2)


def test_nothing_is_written_to_stdout_or_stderr(memory, capfd):
    tailrace.load(ORDERS, memory)
    assert capfd.readouterr() == ("", "")


def test_events_reach_the_loggers_of_the_standard_library(memory, caplog):
    with caplog.at_level(logging.INFO, logger="tailrace"):
        tailrace.load(ORDERS, memory)
    assert [record.message for record in caplog.records if record.name == "tailrace.target"] == [
        "checkpoint number=1 records=3 line=5"
    ]


def test_a_message_that_is_nested_too_deeply_is_refused_by_its_line():
    nested = {"type": "object"}
    for _ in range(2000):
        nested = {"type": "object", "properties": {"x": nested}}
    with pytest.raises(tailrace.MessageError, match="line 1: this message is nested too deeply"):
        tailrace.load([{"type": "SCHEMA", "stream": "s", "schema": nested, "key_properties": []}], to="memory:")
