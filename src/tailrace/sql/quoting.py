"""Names and texts in quotes, as they stand in statements: plain ones here, and any other as sqlglot writes it."""

from __future__ import annotations

import re

from tailrace.model import TableName
from tailrace.sql.glot import exp

_PLAIN = re.compile(r"[^\"'`\\\x00-\x1f\x7f]+")


def quoted(name: str, dialect: str, mark: str = '"') -> str:
    """A name, between the marks of that dialect of sqlglot's."""
    if _PLAIN.fullmatch(name):
        return f"{mark}{name}{mark}"
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect)


def quoted_table(table: TableName, dialect: str) -> str:
    """The name of a table, with its schema if it has one."""
    return ".".join(quoted(name, dialect) for name in (table.schema, table.name) if name)


def literal(text: str, dialect: str) -> str:
    """A text."""
    return f"'{text}'" if _PLAIN.fullmatch(text) else exp.Literal.string(text).sql(dialect=dialect)
