"""The command in the place of Mage's destinations: what it reads, writes and ends with."""

import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from mage_runs import ADA, logged, record, schema, state, upserted

from tailrace.compat.mage_destinations import DESTINATIONS, REFUSED
from tailrace.compat.mage_log import MageHandler
from tailrace.compat.mage_run import Options, set_up
from tailrace.compat.mage_streams import MageReader, catalog_of
from tailrace.compat.state_file import StateFile
from tailrace.destinations import NAMES, _module, scheme_of
from tailrace.errors import ConfigError
from tailrace.singer.reader import Reader

COMMAND = [sys.executable, "-m", "tailrace.compat.mage"]


def lines(*messages):
    return "".join(f"{json.dumps(message)}\n" for message in messages).encode()


def test_the_command_reads_stdin_and_tells_the_state_on_stdout_and_the_log_on_stderr(mage):
    config = json.dumps(mage.config)
    sent = lines(upserted(), record(), state(id=2))
    done = subprocess.run([*COMMAND, "duckdb", "--config_json", config], input=sent, capture_output=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == [state(id=2)["value"]]
    assert [line.partition(b" ")[0] for line in done.stderr.splitlines()][-1] == b"INFO"
    assert [row["id"] for row in mage.rows()] == ["2"]


def test_a_failure_is_told_on_stderr_as_mages_runner_looks_for_it(mage):
    words = [*COMMAND, "postgresql", "--config_json", '{"database": "d"}', "--test_connection"]
    done = subprocess.run(words, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    [line] = [line for line in done.stderr.decode().splitlines() if line.startswith("ERROR")]
    assert json.loads(line[line.index("{") :])["tags"]["error"].startswith("user: ")


def test_the_first_signal_ends_the_run_at_its_last_state(mage):
    words = [*COMMAND, "duckdb", "--config_json", json.dumps(mage.config), "--state", str(mage.state_file)]
    settings = {**os.environ, "TAILRACE_CHECKPOINT_ROWS": "1"}
    running = subprocess.Popen(words, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env=settings)
    running.stdin.write(lines(upserted(), record(), state(id=2), record(id=3)))
    running.stdin.flush()
    deadline = time.monotonic() + 60
    while not mage.state_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM
    running.stdin.close()
    assert mage.state() == state(id=2)["value"]
    assert [row["id"] for row in mage.rows()] == ["2"]


@pytest.mark.parametrize("name", ["mssql", "kafka", "trino", "postgres"])
def test_a_destination_that_is_not_to_be_had_is_refused_with_what_there_is(mage, capsys, name):
    assert mage(destination=name, options=["--show_templates"]) == 2
    [told] = logged(capsys.readouterr().out)
    assert told["level"] == "EXCEPTION"
    assert REFUSED.get(name, "there are amazon_s3, bigquery") in told["message"]


def test_each_destination_of_mages_is_one_of_ours_or_refused():
    assert {scheme_of(each.to) for each in DESTINATIONS.values()} <= {*NAMES}
    assert not DESTINATIONS.keys() & REFUSED.keys()


@pytest.mark.parametrize("place", ["--config", "--settings"])
def test_a_config_may_stand_in_a_file(mage, place):
    path = mage.folder / "config"
    path.write_text(json.dumps(mage.config if place == "--config" else {"config": mage.config}))
    words = [*COMMAND, "duckdb", place, str(path)]
    subprocess.run(words, input=lines(upserted(), record()), capture_output=True, check=True)
    assert [row["id"] for row in mage.rows()] == ["2"]


def test_an_environment_with_other_names_is_no_error(mage, monkeypatch, capsys):
    monkeypatch.setenv("TAILRACE_HOME", "/opt")
    monkeypatch.setenv("TAILRACE_METADATA", "none")
    assert mage(upserted(), record()) == 0
    assert "_mage_created_at" not in mage.rows()[0]
    assert any("TAILRACE_HOME is no setting" in line["message"] for line in logged(capsys.readouterr().out))


CATALOG = {
    "streams": [
        {
            "tap_stream_id": "demo_users",
            "schema": {"properties": {"id": {"type": "string"}, "age": {"type": "integer"}}},
            "key_properties": ["id"],
            "unique_constraints": ["id"],
            "unique_conflict_method": "IGNORE",
            "replication_method": "INCREMENTAL",
        }
    ]
}


@pytest.mark.parametrize("sent", [[upserted()], []], ids=["stronger than the message", "without a message"])
def test_the_schema_of_a_catalog_counts(mage, sent):
    options = ["--catalog_json", json.dumps(CATALOG)]
    assert mage(*sent, record(), record(age=37), options=options) == 0
    [row] = mage.rows()
    assert {name: row[name] for name in row if not name.startswith("_mage")} == {"id": "2", "age": 36}


@pytest.mark.parametrize("text", ["{", "[]", '{"streams": 5}', '{"streams": [{}]}'])
def test_a_catalog_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="--catalog_json: it must be JSON with a list of `streams`"):
        catalog_of(text, "--catalog_json")


def read(*messages, catalog=None, appends=False):
    reader = MageReader(Reader(max_line_bytes=2**20), catalog or {}, appends=appends)
    return [*reader.feed(lines(*messages)), *reader.finish()]


def test_a_state_has_the_bookmarks_of_all_states_before_it():
    sent = [state("a", at=1), state("b", at=2), state("a", id=3), {"type": "STATE", "value": {"x": 1}}]
    values = [json.loads(each.value) for block in read(*sent) for each in block.states]
    assert values == [
        {"bookmarks": {"a": {"at": 1}}},
        {"bookmarks": {"a": {"at": 1}, "b": {"at": 2}}},
        {"bookmarks": {"a": {"at": 1, "id": 3}, "b": {"at": 2}}},
        {"x": 1},
    ]


@pytest.mark.parametrize(
    ("sent", "key", "unchecked"),
    [
        (schema(), (), True),
        (schema(unique_constraints=["id"]), (), True),
        (upserted(disable_column_type_check=False), ("id",), False),
    ],
)
def test_a_warehouse_appends_unless_the_schema_says_how_to_meet_a_conflict(sent, key, unchecked):
    [block] = read(sent, appends=True)
    [message] = block.messages
    assert (message.unique_constraints or message.key_properties) == key
    assert message.disable_column_type_check is unchecked


def test_a_state_file_is_replaced_whole_and_keeps_its_rights(tmp_path):
    real, link = tmp_path / "real", tmp_path / "state"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    before = real.stat().st_ino
    StateFile(link, "--state").tell(b'{"a": 1}')
    assert (real.read_text(), link.is_symlink()) == ('{"a": 1}\n', True)
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert real.stat().st_ino != before
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["real", "state"]


def test_a_state_that_cannot_be_written_leaves_the_one_before_it(tmp_path, monkeypatch):
    path = tmp_path / "state"
    path.write_text("old")

    def fail(_number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigError, match=r"--state: .* can't be written: No space left on device .free some space"):
        StateFile(path, "--state").tell(b"{}")
    assert path.read_text() == "old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_state_file_in_no_folder_is_refused_before_anything_is_loaded(mage):
    mage.state_file = mage.folder / "none" / "state"
    assert mage(upserted(), record(), state(id=2)) == 2
    assert not (mage.folder / "x.duckdb").exists()


def test_the_log_has_no_secret_and_no_control_character(capsys):
    handler = MageHandler(to_stdout=True)
    handler.say("INFO", "to postgres://u:s3cret@h/d\n\x1b", {"url": "mysql://u:s3cret@h"})
    out = capsys.readouterr().out
    assert "s3cret" not in out
    assert out.count("\n") == 1
    assert json.loads(out)["type"] == "LOG"


def settings_of(monkeypatch, name, config, *, catalog=None, head=()):
    destination = DESTINATIONS[name]
    monkeypatch.setattr(_module(scheme_of(destination.to)), "build", lambda settings: settings)
    return set_up(Options(destination, config, catalog or {}, None, None), head)


def test_partition_keys_of_a_stream_and_of_all_partition_tables_of_delta_lake(monkeypatch):
    config = {"bucket": "b", "object_key_path": "x", "table": "t", "_streams": {"partition_keys": ["day"]}}
    head = [lines(schema("a[1]", partition_keys=["kind"])), lines(record("a[1]"))]
    run, own = settings_of(monkeypatch, "delta_lake_s3", config, head=head)
    assert [own.partitions("a[1]"), own.partitions("b")] == [("kind", "day"), ("day",)]
    assert (run.method, run.naming, run.metadata, run.coerce) == ("append", "preserve", "mage", "exact")
    assert own.region == "us-west-2"


def test_the_partition_keys_of_a_catalog_count(monkeypatch):
    catalog = {"a": {"partition_keys": ["month"]}}
    head = [lines(schema("a", partition_keys=["kind"]))]
    config = {"account_name": "n", "access_key": "k", "table_uri": "abfs://c/x/t", "mode": "overwrite"}
    run, own = settings_of(monkeypatch, "delta_lake_azure", config, catalog=catalog, head=head)
    assert (own.partitions("a"), own.root, run.method) == (("month",), "abfs://c/x", "replace")


def test_the_first_partition_key_partitions_a_table_of_bigquery(monkeypatch):
    config = {"project_id": "p", "dataset": "d", "table": "t"}
    head = [lines(schema("a", partition_keys=["Created At", "x"]))]
    _, own = settings_of(monkeypatch, "bigquery", config, head=head)
    assert {stream: design.partition_by for stream, design in own.design.items()} == {"a": "created_at"}


@pytest.mark.parametrize(
    ("name", "root"), [("google_cloud_storage", "gs://b/x"), ("gcs", "gs://b/x"), ("amazon_s3", "s3://b/x")]
)
def test_a_bucket_is_where_the_destination_says(monkeypatch, name, root):
    run, own = settings_of(monkeypatch, name, {"bucket": "b", "object_key_path": "x", "table": "t", "file_type": "csv"})
    assert (own.root, own.format, run.method, run.table) == (root, "csv", "append", "t")


def test_words_of_sql_stay_where_the_config_allows_them(monkeypatch):
    login = {"database": "d", "username": "u"}
    namings = [
        settings_of(monkeypatch, "postgresql", {**login, **given})[0].naming
        for given in ({}, {"allow_reserved_words": True}, {"lower_case": False}, {"naming": "snake"})
    ]
    assert namings == ["mage", "mage_words", "mage_preserve", "snake"]


def test_a_file_of_two_streams_is_read_as_they_come(mage):
    assert mage(upserted(), upserted(stream="b"), record(), record("b", **ADA), config={"table": "{stream}"}) == 0
    assert [len(mage.rows(name)) for name in ("demo_users", "b")] == [1, 1]
