"""Inputs of many shapes, all of the same records of five columns: `python shaped.py SHAPE PATH RECORDS` writes one."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEED = 20130101
SPARSE_FIELDS = 29
PARTITIONS = 20

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "balance": {"type": ["null", "number"]},
        "is_open": {"type": ["null", "boolean"]},
        "changed_at": {"type": ["null", "string"], "format": "date-time"},
    },
}
WIDER = {"type": "object", "properties": SCHEMA["properties"] | {"note": {"type": ["null", "string"]}}}
PARTITIONED = {"type": "object", "properties": SCHEMA["properties"] | {"part": {"type": "integer"}}}

Fields = list[tuple[str, str]]
"""A record's fields: names, and values as JSON texts."""
Change = Callable[[random.Random, int, Fields], Fields]
"""A record's fields in another form, by its number."""


def accounts(records: int, change: Change | None = None) -> Iterator[str]:
    """The records as JSON texts, numbered from 0."""
    dice, told = random.Random(SEED), random.Random(SEED + 1)
    for number in range(records):
        fields = [
            ("id", str(number)),
            ("name", f'"account {number}"'),
            ("balance", f"{dice.uniform(-1000, 100_000):.2f}"),
            ("is_open", "true" if dice.random() < 0.9 else "false"),
            (
                "changed_at",
                f'"2024-01-{number // 86_400 % 28 + 1:02}T{number // 3600 % 24:02}:{number // 60 % 60:02}:00Z"',
            ),
        ]
        yield text_of(change(told, number, fields) if change else fields)


def text_of(fields: Fields) -> str:
    """A record's JSON text."""
    return "{" + ", ".join(f'"{name}": {value}' for name, value in fields) + "}"


def record(text: str, stream: str = "s0", rest: str = "") -> str:
    """A RECORD message."""
    return f'{{"type": "RECORD", "stream": "{stream}", "record": {text}{rest}}}'


def schema(stream: str = "s0", of: dict[str, Any] = SCHEMA, keys: tuple[str, ...] = ()) -> str:
    """A SCHEMA message."""
    return json.dumps({"type": "SCHEMA", "stream": stream, "schema": of, "key_properties": keys})


def state(number: int) -> str:
    """A STATE message."""
    return f'{{"type": "STATE", "value": {{"bookmarks": {{"s0": {{"id": {number}}}}}}}}}'


def plain(records: int, change: Change | None = None, of: dict[str, Any] = SCHEMA) -> Iterator[str]:
    """One stream, and one STATE at the end."""
    yield schema(of=of)
    yield from map(record, accounts(records, change))
    yield state(records)


def grouped(streams: int, records: int) -> Iterator[str]:
    """The records of each stream behind those of the stream before."""
    texts = accounts(records)
    for number in range(streams):
        yield schema(f"s{number}")
        for _ in range(records // streams):
            yield record(next(texts), f"s{number}")
    yield state(records)


def in_turns(streams: int, records: int) -> Iterator[str]:
    """The streams by turns, line by line."""
    yield from (schema(f"s{number}") for number in range(streams))
    for number, text in enumerate(accounts(records)):
        yield record(text, f"s{number % streams}")
    yield state(records)


def before_each(line: Callable[[int], str | None], records: int) -> Iterator[str]:
    """With what comes before a record by its number, where something does."""
    yield schema()
    for number, text in enumerate(accounts(records)):
        if (other := line(number)) is not None:
            yield other
        yield record(text)
    yield state(records)


def versions(every: int, records: int) -> Iterator[str]:
    """With a version in the records, and ACTIVATE_VERSION each so many, where that isn't 0."""
    activate = '{"type": "ACTIVATE_VERSION", "stream": "s0", "version": 1}'
    yield schema()
    for number, text in enumerate(accounts(records), start=1):
        yield record(text, rest=', "version": 1')
        if every and number % every == 0:
            yield activate
    yield state(records)


def schemas_in_turns(every: int, records: int) -> Iterator[str]:
    """Two schemas of one stream, each for so many records."""
    both = schema(), schema(of=WIDER)
    return before_each(lambda number: both[number // every % 2] if number % every == 0 else None, records)


def envelope_orders(records: int) -> Iterator[str]:
    """With the keys of the message in other orders."""
    yield schema()
    for number, text in enumerate(accounts(records)):
        parts = ['"type": "RECORD"', '"stream": "s0"', f'"record": {text}']
        yield "{" + ", ".join(parts[number % 3 :] + parts[: number % 3]) + "}"
    yield state(records)


def keyed(records: int) -> Iterator[str]:
    """With a key, each value of which comes twice, far from the other."""
    keys = records // 2
    yield schema(keys=("id",))
    for number, text in enumerate(accounts(records)):
        yield record(text.replace(f'"id": {number},', f'"id": {number * 7919 % keys},', 1))
        if number % 10_000 == 0:
            yield state(number)
    yield state(records)


def _shuffled(dice: random.Random, _number: int, fields: Fields) -> Fields:
    return dice.sample(fields, len(fields))


def _with_a_key_twice(every: int, _dice: random.Random, number: int, fields: Fields) -> Fields:
    return [*fields, ("name", '"again"')] if number % every == 0 else fields


def _spoilt(every: int, _dice: random.Random, number: int, fields: Fields) -> Fields:
    return [("id", '"x"'), *fields[1:]] if number % every == 0 else fields


def _with_a_new_field(records: int, dice: random.Random, number: int, fields: Fields) -> Fields:
    """With one more field, of those that have come by then: all of them have within the first third."""
    known = min(1 + number * 3 * SPARSE_FIELDS // records, SPARSE_FIELDS)
    return [*fields, (f"new_{dice.randrange(known)}", str(number))]


def _with_a_partition(dice: random.Random, _number: int, fields: Fields) -> Fields:
    return [*fields, ("part", str(dice.randrange(PARTITIONS)))]


def _log(number: int) -> str:
    return f'{{"type": "LOG", "level": "info", "message": "record {number} is next"}}'


def _blank(records: int) -> Iterator[str]:
    for line in plain(records):
        yield line
        yield ""


@dataclass(frozen=True, slots=True)
class Shape:
    """An input, what it is compared with, the least speed it is to have of that, settings, and how many are refused."""

    lines: Callable[[int], Iterator[str]]
    wanted: float | None = None
    plain: str = "plain"
    settings: tuple[str, ...] = ()
    refused_every: int = 0

    def rows(self, records: int) -> int:
        """How many rows a right load leaves."""
        return records - (-(-records // self.refused_every) if self.refused_every else 0)


_ASIDE = ("on_invalid=quarantine",)
_GROUPED = {f"grouped-{count}": Shape(partial(grouped, count)) for count in (2, 10, 100)}
_IN_TURNS = {
    f"streams-{count}": Shape(partial(in_turns, count), wanted, f"grouped-{count}")
    for count, wanted in ((2, 0.7), (10, 0.7), (100, 0.5))
}
SHAPES = {
    "plain": Shape(plain),
    **_GROUPED,
    **_IN_TURNS,
    "state-each": Shape(partial(before_each, state), 0.5),
    "schema-each": Shape(partial(before_each, lambda _: schema()), 0.4),
    "schemas-1000": Shape(partial(schemas_in_turns, 1000), 0.5),
    "schemas-20": Shape(partial(schemas_in_turns, 20), 0.1),
    "version": Shape(partial(versions, 0), 0.8),
    "activate-1000": Shape(partial(versions, 1000), 0.3),
    "keys-twice": Shape(partial(plain, change=partial(_with_a_key_twice, 1)), 0.5, settings=_ASIDE, refused_every=1),
    "keys-twice-10": Shape(
        partial(plain, change=partial(_with_a_key_twice, 10)), 0.5, settings=_ASIDE, refused_every=10
    ),
    "key-orders": Shape(partial(plain, change=_shuffled), 0.5),
    "envelope-orders": Shape(envelope_orders, 0.5),
    "blank-lines": Shape(_blank, 0.5),
    "validation-full": Shape(plain, 0.5, settings=("validation=full",)),
    "refused-10": Shape(partial(plain, change=partial(_spoilt, 10)), 0.3, settings=_ASIDE, refused_every=10),
    "log-each": Shape(partial(before_each, _log), 0.1),
}
"""What is compared by its speed with a plain input."""

OTHERS: dict[str, Callable[[int], Iterator[str]]] = {
    "empty": lambda _: iter(()),
    "few-100": partial(grouped, 100),
    "few-500": partial(grouped, 500),
    "turns-2000": partial(in_turns, 2000),
    "keyed": keyed,
    "partitions": partial(plain, change=_with_a_partition, of=PARTITIONED),
    "evolve": lambda records: plain(records, partial(_with_a_new_field, records)),
}
"""Other inputs."""


def main() -> None:
    """Write the file."""
    name, path, records = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    lines = SHAPES[name].lines if name in SHAPES else OTHERS[name]
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines(records))


if __name__ == "__main__":
    main()
