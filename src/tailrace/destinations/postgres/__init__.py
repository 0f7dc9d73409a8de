"""PostgreSQL: rows are copied over several connections, and become visible in one transaction with the checkpoint.

*Durable when* COMMIT returns: the write-ahead log is synced, also where the server's `synchronous_commit` is off.
*Visible when* COMMIT returns; until then other sessions see the checkpoint before.
*Load verb* COPY ... FROM STDIN as CSV, which keeps every value, whatever the column's type.
*Source* https://www.postgresql.org/docs/current/sql-copy.html and https://www.postgresql.org/docs/current/mvcc.html

Keyed rows wait in unlogged staging tables. Append-only rows go into their table within the commit's own transaction,
unless `append_through: staging` lets them wait too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import psycopg
import pyarrow as pa
from pyarrow import csv
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from tailrace.destination import Destination
from tailrace.destinations.postgres.copying import copy_statement, refused_row, written
from tailrace.destinations.postgres.variables import VARIABLES
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName, Traits
from tailrace.schema.kinds import WIDENINGS
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.keys import ByConstraint
from tailrace.sql.placeholders import percent
from tailrace.sql.relations import POSTGRES_COLUMNS, POSTGRES_DEPENDENTS, POSTGRES_OTHERS, POSTGRES_PINS
from tailrace.sql.remedies import POSTGRES, POSTGRES_LOGIN, advised, quoted
from tailrace.sql.server import ServerDestination, Serving
from tailrace.sql.unsupported_values import typed, without_nul
from tailrace.sql.url import server_settings

from_url = server_settings

TRAITS = Traits(
    name="PostgreSQL",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=63,
    case_sensitive=True,
    reserved=frozenset({"tableoid", "ctid", "xmin", "xmax", "cmin", "cmax"}),
    own_schemas="pg_.*|information_schema",
    rekey=ByConstraint("postgres"),
)

DIALECT = Dialect(
    sqlglot="postgres",
    types={
        Kind.BOOL: "boolean",
        Kind.INT: "bigint",
        Kind.FLOAT: "double precision",
        Kind.DECIMAL: "numeric({precision},{scale})",
        Kind.TEXT: "text",
        Kind.JSON: "jsonb",
        Kind.BINARY: "bytea",
        Kind.DATE: "date",
        Kind.TIME: "time without time zone",
        Kind.TIMESTAMP: "timestamp without time zone",
        Kind.TIMESTAMPTZ: "timestamp with time zone",
        Kind.UUID: "uuid",
    },
    kinds={
        "BOOLEAN": Kind.BOOL,
        **dict.fromkeys(("SMALLINT", "INTEGER", "BIGINT"), Kind.INT),
        **dict.fromkeys(("REAL", "DOUBLE PRECISION"), Kind.FLOAT),
        "NUMERIC": Kind.DECIMAL,
        **dict.fromkeys(("TEXT", "CHARACTER VARYING", "CHARACTER"), Kind.TEXT),
        **dict.fromkeys(("JSON", "JSONB"), Kind.JSON),
        "BYTEA": Kind.BINARY,
        "DATE": Kind.DATE,
        "TIME WITHOUT TIME ZONE": Kind.TIME,
        "TIMESTAMP WITHOUT TIME ZONE": Kind.TIMESTAMP,
        "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
        "UUID": Kind.UUID,
    },
    # ALTER TYPE to jsonb takes an expression of its own for each type, and reads the whole table anew; PostgreSQL's own
    # text of a float isn't ours (`1e-05`).
    alterable=frozenset(
        (have, want)
        for have, wants in WIDENINGS.items()
        for want in wants
        if want is not Kind.JSON and have is not Kind.FLOAT
    ),
    relaxes=True,
    merge=Merge.CONFLICT,
    keeps_key_in_comment=False,
    columns=POSTGRES_COLUMNS,
    tables="""
        SELECT n.nspname, c.relname FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND starts_with(c.relname, ?)
    """,
    schemas="SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?",
    pins=POSTGRES_PINS,
    others=POSTGRES_OTHERS,
    dependents=POSTGRES_DEPENDENTS,
    max_columns=1600,
    digits="SELECT 1000, 1000",
)

_ROWS_AT_ONCE = 10_000
_ROWS_AFTER_ERROR = 16
"""So that a batch of which every row is refused isn't sent again and again."""
_HEADER = b"\n"
"""An empty first line, from which PostgreSQL learns what ends a line; until then it miscounts lines within quotes."""
_CSV = csv.WriteOptions(include_header=False)
_PASSING = ("08", "40", "53", "57P", "55P03", "55006", "25006", "25P03", "25P04", "42P06", "42P07", "42701", "42710")
"""What SQLSTATEs begin with that may pass: connections, serialization and deadlocks, resources, shutdown, locks,
servers that only read while another takes over, and what two sessions make at once."""
_ABOUT_TABLES = frozenset({"22023", "42601", "42704", "42P16", "54011"})
"""What SQLSTATEs say of types that there aren't, and of tables and keys that can't be made so."""
_STARTING = re.compile("starting up|shutting down|recovery mode|too many|remaining connection slots")
_LASTING = re.compile(
    r"FATAL|certificate|private key|SSL (is|was)|support SSL|Name or service not known|nodename nor|invalid"
)
"""What connections fail by for good: who logs in, keys and certificates, names that nobody has."""
_AT = re.compile(r"^connection failed: |connection to server .*? failed: (FATAL: *)?")


class Settings(BaseModel):
    """The settings of PostgreSQL."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    host: str = Field("localhost", description="The server's name or address, or the folder of its socket.")
    port: int = Field(5432, gt=0, description="The server's port.")
    user: str = Field(validation_alias=AliasChoices("user", "username"), description="The role to log in as.")
    password: SecretStr | None = Field(None, description="Its password; without it libpq looks where it always does.")
    database: str = Field(validation_alias=AliasChoices("database", "dbname"), description="The database.")
    schema_name: str = Field(
        "public",
        validation_alias=AliasChoices("schema", "schema_name", "default_target_schema"),
        serialization_alias="schema",
        description="The schema that tables and checkpoints stand in by default, made when it isn't there.",
    )
    tls: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer",
        validation_alias=AliasChoices("tls", "sslmode", "ssl_mode"),
        description="Whether the connection is encrypted and the server's certificate checked, as libpq's sslmode.",
    )
    tls_ca: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_ca", "sslrootcert", "ssl_certificate_authority"),
        description="File of the certificates that are trusted.",
    )
    tls_cert: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_cert", "sslcert", "ssl_client_certificate"),
        description="File of the certificate that we show.",
    )
    tls_key: str | None = Field(
        None,
        validation_alias=AliasChoices("tls_key", "sslkey", "ssl_client_private_key"),
        description="File of its private key.",
    )
    connect_timeout_s: int = Field(30, gt=0, description="Seconds to wait for a connection.")
    lock_timeout_s: int = Field(
        60, ge=0, description="Seconds to wait for another session's lock before it is tried again; 0 waits for ever."
    )
    append_through: Literal["transaction", "staging"] = Field(
        "transaction",
        description="transaction: append-only rows go straight into their table, invisible until the commit; a lost "
        "connection ends the run. staging: they wait in a staging table, which takes longer and outlives connections.",
    )
    nul: Literal["refuse", "strip"] = Field(
        "refuse",
        description="NUL in text and JSON, which PostgreSQL can't store: the row is refused, or NUL left out.",
    )


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    serving = Serving(appends_directly=settings.append_through == "transaction", unlogged=True)
    return ServerDestination(PostgresServer(settings), DIALECT, TRAITS, serving, settings.schema_name)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database of a server."""

    settings: Settings = field(repr=False)

    def open(self) -> _PostgresSession:
        """A new session."""
        given = self.settings
        try:
            connection = psycopg.connect(
                host=given.host,
                port=given.port,
                user=given.user,
                password=given.password.get_secret_value() if given.password else None,
                dbname=given.database,
                sslmode=given.tls,
                sslrootcert=given.tls_ca,
                sslcert=given.tls_cert,
                sslkey=given.tls_key,
                connect_timeout=given.connect_timeout_s,
                application_name="tailrace",
                client_encoding="utf8",
                autocommit=True,
                # Tables change while we hold a session, and poolers know nothing of prepared statements.
                prepare_threshold=None,
            )
        except psycopg.Error as error:
            told = advised(_reason(error), error.sqlstate, POSTGRES_LOGIN, user=given.user)
            raise DestinationError(f"{self._name} can't be reached: {told}") from error
        session = _PostgresSession(connection, strips_nul=given.nul == "strip")
        for sql in (*VARIABLES, f"SET lock_timeout = {given.lock_timeout_s * 1000:d}"):
            session.execute(sql)
        return session

    def exists(self) -> bool:
        """Whether there is a database: PostgreSQL makes none by itself."""
        return True

    def check(self) -> Sequence[str]:
        """Where the server is and what may be done there."""
        session = self.open()
        schema = self.settings.schema_name
        try:
            version = session.query("SELECT current_setting('server_version')")[0][0]
            encrypted = session.query("SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()")
            rights = session.query(
                "SELECT has_schema_privilege(nspname, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = ?",
                (schema,),
            )
            makes, has_temporary = (
                session.query("SELECT has_database_privilege(current_database(), ?)", (right,))[0][0]
                for right in ("CREATE", "TEMPORARY")
            )
        finally:
            session.close()
        name, user, database = map(quoted, (schema, self.settings.user, self.settings.database))
        missing = None
        if rights and not rights[0][0]:
            missing = f"create tables in the schema {schema!r}; run `GRANT USAGE, CREATE ON SCHEMA {name} TO {user}`"
        elif not rights and not makes:
            missing = f"make the schema {schema!r}; make it, or run `GRANT CREATE ON DATABASE {database} TO {user}`"
        elif not has_temporary:
            missing = f"make temporary tables; run `GRANT TEMPORARY ON DATABASE {database} TO {user}`"
        if missing:
            raise DestinationError(f"{self._name}: {self.settings.user!r} may not {missing}")
        tls = "encrypted" if encrypted and encrypted[0][0] else "not encrypted"
        there = "tables may be created in it" if rights else "isn't there yet and will be made"
        return [f"PostgreSQL {version}, {self._name}; the connection is {tls}.", f"The schema {schema!r}: {there}."]

    def is_about_rows(self, error: BaseException) -> bool:
        """Whether values are to blame: data exceptions, constraints, and what is too big."""
        return _is_about_rows(error)

    def is_about_tables(self, error: BaseException) -> bool:
        """Whether a type, the number of columns or the key is to blame."""
        return isinstance(error, psycopg.Error) and error.sqlstate in _ABOUT_TABLES

    def is_transient(self, error: BaseException) -> bool:
        """Whether the connection, a lock or the server's state was to blame."""
        if not isinstance(error, psycopg.Error):
            return False
        if error.sqlstate is None:
            text = str(error)
            if _STARTING.search(text):
                return True
            return isinstance(error, psycopg.OperationalError) and not _LASTING.search(text)
        if error.sqlstate == "23505":  # two sessions have made one of our tables, or one row of it, at once
            return (error.diag.table_name or "").startswith(("pg_", "_tailrace_"))
        return error.sqlstate.startswith(_PASSING)

    @property
    def _name(self) -> str:
        return f"the database {self.settings.database!r} at {self.settings.host}:{self.settings.port}"


class _PostgresSession:
    """A connection to the server."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], *, strips_nul: bool) -> None:
        self._connection = connection
        self._strips_nul = strips_nul
        # A broken connection can't be asked.
        self._names = {"user": connection.info.user, "database": connection.info.dbname}

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        with self._translated_errors():
            return max(self._connection.execute(percent(sql).encode(), parameters).rowcount, 0)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._translated_errors():
            return self._connection.execute(percent(sql).encode(), parameters).fetchall()

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Copy the rows; where PostgreSQL refuses one, all are tried in parts to name what it refuses, and undone."""
        rows = without_nul(rows, TRAITS.name, typed(self, DIALECT, table, "jsonb"), strips=self._strips_nul)
        texts = pa.table([written(rows[name]) for name in columns], names=list(columns))
        copy = copy_statement(table, columns)
        self.execute("SAVEPOINT tailrace_load")
        if error := self._tried(copy, texts):
            reasons = self._reasons(copy, texts, rows[LINE])
            self.execute("ROLLBACK TO SAVEPOINT tailrace_load")
            raise RowsRefusedError(f"the table {table} refuses rows: {error}", reasons) from error.__cause__
        self.execute("RELEASE SAVEPOINT tailrace_load")

    def release_memory(self) -> None:
        """Nothing: a session keeps no more than its catalogs."""

    def close(self) -> None:
        with self._translated_errors():
            self._connection.close()

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        """Raise PostgreSQL's errors as ours."""
        try:
            yield
        except psycopg.Error as error:
            words = advised(_reason(error), error.sqlstate, POSTGRES, **self._names)
            raise DestinationError(f"PostgreSQL: {words}") from error

    def _copy(self, copy: bytes, rows: pa.Table) -> None:
        with self._connection.cursor() as cursor, cursor.copy(copy) as stream:
            stream.write(_HEADER)
            for part in rows.to_batches(_ROWS_AT_ONCE):
                text = pa.BufferOutputStream()
                csv.write_csv(part, text, _CSV)
                stream.write(text.getvalue().to_pybytes())

    def _tried(self, copy: bytes, rows: pa.Table) -> DestinationError | None:
        """Copy the rows; the error when their values are to blame, and then it is as if nothing had been copied."""
        try:
            with self._translated_errors():
                self._copy(copy, rows)
        except DestinationError as error:
            if not _is_about_rows(error.__cause__):
                raise
            self.execute("ROLLBACK TO SAVEPOINT tailrace_load")
            return error
        return None

    def _reasons(self, copy: bytes, rows: pa.Table, lines: pa.ChunkedArray) -> dict[int, str]:
        """Why rows are refused, by line; none when PostgreSQL doesn't say which they are."""
        reasons: dict[int, str] = {}
        start, size = 0, rows.num_rows
        while start < rows.num_rows:
            part = rows.slice(start, size)
            error = self._tried(copy, part)
            if error is None:
                start, size = start + size, min(size * 2, _ROWS_AT_ONCE)
                continue
            row = refused_row(error.__cause__, part)
            if row is None:
                return {}
            reasons[lines[start + row].as_py()] = str(error).removeprefix("PostgreSQL: ")
            start, size = start + row + 1, _ROWS_AFTER_ERROR
        return reasons


def _reason(error: psycopg.Error) -> str:
    """What the server says; what the driver says where it isn't the server's."""
    said = error.diag.message_primary or _AT.sub("", str(error).strip().partition("\n")[0])
    # What depends on a table is named in the detail, which may hold values in other errors.
    return f"{said} ({error.diag.message_detail})" if error.sqlstate == "2BP01" else said


def _is_about_rows(error: BaseException | None) -> bool:
    """Whether values are to blame: data exceptions, constraints, and what is too big."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "").startswith(("22", "23", "54"))
