"""Tables of bqemulator as DuckDB has them: its own copy of what they are isn't changed by statements that alter them.

What DuckDB has no place for, a description, partitions and clusters, is kept as a table's comment.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any

from bqemulator.api.routes import tables
from bqemulator.catalog.duckdb_repository import DuckDBCatalogRepository
from bqemulator.catalog.models import Clustering, JobMeta, TableFieldSchema, TableMeta, TableSchema, TimePartitioning
from bqemulator.domain.clock import SystemClock
from bqemulator.domain.errors import InvalidQueryError, ResourceRef, resource_not_found
from bqemulator.storage.engine import DuckDBEngine
from bqemulator.storage.sql_identifiers import quoted_table_ref, schema_name
from sqlglot import exp

_TYPES = {
    "BOOLEAN": "BOOLEAN",
    "BIGINT": "INTEGER",
    "DOUBLE": "FLOAT",
    "VARCHAR": "STRING",
    "JSON": "JSON",
    "BLOB": "BYTES",
    "DATE": "DATE",
    "TIME": "TIME",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}
_DIGITS_AT_MOST = 38
"""What DuckDB has; a BIGNUMERIC has twice as many."""
_DIGITS = re.compile(r"(\d+),(\d+)")
_parse, _columns_of = tables._parse_schema_fields, tables.bq_schema_to_duckdb_columns  # noqa: SLF001 as above


_looking: dict[str, Any] = {}
"""The connection that is asked what there is: threads ask at once, and DuckDB refuses a connection that is busy."""
_one_at_once = threading.Lock()


def look_through(connection: Any) -> None:
    """Say which connection is asked what there is."""
    _looking["connection"] = connection


def _ask(sql: str, *parameters: str) -> list[tuple[Any, ...]]:
    with _one_at_once:
        return _looking["connection"].execute(sql, parameters).fetchall()


def note_layout(create: exp.Create, project: str, ctx: Any) -> None:
    """Keep the description, partitions and clusters of a new table, as its comment."""
    table, layout = create.find(exp.Table), {}
    for part in create.args["properties"].expressions if create.args.get("properties") else ():
        if isinstance(part, exp.PartitionedByProperty):
            column = part.this.find(exp.Column) or part.this.find(exp.Identifier)
            layout["partition"] = column.name
        elif isinstance(part, exp.ClusterProperty):
            layout["cluster"] = [column.name for column in part.expressions]
        elif isinstance(part, exp.Property) and part.name.lower() == "description":
            layout["description"] = part.args["value"].name
    if layout:
        ctx.engine.execute(_comment(quoted_table_ref(project, table.db, table.name), layout))


def copy(create: exp.Create, project: str, ctx: Any) -> None:
    """Make the table a copy of another, with its rows and its layout, in the place of the one that is there."""
    source, target = create.args["clone"].this, create.find(exp.Table)
    of, to = (quoted_table_ref(project, table.db, table.name) for table in (source, target))
    columns = _columns(project, source.db, source.name)
    if not columns:
        raise resource_not_found(ResourceRef("table", project, source.db, source.name))
    layout, there = (_layout(project, table.db, table.name) for table in (source, target))
    if _columns(project, target.db, target.name) and _parted(layout) != _parted(there):
        raise InvalidQueryError("Cannot replace a table with a different partitioning spec")
    spelled = ", ".join(
        f'"{n.replace(chr(34), chr(34) * 2)}" {t}{"" if null else " NOT NULL"}' for n, t, null in columns
    )
    statements = [f"DROP TABLE IF EXISTS {to}", f"CREATE TABLE {to} ({spelled})", f"INSERT INTO {to} FROM {of}"]
    connection = ctx.engine.connection.cursor()
    try:
        for sql in ("BEGIN", *statements, _comment(to, layout), "COMMIT"):
            connection.execute(sql)
    finally:
        connection.close()


def _parted(layout: dict[str, Any]) -> list[Any]:
    return [layout.get("partition"), layout.get("cluster")]


def _comment(table: str, layout: dict[str, Any]) -> str:
    return f"COMMENT ON TABLE {table} IS {exp.Literal.string(json.dumps(layout)).sql('duckdb')}"


def _layout(project: str, dataset: str, table: str) -> dict[str, Any]:
    asked = "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
    found = _ask(asked, schema_name(project, dataset), table)
    return json.loads(found[0][0] or "{}") if found else {}


def _columns(project: str, dataset: str, table: str) -> list[tuple[str, str, bool]]:
    asked = (
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
        "ORDER BY column_index"
    )
    return _ask(asked, schema_name(project, dataset), table)


def _field(name: str, spelled: str, is_nullable: bool) -> TableFieldSchema:  # noqa: FBT001 a row of _columns
    """A column, with the digits of a decimal as its description: nothing else is left to tell them in."""
    told = None
    sql_type = _TYPES.get(spelled, "STRING")
    if match := re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", spelled):
        digits, scale = map(int, match.groups())
        sql_type = "NUMERIC" if scale <= 9 and digits - scale <= 29 else "BIGNUMERIC"  # noqa: PLR2004 as it has them
        told = None if (digits, scale) == (38, 9) else f"{digits},{scale}"
    return TableFieldSchema(name=name, type=sql_type, mode="NULLABLE" if is_nullable else "REQUIRED", description=told)


def told(field: TableFieldSchema) -> dict[str, Any]:
    """A column, as BigQuery tells it."""
    told = {"name": field.name, "type": field.type, "mode": field.mode}
    if match := _DIGITS.fullmatch(field.description or ""):
        told["precision"], told["scale"] = match.groups()
    return told


def asked(fields: list[dict[str, Any]]) -> tuple[TableFieldSchema, ...]:
    """The columns that a request asks for, with the digits of decimals."""
    given = [
        f | ({"description": f"{f['precision']},{f.get('scale', 0)}"} if f.get("precision") else {}) for f in fields
    ]
    return _parse(given)


def made_of(fields: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Names and types of the columns, as DuckDB makes them."""
    return [(field["name"], _spelled(field)) for field in fields]


def _spelled(field: dict[str, Any]) -> str:
    digits = (
        f"DECIMAL({min(int(field['precision']), _DIGITS_AT_MOST)},{field['scale']})" if "precision" in field else ""
    )
    ((_, spelled),) = _columns_of([field]) if field["type"] != "BIGNUMERIC" else (("", "DECIMAL(38,18)"),)
    return (digits or spelled) + (" NOT NULL" if field["mode"] == "REQUIRED" and "NOT NULL" not in spelled else "")


def _bare(project: str, dataset: str, table: str) -> TableMeta:
    """What is told of a table in a list."""
    now = SystemClock().now()
    where = {"project_id": project, "dataset_id": dataset, "table_id": table}
    return TableMeta(**where, creation_time=now, last_modified_time=now, etag="")


class Catalog(DuckDBCatalogRepository):
    """Tells tables as DuckDB has them, which statements alter without a word to the catalog."""

    def __init__(self, engine: DuckDBEngine) -> None:
        super().__init__(engine)

    def get_table(self, project_id: str, dataset_id: str, table_id: str) -> TableMeta | None:
        """See DuckDBCatalogRepository."""
        known = super().get_table(project_id, dataset_id, table_id)
        if known is not None and known.table_type == "VIEW":
            return known
        columns = _columns(project_id, dataset_id, table_id)
        if not columns:
            self._require_dataset(project_id, dataset_id)
            return None
        layout = _layout(project_id, dataset_id, table_id)
        told = known or _bare(project_id, dataset_id, table_id)
        changes: dict[str, Any] = {"schema_": TableSchema(fields=tuple(_field(*column) for column in columns))}
        if "description" in layout:
            changes["description"] = layout["description"]
        if "partition" in layout:
            changes["time_partitioning"] = TimePartitioning(field=layout["partition"])
        if "cluster" in layout:
            changes["clustering"] = Clustering(fields=tuple(layout["cluster"]))
        return told.model_copy(update=changes)

    def list_tables(self, project_id: str, dataset_id: str) -> tuple[TableMeta, ...]:
        """See DuckDBCatalogRepository. A list doesn't tell of columns."""
        views = [table for table in super().list_tables(project_id, dataset_id) if table.table_type == "VIEW"]
        asked = "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY ALL"
        names = _ask(asked, schema_name(project_id, dataset_id))
        return (*views, *(_bare(project_id, dataset_id, name) for (name,) in names))

    def _require_dataset(self, project: str, dataset: str) -> None:
        """Raise for a dataset that isn't there, of which bqemulator says that it has failed itself."""
        asked = "SELECT 1 FROM duckdb_schemas() WHERE schema_name = ?"
        if not self._engine.execute(asked, [schema_name(project, dataset)]).fetchall():
            raise resource_not_found(ResourceRef("dataset", project, dataset))

    def _write_job(self, job: JobMeta) -> None:
        if job.job_type != "QUERY":  # nobody asks for these once the server is another one
            super()._write_job(job)

    def update_table(self, table: TableMeta) -> TableMeta:
        """See DuckDBCatalogRepository."""
        if super().get_table(table.project_id, table.dataset_id, table.table_id) is None:
            return super().create_table(table)
        return super().update_table(table)
