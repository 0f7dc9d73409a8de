"""Decimals that a database doesn't have, by their digits: refused before a table is made or altered for them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tailrace.errors import SchemaError
from tailrace.model import Column, Stream, TableName, Traits
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dialect import Dialect
from tailrace.sql.session import Session

_DECIMAL = re.compile(r"\s*(?:dec|decimal|fixed|number|numeric)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\).*", re.IGNORECASE)
_EVERYWHERE = (38, 30)
"""The digits, and how many of them behind the point, that every database has that is asked for its own."""


def refuse_digits(
    session: Session,
    dialect: Dialect,
    traits: Traits,
    stream: Stream,
    table: TableName,
    columns: Iterable[Column | TableColumn],
) -> None:
    """Raise SchemaError where one of these new or wider columns is a decimal of more digits than the database has."""
    for column in columns:
        spelled = dialect.spelled(column)
        match = _DECIMAL.fullmatch(spelled)
        if match is None or not dialect.catalog.digits:
            continue
        digits, places = int(match[1]), int(match[2] or 0)
        if digits <= _EVERYWHERE[0] and places <= _EVERYWHERE[1]:
            continue
        most, most_places = (int(str(number)) for number in session.query(dialect.catalog.digits)[0])
        if digits > most or places > most_places:
            raise SchemaError(
                f"the table {table} can't have {column.name!r} as {spelled}: {traits.name} has decimals of {most} "
                f"digits, {most_places} of them behind the point; set another `sql_type`, or `kind: TEXT`, which keeps "
                "all digits, under `columns:`",
                stream=stream.name,
                column=column.name,
                have=f"{most} digits, {most_places} behind the point",
                want=spelled,
            )
