"""The memory fails where it is told to, and is one place for the process by its name."""

import pytest

from tailrace.destinations import open_destination
from tailrace.destinations.memory import Fault, MemoryDestination, TransientError
from tailrace.errors import CommitUnknownError, DestinationError, RowsRefusedError
from tailrace.model import Column, Kind
from tailrace.testing.parts import PIPELINE, batch, checkpoint, commit_rows, stream


@pytest.fixture
def name(request):
    return request.node.name


def test_destinations_of_one_name_share_a_place(name):
    commit_rows(open_destination(f"memory://{name[:20]}", {}), stream(), (1, "a"))
    assert MemoryDestination(name[:20]).tables() == {"things": [{"id": 1, "name": "a"}]}


def test_a_call_fails_before_it_takes_effect(name):
    destination = MemoryDestination(name, fail_at={("stage", 1): Fault(TransientError("busy"))})
    destination.recover(PIPELINE)
    with pytest.raises(TransientError) as failed:
        destination.stage(batch(stream(), (1, "a")))
    assert destination.is_transient(failed.value)
    destination.commit(checkpoint(destination.stage(batch(stream(), (1, "a")))))
    assert destination.tables() == {"things": [{"id": 1, "name": "a"}]}


def test_a_commit_fails_after_it_has_taken_effect(name):
    destination = MemoryDestination(name, fail_at={("commit", 1): Fault(CommitUnknownError("lost"), after=True)})
    destination.recover(PIPELINE)
    receipt = destination.stage(batch(stream(), (1, "a")))
    with pytest.raises(CommitUnknownError):
        destination.commit(checkpoint(receipt))
    assert destination.recover(PIPELINE).number == 1
    assert destination.tables() == {"things": [{"id": 1, "name": "a"}]}


def test_rows_are_refused_on_request(name):
    destination = MemoryDestination(name, refuses=lambda row: "not b" if row["name"] == "b" else None)
    destination.recover(PIPELINE)
    with pytest.raises(RowsRefusedError) as refused:
        destination.stage(batch(stream(), (1, "a"), (2, "b")))
    assert refused.value.reasons == {2: "not b"}


def test_a_commit_that_does_not_publish_what_is_staged_is_refused(name):
    destination = MemoryDestination(name)
    destination.recover(PIPELINE)
    destination.stage(batch(stream(), (1, "a")))
    with pytest.raises(DestinationError, match="doesn't publish what is staged"):
        destination.commit(checkpoint())


def test_rows_staged_before_their_column_was_widened_have_its_kind(name):
    ints = stream(Column("id", ("id",), Kind.INT), Column("n", ("n",), Kind.INT))
    texts = stream(Column("id", ("id",), Kind.INT), Column("n", ("n",), Kind.TEXT), revision=2)
    destination = MemoryDestination(name)
    destination.recover(PIPELINE)
    first = destination.stage(batch(ints, (1, 5)))
    second = destination.stage(batch(texts, (2, "x"), first_line=2))
    destination.commit(checkpoint(first, second))
    assert destination.tables() == {"things": [{"id": 1, "n": "5"}, {"id": 2, "n": "x"}]}
