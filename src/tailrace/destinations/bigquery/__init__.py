"""BigQuery: rows wait in landing tables, and are merged in one transaction with the checkpoint.

*Durable when* COMMIT TRANSACTION is done.
*Visible when* COMMIT TRANSACTION is done; a replaced table a moment later, by a copy that recovery repeats.
*Load verb* load jobs of Parquet, each under an id of its own, or pending streams of the Storage Write API.
*Source* https://cloud.google.com/bigquery/docs/transactions and
https://cloud.google.com/bigquery/docs/reference/rest/v2/jobs/insert

Tables are made and altered outside of transactions, and transactions that change rows of one table exclude each other.
Keys are noted as a table's description, and not enforced by BigQuery.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import structs

from tailrace.destination import Destination
from tailrace.destinations.bigquery.catalog import CATALOG
from tailrace.destinations.bigquery.landing import QUOTA, UNLIMITED, Landing, LoadJobs, Loads
from tailrace.destinations.bigquery.numbers import long_numbers_within
from tailrace.destinations.bigquery.project import Project
from tailrace.destinations.bigquery.settings import Settings
from tailrace.destinations.bigquery.statements import BigQueryStatements, decimal_of, rekey
from tailrace.destinations.bigquery.streams import WriteStreams
from tailrace.model import Kind, Traits
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.files import InFiles
from tailrace.sql.limits import Limit, too_many_bytes, too_many_characters
from tailrace.sql.settings import Options

_MARKS = "\u0300-\u036f\u0591-\u05c7\u064b-\u0670\u0900-\u0dff\u0e31-\u0eff\u0f00-\u109f\u1780-\u17ff\u3099\u309a"
"""Marks that stand on letters, which `\\w` leaves out: of Latin, Hebrew, Arabic, and the scripts of South Asia."""
_TAKEN = "PARTITION|TABLE_|FILE_|ROW_TIMESTAMP|COLIDENTIFIER|CHANGE_|_ROOT__"
"""What no name can begin with, behind a `_`: another one is put before it."""

TRAITS = Traits(
    name="BigQuery",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    unusable=rf"[^\w \-{_MARKS}]|(?i:^(?=_(?:{_TAKEN})))",
    own_schemas="information_schema",
    rekey=rekey,
)

DIALECT = Dialect(
    sqlglot="bigquery",
    quote="`",
    text_cast="STRING",
    types={
        Kind.BOOL: "BOOL",
        Kind.INT: "INT64",
        Kind.FLOAT: "FLOAT64",
        Kind.DECIMAL: "NUMERIC or BIGNUMERIC",
        Kind.TEXT: "STRING",
        Kind.JSON: "JSON",
        Kind.BINARY: "BYTES",
        Kind.DATE: "DATE",
        Kind.TIME: "TIME",
        Kind.TIMESTAMP: "DATETIME",
        Kind.TIMESTAMPTZ: "TIMESTAMP",
        Kind.UUID: "STRING",
    },
    decimal=decimal_of,
    kinds={
        "BOOL": Kind.BOOL,
        "INT64": Kind.INT,
        "FLOAT64": Kind.FLOAT,
        **dict.fromkeys(("NUMERIC", "BIGNUMERIC"), Kind.DECIMAL),
        "STRING": Kind.TEXT,
        "JSON": Kind.JSON,
        "BYTES": Kind.BINARY,
        "DATE": Kind.DATE,
        "TIME": Kind.TIME,
        "DATETIME": Kind.TIMESTAMP,
        "TIMESTAMP": Kind.TIMESTAMPTZ,
    },
    alterable=frozenset({(Kind.INT, Kind.DECIMAL), (Kind.DECIMAL, Kind.DECIMAL)}),
    relaxes=True,
    merge=Merge.UPDATE,
    keeps_key_in_comment=True,
    catalog=CATALOG,
    limits=(
        Limit(r"STRING\((?P<length>\d+)\)", too_many_characters),
        Limit(r"BYTES\((?P<length>\d+)\)", too_many_bytes),
        Limit("JSON", long_numbers_within),
    ),
    max_columns=10_000,
    begin="BEGIN TRANSACTION",
    undoes_temporary=False,  # nothing is said of it
    enforces_keys=False,
    excludes_by_table=True,
    ddl=Ddl.OUTSIDE,
    unkeyable=frozenset({Kind.JSON}),
    designs=frozenset({"partition_by", "partition_unit", "partition_range", "cluster_by", "options"}),
)

SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The settings in `bigquery://project/dataset?location=EU`, as SQLAlchemy has it."""
    parts = urlsplit(url)
    named = {"project_id": unquote(parts.netloc), "dataset": unquote(parts.path.removeprefix("/"))}
    settings: dict[str, object] = dict(parse_qsl(parts.query))
    return settings | {name: value for name, value in named.items() if value}


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    project, dataset = Project(settings), settings.dataset
    dialect = structs.replace(DIALECT, alterable=frozenset()) if settings.disable_update_column_types else DIALECT
    statements = BigQueryStatements(dialect, settings.location)
    loads: Loads = WriteStreams(project)
    if not settings.use_storage_write_api:
        pace = UNLIMITED if settings.is_keyless else QUOTA
        loads = LoadJobs(settings.request_timeout_s, pace)
    landing = Landing(project, statements, settings.staging_schema or dataset, loads)
    return SqlDestination(project, statements, TRAITS, InFiles(landing), Options.of(settings, dataset), project.label)
