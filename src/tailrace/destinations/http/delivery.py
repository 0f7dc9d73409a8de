"""Brings a checkpoint's rows to the endpoint: several requests at once, each row until it is taken or refused."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from heapq import merge
from itertools import chain
from operator import attrgetter

import pyarrow as pa
from msgspec import Struct, field

from tailrace import compute as pc
from tailrace.destinations.http.answers import PassingError, outcome
from tailrace.destinations.http.client import Client, origin
from tailrace.destinations.http.outbox import Staged
from tailrace.destinations.http.parts import Part, cut, request_of
from tailrace.destinations.http.rows import Choice, Row, chosen
from tailrace.destinations.http.settings import Settings
from tailrace.errors import DestinationError
from tailrace.model import LINE, Published, Stream


def _lines() -> array[int]:
    return array("q")


class Ledger(Struct):
    """What the endpoint has said of a checkpoint's rows in this run, by input line; filled from several threads.

    A commit that is repeated leaves out what it has `taken`, `deleted` and `refused`; rows that are `dropped` were
    refused, are set aside, and don't belong to the checkpoint any more. `rounds` counts how often rows of a part were
    put off: each time they come under another key, since an answer may be kept for the old one. `created` counts the
    rows that were new in each stream, and those that a deletion has found.
    """

    taken: array[int] = field(default_factory=_lines)
    deleted: array[int] = field(default_factory=_lines)
    refused: dict[int, str] = field(default_factory=dict)
    dropped: dict[int, str] = field(default_factory=dict)
    rounds: Counter[tuple[str, bool, str]] = field(default_factory=Counter)
    created: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def restage(self) -> None:
        """Take it that all rows may be staged again, those that were dropped too."""
        self.refused |= self.dropped
        self.dropped = {}


class Delivery:
    """One attempt to bring a checkpoint's rows to the endpoint."""

    def __init__(self, client: Client, settings: Settings, pipeline: str, number: int, ledger: Ledger) -> None:
        self._client = client
        self._settings = settings
        self._pipeline = pipeline
        self._number = number
        self._ledger = ledger
        self._before = frozenset(ledger.taken) | ledger.refused.keys(), frozenset(ledger.deleted)
        self._lock = threading.Lock()

    def run(self, staged: Staged) -> dict[str, Published]:
        """Send what the ledger doesn't have yet; the counts by stream, without the dropped rows.

        Deletions come before all else, so that a row that is deleted and comes again is a new one. Raises the first
        error once no request is under way any more.
        """
        plans = [_Plan.of(name, staged, self._ledger.dropped) for name in dict.fromkeys(s.name for s in staged.streams)]
        self._send(chain.from_iterable(plan.deletions(self._settings) for plan in plans))
        self._send(chain.from_iterable(plan.rows(self._settings) for plan in plans))
        return {plan.stream.name: self._published(plan) for plan in plans}

    def _published(self, plan: _Plan) -> Published:
        """The counts. Which rows are new the endpoint says, where it does."""
        if plan.choice is None:
            return Published(inserted=plan.count)
        sent, removals = len(plan.choice.last), plan.choice.removals
        created, deleted = (self._ledger.created[plan.stream.name, deletes] for deletes in (False, True))
        inserted = sent if self._settings.created_status is None else min(created, sent)
        return Published(
            inserted=inserted,
            updated=sent - inserted,
            deleted=deleted,
            deduplicated=plan.count - sent - removals,
            removals=removals,
        )

    def _send(self, parts: Iterator[Part]) -> None:
        failed = threading.Event()

        def deliver(part: Part) -> None:
            try:
                if not failed.is_set():
                    self._deliver(part)
            except BaseException:
                failed.set()
                raise

        each_at_once(parts, deliver, self._settings.concurrency)

    def _deliver(self, part: Part) -> None:
        """Send the part until nothing of it is left."""
        which = part.stream.name, part.deletes, part.place
        before = self._before[part.deletes]
        rows = [row for row in part.rows if row.line not in before] if before else [*part.rows]
        for attempt in range(1, self._settings.attempts + 1):
            if not rows:
                return
            rest = part.again(rows, self._ledger.rounds[which])
            request = request_of(rest, self._settings, self._pipeline, self._number)
            answer = self._client.send(request)
            try:
                said = outcome(answer, rest.rows, self._settings, self._client.said, deletes=rest.deletes)
            except DestinationError as error:
                raise DestinationError(f"{origin(request.url)}: stream {part.stream.name!r}: {error}") from error
            if said.is_whole:
                for half in rest.halves():
                    self._deliver(half)
                return
            with self._lock:
                done = self._ledger.deleted if part.deletes else self._ledger.taken
                done.extend(row.line for row in said.taken)
                self._ledger.refused.update(said.refused)
                self._ledger.rounds[which] += bool(said.again)
                self._ledger.created[which[:2]] += said.created
            rows = said.again
            if rows:
                self._client.back_off(attempt)
        if rows:
            raise PassingError(f"the endpoint puts off rows of stream {part.stream.name!r} again and again")


class _Rows(Struct, frozen=True):
    """The rows of one revision, without those that were dropped, as often as they are asked for."""

    staged: Staged
    stream: Stream
    dropped: pa.Array

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self.staged.read(self.stream):
            is_dropped = pc.is_in(table[LINE], value_set=self.dropped) if len(self.dropped) else None
            yield table if is_dropped is None else table.filter(pc.invert(is_dropped))


class _Plan(Struct, frozen=True):
    """What is sent of a stream: its rows by revision, and the choice among them where they have a key."""

    stream: Stream
    parts: tuple[_Rows, ...]
    choice: Choice | None
    count: int

    @classmethod
    def of(cls, name: str, staged: Staged, dropped: Collection[int]) -> _Plan:
        """The plan for the rows of the stream of that name."""
        streams = sorted((stream for stream in staged.streams if stream.name == name), key=lambda s: s.revision)
        parts = tuple(_Rows(staged, stream, pa.array(dropped, pa.int64())) for stream in streams)
        count = sum(table.num_rows for part in parts for table in part)
        choice = Choice.of(chain.from_iterable(parts)) if streams[-1].is_merged else None
        return cls(streams[-1], parts, choice, count)

    def deletions(self, settings: Settings) -> Iterator[Part]:
        """The requests that delete rows."""
        if self.choice is None or not len(self.choice.deletions):
            return
        yield from cut(self.stream, self._in_order(self.choice.deletions), settings, deletes=True)

    def rows(self, settings: Settings) -> Iterator[Part]:
        """The requests that send rows."""
        yield from cut(self.stream, self._in_order(self.choice.last if self.choice else None), settings)

    def _in_order(self, lines: pa.Array | None) -> Iterator[Row]:
        """The rows of all revisions, in the order of lines."""
        return merge(*(chosen(part, lines) for part in self.parts), key=attrgetter("line"))


def each_at_once(parts: Iterable[Part], deliver: Callable[[Part], None], most: int) -> None:
    """Deliver the parts, so many at once and no more held ready; raises the first error when all have ended."""
    if most == 1:
        for part in parts:
            deliver(part)
        return
    with ThreadPoolExecutor(most, thread_name_prefix="tailrace-http") as threads:
        waiting: set[Future[None]] = set()
        for part in parts:
            waiting.add(threads.submit(deliver, part))
            if len(waiting) > most:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                if any(each.exception() for each in done):
                    waiting |= done
                    break
        wait(waiting)
        for each in waiting:
            each.result()
