"""What BigQuery has, by its API: a request tells all of a table at once, wherever it is, and isn't billed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from google.api_core.exceptions import NotFound
from google.cloud.bigquery import Client, SchemaField, Table
from msgspec import Struct

from tailrace.destinations.bigquery.retrying import asking
from tailrace.sql.catalogs import Catalog

Row = tuple[object, ...]
_SPELLED = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "NUMERIC": "NUMERIC(38, 9)"}
"""What the API has other names for; a NUMERIC with the digits that it has if none are told."""
_TABLE = "TABLE"

CATALOG = Catalog(
    columns="columns of a table",
    tables="tables by the beginning of their name",
    schemas="a dataset",
    others="a view or another thing of a table's name",
    layout="the partitions and clusters of a table",
)
"""The names of the requests."""


class Requests(Struct, frozen=True):
    """What answers them. Tables are looked for by their beginning in the `datasets`; raises the driver's errors."""

    client: Client
    datasets: Sequence[str]
    timeout: float

    def answers(self) -> Mapping[str, Callable[..., list[Row]]]:
        """The answer to each of the catalog's requests, by its name."""
        return {
            CATALOG.columns: self.columns,
            CATALOG.tables: self.tables,
            CATALOG.schemas: self.schemas,
            CATALOG.others: self.others,
            CATALOG.layout: self.layout,
        }

    def columns(self, dataset: object, name: object) -> list[Row]:
        """See Catalog."""
        found = self._table(dataset, name)
        return _columns(found) if found and found.table_type == _TABLE else []

    def others(self, dataset: object, name: object) -> list[Row]:
        """See Catalog."""
        found = self._table(dataset, name)
        kind = str(found.table_type) if found else _TABLE
        return [] if kind == _TABLE else [(f"a {kind.lower().replace('_', ' ')}",)]

    def tables(self, beginning: object) -> list[Row]:
        """See Catalog."""
        return [
            (dataset, listed.table_id)
            for dataset in self.datasets
            for listed in self.client.list_tables(f"{self.client.project}.{dataset}", **asking(self.timeout))
            if listed.table_id.startswith(str(beginning))
        ]

    def schemas(self, dataset: object) -> list[Row]:
        """See Catalog."""
        try:
            self.client.get_dataset(f"{self.client.project}.{dataset}", **asking(self.timeout))
        except NotFound:
            return []
        return [(1,)]

    def layout(self, dataset: object, name: object) -> list[Row]:
        """See Catalog."""
        found = self._table(dataset, name)
        if found is None:
            return []
        partitions = found.time_partitioning or found.range_partitioning
        told = partitions.to_api_repr() if partitions else {}
        spec = {name: told[name] for name in ("type", "field", "range") if name in told}
        return [(spec.get("field"), json.dumps([spec, found.clustering_fields], sort_keys=True))]

    def _table(self, dataset: object, name: object) -> Table | None:
        try:
            return self.client.get_table(f"{self.client.project}.{dataset}.{name}", **asking(self.timeout))
        except NotFound:
            return None


def _columns(table: Table) -> list[Row]:
    """The columns of a table; see Catalog."""
    constraints = table.table_constraints
    key = constraints.primary_key.columns if constraints and constraints.primary_key else []
    places = {name: place for place, name in enumerate(key, 1)}
    return [
        (
            field.name,
            _spelled(field),
            field.is_nullable or field.mode == "REPEATED",
            field.default_value_expression is not None,
            places.get(field.name),
            table.description,
            "PRIMARY KEY" if field.name in places else None,
            None,
        )
        for field in table.schema
    ]


def _spelled(field: SchemaField) -> str:
    spelled = _SPELLED.get(field.field_type, field.field_type)
    if field.precision:
        spelled = f"{field.field_type}({field.precision}, {field.scale or 0})"
    elif field.max_length:
        spelled = f"{field.field_type}({field.max_length})"
    return f"ARRAY<{spelled}>" if field.mode == "REPEATED" else spelled
