"""A drain over a memory whose calls are watched, and what it told of what it did."""

import threading
import uuid
from datetime import UTC, datetime

from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import RecordError, Violation
from tailrace.model import Column, Kind
from tailrace.runtime.budget import Budget
from tailrace.runtime.drain import Drain, Observer
from tailrace.runtime.items import CheckpointRequest
from tailrace.runtime.retry import Retry
from tailrace.testing.parts import PIPELINE, batch, stream

AT = datetime(2024, 5, 6, tzinfo=UTC)
NUMBER = Column("n", ("n",), Kind.INT)
LIMIT_S = 60
"""Far more than anything takes: what waits for longer is stuck."""


def things(name="things", **more):
    return stream(NUMBER, key=(), name=name, **more)


THINGS = things()


def rows(*numbers, of=THINGS, checkpoint=1):
    """A batch of rows whose numbers are those of their lines."""
    return batch(of, *((number,) for number in numbers), first_line=numbers[0], checkpoint=checkpoint)


OPTIONS = {"refuses": None, "fails": False, "max_parallelism": 1, "max_bytes": 10**6}


def end(line, state=b"{}", **more):
    """The end of a checkpoint at that line."""
    return CheckpointRequest(line, state, **more)


class Watched:
    """A Destination that notes the calls of another; `before_stage` is called with each batch before it is staged."""

    def __init__(self, inner, before_stage=lambda _: None):
        self.inner = inner
        self.calls = []
        self.traits = inner.traits
        self._before_stage = before_stage

    def recover(self, pipeline):
        self.calls.append(("recover", pipeline))
        return self.inner.recover(pipeline)

    def prepare(self, of):
        self.calls.append(("prepare", of.name))
        self.inner.prepare(of)

    def stage(self, given):
        self.calls.append(("stage", given.first_line, given.last_line, given.checkpoint))
        self._before_stage(given)
        return self.inner.stage(given)

    def commit(self, checkpoint):
        lines = tuple(receipt.first_line for receipt in checkpoint.publish)
        self.calls.append(("commit", checkpoint.number, checkpoint.state, lines))
        return self.inner.commit(checkpoint)

    def is_transient(self, error):
        return self.inner.is_transient(error)

    def close(self):
        self.inner.close()


class Going:
    """A drain at work, of a budget of so many bytes; `refused` are (line, reason), and `fails` ends it at the first."""

    def __init__(self, fail_at=None, before_stage=lambda _: None, **more):
        options = {
            "refuses": None,
            "place": uuid.uuid4().hex,
            "fails": False,
            "max_parallelism": 1,
            "max_bytes": 10**6,
        } | more
        self.memory = MemoryDestination(options["place"], fail_at, options["refuses"])
        last = self.memory.recover(PIPELINE)
        self.destination = Watched(self.memory, before_stage)
        self.refused, self.told, self.events = [], [], []
        self.budget = Budget(options["max_bytes"])
        self.fails = options["fails"]
        self.drain = Drain(
            self.destination,
            Retry(self.destination, 5, sleep=lambda _: None),
            Observer(self._refuse, self._cover, self._tell),
            self.budget,
            pipeline=PIPELINE,
            max_parallelism=options["max_parallelism"],
            now=lambda: AT,
        )
        self.drain.begin(last)

    def _refuse(self, given, line, reason):
        self.refused.append((line, reason))
        if self.fails:
            raise RecordError(given.stream.name, line, [Violation("destination", "$", "a row", reason)])

    def _cover(self, number, request):
        self.events.append(("covering", number, request.until_line, len(self.destination.calls)))

    def _tell(self, checkpoint, request, published):
        self.events.append(("told", checkpoint.number, request.until_line, len(self.destination.calls)))
        self.told.append((checkpoint.number, checkpoint.state, {name: p.inserted for name, p in published.items()}))

    def put(self, *items):
        for item in items:
            self.drain.put(item)
        return self

    def put_all(self, *items):
        """Put items whether an error has halted the work by now or not; gives the error, once there is one."""
        for item in items:
            try:
                self.drain.put(item)
            except Exception:  # noqa: BLE001 it stays, and is given at the end
                continue
        return self.failure()

    def failure(self):
        """The error that halts the work, once there is one."""
        try:
            self.drain.finish()
        except Exception as error:  # noqa: BLE001 whichever it is
            return error
        return None

    def numbers(self, table="things"):
        return [row["n"] for row in self.memory.tables().get(table, [])]


class Gate:
    """Holds the drain where it is until it is opened."""

    def __init__(self):
        self._is_open = threading.Event()

    def wait(self):
        assert self._is_open.wait(LIMIT_S)

    def open(self):
        self._is_open.set()
