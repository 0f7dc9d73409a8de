"""What is undone meets what others have done meanwhile: late requests, other pipelines, deletions, unique values."""

import pytest
from pymongo import MongoClient
from test_documents import store  # noqa: F401 a fixture

from tailrace.api import load
from tailrace.destinations import open_destination
from tailrace.documents.database import Action, Mark, Write
from tailrace.errors import DestinationError
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, record, schema, state

KINDS = {"id": INT, "n": INT}


def deleting(at):
    kinds = KINDS | {"_sdc_deleted_at": {"type": ["null", "string"], "format": "date-time"}}
    return schema(kinds, ["id"]), record({"id": at, "n": 1, "_sdc_deleted_at": "2024-01-01T00:00:00Z"})


class Killed(BaseException):
    """What a process that is killed can't handle."""


def sent(*several, key=("id",)):
    return schema(KINDS, key), *(record({"id": at, "n": n}) for at, n in several)


def killed(destination, *messages, pipeline, **options):
    """Run until all documents are written and the checkpoint isn't; nothing is undone."""

    def never(*_):
        raise Killed

    def decide(*_):
        destination._database.undos = never
        raise Killed

    destination._decide = decide
    with pytest.raises(Killed):
        load(messages, to=destination, pipeline=pipeline, **options)
    destination._database.close()


def recovered(store, pipeline):  # noqa: F811
    destination = store.open()
    destination.recover(pipeline)
    destination.close()


def late(database, name, writes, version):
    """The request of a run that was killed, which its server takes up only now."""
    return database.write(name, writes, Mark("p", 1, version))


@pytest.fixture
def is_mongodb(request):
    return "mongodb" in request.node.callspec.id


def test_a_late_request_brings_no_document_back_that_was_undone(store, is_mongodb):  # noqa: F811
    load(sent((1, 1), key=()), to=store.open())
    destination = store.open()
    database = destination._database
    database.open()
    name, new = database.named(TableName("things")), database.new_id("p", 1)
    version = database.claim(name)
    writes = [Write(Action.ADD, new, 1, {"id": 2, "n": 2})]
    late(database, name, writes, version)
    database.restore(name, [(new, None)], version, deletes=False)
    assert store.found() == [(1, 1)]
    late(database, name, writes, version)
    assert store.found() == ([(1, 1), (2, 2)] if is_mongodb else [(1, 1)])  # which keeps nothing of what it deletes
    destination.close()


def test_what_another_pipeline_has_written_since_is_not_undone(store):  # noqa: F811
    load(sent((1, 1)), to=store.open())
    killed(store.open(), *sent((1, 2), (2, 2)), state(1), pipeline="p")
    assert store.found() == [(1, 2), (2, 2)]
    load((*sent((1, 3)), state(1)), to=store.open(), pipeline="q")
    recovered(store, "p")
    assert store.found() == [(1, 3)]


def test_a_run_that_is_undone_gives_back_what_it_met_of_another_that_is_undone_first(store):  # noqa: F811
    load(sent((1, 1)), to=store.open())
    killed(store.open(), *sent((1, 2)), state(1), pipeline="p")
    killed(store.open(), *sent((1, 3)), state(1), pipeline="q")
    recovered(store, "p")
    recovered(store, "q")
    assert store.found() == [(1, 2)]  # as the page of each says: two pipelines that write one document at once
    load((*sent((1, 4)), state(1)), to=store.open(), pipeline="p")
    assert store.found() == [(1, 4)]


def test_two_runs_that_are_undone_in_the_other_order_leave_what_was_there_in_mongodb(store, is_mongodb):  # noqa: F811
    load(sent((1, 1)), to=store.open())
    killed(store.open(), *sent((1, 2)), state(1), pipeline="p")
    killed(store.open(), *sent((1, 3)), state(1), pipeline="q")
    recovered(store, "q")
    recovered(store, "p")
    # A document of a search engine isn't given back with the version that it had, by which it would be known.
    assert store.found() == [(1, 1 if is_mongodb else 2)]


def test_what_somebody_else_has_deleted_since_stays_deleted(store):  # noqa: F811
    load(sent((1, 1), (2, 1)), to=store.open())
    killed(store.open(), *sent((1, 2)), state(1), pipeline="p")
    load((*deleting(1), state(1)), to=store.open(), pipeline="q", hard_delete=True)
    assert store.found() == [(2, 1)]
    recovered(store, "p")
    assert store.found() == [(2, 1)]


def test_what_a_run_has_deleted_itself_is_given_back(store):  # noqa: F811
    load(sent((1, 1), (2, 1)), to=store.open())
    killed(store.open(), *deleting(1), record({"id": 2, "n": 2}), state(1), pipeline="p", hard_delete=True)
    assert store.found() == [(2, 2)]
    recovered(store, "p")
    assert store.found() == [(1, 1), (2, 1)]


@pytest.mark.parametrize("chunk", [1, 10])
def test_values_of_a_unique_index_go_back_to_the_documents_that_had_them(mongodb_url, chunk):
    kinds = {"id": INT, "u": TEXT}

    def rows(*several):
        return schema(kinds, ["id"]), *(record({"id": at, "u": u}) for at, u in several)

    def found():
        with MongoClient(mongodb_url) as client:
            return sorted((each["id"], each["u"]) for each in client.get_default_database()["things"].find())

    load(rows((1, "a"), (2, "b"), (3, "c")), to=open_destination(mongodb_url, {}))
    with MongoClient(mongodb_url) as client:
        client.get_default_database()["things"].create_index("u", unique=True)
    destination = open_destination(mongodb_url, {"rows_at_once": chunk, "connections": 1})
    # Each takes what the one before it gives up, so that they can't be given back in the order of their ids.
    moved = rows((3, "z"), (2, "c"), (1, "b")) if chunk > 1 else rows((1, "z"), (2, "a"), (3, "b"))
    killed(destination, *moved, state(1), pipeline="p")
    assert len({u for _, u in found()} & {"z"}) == 1
    destination = open_destination(mongodb_url, {})
    if chunk == 1:  # records are in the order in which they were kept, and not in that of the writes behind them
        undos = destination._database.undos
        destination._database.undos = lambda pipeline: [*undos(pipeline)][::-1]
    destination.recover("p")
    destination.close()
    assert found() == [(1, "a"), (2, "b"), (3, "c")]


def test_a_replacement_whose_swap_is_repeated_counts_once(store):  # noqa: F811
    load(sent((1, 1), (2, 1)), to=store.open())
    destination = store.open()
    swap, calls = destination._database.swap, []

    def once(each):
        calls.append(each)
        swap(each)
        if len(calls) == 1:
            raise DestinationError("the answer is lost") from ConnectionResetError()

    destination._database.swap = once
    transient = destination._database.is_transient
    destination._database.is_transient = lambda error: isinstance(error, ConnectionResetError) or transient(error)
    report = load(sent((3, 3)), to=destination, method="replace")
    assert len(calls) == 2
    assert (report.total.loaded, report.total.deleted) == (1, 2)
    assert store.found() == [(3, 3)]
