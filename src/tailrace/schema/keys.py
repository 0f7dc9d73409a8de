"""A stream's key, which can't change while its table exists: another one is refused before any of its rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tailrace.errors import SchemaError
from tailrace.model import Method, Stream, Traits


class Keys:
    """The keys of a run's streams. A stream has one key in a run, whatever is known of its table."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._known: dict[str, Stream] = {}

    def begin(self) -> None:
        """Forget all keys, since a run begins."""
        self._known.clear()

    def accept(self, stream: Stream) -> None:
        """Remember the stream's key; raises SchemaError if it had another one."""
        refuse_new_key(self._known.setdefault(stream.name, stream), stream, self._traits)


def refuse_new_key(before: Stream, stream: Stream, traits: Traits) -> None:
    """Raise SchemaError if the stream has another key than before; order doesn't matter."""
    if not is_same_key(before.key, stream.key, traits):
        raise other_key(stream, before.key, traits, "the stream had it before, in this run")


def is_same_key(one: Sequence[str], other: Sequence[str], traits: Traits) -> bool:
    """Whether the columns are the same in any order, and in any case if the destination ignores case."""
    return folded(one, traits) == folded(other, traits)


def folded(names: Sequence[str], traits: Traits) -> frozenset[str]:
    """The names as the destination tells them apart."""
    return frozenset(names if traits.case_sensitive else map(str.lower, names))


def other_key(
    stream: Stream, have: Sequence[str], traits: Traits, where: str, constraint: str | None = None
) -> SchemaError:
    """The error for a stream whose key isn't `have`; `where` says what has that key.

    `constraint` is what the table's PRIMARY KEY is called, empty where it has none, None where that isn't known.
    """
    old, new = spelled(have), spelled(stream.key)
    return SchemaError(
        f"its key changes: {old} -> {new} ({where}). Rows are told apart by one key, so that a stream keeps it: set "
        f"`key_properties` under `streams:` to the right one{_way_out(stream, tuple(have), traits, constraint)}",
        stream=stream.name,
        have=old,
        want=new,
    )


def written_key(key: Sequence[str]) -> str:
    """A key as tables record it: a JSON array of columns."""
    return json.dumps(list(key), ensure_ascii=False)


def read_key(text: object) -> tuple[str, ...] | None:
    """The recorded key, None if the text is none."""
    try:
        key = json.JSONDecoder().raw_decode(text)[0] if isinstance(text, str) else None
    except ValueError:
        return None
    return tuple(key) if isinstance(key, list) and all(isinstance(name, str) for name in key) else None


def spelled(key: Sequence[str]) -> str:
    """A key as people see it: `(id, part)`, or `none`."""
    return f"({', '.join(key)})" if key else "none"


def _way_out(stream: Stream, have: tuple[str, ...], traits: Traits, constraint: str | None) -> str:
    """How to give the table the stream's key; empty if this run builds the table with that key anyway."""
    if stream.method is Method.REPLACE:
        return ""
    if traits.rekey:
        return f". To give the table {stream.table} the new one, {traits.rekey(stream, have, constraint)}"
    return f". To give the table {stream.table} the new one, {anew(stream)}"


def by(statement: str, stream: Stream) -> str:
    """Advice to run a statement that gives the table the stream's key."""
    condition = " once no two of its rows have the same" if stream.key else ""
    return f"run `{statement}`{condition}"


def anew(stream: Stream) -> str:
    """Advice for tables whose key no statement changes."""
    return f"load {stream.name!r} once with `method: replace`, which builds it anew from what the tap sends"
