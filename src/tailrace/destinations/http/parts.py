"""Requests: rows cut into parts that don't depend on batches or time, and the key that each request has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct, structs

from tailrace.destinations.http.rows import Row, url_of
from tailrace.destinations.http.settings import Settings
from tailrace.model import Stream

_TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "form": "application/x-www-form-urlencoded",
}


class Request(Struct, frozen=True):
    """What goes over the wire, without what logs in."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Part(Struct, frozen=True):
    """Rows of one stream that are one request; `place` is where they stand in the checkpoint, as in `12` or `12.1`."""

    stream: Stream
    rows: tuple[Row, ...]
    place: str
    deletes: bool = False

    def halves(self) -> tuple[Part, Part]:
        """Its rows as two parts."""
        middle = len(self.rows) // 2
        first, second = self.rows[:middle], self.rows[middle:]
        return (
            structs.replace(self, rows=first, place=f"{self.place}.0"),
            structs.replace(self, rows=second, place=f"{self.place}.1"),
        )

    def again(self, rows: Sequence[Row], times: int) -> Part:
        """The part with those of its rows that are left once rows of it were put off so many times."""
        return structs.replace(self, rows=tuple(rows), place=f"{self.place}+{times}" if times else self.place)


def cut(stream: Stream, rows: Iterable[Row], settings: Settings, *, deletes: bool = False) -> Iterator[Part]:
    """The rows as parts, each as large as it may be: they depend on the rows alone."""
    most = 1 if deletes or settings.per_record else settings.max_rows
    waiting: list[Row] = []
    size = place = 0
    for row in rows:
        length = len(row.text.encode()) + 1
        if waiting and (len(waiting) == most or size + length > settings.max_bytes):
            yield Part(stream, tuple(waiting), str(place), deletes)
            waiting, size, place = [], 0, place + 1
        waiting.append(row)
        size += length
    if waiting:
        yield Part(stream, tuple(waiting), str(place), deletes)


def request_of(part: Part, settings: Settings, pipeline: str, number: int) -> Request:
    """The part's request.

    Its key is the same for the same rows at the same place of the same checkpoint, in whichever run, and differs for
    all others: an endpoint that honours it never takes rows twice, and never takes some for others.
    """
    path = part.rows[0].path
    headers = {}
    if part.deletes:
        method, url = settings.delete_method, url_of(settings.delete_url or "", part.stream, path)
        body = None
    else:
        method, url = settings.http_method, url_of(settings.url, part.stream, path)
        body = _body(part, settings)
        headers["Content-Type"] = settings.content_type or _TYPES[settings.format]
    if settings.idempotency_header:
        same = [path] if part.deletes else [row.same for row in part.rows]
        where = (pipeline, number, part.stream.name, part.deletes, part.place, method, url)
        digest = hashlib.sha256(msgspec.json.encode(where))
        digest.update("\0".join(same).encode())  # no text has a NUL in it
        headers[settings.idempotency_header] = digest.hexdigest()[:32]
    return Request(method, url, headers, body)


def _body(part: Part, settings: Settings) -> bytes:
    texts = [row.text for row in part.rows]
    if settings.format == "jsonl":
        return "".join(f"{text}\n" for text in texts).encode()
    records = texts[0] if settings.per_record else f"[{','.join(texts)}]"
    if not settings.records_at:
        if settings.body_fields:
            fields = msgspec.json.encode(settings.body_fields).decode()
            records = f"{records[:-1]},{fields[1:]}" if records != "{}" else fields
        return records.encode()
    steps = [step.replace("~1", "/").replace("~0", "~") for step in settings.records_at.split("/")[1:]]
    for step in reversed(steps[1:]):
        records = f"{{{msgspec.json.encode(step).decode()}:{records}}}"
    fields = msgspec.json.encode(settings.body_fields).decode()[1:-1]
    return f"{{{fields}{',' if fields else ''}{msgspec.json.encode(steps[0]).decode()}:{records}}}".encode()
