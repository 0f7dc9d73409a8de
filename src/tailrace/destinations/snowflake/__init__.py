"""Snowflake: rows wait in files on a stage, and are merged in one transaction with the checkpoint.

*Durable when* COMMIT returns.
*Visible when* COMMIT returns; a replaced table a moment later, by statements that recovery repeats after a crash.
*Load verb* PUT of Parquet files, and COPY INTO a transient table within the transaction.
*Source* https://docs.snowflake.com/en/sql-reference/transactions and
https://docs.snowflake.com/en/sql-reference/sql/copy-into-table

A statement that makes or alters a table commits by itself, also where the table is temporary: tables are made before
the transaction, and each statement selects the winners by itself. Keys are declared, and not enforced by Snowflake.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import structs

from tailrace.destination import Destination
from tailrace.destinations.snowflake.account import Account
from tailrace.destinations.snowflake.numbers import long_numbers_within
from tailrace.destinations.snowflake.settings import Settings
from tailrace.destinations.snowflake.stage import StageFiles
from tailrace.destinations.snowflake.statements import SnowflakeStatements, rekey
from tailrace.model import Kind, Traits
from tailrace.sql.catalogs import Catalog
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.families import information_schema
from tailrace.sql.files import InFiles
from tailrace.sql.limits import Limit, too_many_characters
from tailrace.sql.settings import Options
from tailrace.sql.url import server_settings

_SPELLED = """
    CASE c.data_type
        WHEN 'NUMBER' THEN 'NUMBER(' || c.numeric_precision || ',' || c.numeric_scale || ')'
        WHEN 'TEXT' THEN CASE WHEN c.character_maximum_length < 16777216
            THEN 'VARCHAR(' || c.character_maximum_length || ')' ELSE 'VARCHAR' END
        ELSE c.data_type END
"""


def _catalog(name: str) -> Catalog:
    return information_schema(spelled=_SPELLED, comment="t.comment", has_keys=False, digits="SELECT 38, 37", name=name)


TRAITS = Traits(
    name="Snowflake",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=255,
    case_sensitive=True,
    own_schemas="information_schema",
    rekey=rekey,
)

DIALECT = Dialect(
    sqlglot="snowflake",
    text_cast="VARCHAR",
    types={
        Kind.BOOL: "BOOLEAN",
        Kind.INT: "NUMBER(19,0)",
        Kind.FLOAT: "FLOAT",
        Kind.DECIMAL: "NUMBER({precision},{scale})",
        Kind.TEXT: "VARCHAR",
        Kind.JSON: "VARIANT",
        Kind.BINARY: "BINARY",
        Kind.DATE: "DATE",
        Kind.TIME: "TIME(6)",
        Kind.TIMESTAMP: "TIMESTAMP_NTZ(6)",
        Kind.TIMESTAMPTZ: "TIMESTAMP_TZ(6)",
        Kind.UUID: "VARCHAR(36)",
    },
    kinds={
        "BOOLEAN": Kind.BOOL,
        "NUMBER(19,0)": Kind.INT,
        "FLOAT": Kind.FLOAT,
        "NUMBER": Kind.DECIMAL,
        **dict.fromkeys(("VARCHAR", "TEXT"), Kind.TEXT),
        "VARIANT": Kind.JSON,
        "BINARY": Kind.BINARY,
        "DATE": Kind.DATE,
        "TIME": Kind.TIME,
        "TIMESTAMP_NTZ": Kind.TIMESTAMP,
        **dict.fromkeys(("TIMESTAMP_TZ", "TIMESTAMP_LTZ"), Kind.TIMESTAMPTZ),
    },
    alterable=frozenset(),  # a NUMBER keeps its scale, and no other type becomes another
    relaxes=True,
    merge=Merge.UPDATE,
    keeps_key_in_comment=False,
    catalog=_catalog("?"),
    limits=(
        Limit(r"VARCHAR\((?P<length>\d+)\)", too_many_characters),
        Limit("VARIANT", long_numbers_within),
    ),
    ddl=Ddl.OUTSIDE,
    has_temporary=False,
    enforces_keys=False,
    designs=frozenset({"cluster_by"}),
)

STATEMENTS = SnowflakeStatements(DIALECT)
IN_CAPITALS = SnowflakeStatements(structs.replace(DIALECT, catalog=_catalog("upper(?)")), is_upper=True)

SETTINGS = Settings


def from_url(url: str) -> dict[str, object]:
    """The settings in `snowflake://user:password@account/database/schema?warehouse=w&role=r`, as SQLAlchemy has it."""
    told, parts = server_settings(url), urlsplit(url)
    database, _, schema = unquote(parts.path.removeprefix("/")).partition("/")
    account = parts.netloc.rpartition("@")[2].partition(":")[0]  # in capitals or small letters, as it is written
    named = {name: told.get(name) for name in ("user", "password")}
    named |= {"account": account, "database": database, "schema": schema}
    return dict(parse_qsl(parts.query)) | {name: value for name, value in named.items() if value}


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    account, schema = Account(settings), settings.schema_name
    statements = IN_CAPITALS if settings.disable_double_quotes else STATEMENTS
    traits = replace(TRAITS, case_sensitive=not settings.disable_double_quotes)
    files = StageFiles(account, statements, settings.staging_schema or schema)
    waits_in, options = InFiles(files, temporary=False), Options.of(settings, schema)
    return SqlDestination(account, statements, traits, waits_in, options, account.label)
