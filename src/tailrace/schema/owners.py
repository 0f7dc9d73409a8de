"""Whose each table of a run is: two streams never share one, since neither would know the other's rows."""

from __future__ import annotations

from tailrace.errors import SchemaError
from tailrace.model import Stream, TableName, Traits


class Owners:
    """The tables of a run's streams, as the destination tells them apart."""

    def __init__(self, traits: Traits) -> None:
        self._traits = traits
        self._names: dict[str, str] = {}

    def begin(self) -> None:
        """Forget all tables, since a run begins."""
        self._names.clear()

    def accept(self, stream: Stream, table: TableName) -> None:
        """Remember that the table is the stream's; raises SchemaError if it is another one's."""
        folded = str(table) if self._traits.case_sensitive else str(table).casefold()
        owner = self._names.setdefault(folded, stream.name)
        if owner != stream.name:
            raise SchemaError(
                f"it and the stream {owner!r} would both be the table {table}; "
                "give one of them another `table:` under `streams:`",
                stream=stream.name,
            )
