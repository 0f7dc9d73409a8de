"""Tables of lakes as others write them, by deltalake and pyiceberg: appended to, optimized, expired and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pyarrow as pa
from deltalake import DeltaTable, Field, write_deltalake
from pyiceberg.catalog import load_catalog
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table
from pyiceberg.types import LongType

Row = dict[str, Any]
TAG = "tag"
"""The column of integers by which others delete rows."""


class OtherWriter(Protocol):
    """Somebody else with a table."""

    def rows(self) -> list[Row]:
        """All rows, as the writer's own library reads them."""

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows; columns that they don't name are null."""

    def delete(self, tag: int) -> None:
        """Remove the rows of that tag."""

    def optimize(self, chance: Random) -> None:
        """Write files anew in another way, with the same rows."""

    def expire(self) -> None:
        """Remove all that the table's present state doesn't need."""

    def add_column(self, name: str) -> None:
        """Add a column of integers."""


@dataclass(frozen=True, slots=True)
class DeltaWriter:
    """A Delta table, and deltalake."""

    path: str

    def rows(self) -> list[Row]:
        """See OtherWriter."""
        return pa.table(DeltaTable(self.path).to_pyarrow_table()).to_pylist()

    def append(self, rows: Sequence[Row]) -> None:
        """See OtherWriter."""
        schema = pa.schema(DeltaTable(self.path).schema().to_arrow())
        write_deltalake(self.path, pa.Table.from_pylist([*rows], schema=schema), mode="append")

    def delete(self, tag: int) -> None:
        """See OtherWriter."""
        DeltaTable(self.path).delete(f"{TAG} = {tag}")

    def optimize(self, chance: Random) -> None:
        """See OtherWriter."""
        table = DeltaTable(self.path)
        if chance.random() < 0.5:
            table.optimize.compact()
        else:
            table.optimize.z_order([TAG])

    def expire(self) -> None:
        """See OtherWriter."""
        table = DeltaTable(self.path)
        table.create_checkpoint()
        table.cleanup_metadata()
        table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    def add_column(self, name: str) -> None:
        """See OtherWriter."""
        DeltaTable(self.path).alter.add_columns([Field(name, "long")])


@dataclass(frozen=True, slots=True)
class IcebergWriter:
    """An Iceberg table of a catalog on SQLite, and pyiceberg."""

    folder: Path
    name: str

    def rows(self) -> list[Row]:
        """See OtherWriter."""
        with self._table() as table:
            return table.scan().to_arrow().to_pylist()

    def append(self, rows: Sequence[Row]) -> None:
        """See OtherWriter."""
        with self._table() as table:
            table.append(self._as_table(table, rows))

    def delete(self, tag: int) -> None:
        """See OtherWriter."""
        with self._table() as table:
            table.delete(EqualTo(TAG, tag))

    def optimize(self, chance: Random) -> None:
        """See OtherWriter."""
        with self._table() as table:
            rows = table.scan().to_arrow().to_pylist()
            chance.shuffle(rows)
            table.overwrite(self._as_table(table, rows))

    def expire(self) -> None:
        """See OtherWriter."""
        with self._table() as table:
            present = table.current_snapshot()
            old = [snapshot.snapshot_id for snapshot in table.snapshots() if snapshot != present]
            table.maintenance.expire_snapshots().by_ids(old).commit()

    def add_column(self, name: str) -> None:
        """See OtherWriter."""
        with self._table() as table, table.update_schema() as update:
            update.add_column(name, LongType())

    @staticmethod
    def _as_table(table: Table, rows: Sequence[Row]) -> pa.Table:
        return pa.Table.from_pylist([*rows], schema=table.schema().as_arrow())

    @contextmanager
    def _table(self) -> Iterator[Table]:
        place = {"uri": f"sqlite:///{self.folder / 'catalog'}", "warehouse": str(self.folder / "lake")}
        with closing(load_catalog("default", type="sql", **place)) as catalog:
            yield catalog.load_table(("default", self.name))


def writer(kind: str, folder: Path, name: str) -> OtherWriter:
    """Somebody else with a table of a lake in a folder, as laws load it."""
    return DeltaWriter(str(folder / "lake" / name)) if kind == "delta" else IcebergWriter(folder, name)
