"""What a database has under a table's name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from tailrace.schema.evolve import TableColumn


class Problem(Struct, frozen=True):
    """What is wrong with a column, or with the table where that is empty; `cure` is its type or the table's option.

    `matters` says when: `always`, or when the column is `loaded`, part of the `key`, or `altered`. What is `altered`
    has no cure, and `what` is what would be lost.
    """

    column: str
    matters: str
    what: str
    cure: str


class Found(Struct, frozen=True):
    """A table that exists: its columns, and its key, None where that isn't known.

    The `constraint` of that name has the database hold rows apart by the key; without one the key is just noted.
    `generated` are columns that the database fills by itself, and what each is; those that never take a value aren't
    among the `columns`.
    """

    columns: tuple[TableColumn, ...]
    key: tuple[str, ...] | None
    constraint: str = ""
    generated: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    partition: str = ""
