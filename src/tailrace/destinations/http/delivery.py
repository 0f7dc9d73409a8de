"""Brings a checkpoint's rows to the endpoint: several requests at once, each row until it is taken or refused."""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from heapq import merge
from itertools import chain
from operator import attrgetter

import pyarrow as pa

from tailrace.destinations.http.answers import PassingError, outcome
from tailrace.destinations.http.client import Client, origin
from tailrace.destinations.http.outbox import Staged
from tailrace.destinations.http.parts import Part, cut, request_of
from tailrace.destinations.http.rows import Choice, Row, chosen
from tailrace.destinations.http.settings import Settings
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Published, Stream
from tailrace.spool import Spool


def _lines() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Ledger:
    """What the endpoint has said of a checkpoint's rows in this run, by input line; filled from several threads.

    A commit that is repeated leaves out what it has taken, and remembers what it refused. `rounds` counts how often
    rows of a part were put off: each time they come under another key, since an answer may be kept for the old one.
    `created` counts the rows that were new in each stream, and those that a deletion has found.
    """

    taken: array[int] = field(default_factory=_lines)
    deleted: array[int] = field(default_factory=_lines)
    refused: dict[int, str] = field(default_factory=dict)
    rounds: Counter[tuple[str, bool, str]] = field(default_factory=Counter)
    created: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def raise_refusals(self) -> None:
        """Raise RowsRefusedError if there are refused rows, and forget them: the caller tells of them."""
        refused, self.refused = self.refused, {}
        if refused:
            raise RowsRefusedError(f"the endpoint refuses {len(refused)} rows", refused)


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
        """Send what the ledger doesn't have yet; the counts by stream, of which refused rows are a part.

        Deletions come before all else, so that a row that is deleted and comes again is a new one. Raises the first
        error once no request is under way any more.
        """
        plans = [_Plan.of(name, staged) for name in dict.fromkeys(stream.name for stream in staged)]
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is sent of a stream: its revisions with their rows, and the choice among them where they have a key."""

    stream: Stream
    staged: dict[Stream, Spool]
    choice: Choice | None
    count: int

    @classmethod
    def of(cls, name: str, staged: Staged) -> _Plan:
        own = {stream: staged[stream] for stream in sorted(staged, key=lambda s: s.revision) if stream.name == name}
        stream = [*own][-1]
        count = sum(table.num_rows for spool in own.values() for table in spool)
        return cls(stream, own, Choice.of(chain.from_iterable(own.values())) if stream.is_merged else None, count)

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
        return merge(*(chosen(spool, lines) for spool in self.staged.values()), key=attrgetter("line"))


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
