"""What tells one SQL database from another, as data."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from msgspec import Struct, field

from tailrace.model import Column, Kind
from tailrace.schema.evolve import TableColumn
from tailrace.sql.catalogs import Catalog
from tailrace.sql.limits import Limit

_SQL_TYPE = re.compile(r"\s*([^(]*?)\s*(?:\((.*)\))?\s*([^()]*?)\s*", re.DOTALL)


class Merge(StrEnum):
    """How rows that the table has get new values.

    They are updated; or deleted and inserted anew; or inserted, with what is to be done where the key is there already
    (that takes a table whose own key it is; in others rows are updated).
    """

    UPDATE = "update"
    REWRITE = "rewrite"
    CONFLICT = "conflict"


class Ddl(StrEnum):
    """Where tables are made and altered.

    Within the open transaction; apart from it, in one of its own, so that nobody waits for the checkpoint's; or outside
    of any, since each such statement commits by itself.
    """

    WITHIN = "within"
    APART = "apart"
    OUTSIDE = "outside"


class Dialect(Struct, frozen=True):
    """One SQL database, as data.

    `sqlglot` is sqlglot's name for it. `types` spells each kind; DECIMAL is a template with {precision} and {scale}, or
    `decimal` spells it.
    `kinds` says what the types are that tables may have, by their names in capitals, and without digits unless these
    make another kind of them. `alterable`
    are the (from, to) kinds that ALTER TYPE changes in place, losing nothing; `relaxes` says whether NOT NULL can be
    dropped.
    `keeps_key_in_comment`: the key is noted as the table's comment instead of being a PRIMARY KEY.

    `limits` are the types that hold less than their kind. `max_columns` is how many a table can have, 0 for any number.
    `key_types` are the kinds that need another type in a key, which depends on how many such columns the key has;
    `unkeyable` are those that no key can have. `designs` are the fields of Design that it has. `ddl` says what DDL does
    to a transaction, which `begin` opens, as one that may write; `has_temporary` whether temporary tables can be made
    and dropped within one (rows aren't merged by REWRITE where they can't), `undoes_temporary` whether ROLLBACK undoes
    them; `shows_types_as_made` whether the catalog has the types of a new table just as `types` spells them;
    `knows_arrow_json` whether JSON is loaded as Arrow's extension type for it, which isn't checked a second time;
    `enforces_keys` whether a PRIMARY KEY is more than a note; `excludes_by_table` whether of two transactions
    that change rows of one table one fails, whatever the rows. `quote` stands around names, and `text_cast` is the
    type of a CAST that makes a text.
    """

    sqlglot: str
    types: Mapping[Kind, str]
    kinds: Mapping[str, Kind]
    alterable: frozenset[tuple[Kind, Kind]]
    relaxes: bool
    merge: Merge
    keeps_key_in_comment: bool
    catalog: Catalog = field(default_factory=Catalog)
    decimal: Callable[[int, int], str] | None = None
    limits: tuple[Limit, ...] = ()
    max_columns: int = 0
    begin: str = "BEGIN"
    has_temporary: bool = True
    undoes_temporary: bool = True
    shows_types_as_made: bool = False
    knows_arrow_json: bool = False
    enforces_keys: bool = True
    excludes_by_table: bool = False
    ddl: Ddl = Ddl.WITHIN
    key_types: Mapping[Kind, Callable[[int], str]] = field(default_factory=dict)
    unkeyable: frozenset[Kind] = frozenset()
    designs: frozenset[str] = frozenset()
    quote: str = '"'
    text_cast: str = "TEXT"

    def spelled(self, column: Column | TableColumn) -> str:
        """The type that a column has in CREATE TABLE: its own override, or the spelling of its kind."""
        if column.sql_type:
            return column.sql_type
        if column.kind is None:
            raise ValueError(f"column {column.name!r} has neither a kind nor a type")
        if column.kind is Kind.DECIMAL and self.decimal:
            return self.decimal(column.precision, column.scale)
        return self.types[column.kind].format(precision=column.precision, scale=column.scale)

    def kind_of(self, sql_type: str) -> tuple[Kind | None, int, int]:
        """Kind, precision and scale of a type as the database spells it; the kind is None for an unknown type."""
        if whole := self.kinds.get(sql_type.upper()):
            return whole, 0, 0
        match = _SQL_TYPE.fullmatch(sql_type.partition(" CHARACTER SET ")[0])
        if match is None:
            return None, 0, 0
        name, digits, rest = match.groups()
        kind = self.kinds.get(f"{name} {rest}".strip().upper())
        if kind is not Kind.DECIMAL:
            return kind, 0, 0
        numbers = [int(number) for number in (digits or "").split(",") if number.strip()]
        precision, scale = (*numbers, 0, 0)[:2]
        return (kind, precision, scale) if scale >= 0 else (None, 0, 0)
