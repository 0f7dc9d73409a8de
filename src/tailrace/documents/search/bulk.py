"""Bulk requests: documents in bodies of so many bytes, repeated for what the cluster is too busy for, item by item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from tailrace.documents.search.cluster import (
    BUSY,
    LINES,
    TOO_LARGE,
    Answer,
    AnswerError,
    Cluster,
    Patience,
    Reason,
    path_of,
)
from tailrace.errors import DestinationError

DONE_BELOW = 300


class Item(msgspec.Struct, frozen=True):
    """What became of one document."""

    status: int
    error: Reason | None = None

    @property
    def reason(self) -> str:
        """Why it isn't done."""
        return str(self.error or f"status {self.status}")


class _Answer(msgspec.Struct, frozen=True):
    items: list[dict[str, Item]]
    errors: bool = False


class Request(Struct, frozen=True):
    """A document to write: its line of what to do, and that of its fields."""

    action: str
    id: str
    version: int | None = None
    source: bytes | None = None

    def lines(self) -> bytes:
        """The lines of a bulk's body."""
        name = msgspec.json.encode(self.id)
        versioned = b"" if self.version is None else b',"version":%d,"version_type":"external_gte"' % self.version
        action = b'{"%b":{"_id":%b%b}}\n' % (self.action.encode(), name, versioned)
        return action if self.source is None else b"%b%b\n" % (action, self.source)


class Bulk:
    """Sends documents to an index; `max_bytes` is what a body has at most, unless one document has more."""

    def __init__(self, cluster: Cluster, max_bytes: int, params: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._max_bytes = max_bytes
        self._params = params

    def write(self, index: str, requests: Sequence[Request]) -> list[Item]:
        """What became of each document: one that the cluster was too busy for is sent again, and only that one."""
        lines = [request.lines() for request in requests]
        found: list[Item | None] = [None] * len(lines)
        left = list(range(len(lines)))
        patience = Patience()
        while left:
            retry_after_s: float | None = None
            busy: list[int] = []
            for part in self._parts(left, lines):
                items, asked_s = self._send(index, part, lines)
                retry_after_s = max(filter(None, (retry_after_s, asked_s)), default=None)
                for at, item in zip(part, items, strict=True):
                    if item.status in BUSY:
                        busy.append(at)
                    found[at] = item
            if busy and not patience.wait(retry_after_s, is_progress=len(busy) < len(left)):
                raise self._too_busy(index, found[busy[0]], len(busy))
            left = busy
        return [item for item in found if item is not None]

    def _parts(self, places: Sequence[int], lines: Sequence[bytes]) -> Iterator[list[int]]:
        part: list[int] = []
        size = 0
        for at in places:
            if part and size + len(lines[at]) > self._max_bytes:
                yield part
                part, size = [], 0
            part.append(at)
            size += len(lines[at])
        if part:
            yield part

    def _send(self, index: str, part: Sequence[int], lines: Sequence[bytes]) -> tuple[list[Item], float | None]:
        """The items of one request, and how long the cluster wants to be left alone."""
        body = b"".join([lines[at] for at in part])
        path = path_of(index, "_bulk")
        answer = self._cluster.perform("POST", path, body, LINES, self._params, is_repeatable=False)
        if answer.status in BUSY:
            return [Item(answer.status, Reason(reason=f"the whole request: {answer.status}"))] * len(
                part
            ), answer.retry_after_s
        if answer.status == TOO_LARGE:
            return self._halved(index, part, lines)
        if answer.status >= DONE_BELOW:
            raise self._cluster.failed(answer, f"a bulk request to {index}")
        return self._items(answer, len(part)), None

    def _halved(self, index: str, part: Sequence[int], lines: Sequence[bytes]) -> tuple[list[Item], float | None]:
        if len(part) == 1:
            limit = f"the document has {len(lines[part[0]])} bytes, more than the cluster takes in a request"
            return [Item(TOO_LARGE, Reason(reason=limit))], None
        middle = len(part) // 2
        first, one_s = self._send(index, part[:middle], lines)
        second, other_s = self._send(index, part[middle:], lines)
        return first + second, max(filter(None, (one_s, other_s)), default=None)

    def _items(self, answer: Answer, count: int) -> list[Item]:
        try:
            found = msgspec.json.decode(answer.body, type=_Answer)
        except msgspec.DecodeError as error:
            raise self._cluster.unreadable(answer) from error
        if len(found.items) != count:
            raise DestinationError(f"{self._cluster.product} answers {len(found.items)} items to a bulk of {count}")
        return [next(iter(item.values())) for item in found.items]

    def _too_busy(self, index: str, item: Item | None, count: int) -> DestinationError:
        reason = item.reason if item else "busy"
        error = DestinationError(
            f"{self._cluster.product} has been too busy for {count} documents of {index} for too long: {reason}; "
            "lower `connections`, or give the cluster more room"
        )
        error.__cause__ = AnswerError(429, reason)
        return error
