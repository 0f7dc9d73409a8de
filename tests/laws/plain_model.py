"""What a message stream comes to, as plain dicts and lists: one message after the other, no batches, no checkpoints."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

VERSION, DELETED_AT = "_sdc_table_version", "_sdc_deleted_at"

Message = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is set for a stream; `method` is the one in force."""

    name: str
    key: tuple[str, ...]
    method: str
    hard_delete: bool
    is_marked: bool
    is_versioned: bool
    is_selected: bool
    is_grown_by_records: bool


@dataclass(slots=True)
class Stream:
    """A stream's table and counts so far. `rows` are in no order that matters; `columns` are the table's.

    `keys` are those of the records that can be loaded, `schemas` the different ones that were sent.
    """

    plan: Plan
    columns: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    read: int = 0
    filtered: int = 0
    loadable: int = 0
    invalid: list[Message] = field(default_factory=list)
    keys: set[tuple[Any, ...]] = field(default_factory=set)
    schemas: list[Message] = field(default_factory=list)

    def take(self, message: Message) -> None:
        """Take the stream's next message."""
        match message["type"]:
            case "SCHEMA":
                self.schemas += [message] if message not in self.schemas else []
                self._add_columns(message["schema"]["properties"])
            case "RECORD":
                self._read(message)
            case "ACTIVATE_VERSION":
                self._add_version_columns()
                self._activate(message["version"])

    def _add_columns(self, names: Iterable[str]) -> None:
        self.columns += [name for name in names if name not in self.columns]

    def _add_version_columns(self) -> None:
        self._add_columns([VERSION] if self.plan.hard_delete else [VERSION, DELETED_AT])

    def _read(self, message: Message) -> None:
        self.read += 1
        if not self.plan.is_selected:
            self.filtered += 1
        elif is_valid(message["record"], self.plan.key):
            self.loadable += 1
            self.keys.add(tuple(message["record"][name] for name in self.plan.key))
            self._load(message)
        else:
            self.invalid.append(message)

    def _load(self, message: Message) -> None:
        if "version" in message:
            self._add_version_columns()
        if self.plan.is_grown_by_records:
            self._add_columns(name for name, value in message["record"].items() if value is not None)
        row = {name: message["record"].get(name) for name in self.columns}
        if "version" in message:
            row[VERSION] = message["version"]
        if self.plan.method == "append" or not self.plan.key:
            self.rows.append(row)
            return
        same = [have for have in self.rows if all(have[name] == row[name] for name in self.plan.key)]
        if self.plan.hard_delete and row.get(DELETED_AT) is not None:
            self.rows = [have for have in self.rows if have not in same]
        elif not same:
            self.rows.append(row)
        elif self.plan.method != "insert_ignore":
            same[0].clear()
            same[0].update(row)

    def _activate(self, version: int) -> None:
        old = [row for row in self.rows if row.get(VERSION) is not None and row[VERSION] < version]
        if self.plan.hard_delete:
            self.rows = [row for row in self.rows if row not in old]
            return
        for row in old:
            row[DELETED_AT] = row.get(DELETED_AT) or "marked"


def is_valid(record: Mapping[str, Any], key: Sequence[str]) -> bool:
    """Whether the record fits the schemas that `message_streams` makes: `t` and `part` are text, all else integers."""
    for name, value in record.items():
        expected = str if name in ("t", "part", DELETED_AT) else int
        if value is not None and type(value) is not expected:
            return False
    return all(record.get(name) is not None for name in key)


class Model:
    """All streams of a case, after the messages that it was given."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self.streams = {plan.name: Stream(plan) for plan in plans}

    def after(self, messages: Iterable[Message]) -> Model:
        """The model after these messages too; this one stays as it is."""
        later = copy.deepcopy(self)
        for message in messages:
            if message["type"] != "STATE":
                later.streams[message["stream"]].take(message)
        return later

    def tables(self, columns: Mapping[str, Sequence[str]], *, with_replaced: bool = True) -> dict[str, list[Row]]:
        """Each selected stream's rows in those columns; without rows for what a run replaces, when asked."""
        return {
            name: comparable(stream.rows if with_replaced or stream.plan.method != "replace" else [], columns[name])
            for name, stream in self.streams.items()
            if stream.plan.is_selected
        }

    def columns(self) -> dict[str, list[str]]:
        """Each stream's columns."""
        return {name: list(stream.columns) for name, stream in self.streams.items()}


def comparable(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[Row]:
    """The rows sorted, in those columns; of when a row was deleted only whether it was is kept."""
    kept = [{name: row.get(name) for name in columns} for row in rows]
    for row in kept:
        if DELETED_AT in row:
            row[DELETED_AT] = row[DELETED_AT] is not None
    return sorted(kept, key=lambda row: [(value is not None, str(value)) for value in row.values()])
