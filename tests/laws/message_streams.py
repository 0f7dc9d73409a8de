"""Random message streams: several streams that take turns, grow, repeat keys, delete rows, and send wrong records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from plain_model import DELETED_AT, Message, Plan

NAMES = ("s0", "s1", "s2")
LATER_COLUMNS = ("c1", "c2")
KINDS = ("RECORD",) * 10 + ("STATE",) * 4 + ("SCHEMA", "ACTIVATE_VERSION") * 2
METHODS = ("append", "upsert", "insert_ignore", "replace")

_DELETED = "2024-01-31T12:00:00Z"
_INT, _TEXT = {"type": ["null", "integer"]}, {"type": ["null", "string"]}
_INTS = st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)])
_TEXTS = st.sampled_from(["", "a", "é", "数据", "a\u0000b", "null", " a ", '"'])
_WRONG = st.sampled_from(["x", 1.5, True, [1]])


@dataclass(frozen=True, slots=True)
class Case:
    """A message stream, and the settings under which it is loaded. The n-th message is in line n."""

    plans: tuple[Plan, ...]
    messages: tuple[Message, ...]
    settings: Mapping[str, Any]

    def lines(self) -> list[str]:
        """The messages as they are sent."""
        return list(map(line_of, self.messages))

    def at_state(self, value: Any) -> int:
        """How many messages there are up to and with the STATE of that value."""
        return next(n for n, m in enumerate(self.messages, start=1) if m["type"] == "STATE" and m["value"] == value)

    def states(self) -> list[Any]:
        """The values of all STATEs, in order."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"]

    def schemas_before(self, at: int) -> list[Message]:
        """The last SCHEMA of each stream within so many messages, which a tap sends again when it starts."""
        return list({m["stream"]: m for m in self.messages[:at] if m["type"] == "SCHEMA"}.values())


def line_of(message: Message) -> str:
    """A message as a line without its end."""
    return json.dumps(message, ensure_ascii=False)


@st.composite
def plans(draw: st.DrawFn, name: str, methods: Sequence[str], *, is_steady: bool) -> Plan:
    """What is set for a stream; a steady one has no columns but those of its SCHEMA."""
    key = draw(st.sampled_from([(), ("id",), ("id", "part")]))
    keyless = [method for method in methods if method in ("append", "replace")]
    return Plan(
        name=name,
        key=key,
        method=draw(st.sampled_from(list(methods) if key else keyless)),
        hard_delete=draw(st.booleans()),
        is_marked=draw(st.booleans()),
        is_versioned=draw(st.booleans()),
        is_selected=draw(st.sampled_from([True] * 9 + [False])),
        is_grown_by_records=not is_steady and draw(st.booleans()),
    )


@st.composite
def cases(draw: st.DrawFn, methods: Sequence[str] = METHODS, *, is_steady: bool = False) -> Case:
    """A message stream with its settings; batches and checkpoints are so small that everything is cut up.

    In a steady one a record's columns don't depend on the records before it: all of a stream have a version, or none.
    """
    names = NAMES[: draw(st.integers(1, len(NAMES)))]
    known = tuple(draw(plans(name, methods, is_steady=is_steady)) for name in names)
    messages: list[Message] = []
    later: dict[str, int] = {}
    count = draw(st.integers(1, 40))
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=count, max_size=count)):
        plan = draw(st.sampled_from(known))
        if kind == "STATE":
            messages.append({"type": "STATE", "value": {"n": len(messages)}})
            continue
        if plan.name not in later or kind == "SCHEMA":
            later[plan.name] = draw(st.integers(later.get(plan.name, 0), len(LATER_COLUMNS)))
            messages.append(schema_of(plan, LATER_COLUMNS[: later[plan.name]]))
        if kind == "RECORD":
            messages.append(draw(records(plan, is_steady=is_steady)))
        elif kind == "ACTIVATE_VERSION" and plan.is_versioned:
            messages.append({"type": kind, "stream": plan.name, "version": draw(st.integers(1, 4))})
    settings = {
        "batch_rows": draw(st.sampled_from([1, 2, 3, 5, 1000])),
        "checkpoint_rows": draw(st.sampled_from([1, 2, 4, 7, 1000])),
        "max_parallelism": draw(st.sampled_from([1, 3])),
        "on_invalid": "quarantine",
        "streams": {plan.name: _stream_settings(plan) for plan in known},
    }
    return Case(tuple(p for p in known if p.name in later), tuple(messages), settings)


@st.composite
def records(draw: st.DrawFn, plan: Plan, *, is_steady: bool) -> Message:
    """A RECORD; one in about ten is invalid, and some fields are missing, null, or not in the schema yet."""
    record: dict[str, Any] = {"id": draw(st.integers(0, 3))}
    if "part" in plan.key:
        record["part"] = draw(st.sampled_from(["", "a"]))
    for name in ("n", "t", *LATER_COLUMNS):
        if draw(st.booleans()):
            record[name] = draw(st.none() | (_TEXTS if name == "t" else _INTS))
    if plan.is_marked:
        record[DELETED_AT] = draw(st.sampled_from([None, None, _DELETED]))
    match draw(st.integers(0, 20)):
        case 0:
            record["n"] = draw(_WRONG)
        case 1 if plan.key:
            record[plan.key[-1]] = None
        case 2 if plan.key:
            del record[plan.key[0]]
    has_version = plan.is_versioned and (is_steady or draw(st.sampled_from([True, True, False])))
    version = {"version": draw(st.integers(1, 3))} if has_version else {}
    return {"type": "RECORD", "stream": plan.name, "record": record, **version}


def schema_of(plan: Plan, later: Sequence[str]) -> Message:
    """The stream's SCHEMA, with these later columns."""
    properties: dict[str, Any] = {"id": _INT, "n": _INT, "t": _TEXT}
    if "part" in plan.key:
        properties["part"] = _TEXT
    if plan.is_marked:
        properties[DELETED_AT] = {**_TEXT, "format": "date-time"}
    return {
        "type": "SCHEMA",
        "stream": plan.name,
        "schema": {"type": "object", "properties": properties | dict.fromkeys(later, _INT)},
        "key_properties": list(plan.key),
    }


def _stream_settings(plan: Plan) -> dict[str, Any]:
    return {
        "method": plan.method,
        "hard_delete": plan.hard_delete,
        "select": plan.is_selected,
        "unknown_fields": "evolve" if plan.is_grown_by_records else "drop",
    }
