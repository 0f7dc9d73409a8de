"""Rows that an endpoint refuses are told one by one, and the others come once, wherever a run ends."""

import json
from dataclasses import replace

import pytest
from rest_loads import PLAIN, RESULTS, ROWS, THINGS, load, opened, staged
from services.rest import rest

import tailrace
from tailrace.checkpoint_files import CheckpointFiles
from tailrace.destination import RefusedAtCommitError
from tailrace.errors import DestinationError
from tailrace.testing.messages import INT, records, schema, state
from tailrace.testing.parts import PIPELINE


@pytest.fixture
def server():
    with rest() as made:
        yield made


def refusing(reason="no such colour"):
    return lambda row: reason if row["name"] in {"n3", "n7"} else None


ANSWERING = [
    ("/results/{stream}", {"results": RESULTS}, 5),
    ("/{stream}", {"per_record": True}, 10),
    ("/{stream}", {"is_atomic": True, "max_rows": 8}, 12),
]


def without(made, lines):
    """The checkpoint once these rows are dropped, as the runtime commits it."""
    publish = [
        replace(receipt, rows=receipt.rows - sum(receipt.first_line <= line <= receipt.last_line for line in lines))
        for receipt in made.publish
    ]
    return replace(made, publish=tuple(publish))


@pytest.mark.parametrize(("path", "settings", "requests"), ANSWERING, ids=["by row", "per record", "atomic"])
def test_exactly_the_refused_rows_are_quarantined_and_the_others_come_once(server, tmp_path, path, settings, requests):
    server.refuses = refusing()
    quarantine = tmp_path / "quarantine.jsonl"
    aside = {"on_invalid": "quarantine", "quarantine": str(quarantine)}
    report = load(server, url=f"{server.url}{path}", **settings, **aside)
    assert server.rows(THINGS) == [row for row in ROWS if row["name"] not in {"n3", "n7"}]
    assert (report.total.loaded, report.total.quarantined, report.state) == (8, 2, '{"at":10}')
    entries = [json.loads(line) for line in quarantine.read_text().splitlines()]
    assert [entry["line"] for entry in entries if "record" in entry] == [5, 9]
    assert all("no such colour" in json.dumps(entry["reasons"]) for entry in entries if "record" in entry)
    assert len(server.received) == requests


def test_a_refused_row_ends_the_run_at_the_last_state_before_it_where_none_is_set_aside(server, tmp_path):
    server.refuses = refusing()
    sent = [PLAIN[0], *records(*ROWS[:2]), state({"at": 2}), *records(*ROWS[2:]), state({"at": 10})]
    told = []
    with pytest.raises(tailrace.RecordError, match=r"line 6: .*no such colour"):
        load(server, sent, url=f"{server.url}/results/{{stream}}", results=RESULTS, tell=told.append)
    assert told == [b'{"at":2}']
    assert [row["id"] for row in server.rows(THINGS)] == [0, 1, 2, 4, 5, 6, 8, 9]


def test_a_run_that_is_killed_once_refused_rows_are_set_aside_is_finished_without_them(server, tmp_path, monkeypatch):
    server.refuses, where = refusing(), {"url": f"{server.url}/results/{{stream}}", "results": RESULTS}
    destination = opened(server, tmp_path, **where)
    destination.recover(PIPELINE)
    made = staged(destination)
    with pytest.raises(RefusedAtCommitError) as raised:
        destination.commit(made)
    assert sorted(raised.value.reasons) == [5, 9]
    assert [row["id"] for batch in raised.value.batches for row in batch.rows.to_pylist()] == [3, 7]
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFiles, "_write", lambda *_: exec("raise OSError"))
        with pytest.raises(OSError):
            destination.commit(without(made, [5, 9]))
    destination.close()
    again = opened(server, tmp_path, **where)
    assert again.recover(PIPELINE).number == 1
    again.close()
    assert server.rows(THINGS) == [row for row in ROWS if row["name"] not in {"n3", "n7"}]


def test_a_run_that_is_killed_before_refused_rows_are_set_aside_starts_over(server, tmp_path):
    server.refuses, where = refusing(), {"url": f"{server.url}/results/{{stream}}", "results": RESULTS}
    destination = opened(server, tmp_path, **where)
    destination.recover(PIPELINE)
    with pytest.raises(RefusedAtCommitError):
        destination.commit(staged(destination))
    destination.close()
    again = opened(server, tmp_path, **where)
    assert again.recover(PIPELINE) is None
    made = staged(again)
    with pytest.raises(RefusedAtCommitError):
        again.commit(made)
    assert again.commit(without(made, [5, 9]))[THINGS].inserted == 8
    assert server.rows(THINGS) == [row for row in ROWS if row["name"] not in {"n3", "n7"}]
    again.close()


def test_an_older_row_of_a_key_is_sent_where_the_last_is_refused(server, tmp_path):
    server.refuses, server.keys = refusing(), {THINGS: ("id",)}
    rows = [{"id": 1, "name": "n1"}, {"id": 1, "name": "n3"}]
    destination = opened(server, tmp_path, url=f"{server.url}/results/{{stream}}", results=RESULTS)
    destination.recover(PIPELINE)
    made = staged(destination, rows, key=("id",))
    with pytest.raises(RefusedAtCommitError):
        destination.commit(made)
    published = destination.commit(without(made, [3]))
    assert server.rows(THINGS) == rows[:1]
    assert (published[THINGS].inserted, published[THINGS].deduplicated) == (1, 0)
    destination.close()


def test_a_refused_request_of_several_rows_ends_the_run_where_nothing_says_which_row_it_is(server):
    server.refuses = refusing("it is so")
    with pytest.raises(DestinationError, match=r"answered 422 to 2 rows, in lines 4 to 5: .*it is so"):
        load(server)


def test_three_bad_rows_of_ten_thousand_are_quarantined_and_no_other(server, tmp_path):
    server.refuses = lambda row: "bad" if row["id"] in {17, 4711, 9999} else None
    sent = [schema({"id": INT}), *records(*({"id": number} for number in range(10_000)))]
    where = {"url": f"{server.url}/results/{{stream}}", "results": RESULTS, "max_rows": 1000, "concurrency": 4}
    report = load(server, sent, **where, on_invalid="quarantine", quarantine=str(tmp_path / "q.jsonl"))
    assert (report.total.loaded, report.total.quarantined) == (9997, 3)
    assert sorted({*range(10_000)} - {row["id"] for row in server.rows(THINGS)}) == [17, 4711, 9999]
    assert len(server.rows(THINGS)) == 9997
