"""PostgreSQL: rows are copied over several connections, and become visible in one transaction with the checkpoint.

*Durable when* COMMIT returns: the write-ahead log is synced, also where the server's `synchronous_commit` is off.
*Visible when* COMMIT returns; until then other sessions see the checkpoint before.
*Load verb* COPY ... FROM STDIN: in binary where each value is surely read alike, else as CSV, which keeps every value.
*Source* https://www.postgresql.org/docs/current/sql-copy.html and https://www.postgresql.org/docs/current/mvcc.html

Keyed rows wait in unlogged staging tables. Append-only rows go into their table within the commit's own transaction,
unless `append_through: staging` lets them wait too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import psycopg
import pyarrow as pa
from msgspec import Struct, structs
from pydantic import Field, SecretStr

from tailrace.destination import Destination
from tailrace.destinations.postgres.arrays import with_arrays
from tailrace.destinations.postgres.binary import DoubtError, copy_binary, takes, types_of
from tailrace.destinations.postgres.catalog import CATALOG
from tailrace.destinations.postgres.copying import ROWS_AT_ONCE, copy_rows, copy_statement, refused_row, written
from tailrace.destinations.postgres.statements import PostgresStatements
from tailrace.destinations.postgres.variables import VARIABLES
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName, Traits
from tailrace.schema.kinds import WIDENINGS
from tailrace.sql.catalogs import query_of
from tailrace.sql.dbapi import DbapiSession
from tailrace.sql.design import Designs
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.families import KINDS, TYPES
from tailrace.sql.keys import ByConstraint
from tailrace.sql.limits import Limit, all_of, cut, padded, rounded, too_many_characters
from tailrace.sql.placeholders import percent
from tailrace.sql.remedies import advised, quoted
from tailrace.sql.settings import DATABASE, TLS, USER, Options, PassedOn, SchemaName, ServerSettings
from tailrace.sql.sqlstates import LOGIN, OBJECTS
from tailrace.sql.staging import InTables
from tailrace.sql.unsupported_values import typed, without_nul
from tailrace.sql.url import server_settings
from tailrace.tunnels import LOCAL, Tunnel

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
    types=TYPES,
    kinds={
        **KINDS,
        **dict.fromkeys(("JSON", "JSONB"), Kind.JSON),
        "BYTEA": Kind.BINARY,
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
    catalog=CATALOG,
    limits=(
        Limit("real", rounded),
        Limit(r"(time|timestamp)\((?P<digits>\d)\).*", cut),
        Limit(r"character( varying)?\((?P<length>\d+)\)", too_many_characters),
        Limit(r"character\(\d+\)", padded),
        Limit(r'money|name|"char"|numeric\(\d+,-\d+\)', all_of),
    ),
    ddl=Ddl.APART,
    max_columns=1600,
    designs=frozenset({"indexes", "options"}),
)


STATEMENTS = PostgresStatements(DIALECT)

_ROWS_AFTER_ERROR = 16
"""So that a batch of which every row is refused isn't sent again and again."""
_AT = re.compile(r"^connection failed: |connection to server .*? failed: (FATAL: *)?")


def _state_of(error: BaseException) -> str:
    """The SQLSTATE; what two sessions make at once, one of our tables or one row of it, is told apart."""
    state = error.sqlstate or "" if isinstance(error, psycopg.Error) else ""
    is_ours = state == "23505" and (error.diag.table_name or "").startswith(("pg_", "_tailrace_"))  # type: ignore[attr-defined]
    return f"{state} of ours" if is_ours else state


def _words_of(error: BaseException) -> str:
    """What the server says; what the driver says where it isn't the server's."""
    if not isinstance(error, psycopg.Error):
        return str(error)
    said = error.diag.message_primary or _AT.sub("", str(error).strip().partition("\n")[0])
    # What depends on a table is named in the detail, which may hold values in other errors.
    return f"{said} ({error.diag.message_detail})" if error.sqlstate == "2BP01" else said


RULES = ErrorRules(
    name="PostgreSQL",
    raised=(psycopg.Error,),
    state_of=_state_of,
    words_of=_words_of,
    remedies=OBJECTS,
    # Connections, serialization and deadlocks, resources, shutdown, locks, servers that only read while another takes
    # over, and what two sessions make at once.
    transient=r"08|40|53|57P|55P03|55006|25006|25P03|25P04|42P06|42P07|42701|42710|23505 of ours"
    r"| .*(starting up|shutting down|recovery mode|too many|remaining connection slots)",
    # Data exceptions, constraints, and what is too big.
    about_rows="22|23|54",
    # Types that there aren't, and tables and keys that can't be made so.
    about_tables="22023|42601|42704|42P16|54011",
    lost=(psycopg.OperationalError,),
    # Who logs in, keys and certificates, names that nobody has.
    lasting=r"FATAL|certificate|private key|SSL (is|was)|support SSL|Name or service not known|nodename nor|invalid",
)
_IN_BINARY = structs.replace(RULES, about_rows=f"{RULES.about_rows}|08P01")
"""A value that hasn't the length of its type's is told as if the client had broken the protocol."""


_PASSED_ON = (
    "channel_binding gssencmode hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname "
    "load_balance_hosts passfile require_auth ssl_max_protocol_version ssl_min_protocol_version sslcrl sslcrldir "
    "sslsni target_session_attrs tcp_user_timeout"
)


class Settings(ServerSettings):
    """The settings of PostgreSQL."""

    host: str = Field("localhost", description="The server's name or address, or the folder of its socket.")
    port: int = Field(5432, gt=0, description="The server's port.")
    user: str = Field(validation_alias=USER, description="The role to log in as.")
    password: SecretStr | None = Field(None, description="Its password; without it libpq looks where it always does.")
    database: str = Field(validation_alias=DATABASE, description="The database.")
    schema_name: SchemaName = "public"
    tls: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = Field(
        "prefer",
        validation_alias=TLS,
        description="Whether the connection is encrypted and the server's certificate checked, as libpq's sslmode.",
    )
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
    driver_options: Annotated[dict[str, Any], PassedOn(_PASSED_ON)] = Field(
        default_factory=dict, description=f"Parameters of libpq's that are passed on to it: {_PASSED_ON}."
    )
    design: Designs


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    tunnel = Tunnel.of(settings.ssh, settings.host, settings.port, settings.connect_timeout_s)
    waits_in = InTables(unlogged=True, appends_directly=settings.append_through == "transaction")
    return SqlDestination(
        PostgresServer(settings, tunnel), STATEMENTS, TRAITS, waits_in, Options.of(settings, settings.schema_name)
    )


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A database of a server."""

    settings: Settings = field(repr=False)
    tunnel: Tunnel | None = None
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> DbapiSession:
        """A new session."""
        given = self.settings
        # The name stays that of the server, for its certificate and for passwords in files.
        through = {"hostaddr": LOCAL, "port": self.tunnel.port()} if self.tunnel else {}
        try:
            connection = psycopg.connect(
                host=given.host,
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
                **{"port": given.port, **given.driver_options, **through},
            )
        except psycopg.Error as error:
            told = advised(_words_of(error), error.sqlstate, LOGIN, user=given.user)
            raise DestinationError(f"{self._name} can't be reached: {told}") from error
        known = {"user": connection.info.user, "database": connection.info.dbname}  # a broken one can't be asked
        session = DbapiSession(connection, RULES, _Copy(strips_nul=given.nul == "strip"), _execute, known)
        session.execute(";".join((*VARIABLES, f"SET lock_timeout = {given.lock_timeout_s * 1000:d}")))  # one round trip
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

    @property
    def _name(self) -> str:
        return f"the database {self.settings.database!r} at {self.settings.host}:{self.settings.port}"


def _execute(cursor: psycopg.Cursor[tuple[object, ...]], sql: str, parameters: Sequence[object]) -> None:
    """Run a statement, as the driver wants it."""
    if parameters:
        cursor.execute(percent(sql).encode(), parameters)
    else:
        cursor.execute(sql.encode())


class _Copy(Struct, frozen=True):
    """The bulk verb: COPY, by which all rows come or none."""

    strips_nul: bool

    def load(self, session: DbapiSession, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Copy the rows; where PostgreSQL refuses one, all are tried in parts to name what it refuses, and undone."""
        session.execute("SAVEPOINT tailrace_load")
        try:
            if not _copied_binary(session, table, rows.select(list(columns))):
                self._copy_text(session, table, columns, rows)
        except RowsRefusedError:
            session.execute("ROLLBACK TO SAVEPOINT tailrace_load")
            raise
        session.execute("RELEASE SAVEPOINT tailrace_load")

    def _copy_text(self, session: DbapiSession, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Copy the rows as text, which says what the server has against one."""
        rows = with_arrays(rows, partial(_spelled_types, session, table))
        rows = without_nul(rows, TRAITS.name, typed(session, CATALOG, table, "jsonb"), strips=self.strips_nul)
        texts = pa.table([written(rows[name]) for name in columns], names=list(columns))
        copy = partial(copy_rows, session.connection, copy_statement(table, columns))
        if error := _tried(session, partial(copy, texts)):
            reasons = _reasons(session, copy, texts, rows[LINE])
            raise RowsRefusedError(f"the table {table} refuses rows: {error}", reasons) from error.__cause__


def _spelled_types(session: DbapiSession, table: TableName) -> dict[str, str]:
    """The types of the table's columns, as PostgreSQL spells them."""
    return {str(name): str(spelled) for name, spelled, *_ in query_of(session, CATALOG.columns, table)}


def _copied_binary(session: DbapiSession, table: TableName, rows: pa.Table) -> bool:
    """Copy the rows in binary; false, and then it is as if nothing had been copied, where they are to come as text.

    The server takes the bytes of a value for one of the column's type, whatever that is. So the types are looked at
    again behind the rows, when the transaction keeps others from altering the table.
    """
    types = types_of(session, table, rows.column_names)
    if not takes(rows.schema, types):
        return False
    copy = copy_statement(table, rows.column_names, is_binary=True)
    try:
        error = _tried(session, partial(copy_binary, session.connection, copy, rows, types), _IN_BINARY)
    except DoubtError:
        session.execute("ROLLBACK TO SAVEPOINT tailrace_load")
        return False
    if error is None and types_of(session, table, rows.column_names) != types:
        session.execute("ROLLBACK TO SAVEPOINT tailrace_load")
        return False
    return error is None


def _tried(session: DbapiSession, copy: Callable[[], None], rules: ErrorRules = RULES) -> DestinationError | None:
    """Copy rows; the error when their values are to blame, and then it is as if nothing had been copied."""
    try:
        with RULES.translated(**session.known):
            copy()
    except DestinationError as error:
        if not rules.is_about_rows(error.__cause__):
            raise
        session.execute("ROLLBACK TO SAVEPOINT tailrace_load")
        return error
    return None


def _reasons(
    session: DbapiSession, copy: Callable[[pa.Table], None], rows: pa.Table, lines: pa.ChunkedArray
) -> dict[int, str]:
    """Why rows are refused, by line; none when PostgreSQL doesn't say which they are."""
    reasons: dict[int, str] = {}
    start, size = 0, rows.num_rows
    while start < rows.num_rows:
        part = rows.slice(start, size)
        error = _tried(session, partial(copy, part))
        if error is None:
            start, size = start + size, min(size * 2, ROWS_AT_ONCE)
            continue
        row = refused_row(error.__cause__, part)
        if row is None:
            return {}
        reasons[lines[start + row].as_py()] = str(error).removeprefix("PostgreSQL: ")
        start, size = start + row + 1, _ROWS_AFTER_ERROR
    return reasons
