"""CockroachDB as a destination in one file, put together from the SQL kit: a trial of the kit, which is not shipped.

*Durable when* COMMIT returns: a majority of the replicas has it.
*Visible when* COMMIT returns.
*Load verb* INSERT of many rows.
*Source* https://www.cockroachlabs.com/docs/stable/sql-statements and
https://www.cockroachlabs.com/docs/stable/error-handling-and-troubleshooting, read on 2026-11-26
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import psycopg
from pydantic import Field, SecretStr

from tailrace.destination import Destination
from tailrace.errors import DestinationError
from tailrace.model import Kind, Traits
from tailrace.sql.dbapi import DbapiSession
from tailrace.sql.design import Designs
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.families import KINDS, TYPES, information_schema
from tailrace.sql.keys import ByConstraint
from tailrace.sql.limits import Limit, rounded, too_many_characters
from tailrace.sql.loaders import InsertRows
from tailrace.sql.placeholders import percent
from tailrace.sql.settings import DATABASE, TLS, USER, Options, SchemaName, ServerSettings
from tailrace.sql.sqlstates import OBJECTS
from tailrace.sql.staging import InTables
from tailrace.sql.statements import Statements
from tailrace.sql.url import server_settings

from_url = server_settings

TRAITS = Traits(
    name="CockroachDB",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=63,
    case_sensitive=True,
    own_schemas="pg_.*|information_schema|crdb_internal",
    rekey=ByConstraint("postgres"),
)

DIALECT = Dialect(
    sqlglot="postgres",
    types=TYPES,
    kinds={**KINDS, "JSONB": Kind.JSON, "BYTEA": Kind.BINARY, "UUID": Kind.UUID},
    alterable=frozenset({(Kind.DECIMAL, Kind.DECIMAL)}),  # other changes of types take a job in the background
    relaxes=True,
    merge=Merge.CONFLICT,
    keeps_key_in_comment=False,
    catalog=information_schema(generated="CASE WHEN c.is_generated = 'ALWAYS' THEN 'GENERATED' END"),
    limits=(Limit("real", rounded), Limit(r"character( varying)?\((?P<length>\d+)\)", too_many_characters)),
    ddl=Ddl.OUTSIDE,  # several changes of schema in one transaction may fail at its COMMIT
    designs=frozenset({"indexes"}),
)

STATEMENTS = Statements(DIALECT)

RULES = ErrorRules(
    name="CockroachDB",
    raised=(psycopg.Error,),
    state_of=lambda error: getattr(error, "sqlstate", None) or "",
    words_of=lambda error: str(error).strip().partition("\n")[0],
    remedies=OBJECTS,
    transient="08|40|53|57P|55C02",
    about_rows="22|23",
    about_tables="22023|42601|42704|42P16",
    lost=(psycopg.OperationalError,),
    lasting="FATAL|certificate|password",
)


class Settings(ServerSettings):
    """The settings of CockroachDB."""

    port: int = Field(26257, gt=0, description="The server's port.")
    user: str = Field(validation_alias=USER, description="The user to log in as.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    database: str = Field("defaultdb", validation_alias=DATABASE, description="The database.")
    schema_name: SchemaName = "public"
    tls: str = Field("verify-full", validation_alias=TLS, description="As libpq's sslmode.")
    design: Designs


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return SqlDestination(
        Cockroach(settings), STATEMENTS, TRAITS, InTables(), Options.of(settings, settings.schema_name)
    )


@dataclass(frozen=True, slots=True)
class Cockroach:
    """A database of a cluster."""

    settings: Settings = field(repr=False)
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> DbapiSession:
        """A new session."""
        given = self.settings
        with RULES.translated(user=given.user, database=given.database):
            connection = psycopg.connect(
                host=given.host,
                port=given.port,
                user=given.user,
                password=given.password.get_secret_value(),
                dbname=given.database,
                sslmode=given.tls,
                sslrootcert=given.tls_ca,
                sslcert=given.tls_cert,
                sslkey=given.tls_key,
                connect_timeout=given.connect_timeout_s,
                autocommit=True,
                prepare_threshold=None,
            )
        known = {"user": given.user, "database": given.database}
        return DbapiSession(connection, RULES, InsertRows(STATEMENTS.insert_values), _execute, known)

    def exists(self) -> bool:
        """Whether there is a database: none is made by opening one."""
        return True

    def check(self) -> Sequence[str]:
        """Where the cluster is."""
        session = self.open()
        try:
            version = session.query("SELECT version()")[0][0]
        except DestinationError:
            session.close()
            raise
        session.close()
        return [f"{version}, the database {self.settings.database!r} at {self.settings.host}:{self.settings.port}."]


def _execute(cursor: psycopg.Cursor[tuple[object, ...]], sql: str, parameters: Sequence[object]) -> None:
    cursor.execute(percent(sql).encode() if parameters else sql.encode(), parameters or None)
