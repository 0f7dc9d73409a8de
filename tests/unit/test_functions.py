"""A function as a destination: what it gets, when states are told, and what it can't promise."""

import pickle
from datetime import UTC, datetime

import pytest

import tailrace
import tailrace.destination
from tailrace.checkpoint_files import CheckpointFiles
from tailrace.errors import ConfigError, DestinationError, FencedError
from tailrace.model import Checkpoint
from tailrace.testing.messages import INT, TEXT, record, records, schema, state

AT = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = [schema({"id": INT}, ["id"]), *records({"id": 1}, {"id": 1}), state(1), record({"id": 2}), state(2)]


@tailrace.destination
def nowhere(batch):
    """Take it."""
    return batch.num_rows


def test_a_function_gets_batches_in_the_order_of_lines_and_what_it_asks_for():
    got = []

    @tailrace.destination
    def take(batch, key, *, stream, table="", more=1):
        got.append((stream, table, key, batch.to_pylist(), more))

    other = schema({"a": TEXT}, stream="Other One")
    sent = [PLAIN[0], record({"id": 1}), other, record({"a": "x"}, stream="Other One"), record({"id": 2})]
    report = tailrace.load(sent, take)
    assert got == [
        ("things", "things", ("id",), [{"id": 1}, {"id": 2}], 1),
        ("Other One", "other_one", (), [{"a": "x"}], 1),
    ]
    assert report.total.loaded == 3
    assert take.traits.guarantee == "at least once"


def test_a_state_is_told_once_the_function_has_returned():
    seen = []
    take = tailrace.destination(lambda batch: seen.append(batch.column("id").to_pylist()))
    tailrace.load(PLAIN, take, checkpoint_rows=2, tell=seen.append)
    assert seen == [[1, 1], b"1", [2], b"2"]


def test_rows_come_again_where_the_function_has_failed(tmp_path):
    seen = []

    @tailrace.destination(checkpoints=tmp_path)
    def take(batch):
        seen.extend(batch.column("id").to_pylist())
        if len(seen) == 3:
            raise ValueError("no room")

    with pytest.raises(
        DestinationError, match="the function take failed on rows of stream 'things': ValueError: no room"
    ):
        tailrace.load(PLAIN, take, pipeline="p", checkpoint_rows=2)
    assert take.recover("p").state == b"1"
    tailrace.load([PLAIN[0], *PLAIN[4:]], take, pipeline="p")
    assert seen == [1, 1, 2, 2]
    assert take.recover("p").state == b"2"


def later(batch):
    """A coroutine, which does nothing yet."""

    async def take():
        return batch.num_rows

    return take()


def each(batch):
    yield batch.num_rows


@pytest.mark.parametrize("function", [later, each])
def test_what_has_yet_to_be_awaited_or_iterated_over_has_not_taken_the_rows(function):
    told = []
    with pytest.raises(DestinationError, match="nothing is done yet"):
        tailrace.load(PLAIN, tailrace.destination(function), tell=told.append)
    assert told == []


def test_a_function_that_takes_nothing_is_refused_at_once():
    with pytest.raises(TypeError, match="takes a batch"):
        tailrace.destination(lambda: None)


def test_a_named_pipeline_needs_a_place_to_be_remembered_at():
    with pytest.raises(ConfigError, match="checkpoints='folder'"):
        tailrace.load(PLAIN, nowhere, pipeline="p")


def test_a_function_stays_one_and_is_pickled_by_its_name():
    table = tailrace.load([{"id": 1}], nowhere, stream="s")
    assert table.total.loaded == 1
    assert pickle.loads(pickle.dumps(nowhere)) is nowhere
    assert nowhere.__doc__ == "Take it."
    assert tailrace.destination.Destination is tailrace.Destination


def test_a_function_that_asks_for_what_there_is_not_is_refused_at_once():
    def take(batch, colour):
        return batch, colour

    with pytest.raises(TypeError, match="may ask for stream, table, key, not for 'colour'"):
        tailrace.destination(take)


def test_a_checkpoint_file_is_replaced_whole_and_read_by_whoever_comes_later(tmp_path):
    older, newer = CheckpointFiles(tmp_path / "new" / "folder"), CheckpointFiles(tmp_path / "new" / "folder")
    assert older.recover("p") is None
    with older.committing(Checkpoint("p", 1, b'{"a":1}', AT, final=True)):
        pass
    assert newer.recover("p") == Checkpoint("p", 1, b'{"a":1}', AT)
    with pytest.raises(FencedError), older.committing(Checkpoint("p", 2, None, AT)):
        pass
    with pytest.raises(RuntimeError), newer.committing(Checkpoint("p", 2, None, AT)):
        raise RuntimeError
    assert newer.recover("p").number == 1
    (file,) = tmp_path.rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(b"{")
    with pytest.raises(DestinationError, match="can't be read"):
        newer.recover("p")


def test_a_run_waits_for_the_commit_of_another_only_so_long(tmp_path):
    one, other = CheckpointFiles(tmp_path), CheckpointFiles(tmp_path, wait_s=0.05)
    one.recover("p")
    with one.committing(Checkpoint("p", 1, None, AT)), pytest.raises(DestinationError, match="in use by another run"):
        other.recover("p")
    assert other.recover("p").number == 1


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match="name another folder"):
        CheckpointFiles(tmp_path / "file" / "in").recover("p")
