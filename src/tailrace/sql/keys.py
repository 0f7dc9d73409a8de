"""How a table's key is changed, in the words of each kind of database, for people to do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from tailrace.model import Kind, Stream
from tailrace.schema.keys import anew, by, read_key, written_key
from tailrace.sql.expressions import identifier, table_of

NOTE = "key: "
"""What a note of a table's key begins with; behind it stands a JSON array of columns."""


def note(key: Sequence[str]) -> str:
    """The note of a key, as a table's comment has it: `key: ["a", "b"]`."""
    return f"{NOTE}{written_key(key)}"


def noted(text: object) -> tuple[str, ...] | None:
    """The key that a note says; None where it is no note."""
    is_note = isinstance(text, str) and text.startswith(NOTE)
    return read_key(str(text).removeprefix(NOTE)) if is_note else None


@dataclass(frozen=True, slots=True)
class ByConstraint:
    """Changes a PRIMARY KEY by one ALTER TABLE, in that dialect of sqlglot's."""

    sqlglot: str

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str) -> str:
        """The statement; without the constraint's name it is the one that the database gives by itself."""
        name = constraint or f"{stream.table.name}_pkey"
        actions = [f"DROP CONSTRAINT {_written(identifier(name), self.sqlglot)}"] if have else []
        actions += [f"ADD PRIMARY KEY ({_names(stream.key, self.sqlglot)})"] if stream.key else []
        return by(f"ALTER TABLE {_written(table_of(stream.table), self.sqlglot)} {', '.join(actions)}", stream)


@dataclass(frozen=True, slots=True)
class ByPrimaryKey:
    """Changes a PRIMARY KEY that has no name. `types` are the kinds that need another type in a key."""

    sqlglot: str
    types: Mapping[Kind, Callable[[int], str]]

    def __call__(self, stream: Stream, have: tuple[str, ...], _: str) -> str:
        """The statement."""
        columns = [column for column in stream.columns if column.name in stream.key and column.kind in self.types]
        actions = [
            f"MODIFY {_names([c.name], self.sqlglot)} {self.types[c.kind](len(columns))} NOT NULL" for c in columns
        ]
        actions += ["DROP PRIMARY KEY"] if have else []
        actions += [f"ADD PRIMARY KEY ({_names(stream.key, self.sqlglot)})"] if stream.key else []
        return by(f"ALTER TABLE {_written(table_of(stream.table), self.sqlglot)} {', '.join(actions)}", stream)


@dataclass(frozen=True, slots=True)
class ByComment:
    """Changes the note of a key, which is the table's comment. `drops` says whether a PRIMARY KEY can be dropped."""

    sqlglot: str
    drops: bool

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str) -> str:
        """The statement; a PRIMARY KEY, which has a name, goes before."""
        text = exp.Literal.string(note(stream.key))
        comment = _written(exp.Comment(this=table_of(stream.table), kind="TABLE", expression=text), self.sqlglot)
        if not constraint or not have:
            return by(comment, stream)
        if not self.drops:
            return anew(stream)
        table, name = _written(table_of(stream.table), self.sqlglot), _written(identifier(constraint), self.sqlglot)
        return by(f"ALTER TABLE {table} DROP CONSTRAINT {name}; {comment}", stream)


def made_anew(stream: Stream, _: tuple[str, ...], __: str) -> str:
    """No statement changes a key: the table is made anew, by tailrace or with its rows put aside."""
    table = _written(table_of(stream.table), "sqlite")
    aside = _written(identifier(f"{stream.table.name}_before"), "sqlite")
    return f"{anew(stream)}; or run `ALTER TABLE {table} RENAME TO {aside}`, then this again, and copy the rows"


def _names(names: Sequence[str], sqlglot: str) -> str:
    return ", ".join(_written(identifier(name), sqlglot) for name in names)


def _written(expression: exp.Expression, sqlglot: str) -> str:
    return expression.sql(dialect=sqlglot)
