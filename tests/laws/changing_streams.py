"""Random message streams whose columns come, go and change their kinds, and what they come to, message by message."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

from message_streams import line_of
from plain_model import DELETED_AT, Message, Row

VERSION = "_sdc_table_version"
KINDS = ("RECORD",) * 12 + ("DELETION",) * 3 + ("SCHEMA",) * 4 + ("ACTIVATE_VERSION",)

_VALUES: dict[str, tuple[Mapping[str, Any], Sequence[Any]]] = {
    "INT": ({"type": ["null", "integer"]}, [0, 1, -5, 12, 2**40]),
    "TEXT": ({"type": ["null", "string"]}, ["", "a", "7", "x y", "true"]),
    "FLOAT": ({"type": ["null", "number"]}, [1.5, -2.25, 1e300, 3.0]),
    "BOOL": ({"type": ["null", "boolean"]}, [True, False]),
    "DATE": ({"type": ["null", "string"], "format": "date"}, ["2024-01-31"]),
}
_MARK = {"type": ["null", "string"], "format": "date-time"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Changing:
    """What is set for a stream; records of a versioned one have a version each."""

    name: str
    key: tuple[str, ...]
    method: str
    hard_delete: bool
    is_versioned: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """Messages of several streams, without a STATE; `cuts` are where STATEs may be put between them."""

    plans: tuple[Changing, ...]
    messages: tuple[Message, ...]
    cuts: frozenset[int]
    batch_rows: int

    def lines(self, *, is_cut: bool) -> list[str]:
        """The messages as they are sent, with a STATE at each cut or none."""
        lines = []
        for number, message in enumerate(self.messages):
            lines.append(line_of(message))
            if is_cut and number in self.cuts:
                lines.append(line_of({"type": "STATE", "value": {"n": number}}))
        return lines

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings under which they are loaded; a checkpoint is taken at each STATE."""
        streams = {plan.name: {"method": plan.method, "hard_delete": plan.hard_delete} for plan in self.plans}
        return {"batch_rows": self.batch_rows, "checkpoint_rows": 1, "streams": streams}


def random_messages(seed: int, *, widens_keys: bool) -> Sent:
    """Messages of one stream or two; a key becomes text on the way where tables let it."""
    chance = Random(seed)
    plans = tuple(_plan(chance, name) for name in ("s0", "s1")[: chance.randint(1, 2)])
    schemas: dict[str, Message] = {}
    messages: list[Message] = []
    for kind in chance.choices(KINDS, k=chance.randint(6, 25)):
        plan = chance.choice(plans)
        if plan.name not in schemas or kind == "SCHEMA":
            schemas[plan.name] = _schema(chance, plan, schemas.get(plan.name), widens_keys=widens_keys)
            messages.append(schemas[plan.name])
        if kind in {"RECORD", "DELETION"}:
            messages.append(_record(chance, plan, schemas[plan.name], is_deletion=kind == "DELETION"))
        elif kind == "ACTIVATE_VERSION" and plan.is_versioned:
            messages.append({"type": kind, "stream": plan.name, "version": chance.randint(1, 4)})
    cuts = frozenset(chance.sample(range(len(messages)), k=chance.randint(1, min(8, len(messages)))))
    used = tuple(plan for plan in plans if plan.name in schemas)
    return Sent(used, tuple(messages), cuts, chance.choice([1, 2, 1000]))


def _plan(chance: Random, name: str) -> Changing:
    key = chance.choice([(), ("id",), ("id",), ("id",)])
    keyed = ("upsert", "upsert", "upsert", "insert_ignore", "insert_ignore", "append", "replace")
    method = chance.choice(keyed if key else ("append", "append", "append", "replace"))
    return Changing(name, key, method, chance.random() < 0.5, chance.random() < 0.4)


def _schema(chance: Random, plan: Changing, before: Message | None, *, widens_keys: bool) -> Message:
    """A SCHEMA in which `v` is of any kind, or there is none; the same of `c`, which is text."""
    kind = chance.choice([*_VALUES, "INT", "TEXT"])
    is_wide = before is not None and before["schema"]["properties"]["id"] == _VALUES["TEXT"][0]
    is_wide = is_wide or (widens_keys and chance.random() < 0.3)
    properties = {"id": _VALUES["TEXT" if is_wide else "INT"][0], DELETED_AT: _MARK}
    properties |= {"v": _VALUES[kind][0]} if chance.random() < 0.85 else {}
    properties |= {"c": _VALUES["TEXT"][0]} if chance.random() < 0.5 else {}
    schema = {"type": "object", "properties": properties}
    return {"type": "SCHEMA", "stream": plan.name, "schema": schema, "key_properties": list(plan.key)}


def _record(chance: Random, plan: Changing, schema: Message, *, is_deletion: bool) -> Message:
    properties = schema["schema"]["properties"]
    is_wide = properties["id"] == _VALUES["TEXT"][0]
    record: dict[str, Any] = {"id": chance.choice(["0", "1", "01", "a"] if is_wide else [0, 1, 2])}
    for name in ("v", "c"):
        if name in properties and chance.random() < 0.7:
            values = next(values for kind, values in _VALUES.values() if kind == properties[name])
            record[name] = chance.choice([None, *values])
    if is_deletion:
        record[DELETED_AT] = "2024-01-31T12:00:00Z"
    version = {"version": chance.randint(1, 3)} if plan.is_versioned else {}
    return {"type": "RECORD", "stream": plan.name, "record": record, **version}


@dataclass(slots=True)
class _Table:
    plan: Changing
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def take(self, message: Message) -> None:
        match message["type"]:
            case "SCHEMA":
                self.columns = list(message["schema"]["properties"])
            case "RECORD":
                self._load({**{name: message["record"].get(name) for name in self.columns}, **_version(message)})
            case "ACTIVATE_VERSION":
                self._activate(message["version"])

    def _load(self, row: Row) -> None:
        row["id"] = str(row["id"])
        same = [have for have in self.rows if have["id"] == row["id"]]
        if self.plan.method == "append" or not self.plan.key:
            self.rows.append(row)
        elif self.plan.hard_delete and row[DELETED_AT] is not None:
            self.rows = [have for have in self.rows if have not in same]
        elif not same:
            self.rows.append(row)
        elif self.plan.method != "insert_ignore":
            same[0].update(row)

    def _activate(self, version: int) -> None:
        old = [row for row in self.rows if row[VERSION] < version]
        if self.plan.hard_delete:
            self.rows = [row for row in self.rows if row[VERSION] >= version]
        for row in old:
            row[DELETED_AT] = row[DELETED_AT] or "marked"


def _version(message: Message) -> Row:
    return {VERSION: message["version"]} if "version" in message else {}


def expected(sent: Sent) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each stream's table, message by message."""
    tables = {plan.name: _Table(plan) for plan in sent.plans}
    for message in sent.messages:
        tables[message["stream"]].take(message)
    return {name: shown(table.rows) for name, table in tables.items()}


def shown(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    """Rows as they can be compared: each value by what it is, in whichever of the columns beside one another it is."""
    return sorted(
        (
            (str(row["id"]), _one(row, "v"), _one(row, "c"), row.get(DELETED_AT) is not None, row.get(VERSION))
            for row in rows
        ),
        key=repr,
    )


def _one(row: Row, name: str) -> object:
    """The value of a column, which stands in no more than one of those beside it."""
    found = [value for column, value in row.items() if column.split("__")[0] == name and value is not None]
    assert len(found) < 2, f"two values of {name}: {row}"
    return _canonical(found[0]) if found else None


def _canonical(value: object) -> object:
    """What a value is, whatever kind of column it is in: SQLite's true is 1, and a float may be text."""
    if isinstance(value, bool | date):
        return str(int(value)) if isinstance(value, bool) else value.isoformat()
    text = {"true": "1", "false": "0"}.get(str(value), str(value))
    return str(Decimal(text).normalize()) if _NUMBER.fullmatch(text) else text
