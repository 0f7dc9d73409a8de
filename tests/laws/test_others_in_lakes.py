"""Whatever others do to a lake's tables between runs, the rows are those of a model after each run.

deltalake and pyiceberg append, delete, optimize, vacuum, expire and add columns, at random, and our own maintenance
comes between; keys are of every kind, at their extremes. The steps are the same each time; with TAILRACE_EXAMPLES so
many times as many others are tried instead.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from loads import Place, a_place
from other_writers import TAG, OtherWriter, Row, writer

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.testing.messages import (
    BINARY,
    BOOL,
    DATE,
    FLOAT,
    INT,
    TEXT,
    TIMESTAMPTZ,
    UUID,
    decimal,
    schema,
)

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {"delta": 14, "iceberg": 7}
TABLE, TAGS = "things", 5
NESTED = {"type": ["null", "array"], "items": {"type": ["null", "object"], "properties": {"x": INT, "y": TEXT}}}


@dataclass(frozen=True, slots=True)
class KeyKind:
    """Keys of one kind: their JSON Schema, values as tables have them, and how records have them."""

    schema: Any
    values: list[Any]
    sent: Callable[[Any], Any] = lambda value: value


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


KEYS = {
    "int": KeyKind(INT, [-(2**63), 2**63 - 1, 2**63 - 2, 2**53, 2**53 + 1, -(2**53) - 1, 0, 1]),
    "decimal": KeyKind(
        decimal(38, 9),
        [
            Decimal(text)
            for text in (
                "99999999999999999999999999999.999999999",
                "99999999999999999999999999999.999999998",
                "-99999999999999999999999999999.999999999",
                "12345678901234567890.123456789",
                "0.000000001",
                "0.000000000",
            )
        ],
    ),
    "text": KeyKind(
        TEXT,
        ["", " ", "a", "A", "z" * 32, "z" * 32 + "a", "z" * 33, "é" * 200, "\U0001f600" * 50, "\U0010ffff" * 40, "列"],
    ),
    "date": KeyKind(DATE, [date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(9999, 12, 31)], date.isoformat),
    "timestamp": KeyKind(
        TIMESTAMPTZ,
        [
            datetime(1, 1, 1, 0, 0, 0, 1, UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
            datetime(2024, 1, 2, 0, 0, 0, 123_000, UTC),
            datetime(2024, 1, 2, 0, 0, 0, 123_456, UTC),
            datetime(2024, 1, 2, 0, 0, 0, 123_999, UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
        ],
        _instant,
    ),
    "bool": KeyKind(BOOL, [True, False]),
    "float": KeyKind(FLOAT, [0.0, 0.1, -1.5, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, 1e16 + 2]),
    "binary": KeyKind(
        BINARY,
        [b"", b"\0", b"a", b"\x7f" * 40, b"\xff" * 40, b"\xff" * 41],
        lambda value: base64.b64encode(value).decode(),
    ),
    "uuid": KeyKind(UUID, ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
}


@dataclass
class History:
    """A table's rows by their key, and what was done to it."""

    kinds: tuple[str, ...]
    chance: Random
    has_null_lists: bool
    values: dict[str, list[Any]] = field(default_factory=dict)
    rows: dict[tuple[Any, ...], Row] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for kind in self.kinds:
            every = KEYS[kind].values
            self.values[kind] = self.chance.sample(every, min(len(every), self.chance.randint(2, 4)))

    @property
    def key(self) -> list[str]:
        """The key's columns."""
        return [f"k_{kind}" for kind in self.kinds]

    def random_rows(self, *, is_new: bool) -> list[Row]:
        """Rows of different keys; only of those that the table hasn't, if they are to be new."""
        rows = {}
        for _ in range(self.chance.randint(1, 4)):
            key = tuple(self.chance.choice(self.values[kind]) for kind in self.kinds)
            if not (is_new and key in self.rows):
                rows[key] = dict(zip(self.key, key, strict=True)) | {
                    TAG: self.chance.randrange(TAGS),
                    "note": self.chance.choice([None, "", "x"]),
                    "list": self.chance.choice(self._lists),
                }
        return [*rows.values()]

    @property
    def _lists(self) -> list[Any]:
        always = [[], [{"x": 1, "y": None}], [{"x": None, "y": ""}, {"x": 2, "y": "b"}]]
        return [None, [None], *always] if self.has_null_lists else always

    def put(self, rows: list[Row]) -> None:
        """Have the rows, in the place of those with their keys. Columns that a stream lacks keep their values."""
        for row in rows:
            key = tuple(row[name] for name in self.key)
            self.rows[key] = dict.fromkeys(self.added) | self.rows.get(key, {}) | row

    def lines(self, rows: list[Row]) -> list[str]:
        """The messages by which the rows are loaded."""
        properties = dict(zip(self.key, (KEYS[kind].schema for kind in self.kinds), strict=True))
        sent = [schema({**properties, TAG: INT, "note": TEXT, "list": NESTED}, self.key, TABLE)]
        texts = [json.dumps(message) for message in sent]
        for row in rows:
            keys = {f"k_{kind}": KEYS[kind].sent(row[f"k_{kind}"]) for kind in self.kinds}
            body = ", ".join(f"{json.dumps(name)}: {_json(value)}" for name, value in (row | keys).items())
            texts.append(f'{{"type": "RECORD", "stream": "{TABLE}", "record": {{{body}}}}}')
        return [*texts, json.dumps({"type": "STATE", "value": len(self.done)})]


def _json(value: Any) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value)


def shown(rows: list[Row]) -> list[str]:
    """Rows in an order of their own, each as one text in which values of different types differ."""
    return sorted(str([(name, _shown(row[name])) for name in sorted(row)]) for row in rows)


def _shown(value: Any) -> Any:
    return value.astimezone(UTC).replace(tzinfo=UTC) if isinstance(value, datetime) else value


def run(place: Place, history: History) -> None:
    """Load some rows by a run of the pipeline."""
    rows = history.random_rows(is_new=False)
    history.done.append(f"load {rows}")
    load(history.lines(rows), place.url, pipeline="p", nested="native", batch_rows=2)
    history.put(rows)


def interfere(place: Place, other: OtherWriter, history: History) -> None:
    """Do one thing to the table as somebody else."""
    what = history.chance.choice(
        ["append", "append", "delete", "optimize", "optimize", "expire", "add_column", "maintain"]
    )
    if what == "append":
        rows = history.random_rows(is_new=True)
        history.done.append(f"append {rows}")
        if rows:
            other.append(rows)
            history.put(rows)
    elif what == "delete" and history.rows:
        tag = history.chance.choice([row[TAG] for row in history.rows.values()])
        history.done.append(f"delete {tag}")
        other.delete(tag)
        history.rows = {key: row for key, row in history.rows.items() if row[TAG] != tag}
    elif what == "add_column":
        name = f"added_{len(history.added)}"
        history.done.append(f"add {name}")
        other.add_column(name)
        history.added.append(name)
        history.rows = {key: row | {name: None} for key, row in history.rows.items()}
    elif what == "optimize" and history.rows:
        history.done.append(what)
        other.optimize(history.chance)
    elif what == "expire":
        history.done.append(what)
        other.expire()
    elif what == "maintain":
        history.done.append(what)
        with closing(open_destination(place.url, {})) as destination:
            history.done += destination.maintain((), timedelta(0))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_rows_are_those_of_the_model_whatever_others_do_between_runs(kind):
    first = time.time_ns() if MORE else 0
    for seed in range(first, first + EXAMPLES[kind] * max(1, MORE)):
        chance = Random(seed)
        names = [*KEYS]
        kinds = [names[seed % len(names)], *chance.sample(names, chance.choice([0, 0, 1]))]
        history = History(tuple(dict.fromkeys(kinds)), chance, has_null_lists=kind == "delta")
        with a_place(kind) as place:
            other = writer(kind, place.folder, TABLE)
            run(place, history)
            for _ in range(chance.randint(2, 5)):
                for _ in range(chance.randint(0, 3)):
                    interfere(place, other, history)
                run(place, history)
                assert shown(other.rows()) == shown([*history.rows.values()]), "\n".join(
                    [f"seed {seed}", *history.done]
                )
