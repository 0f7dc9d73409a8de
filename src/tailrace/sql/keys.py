"""The key of a table as a note on it, and how a table's key is changed, in the words of each kind of database."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tailrace.model import Stream
from tailrace.schema.keys import anew, by, read_key, written_key
from tailrace.sql.expressions import identifier, table_of
from tailrace.sql.glot import exp

NOTE = "key: "
"""What a note of a table's key begins with; behind it stands a JSON array of columns."""


def note(key: Sequence[str]) -> str:
    """The note of a key, as a table's comment has it: `key: ["a", "b"]`."""
    return f"{NOTE}{written_key(key)}"


def noted(text: object) -> tuple[str, ...] | None:
    """The key that a note says; None where it is no note."""
    is_note = isinstance(text, str) and text.startswith(NOTE)
    return read_key(str(text).removeprefix(NOTE)) if is_note else None


class ByConstraint(Struct, frozen=True):
    """Changes a PRIMARY KEY by one ALTER TABLE; without one the key is the table's comment."""

    sqlglot: str

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement; where the constraint's name isn't known, with the one that the database gives by itself."""
        name = f"{stream.table.name}_pkey" if constraint is None else constraint
        actions = [f"DROP CONSTRAINT {names_of([name], self.sqlglot)}"] if have and name else []
        actions += [f"ADD PRIMARY KEY ({names_of(stream.key, self.sqlglot)})"] if stream.is_merged else []
        change = f"{alter_of(stream, self.sqlglot)} {', '.join(actions)}" if actions else _comment(stream, self.sqlglot)
        return by(change, stream)


class ByComment(Struct, frozen=True):
    """Changes the key that is the table's comment. `drops` says whether a PRIMARY KEY can be dropped."""

    sqlglot: str
    drops: bool

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement; a PRIMARY KEY goes before."""
        comment = _comment(stream, self.sqlglot)
        if not constraint or not have:
            return by(comment, stream)
        if not self.drops:
            return anew(stream)
        drop = f"{alter_of(stream, self.sqlglot)} DROP CONSTRAINT {names_of([constraint], self.sqlglot)}"
        return by(f"{drop}; {comment}", stream)


class ByAnotherTable(Struct, frozen=True):
    """No statement changes a key: the table is made anew, by tailrace or with its rows put aside."""

    sqlglot: str

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:  # noqa: ARG002 as others
        """What to do."""
        aside = f"{alter_of(stream, self.sqlglot)} RENAME TO {names_of([f'{stream.table.name}_before'], self.sqlglot)}"
        return f"{anew(stream)}; or run `{aside}`, then this again, and copy the rows"


def alter_of(stream: Stream, sqlglot: str) -> str:
    """What ALTER TABLE of the stream's table begins with."""
    return f"ALTER TABLE {table_of(stream.table).sql(dialect=sqlglot)}"


def names_of(names: Sequence[str], sqlglot: str) -> str:
    """Columns, one behind the other."""
    return ", ".join(identifier(name).sql(dialect=sqlglot) for name in names)


def _comment(stream: Stream, sqlglot: str) -> str:
    text = exp.Literal.string(note(stream.key))
    return exp.Comment(this=table_of(stream.table), kind="TABLE", expression=text).sql(dialect=sqlglot)
