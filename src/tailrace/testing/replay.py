"""The source that the laws replay: for a seed always the same records and STATEs, from any position on."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tailrace.singer.writer import message_line

Message = Mapping[str, Any]
Rows = dict[str, list[tuple[Any, ...]]]
"""The rows of each stream's table, in an order that is the same for the same rows."""

EVENTS, VISITS, PEOPLE = "events", "visits", "people"
_INT: Mapping[str, Any] = {"type": "integer"}
_TEXT: Mapping[str, Any] = {"type": ["null", "string"]}
_STREAMS: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    EVENTS: ({"id": {"type": "string"}, "n": _INT, "note": _TEXT}, ()),
    VISITS: ({"id": {"type": "string"}, "n": _INT}, ()),
    PEOPLE: ({"id": _INT, "name": _TEXT, "seen": _INT}, ("id",)),
}
_NOTES = (None, "", "a", "naïve", "数据", 'with "quotes"', "\u0001\t\n\\.\n", "long " * 20)


@dataclass(frozen=True, slots=True)
class Row:
    """One record of a source; `position` counts from 1, `has_state` says that a STATE comes behind it."""

    position: int
    stream: str
    record: Mapping[str, Any]
    has_state: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """A source of so many rows in its streams, with a STATE about every `state_every` rows and one behind the last.

    `events` and `visits` have no key; `people`, so many of them, are updated again and again. The value of a STATE is
    `{"position": N}`: N rows of the source have been sent, whatever their streams. `prefix` begins the streams' names.
    """

    seed: int
    rows: int
    state_every: int
    people: int
    prefix: str = ""
    streams: Sequence[str] = (EVENTS, VISITS, PEOPLE)

    @property
    def pipeline(self) -> str:
        """The name of the pipeline that loads it."""
        return f"of_{self.prefix or 'all'}"

    def sent(self, until: int | None = None) -> Iterator[Row]:
        """The rows up to that position, in order: stretches of one stream, and stretches in which they take turns."""
        return islice(self._all(), until)

    def states(self) -> list[int]:
        """The positions at which a STATE comes."""
        return [row.position for row in self.sent() if row.has_state]

    def last_state(self, position: int) -> int:
        """The last of them up to that position, 0 if there is none."""
        return max((state for state in self.states() if state <= position), default=0)

    def names(self) -> list[str]:
        """The names of the streams, which are those of their tables."""
        return [self.prefix + stream for stream in self.streams]

    def lines(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """The lines of messages behind that position: each with the position that it belongs to."""
        for stream in self.streams:
            properties, key = _STREAMS[stream]
            schema = {"type": "object", "properties": dict(properties)}
            message = {"type": "SCHEMA", "stream": self.prefix + stream, "schema": schema, "key_properties": [*key]}
            yield after, message_line(message)
        for row in self.sent():
            if row.position <= after:
                continue
            yield row.position, message_line({"type": "RECORD", "stream": row.stream, "record": row.record})
            if row.has_state:
                yield row.position, message_line({"type": "STATE", "value": {"position": row.position}})

    def tables(self, position: int, *, upserts: bool = True) -> Rows:
        """The rows of each table when exactly those up to that position are loaded.

        Of people there is the last row for each key, or every row where the destination doesn't upsert.
        """
        rows: dict[str, dict[Any, tuple[Any, ...]]] = {stream: {} for stream in self.names()}
        for row in self.sent(position):
            is_merged = upserts and row.stream == self.prefix + PEOPLE
            rows[row.stream][row.record["id"] if is_merged else row.position] = tuple(row.record.values())
        return {stream: in_order(by_key.values()) for stream, by_key in rows.items()}

    def _all(self) -> Iterator[Row]:
        chance = random.Random(self.seed)  # noqa: S311 it is a source of test data
        left, alone = 0, self.streams[0]
        for position in range(1, self.rows + 1):
            if not left:
                left, alone = chance.randint(1, 3 * self.state_every), chance.choice((*self.streams, ""))
            left -= 1
            stream = alone or chance.choice(self.streams)
            has_state = chance.random() < 1 / self.state_every or position == self.rows
            yield Row(position, self.prefix + stream, self._record(stream, position, chance), has_state)

    def _record(self, stream: str, position: int, chance: random.Random) -> Message:
        if stream == PEOPLE:
            return {"id": chance.randrange(self.people), "name": chance.choice(_NOTES), "seen": position}
        if stream == VISITS:
            return {"id": f"v{position}", "n": chance.randrange(-(2**63), 2**63)}
        return {"id": f"e{position}", "n": chance.randrange(1000), "note": chance.choice(_NOTES)}


def in_order(rows: Collection[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows in the order of how they are written."""
    return sorted(rows, key=repr)
