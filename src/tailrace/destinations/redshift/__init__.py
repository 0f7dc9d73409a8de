"""Amazon Redshift: rows wait in files on S3, and COPY brings them into the transaction that commits the checkpoint.

*Durable when* COMMIT returns.
*Visible when* COMMIT returns; until then other sessions see the checkpoint before.
*Load verb* COPY from a manifest of compressed CSV files on S3; without a bucket INSERT of many rows, which is slow.
*Source* https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html and
https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html

Keys are declared and not enforced by Redshift: matching rows are updated, and the others inserted. Names keep their
case, as `enable_case_sensitive_identifier` is on in our sessions.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
import redshift_connector
from msgspec import Struct, structs
from redshift_connector.core import Connection
from redshift_connector.cursor import Cursor

from tailrace.destination import Destination
from tailrace.destinations.redshift.catalog import CATALOG
from tailrace.destinations.redshift.errors import RULES
from tailrace.destinations.redshift.limits import LIMITS, refuse_long_lines
from tailrace.destinations.redshift.settings import Settings
from tailrace.destinations.redshift.statements import RedshiftStatements
from tailrace.errors import DestinationError
from tailrace.model import LINE, Kind, TableName, Traits
from tailrace.objects import Folder
from tailrace.objects.errors import translated_errors
from tailrace.schema.evolve import TableColumn
from tailrace.schema.texts import TEXTS
from tailrace.sql.dbapi import DbapiSession, Literals
from tailrace.sql.delimited import contents, delimited_lines
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.expressions import identifier, insert_into, table_of
from tailrace.sql.families import KINDS, TYPES
from tailrace.sql.files import InFiles
from tailrace.sql.fitting import refuse_null
from tailrace.sql.glot import exp
from tailrace.sql.keys import ByComment
from tailrace.sql.loaders import InsertRows
from tailrace.sql.placeholders import literal, with_literals, with_numbers
from tailrace.sql.session import Session
from tailrace.sql.settings import Options
from tailrace.sql.sqlstates import LOGIN
from tailrace.sql.staging import InTables
from tailrace.sql.tables import Tables
from tailrace.sql.unsupported_values import without_nul
from tailrace.sql.url import server_settings
from tailrace.tunnels import LOCAL, Tunnel

from_url = server_settings

TRAITS = Traits(
    name="Redshift",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=127,
    case_sensitive=True,
    reserved=frozenset({"tableoid", "ctid", "oid", "xmin", "xmax", "cmin", "cmax"}),
    own_schemas="pg_.*|information_schema|sys",
    rekey=ByComment("redshift", drops=True),
)

DIALECT = Dialect(
    sqlglot="redshift",
    text_cast="VARCHAR(MAX)",
    types={
        **TYPES,
        Kind.TEXT: "varchar(65535)",
        Kind.JSON: "super",
        Kind.BINARY: "varbyte(1024000)",
        Kind.UUID: "varchar(36)",
    },
    kinds={
        **KINDS,
        "VARCHAR": Kind.TEXT,
        "SUPER": Kind.JSON,
        **dict.fromkeys(("BINARY VARYING", "VARBYTE"), Kind.BINARY),
    },
    alterable=frozenset(),
    relaxes=False,
    merge=Merge.UPDATE,
    keeps_key_in_comment=False,
    catalog=CATALOG,
    limits=LIMITS,
    ddl=Ddl.APART,
    max_columns=1600,
    designs=frozenset({"dist_key", "sort_keys"}),
)

STATEMENTS = RedshiftStatements(DIALECT)

_SESSION = (
    "SET enable_case_sensitive_identifier TO true",
    "SET TimeZone TO 'UTC'",
    "SET DateStyle TO 'ISO'",
    "SET statement_timeout TO 0",
)
_LOGIN_RULES = structs.replace(RULES, remedies=LOGIN)
"""What to do about errors of a login."""

_KNOWN = {"user": "the user", "database": "the database"}
"""What errors call whom they are about: the driver doesn't say."""
_VALUES = {Kind.JSON: "JSON_PARSE", Kind.BINARY: "FROM_HEX"}
_MAX_ROW_BYTES = 4 * 2**20
_COPY_OPTIONS = "MANIFEST CSV ZSTD DATEFORMAT 'YYYY-MM-DD' TIMEFORMAT 'auto' COMPUPDATE OFF STATUPDATE OFF"


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    tunnel = Tunnel.of(settings.ssh, settings.host, settings.port, timeout_s=30)
    waits_in = InFiles(S3Files(settings)) if settings.bucket else InTables()
    return SqlDestination(
        RedshiftServer(settings, tunnel), STATEMENTS, TRAITS, waits_in, Options.of(settings, settings.schema_name)
    )


@dataclass(frozen=True, slots=True)
class RedshiftServer:
    """A database of a cluster or workgroup."""

    settings: Settings = field(repr=False)
    tunnel: Tunnel | None = None
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> DbapiSession:
        """A new session."""
        given = self.settings
        login: dict[str, Any] = {"user": given.user}
        if given.password is not None:
            login["password"] = given.password.get_secret_value()
        else:
            login = {
                "iam": True,
                "db_user": given.user,
                "cluster_identifier": given.cluster_identifier,
                "is_serverless": given.workgroup is not None,
                "serverless_work_group": given.workgroup,
                "region": given.region,
                **given.credentials(),
            }
        tls = (
            {"ssl": False}
            if given.tls == "disable"
            else {"ssl": True, "sslmode": given.tls.replace("require", "verify-ca")}
        )
        host, port = (LOCAL, self.tunnel.port()) if self.tunnel else (given.host, given.port)
        login |= {"host": host, "port": port, "database": given.database, "application_name": "tailrace"}
        try:
            with translated_errors(), _LOGIN_RULES.translated(**_KNOWN), _closed_when_refused():
                connection = redshift_connector.connect(**login, **tls, max_prepared_statements=0)
        except DestinationError as error:
            words = str(error).removeprefix("Redshift: ")
            raise DestinationError(f"{self._name} can't be reached: {words}") from error.__cause__
        connection.autocommit = True
        session = DbapiSession(connection, RULES, _Inserts(strips_nul=given.nul == "strip"), _execute, _KNOWN)
        try:
            for sql in _SESSION:
                session.execute(sql)
        except BaseException:
            with suppress(DestinationError):  # what was wrong before is told
                session.close()
            raise
        return session

    def exists(self) -> bool:
        """Whether there is a database: none is made by opening one."""
        return True

    def check(self) -> Sequence[str]:
        """Where the database and the bucket are, and what may be done there."""
        session, schema = self.open(), self.settings.schema_name
        try:
            asked = "SELECT has_schema_privilege(nspname, 'CREATE') FROM pg_catalog.pg_namespace WHERE nspname = %s"
            found = session.query(asked, (schema,))
        finally:
            session.close()
        if found and not found[0][0]:
            raise DestinationError(f"{self._name}: no tables may be created in {schema!r}; grant CREATE on the schema")
        there = "tables may be created in it" if found else "isn't there yet and will be made"
        if bucket := self.settings.bucket:
            S3Files(self.settings).remove("check")
        waits = f"rows wait in the bucket {bucket!r}" if bucket else "rows are sent by INSERT; set `bucket` for COPY"
        return [f"Redshift, {self._name}; {waits}.", f"The schema {schema!r}: {there}."]

    @property
    def _name(self) -> str:
        given = self.settings
        return f"the database {given.database!r} at {given.host or given.workgroup or given.cluster_identifier}"


def _execute(cursor: Cursor, sql: str, parameters: Sequence[object]) -> None:
    """Run a statement; whole numbers, which lines are, stand in its text, since subqueries take no parameters."""
    if isinstance(parameters, Literals):
        sql, parameters = with_literals(sql, parameters), ()
    elif parameters:
        sql, parameters = with_numbers(sql, parameters)
    cursor.paramstyle = "format"
    cursor.execute(sql, tuple(parameters) or None)


class _Inserts(Struct, frozen=True):
    """The bulk verb where there is no bucket: INSERT of many rows."""

    strips_nul: bool

    def load(self, session: DbapiSession, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows, many at once; of those that can't be found before it isn't said which is refused."""
        there = Tables(STATEMENTS, TRAITS, None).found(session, table)
        found = {column.name: column for column in there.columns} if there else {}
        rows = _sendable(rows, {name: found[name] for name in columns}, strips_nul=self.strips_nul)

        def insert(into: TableName, names: Sequence[str], count: int) -> str:
            return _insert_values(into, [found[name] for name in names], count)

        InsertRows(insert, _values, max_bytes=_MAX_ROW_BYTES).load(session, table, columns, rows)


class S3Files:
    """Files in a folder of the bucket, for one schema of one database."""

    def __init__(self, settings: Settings) -> None:
        where = (settings.host, settings.port, settings.cluster_identifier, settings.workgroup, settings.database)
        place = "|".join(map(str, (*where, settings.schema_name)))
        folders = [*settings.prefix.split("/"), hashlib.blake2b(place.encode(), digest_size=8).hexdigest()]
        path = "/".join(folder for folder in folders if folder)
        self._folder = Folder(settings, f"s3://{settings.bucket}/{path}")
        self._settings = settings
        self._null = f"null-{secrets.token_hex(8)}"  # no text that a tap sends

    def put(self, name: str, rows: pa.Table, columns: Mapping[str, TableColumn]) -> None:
        """Write the rows as compressed CSV; see Files."""
        rows = _sendable(rows, columns, strips_nul=self._settings.nul == "strip")
        lines = delimited_lines([rows[column] for column in columns], self._null)
        refuse_long_lines(lines, rows[LINE], _MAX_ROW_BYTES)
        self._folder.put(name, pa.compress(b"".join(contents(lines)), "zstd", asbytes=True))

    def copy(self, session: Session, table: TableName, columns: Sequence[str], names: Sequence[str]) -> None:
        """COPY from a manifest of the files; see Files."""
        given, url = self._settings, self._folder.url
        entries = [{"url": f"{url}/{name}", "mandatory": True} for name in names]
        manifest = f"{names[0].rpartition('/')[0]}/manifest-{secrets.token_hex(8)}"
        self._folder.put(manifest, json.dumps({"entries": entries}).encode())
        into = STATEMENTS.written(exp.Schema(this=table_of(table), expressions=[*map(identifier, columns)]))
        sql = f"COPY {into} FROM {literal(f'{url}/{manifest}')} NULL AS {literal(self._null)}"
        sql += f" REGION AS {literal(given.region)} {_COPY_OPTIONS}" if given.region else f" {_COPY_OPTIONS}"
        if given.iam_role:
            role = "default" if given.iam_role == "default" else literal(given.iam_role)
            session.execute(f"{sql} IAM_ROLE {role}")
        else:
            keys = given.credentials()
            session.execute(" ".join([sql, *(f"{name.upper()} %s" for name in keys)]), Literals(keys.values()))

    def remove(self, folder: str) -> None:
        """Remove all files of the folder; see Files."""
        self._folder.clear(folder)

    def close(self) -> None:
        """Nothing: each call has a connection of its own; see Files."""


@contextmanager
def _closed_when_refused() -> Iterator[None]:
    """Close what the driver has opened when it raises an error: its connection is known to nobody else."""
    try:
        yield
    except BaseException as error:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            connection = frame.f_locals.get("self")
            if isinstance(connection, Connection):
                for opened in ("_sock", "_usock"):
                    with suppress(AttributeError, OSError):
                        getattr(connection, opened).close()
        raise


def _sendable(rows: pa.Table, columns: Mapping[str, TableColumn], *, strips_nul: bool) -> pa.Table:
    """The rows as Redshift takes them; RowsRefusedError for those that it doesn't."""
    json = [name for name, column in columns.items() if column.kind is Kind.JSON]
    rows = without_nul(rows, TRAITS.name, lambda: json, strips=strips_nul)
    refuse_null(rows, columns)
    return rows


def _insert_values(table: TableName, columns: Sequence[TableColumn], count: int) -> str:
    """INSERT of so many rows, each with a parameter for each column; JSON and bytes come as text."""
    value = exp.Placeholder()
    calls = [column.kind and _VALUES.get(column.kind) for column in columns]
    row = exp.Tuple(expressions=[exp.func(call, value.copy()) if call else value.copy() for call in calls])
    rows = exp.Values(expressions=[row.copy() for _ in range(count)])
    return STATEMENTS.written(insert_into(table, [column.name for column in columns], rows))


def _values(values: pa.ChunkedArray) -> list[object]:
    """A column's values as the driver takes them: bytes as hexadecimal digits, decimals as text."""
    if pa.types.is_binary(values.type):
        return [None if value is None else value.hex() for value in values.to_pylist()]
    return list((TEXTS[Kind.DECIMAL](values) if pa.types.is_decimal(values.type) else values).to_pylist())
