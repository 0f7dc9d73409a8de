"""MySQL and MariaDB: rows are loaded over several connections, and visible by one transaction with the checkpoint.

*Durable when* COMMIT returns: InnoDB's log is synced (unless `innodb_flush_log_at_trx_commit` says otherwise).
*Visible when* COMMIT returns; a replaced table a moment later, by one RENAME TABLE that recovery repeats after a crash.
*Load verb* LOAD DATA LOCAL INFILE from memory; INSERT of many rows where the server doesn't allow that.
*Source* https://dev.mysql.com/doc/refman/8.4/en/load-data.html and https://mariadb.com/kb/en/load-data-infile/

All rows wait in staging tables, since DDL ends a transaction. Times in UTC are DATETIME(6) with
a comment that says so; text is compared byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mysql.connector
from mysql.connector.constants import ClientFlag
from sqlglot import exp

from tailrace.destination import Destination
from tailrace.destinations.mysql.connection import Connection, words_of
from tailrace.destinations.mysql.session import MySQLSession, is_about_rows
from tailrace.destinations.mysql.settings import Settings
from tailrace.destinations.mysql.table_checks import TABLE_CHECKS
from tailrace.destinations.mysql.variables import prepare
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import Kind, Traits
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.keys import ByPrimaryKey
from tailrace.sql.relations import MYSQL_DEPENDENTS, MYSQL_OTHERS, MYSQL_PINS
from tailrace.sql.remedies import MYSQL as MYSQL_REMEDIES
from tailrace.sql.remedies import advised
from tailrace.sql.server import ServerDestination, Serving
from tailrace.sql.url import server_settings

from_url = server_settings

_EXACT = "CHARACTER SET utf8mb4 COLLATE /*M!100100 utf8mb4_nopad_bin */ /*!80000 utf8mb4_0900_bin */"
"""Text that differs by a byte differs, a space at its end too: MariaDB reads the one collation, MySQL the other."""

_KEY_BYTES = 2800
"""An index of InnoDB takes 3072 bytes, and a character of utf8mb4 is up to four; the rest is for other columns."""


def _key_text(columns: int) -> str:
    return f"varchar({_KEY_BYTES // 4 // columns}) {_EXACT}"


def _key_bytes(columns: int) -> str:
    return f"varbinary({_KEY_BYTES // columns})"


DIALECT = Dialect(
    sqlglot="mysql",
    types={
        Kind.BOOL: "boolean",
        Kind.INT: "bigint",
        Kind.FLOAT: "double",
        Kind.DECIMAL: "decimal({precision},{scale})",
        Kind.TEXT: f"longtext {_EXACT}",
        Kind.JSON: "json",
        Kind.BINARY: "longblob",
        Kind.DATE: "date",
        Kind.TIME: "time(6)",
        Kind.TIMESTAMP: "datetime(6)",
        Kind.TIMESTAMPTZ: "datetime(6) COMMENT 'in UTC'",
        Kind.UUID: "char(36) CHARACTER SET ascii COLLATE ascii_bin",
    },
    kinds={
        "BOOLEAN": Kind.BOOL,
        **dict.fromkeys(("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT"), Kind.INT),
        **{f"{size}INT UNSIGNED": Kind.INT for size in ("TINY", "SMALL", "MEDIUM", "", "BIG")},
        **dict.fromkeys(("FLOAT", "DOUBLE"), Kind.FLOAT),
        "DECIMAL": Kind.DECIMAL,
        **dict.fromkeys(("CHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"), Kind.TEXT),
        "JSON": Kind.JSON,
        **dict.fromkeys(("BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"), Kind.BINARY),
        "DATE": Kind.DATE,
        "TIME": Kind.TIME,
        **dict.fromkeys(("DATETIME", "TIMESTAMP"), Kind.TIMESTAMP),
        "DATETIME COMMENT 'IN UTC'": Kind.TIMESTAMPTZ,
        "UUID": Kind.UUID,
    },
    # What MySQL's own text of other types looks like isn't ours.
    alterable=frozenset(
        {
            (Kind.INT, Kind.DECIMAL),
            (Kind.INT, Kind.TEXT),
            (Kind.DECIMAL, Kind.DECIMAL),
            (Kind.DECIMAL, Kind.TEXT),
            (Kind.DATE, Kind.TIMESTAMP),
            (Kind.DATE, Kind.TIMESTAMPTZ),
            (Kind.DATE, Kind.TEXT),
        }
    ),
    relaxes=True,
    merge=Merge.CONFLICT,
    keeps_key_in_comment=False,
    # MariaDB looks at every table of the server for what it joins, unless that is DISTINCT and names the table itself.
    columns="""
        SELECT c.column_name,
            CASE WHEN c.column_type = 'tinyint(1)' THEN 'boolean'
                WHEN k.constraint_name IS NOT NULL THEN 'json'
                ELSE concat(c.column_type,
                    coalesce(concat(' CHARACTER SET ', c.character_set_name, ' COLLATE ', c.collation_name), ''),
                    if(c.column_comment = 'in UTC', ' COMMENT ''in UTC''', ''))
            END,
            c.is_nullable = 'YES', c.column_default IS NOT NULL OR c.extra LIKE '%auto_increment%', s.seq_in_index,
            t.table_comment, s.index_name, if(coalesce(c.generation_expression, '') = '', NULL, 'GENERATED')
        FROM information_schema.columns c
        JOIN (
            SELECT DISTINCT table_comment FROM information_schema.tables
            WHERE table_schema = coalesce(?, database()) AND table_name = ?
        ) t
        LEFT JOIN (
            SELECT DISTINCT column_name, seq_in_index, index_name FROM information_schema.statistics
            WHERE table_schema = coalesce(?, database()) AND table_name = ? AND index_name = 'PRIMARY'
        ) s ON s.column_name = c.column_name
        LEFT JOIN (
            SELECT DISTINCT constraint_name, check_clause FROM information_schema.check_constraints
            WHERE constraint_schema = coalesce(?, database())
                AND /*M!100600 level = 'Column' AND table_name = */ ? /*!80000 IS NULL AND FALSE */
        ) k ON k.constraint_name = c.column_name AND c.data_type = 'longtext'
            AND k.check_clause = concat('json_valid(`', replace(c.column_name, '`', '``'), '`)')
        WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ?
        ORDER BY c.ordinal_position
    """,
    tables="SELECT table_schema, table_name FROM information_schema.tables WHERE instr(table_name, ?) = 1",
    schemas="SELECT 1 FROM information_schema.schemata WHERE schema_name = ?",
    pins=MYSQL_PINS,
    others=MYSQL_OTHERS,
    dependents=MYSQL_DEPENDENTS,
    max_columns=1017,
    digits="SELECT 65, if(version() LIKE '%MariaDB%', 38, 30)",
    begin="START TRANSACTION",
    key_types={Kind.TEXT: _key_text, Kind.BINARY: _key_bytes},
)

TRAITS = Traits(
    name="MySQL",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=64,
    unusable=r"[^\u0001-\uffff]| +$",
    own_schemas="mysql|sys|information_schema|performance_schema",
    rekey=ByPrimaryKey(DIALECT.key_types),
)

_PASSING = frozenset(
    {1020, 1040, 1047, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1290, 1317, 1836, 1927}
) | {1050, 1060, 3101, 4031}
"""Errors of the server that may pass: too many sessions, shutdown, broken connections, locks, conflicts, read-only,
and what two sessions make at once."""
_ABOUT_TABLES = frozenset(
    {1063, 1064, 1070, 1071, 1074, 1075, 1103, 1117, 1118, 1166, 1170, 1173, 1425, 1426, 1427, 1439, 3750, 4161}
)
"""Errors of tables that can't be made so: their types, their columns and how wide these are together, their key."""
_UNSYNCED = (
    "innodb_flush_log_at_trx_commit isn't 1 there: what is committed, and told, may be lost when the machine fails."
)
_LOST = frozenset({2002, 2003, 2006, 2012, 2013, 2055})
"""Errors of the driver: nobody listens, or the connection is gone."""

_LASTING = re.compile(
    r"certificate|Name or service not known|nodename nor|No address associated|GENERATED"
    r"|\[SSL: (?!UNEXPECTED_EOF|SYSCALL|BAD_LENGTH)",
    re.IGNORECASE,
)
"""What connections fail by for good."""


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    serving = Serving(ddl_commits=True, table_checks=TABLE_CHECKS)
    return ServerDestination(MySQLServer(settings), DIALECT, TRAITS, serving, settings.database)


@dataclass(frozen=True, slots=True)
class MySQLServer:
    """A server."""

    settings: Settings = field(repr=False)

    def open(self) -> MySQLSession:
        """A new session."""
        given = self.settings
        _require_files(given)
        connection = Connection()
        connection.requires_tls = given.tls == "require"
        try:
            connection.connect(
                host=given.host,
                port=given.port,
                user=given.user,
                password=given.password.get_secret_value(),
                ssl_disabled=given.tls == "disable",
                ssl_ca=given.tls_ca or "",
                ssl_cert=given.tls_cert or "",
                ssl_key=given.tls_key or "",
                ssl_verify_cert=given.verifies,
                ssl_verify_identity=given.tls == "verify-full",
                connection_timeout=given.connect_timeout_s,
                charset="utf8mb4",
                collation="utf8mb4_bin",
                autocommit=True,
                allow_local_infile=True,
                client_flags=[ClientFlag.FOUND_ROWS, ClientFlag.LOCAL_FILES],
                time_zone="+00:00",
            )
        except mysql.connector.Error as error:
            words = advised(words_of(error), error.errno, MYSQL_REMEDIES, "`", user=given.user, database=given.database)
            raise DestinationError(f"the server at {given.host}:{given.port} can't be reached: {words}") from error
        session = MySQLSession(connection, DIALECT, given.database)
        prepare(session, given.lock_timeout_s)
        if session.query(DIALECT.schemas, (given.database,)):
            session.execute(f"USE {exp.to_identifier(given.database, quoted=True).sql(dialect=DIALECT.sqlglot)}")
        return session

    def exists(self) -> bool:
        """Whether there is a server: it is no file that opening would make."""
        return True

    def check(self) -> Sequence[str]:
        """Where the server is and what it lets us do."""
        session = self.open()
        try:
            version, local, synced = session.query(
                "SELECT version(), @@local_infile, @@innodb_flush_log_at_trx_commit"
            )[0]
            found = session.query(DIALECT.schemas, (self.settings.database,))
            tls = "encrypted" if session.is_encrypted else "not encrypted"
        finally:
            session.close()
        there = "is there" if found else "isn't there yet and will be made"
        verb = "LOAD DATA LOCAL" if local else "INSERT, since local_infile is off: rows load slower"
        where = f"{self.settings.host}:{self.settings.port}, the connection is {tls}"
        return [
            f"MySQL {version} at {where}; rows are loaded by {verb}.",
            f"The database {self.settings.database!r} {there}.",
            *([] if synced == 1 else [_UNSYNCED]),
        ]

    def is_about_rows(self, error: BaseException) -> bool:
        """Whether values of rows are to blame: data exceptions, and constraints."""
        return is_about_rows(error)

    def is_about_tables(self, error: BaseException) -> bool:
        """Whether a type, the width of a table or its key is to blame."""
        return isinstance(error, mysql.connector.Error) and error.errno in _ABOUT_TABLES

    def is_transient(self, error: BaseException) -> bool:
        """Whether the connection, a lock or the server's state was to blame."""
        if not isinstance(error, mysql.connector.Error) or _LASTING.search(error.msg or ""):
            return False
        return error.errno in _PASSING | _LOST


def _require_files(settings: Settings) -> None:
    """Raise ConfigError for a file of TLS that isn't there: the driver would say something else."""
    for name in ("tls_ca", "tls_cert", "tls_key"):
        path = getattr(settings, name)
        if path and settings.tls != "disable" and not Path(path).is_file():
            raise ConfigError(f"there is no file {path!r}", key=name, hint="a file in PEM format")
