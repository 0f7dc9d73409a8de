"""What document stores and search engines have in common: rows that are refused at the commit, and runs overtaken."""

import json
import threading

import pytest
from pymongo import MongoClient
from reading_search import Place, client_of

from tailrace.api import load
from tailrace.destinations import open_destination
from tailrace.errors import FencedError
from tailrace.testing.messages import INT, record, records, schema, state

THINGS = {"id": INT, "n": INT, "gone": {"type": ["null", "string"]}}
REFUSED = 1000


class Mongo:
    """A collection whose `n` is a byte."""

    def __init__(self, url):
        self.url = url

    def open(self):
        return open_destination(self.url, {})

    def limit(self):
        with MongoClient(self.url) as client:
            client.get_default_database().create_collection("things", validator={"n": {"$lt": 128}})

    def found(self):
        with MongoClient(self.url) as client:
            return sorted((each["id"], each["n"]) for each in client.get_default_database()["things"].find())


class Search:
    """An index whose `n` is a byte."""

    def __init__(self, place):
        self.place = place

    def open(self):
        return self.place.open()

    def limit(self):
        self.place.create("things", mappings={"properties": {"id": {"type": "long"}, "n": {"type": "byte"}}})

    def found(self):
        return sorted((each["id"], each["n"]) for each in self.place.rows("things"))


@pytest.fixture(params=["mongodb", "opensearch", pytest.param("elasticsearch", marks=pytest.mark.newest)])
def store(request):
    """Each database, with a reader of its own."""
    if request.param == "mongodb":
        yield Mongo(request.getfixturevalue("mongodb_url"))
        return
    url, prefix = request.getfixturevalue(f"{request.param}_place")
    with client_of(request.param, url) as client:
        yield Search(Place(request.param, int(url.rpartition(":")[2]), prefix, client))


@pytest.fixture
def run(store, tmp_path):
    def run(*messages, **settings):
        sent = [json.dumps(each) for each in messages]
        quarantine = {"on_invalid": "quarantine", "quarantine": tmp_path / "bad.jsonl"}
        return load(sent, to=store.open(), pipeline="p", **quarantine, **settings).total

    return run


def test_a_row_that_a_refused_one_would_have_replaced_is_loaded(store, run):
    store.limit()
    rows = [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 2, "n": 3}, {"id": 1, "n": REFUSED}]
    total = run(schema(THINGS, ["id"]), *records(*rows), state(1))
    assert store.found() == [(1, 1), (2, 3)]
    assert (total.loaded, total.quarantined, total.deduplicated) == (2, 1, 1)


def test_rows_that_are_refused_one_behind_the_other_leave_the_last_good_one(store, run):
    store.limit()
    rows = [{"id": 1, "n": n} for n in (1, REFUSED, 2, REFUSED + 1, REFUSED + 2)]
    total = run(schema(THINGS, ["id"]), *records(*rows), state(1))
    assert store.found() == [(1, 2)]
    assert (total.loaded, total.quarantined, total.deduplicated) == (1, 2, 2)


def test_a_deletion_before_a_refused_row_deletes(store, run):
    store.limit()
    run(schema(THINGS, ["id"]), record({"id": 1, "n": 1}), state(1))
    marked = {"id": 1, "n": 1, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}
    kinds = THINGS | {"_sdc_deleted_at": {"type": ["null", "string"], "format": "date-time"}}
    total = run(schema(kinds, ["id"]), record(marked), record({"id": 1, "n": REFUSED}), state(2), hard_delete=True)
    assert store.found() == []
    assert (total.deleted, total.quarantined) == (1, 1)


def test_insert_ignore_takes_the_first_row_that_is_not_refused(store, run):
    store.limit()
    rows = [{"id": 1, "n": n} for n in (REFUSED, 5, 6)]
    total = run(schema(THINGS, ["id"]), *records(*rows), state(1), streams={"things": {"method": "insert_ignore"}})
    assert store.found() == [(1, 5)]
    assert (total.loaded, total.quarantined) == (1, 1)


def test_the_last_row_of_a_key_in_the_next_checkpoint_is_as_if_nothing_was_refused(store, run):
    store.limit()
    rows = [{"id": 1, "n": 1}, {"id": 1, "n": REFUSED}]
    run(schema(THINGS, ["id"]), *records(*rows), state(1), record({"id": 1, "n": 9}), state(2), checkpoint_rows=2)
    assert store.found() == [(1, 9)]


@pytest.mark.parametrize("key", [(), ("id",)], ids=["appended", "keyed"])
def test_what_an_overtaken_run_writes_late_is_undone(store, run, key):
    late = store.open()
    write, begun, goes_on = late._database.write, threading.Event(), threading.Event()
    errors = []

    def waiting(*given):
        if not begun.is_set():
            begun.set()
            goes_on.wait(60)
        return write(*given)

    def overtaken():
        sent = [schema(THINGS, key), *records(*({"id": at, "n": at} for at in range(5))), state(1)]
        try:
            load([json.dumps(each) for each in sent], to=late, pipeline="p")
        except FencedError as error:
            errors.append(error)

    late._database.write = waiting
    thread = threading.Thread(target=overtaken)
    thread.start()
    assert begun.wait(60)
    run(schema(THINGS, key), *records({"id": 0, "n": 10}, {"id": 1, "n": 11}), state(1))
    goes_on.set()
    thread.join()
    assert len(errors) == 1
    assert store.found() == [(0, 10), (1, 11)]
