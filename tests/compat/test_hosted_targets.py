"""Targets of the Singer SDK as destinations: one of our own for what must hold, and two that are published."""

import csv
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import ClassVar

import psycopg
import pytest
from singer_sdk.sinks import BatchSink
from singer_sdk.target_base import Target

import tailrace
from tailrace.compat.singer_sdk import HostedTarget
from tailrace.errors import ConfigError, DestinationError, TailraceError

HOSTED = Path(__file__).parents[2] / ".work" / "hosted"
STATE = {"bookmarks": {"orders": 3}}
FIELDS = {
    "id": {"type": "integer"},
    "at": {"type": ["null", "string"], "format": "date-time"},
    "day": {"type": ["null", "string"], "format": "date"},
    "sum": {"type": ["null", "string"], "format": "singer.decimal"},
    "more": {"type": ["null", "object"], "properties": {"Tags": {"type": "array", "items": {"type": "string"}}}},
}


def schema(stream, fields, key=()):
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": fields}, "key_properties": [*key]}


def record(stream, fields):
    return {"type": "RECORD", "stream": stream, "record": fields}


def state(value):
    return {"type": "STATE", "value": value}


class Keeper(BatchSink):
    """Keeps what it is given, in the target's lists."""

    max_size = 2

    def process_batch(self, context):
        self.target.at_once.wait(10)
        if self.stream_name == self.config.get("fails"):
            raise OSError("the disk is full")
        self.target.batches.append((self.stream_name, context["records"]))

    def __init__(self, target, *args, **kwargs):
        self.target = target
        target.made.append(args[0] if args else kwargs["stream_name"])
        super().__init__(target, *args, **kwargs)

    def clean_up(self):
        self.target.cleaned.append(self.stream_name)
        super().clean_up()

    def activate_version(self, new_version):
        self.target.batches.append((self.stream_name, new_version))


class KeepingTarget(Target):
    """A target of sinks that keep; `parties` of them have to be drained at once."""

    name = "target-keeping"
    config_jsonschema: ClassVar = {"type": "object", "properties": {"fails": {"type": "string"}}}
    default_sink_class = Keeper

    def __init__(self, parties=1, **config):
        self.batches, self.made, self.cleaned = [], [], []
        self.at_once = threading.Barrier(parties)
        super().__init__(config=config)


def load(target, *messages, **settings):
    hosted = HostedTarget(target)
    states = []
    return tailrace.load([*messages], hosted, tell=states.append, **hosted.settings | settings), states


def test_a_sink_gets_records_as_the_sdk_has_them_in_their_order_and_the_state_follows():
    rows = [
        {"id": 1, "at": "2026-01-02T03:04:05+01:00", "day": "2026-01-02", "sum": "1.50", "more": {"Tags": ["a"]}},
        {"id": 2},
        {"id": 3, "more": {"Tags": []}},
    ]
    target = KeepingTarget()
    report, states = load(
        target, schema("orders", FIELDS, ["id"]), *(record("orders", row) for row in rows), state(STATE)
    )
    empty = {"at": None, "day": None, "sum": None, "more": None}
    at = datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    first = {"id": 1, "at": at, "day": date(2026, 1, 2), "sum": Decimal("1.50"), "more": {"Tags": ["a"]}}
    assert target.batches == [
        ("orders", [first, {**empty, "id": 2}]),
        ("orders", [{**empty, "id": 3, "more": {"Tags": []}}]),
    ]
    assert (report.total.loaded, [json.loads(told) for told in states]) == (3, [STATE])
    assert (target.made, target.cleaned) == (["orders"], ["orders"])


def test_sinks_are_drained_in_parallel():
    ids = {"id": {"type": "integer"}}
    streams = ("a", "b", "c")
    target = KeepingTarget(parties=len(streams))
    load(target, *(schema(name, ids) for name in streams), *(record(name, {"id": 1}) for name in streams), state(STATE))
    assert sorted(name for name, _ in target.batches) == ["a", "b", "c"]


def test_no_state_is_told_where_a_sink_fails():
    ids = {"id": {"type": "integer"}}
    states = []
    hosted = HostedTarget(KeepingTarget(fails="b"))
    messages = [schema("a", ids), schema("b", ids), record("a", {"id": 1}), record("b", {"id": 1}), state(STATE)]
    with pytest.raises(DestinationError, match="target-keeping failed on stream 'b': OSError: the disk is full"):
        tailrace.load(messages, hosted, tell=states.append, **hosted.settings)
    assert states == []


def test_a_new_schema_makes_a_new_sink_after_the_rows_of_the_old_one():
    more = {"id": {"type": "integer"}, "x": {"type": "string"}}
    target = KeepingTarget()
    first = [schema("a", {"id": more["id"]}), record("a", {"id": 1})]
    load(target, *first, schema("a", more), record("a", {"id": 2, "x": "y"}), state(STATE))
    assert target.batches == [("a", [{"id": 1}]), ("a", [{"id": 2, "x": "y"}])]
    assert target.made == ["a", "a"]


def test_a_stream_without_records_has_its_sink_too():
    target = KeepingTarget()
    load(target, schema("a", {"id": {"type": "integer"}}), state(STATE))
    assert (target.made, target.cleaned, target.batches) == (["a"], ["a"], [])


def test_a_record_that_breaks_its_schema_never_comes_to_a_sink():
    target = KeepingTarget()
    with pytest.raises(TailraceError):
        load(target, schema("a", {"id": {"type": "integer"}}), record("a", {"id": "x"}), state(STATE))
    assert target.batches == []


def test_flattening_is_the_targets_own():
    target = KeepingTarget(flattening_enabled=True, flattening_max_depth=1)
    load(
        target,
        schema("a", {"b": {"type": "object", "properties": {"c": {"type": "integer"}}}}),
        record("a", {"b": {"c": 5}}),
    )
    assert target.batches == [("a", [{"b__c": 5}])]


def test_metadata_is_the_targets_own_and_knows_when_a_record_was_extracted():
    target = KeepingTarget(add_record_metadata=True)
    sent = {**record("a", {"id": 1}), "time_extracted": "2026-01-02T03:04:05Z", "version": 7}
    load(target, schema("a", {"id": {"type": "integer"}}), sent, state(STATE))
    [(_, [row])] = target.batches
    assert (row["id"], row["_sdc_extracted_at"], row["_sdc_table_version"]) == (1, "2026-01-02T03:04:05+00:00", 7)


def test_stream_maps_are_refused():
    with pytest.raises(ConfigError, match="stream_maps"):
        HostedTarget(KeepingTarget(stream_maps={"a": {"b": "c"}}))


@pytest.fixture
def hosted(tmp_path):
    """Runs the command with a published target; its stdout."""
    if not HOSTED.exists():
        if os.environ.get("SERVICES_REQUIRED"):
            raise RuntimeError("run make hosted")
        pytest.skip("the targets aren't here: run make hosted")
    ours = str(Path(tailrace.__file__).parents[1])
    paths = f"import sys; sys.path.insert(0, {ours!r}); sys.path.append({str(HOSTED)!r})"
    behind = f"{paths}; from tailrace.compat.singer_sdk import main; main()"

    def run(name, config, lines):
        (tmp_path / "config.json").write_text(json.dumps(config))
        (tmp_path / "in.singer").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        words = [name, "--config", "config.json", "--input", "in.singer"]
        done = subprocess.run(
            [sys.executable, "-c", behind, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


ROWS = [{"id": number, "name": f"n{number}", "day": "2026-01-02"} for number in range(1, 6)]
COLUMNS = {"id": {"type": "integer"}, "name": {"type": "string"}, "day": {"type": "string", "format": "date"}}
LINES = [schema("people", COLUMNS, ["id"]), *(record("people", row) for row in ROWS), state(STATE)]


def test_the_published_target_for_csv_writes_its_file(hosted, tmp_path):
    assert hosted("meltanolabs_target_csv.target:TargetCSV", {"output_path": str(tmp_path)}, LINES) == [STATE]
    with (tmp_path / "people.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{name: str(value) for name, value in row.items()} for row in ROWS]


def test_the_published_target_for_postgresql_upserts_its_rows(hosted, postgres_url):
    config = {"sqlalchemy_url": postgres_url.replace("postgresql://", "postgresql+psycopg://"), "load_method": "upsert"}
    again = [schema("people", COLUMNS, ["id"]), record("people", {**ROWS[0], "name": "new"}), state(STATE)]
    for lines in (LINES, again):
        assert hosted("target_postgres.target:TargetPostgres", {**config, "default_target_schema": "raw"}, lines) == [
            STATE
        ]
    with psycopg.connect(postgres_url) as connection:
        found = connection.execute(
            "SELECT id, name, day::text, _sdc_extracted_at FROM raw.people ORDER BY id"
        ).fetchall()
    assert [row[:3] for row in found] == [(1, "new", "2026-01-02"), *((i, f"n{i}", "2026-01-02") for i in range(2, 6))]
