"""The key of a table as a note on it, and how a table's key is changed, in the words of each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from tailrace.model import Kind, Method, Stream
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
    """Changes a PRIMARY KEY by one ALTER TABLE; without one the key is the table's comment."""

    sqlglot: str

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement; where the constraint's name isn't known, with the one that the database gives by itself."""
        name = f"{stream.table.name}_pkey" if constraint is None else constraint
        actions = [f"DROP CONSTRAINT {_names([name], self.sqlglot)}"] if have and name else []
        actions += [f"ADD PRIMARY KEY ({_names(stream.key, self.sqlglot)})"] if _is_told_apart(stream) else []
        return by(f"{_alter(stream, self.sqlglot)} {', '.join(actions)}" if actions else _comment(stream), stream)


@dataclass(frozen=True, slots=True)
class ByPrimaryKey:
    """Changes a PRIMARY KEY that has no name. `types` are the kinds that need another type in a key."""

    types: Mapping[Kind, Callable[[int], str]]

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement."""
        columns = [column for column in stream.columns if column.name in stream.key and column.kind in self.types]
        actions = ["DROP PRIMARY KEY"] if have and constraint != "" else []
        if _is_told_apart(stream):
            types = {column.name: self.types[column.kind](len(columns)) for column in columns}
            modified = [f"MODIFY {_names([name], 'mysql')} {spelled} NOT NULL" for name, spelled in types.items()]
            actions = [*modified, *actions, f"ADD PRIMARY KEY ({_names(stream.key, 'mysql')})"]
        text = exp.Literal.string(note(stream.key)).sql(dialect="mysql")
        return by(f"{_alter(stream, 'mysql')} {', '.join(actions) or f'COMMENT = {text}'}", stream)


@dataclass(frozen=True, slots=True)
class ByComment:
    """Changes the key that is the table's comment. `drops` says whether a PRIMARY KEY can be dropped."""

    sqlglot: str
    drops: bool

    def __call__(self, stream: Stream, have: tuple[str, ...], constraint: str | None) -> str:
        """The statement; a PRIMARY KEY goes before."""
        comment = _comment(stream)
        if not constraint or not have:
            return by(comment, stream)
        if not self.drops:
            return anew(stream)
        drop = f"{_alter(stream, self.sqlglot)} DROP CONSTRAINT {_names([constraint], self.sqlglot)}"
        return by(f"{drop}; {comment}", stream)


def made_anew(stream: Stream, _: tuple[str, ...], __: str | None) -> str:
    """No statement changes a key: the table is made anew, by tailrace or with its rows put aside."""
    aside = _names([f"{stream.table.name}_before"], "sqlite")
    return f"{anew(stream)}; or run `{_alter(stream, 'sqlite')} RENAME TO {aside}`, then this again, and copy the rows"


def _is_told_apart(stream: Stream) -> bool:
    """Whether rows of the stream are told apart by their key."""
    return bool(stream.key) and stream.method is not Method.APPEND


def _comment(stream: Stream) -> str:
    text = exp.Literal.string(note(stream.key))
    return exp.Comment(this=table_of(stream.table), kind="TABLE", expression=text).sql(dialect="postgres")


def _alter(stream: Stream, sqlglot: str) -> str:
    return f"ALTER TABLE {table_of(stream.table).sql(dialect=sqlglot)}"


def _names(names: Sequence[str], sqlglot: str) -> str:
    return ", ".join(identifier(name).sql(dialect=sqlglot) for name in names)
