"""What an endpoint's settings can't do is said before a row is sent, and changed settings lose no row."""

import json
import logging

import pytest
from rest_loads import PLAIN, ROWS, THINGS, load
from services.rest import rest

from tailrace.errors import ConfigError, DestinationError
from tailrace.testing.messages import BINARY, INT, TEXT, activate, record, schema

DELETABLE = [schema({"id": INT}, ["id"]), record({"id": 1, "_sdc_deleted_at": "2024-01-31T00:00:00Z"})]


@pytest.fixture
def server():
    with rest() as made:
        yield made


def test_a_named_pipeline_needs_a_place_for_its_checkpoints(server):
    with pytest.raises(ConfigError, match="checkpoints: no place given to remember the pipeline at"):
        load(server, pipeline="p")


def test_rows_are_deleted_only_where_there_is_a_url_for_it(server):
    with pytest.raises(ConfigError, match="delete_url: stream 'things' has `hard_delete`"):
        load(server, DELETABLE, hard_delete=True)


def test_a_url_with_a_key_needs_a_stream_that_has_one(server):
    with pytest.raises(ConfigError, match="url: stream 'things' has no key"):
        load(server, url=f"{server.url}/{{stream}}/{{key}}", per_record=True)
    assert server.received == []


def test_versions_delete_nothing_and_the_log_says_so(server, caplog):
    sent = [schema({"id": INT}), record({"id": 1}, version=1), record({"id": 2}, version=2), activate(2)]
    with caplog.at_level(logging.WARNING):
        load(server, sent)
    assert [row["id"] for row in server.rows(THINGS)] == [1, 2]
    assert "rows of older table versions stay as they are" in caplog.text


def test_one_record_may_stand_within_a_body_of_its_own(server):
    sent = [schema({"id": INT, "b": BINARY, "t": TEXT}), record({"id": 1, "b": "AAE=", "t": "x"})]
    load(server, sent, per_record=True, body_fields={"kind": "thing"})
    load(server, sent, per_record=True, records_at="/row~1x", url=f"{server.url}/x")
    row = {"id": 1, "b": "AAE=", "t": "x"}
    assert [json.loads(request.body) for request in server.received] == [{**row, "kind": "thing"}, {"row/x": row}]


def interrupted(server, folder, **settings):
    """Let a run end in the middle of a checkpoint."""
    where = {"pipeline": "p", "checkpoints": str(folder), "retry_s": 0.05, "attempts": 1}
    server.trouble.extend([None, None, *["fail"] * 50])
    with pytest.raises(DestinationError, match="500"):
        load(server, **where, **settings)
    server.trouble.clear()
    return where


def test_an_outbox_of_other_settings_is_left_out_and_its_rows_come_from_the_tap(server, tmp_path):
    where = interrupted(server, tmp_path)
    load(server, **where, max_rows=5)
    rows = server.rows(THINGS)
    assert {row["id"] for row in rows} == set(range(10))
    assert rows[:4] == ROWS[:4]
    assert len(rows) == 14


def test_an_outbox_may_be_elsewhere_than_checkpoints(server, tmp_path):
    outbox = tmp_path / "outbox"
    where = interrupted(server, f"sqlite:///{tmp_path}/kept.db", outbox=str(outbox))
    assert len([*outbox.rglob("*.arrow")]) == 1
    load(server, PLAIN[:1], **where, outbox=str(outbox))
    assert server.rows(THINGS) == ROWS
    assert [*outbox.iterdir()] == []


def test_an_outbox_that_cannot_be_read_says_what_to_do(server, tmp_path):
    where = interrupted(server, tmp_path)
    (entry,) = tmp_path.rglob("entry.json")
    entry.write_bytes(b"{")
    with pytest.raises(DestinationError, match="remove it, and what it has comes again from the tap"):
        load(server, **where)


def test_the_first_failure_of_several_requests_ends_the_run_once_all_have_ended(server):
    server.trouble.extend(["fail"] * 50)
    with pytest.raises(DestinationError, match="500"):
        load(server, concurrency=4, attempts=1, retry_s=0)
    assert len(server.received) < 10
    assert server.at_once == 0
