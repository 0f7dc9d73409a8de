"""What the target holds stays within `max_memory_bytes`, save for a chunk and a batch, however slow the destination.

That is so for records that take no more room as columns than as JSON, as these do; where few of many columns are
filled, what is decoded together is larger than what was read, and so is a batch. A merge in a lake takes files a part
at a time, however large they are.
"""

import json
import threading
from contextlib import closing

import pytest

from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.destinations.memory import MemoryDestination
from tailrace.lake.engine import Engine
from tailrace.runtime import target as targets
from tailrace.runtime.budget import Budget
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader
from tailrace.testing.parts import NAME, commit_rows, stream

LIMIT = 2**20
CHUNK = 2**16
BATCH = 2**18


class WatchedBudget(Budget):
    """A budget that remembers the most that was held."""

    most = 0

    def change(self, size):
        super().change(size)
        self.most = max(self.most, self.held)

    def wait_until_spent(self, over):
        """Wait until the limit is reached, or there is no more to read."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_spent or over.is_set())


class SlowDestination(MemoryDestination):
    """Stages a batch only once the reader can't go on, so that the reader is as far ahead as it may be."""

    def __init__(self, name, budget):
        super().__init__(name)
        self.budget = budget
        self.over = threading.Event()
        self.largest = 0
        self.staged = 0

    def stage(self, batch):
        self.budget.wait_until_spent(self.over)
        self.largest = max(self.largest, batch.rows.nbytes)
        self.staged += batch.rows.num_rows
        return super().stage(batch)


def lines(size, streams, state_every):
    """So many bytes of records, the streams in turns of a few lines, with a STATE now and then."""
    sent = n = 0
    for name in streams:
        schema = {"properties": {"id": {"type": "integer"}, "t": {"type": "string"}}}
        yield json.dumps({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": []}).encode() + b"\n"
    while sent < size:
        name = streams[n // 7 % len(streams)]
        record = {"id": n, "t": "some text " * (n % 13)}
        line = json.dumps({"type": "RECORD", "stream": name, "record": record}).encode() + b"\n"
        yield line
        n, sent = n + 1, sent + len(line)
        if state_every and n % state_every == 0:
            yield json.dumps({"type": "STATE", "value": {"n": n}}).encode() + b"\n"


@pytest.mark.parametrize("size", [4 * LIMIT, 16 * LIMIT])
@pytest.mark.parametrize("streams", [["a"], ["a", "b", "c"]], ids=len)
@pytest.mark.parametrize("state_every", [0, 1000, 50_000])
def test_no_more_is_held_than_the_limit_a_chunk_and_a_batch(size, streams, state_every, tmp_path, monkeypatch):
    budget = WatchedBudget(LIMIT)
    monkeypatch.setattr(targets, "Budget", lambda _max_bytes: budget)
    destination = SlowDestination(str(tmp_path), budget)
    target = Target(
        destination,
        Settings(max_memory_bytes=LIMIT, batch_bytes=BATCH, checkpoint_bytes=2 * LIMIT),
        tell=lambda _state: None,
    )
    target.begin()
    reader = Reader(max_line_bytes=2**20)
    sent = b"".join(lines(size, streams, state_every))
    for at in range(0, len(sent), CHUNK):
        for block in reader.feed(sent[at : at + CHUNK]):
            target.accept(block)
    destination.over.set()
    budget.change(0)
    report = target.end()
    target.close()
    assert report.total.uncommitted == 0
    assert destination.staged == report.total.loaded == sent.count(b'"RECORD"')
    assert LIMIT <= budget.most <= LIMIT + CHUNK + destination.largest
    assert destination.largest <= LIMIT
    assert budget.held == 0


@pytest.mark.parametrize(
    "lake", ["delta://{}", "iceberg+sqlite:///{}/catalog.db?warehouse={}"], ids=["delta", "iceberg"]
)
def test_a_merge_takes_no_more_of_a_file_at_once_than_a_few_mib(lake, tmp_path, monkeypatch):
    taken = []

    class WatchedEngine(Engine):
        def rows_as(self, table, rows):
            taken.append(rows.nbytes)
            return super().rows_as(table, rows)

    monkeypatch.setattr("tailrace.lake.engine.Engine", WatchedEngine)
    things = stream(NAME, key=("name",))
    with closing(open_destination(lake.format(tmp_path, tmp_path), {})) as destination:
        commit_rows(destination, things, *((f"{number:01000}",) for number in range(20_000)))
        commit_rows(destination, things, (f"{19_999:01000}",), (f"{20_000:01000}",))
    assert sum(taken) > 40 * LIMIT
    assert max(taken) < 17 * LIMIT
