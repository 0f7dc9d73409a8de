"""MySQL and MariaDB: rows are loaded over several connections, and visible by one transaction with the checkpoint.

*Durable when* COMMIT returns: InnoDB's log is synced (unless `innodb_flush_log_at_trx_commit` says otherwise).
*Visible when* COMMIT returns; a replaced table a moment later, by one RENAME TABLE that recovery repeats after a crash.
*Load verb* LOAD DATA LOCAL INFILE from memory; INSERT of many rows where the server doesn't allow that.
*Source* https://dev.mysql.com/doc/refman/8.4/en/load-data.html and https://mariadb.com/kb/en/load-data-infile/

Append-only rows go straight into their table within the open transaction, which DDL would end: they are kept besides,
and staged where the transaction has to give way to it. Other rows wait in staging tables. Times in UTC are DATETIME(6)
with a comment that says so; text is compared byte by byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import mysql.connector
from msgspec import structs
from mysql.connector.constants import ClientFlag

from tailrace.destination import Destination
from tailrace.destinations.mysql.catalog import CATALOG
from tailrace.destinations.mysql.connection import Connection, words_of
from tailrace.destinations.mysql.errors import RULES
from tailrace.destinations.mysql.limits import LIMITS
from tailrace.destinations.mysql.session import MySQLSession
from tailrace.destinations.mysql.settings import Settings
from tailrace.destinations.mysql.statements import ByPrimaryKey, MySQLStatements
from tailrace.destinations.mysql.variables import prepare
from tailrace.destinations.mysql.words import MAGE_WORDS
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import Kind, Traits
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Ddl, Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.settings import Options
from tailrace.sql.staging import InTables
from tailrace.sql.url import server_settings
from tailrace.tunnels import LOCAL, Tunnel

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
    quote="`",
    text_cast="CHAR",
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
    catalog=CATALOG,
    limits=LIMITS,
    ddl=Ddl.OUTSIDE,
    unkeyable=frozenset({Kind.JSON}),
    designs=frozenset({"indexes"}),
    max_columns=1017,
    begin="START TRANSACTION",
    key_types={Kind.TEXT: _key_text, Kind.BINARY: _key_bytes},
)

STATEMENTS = MySQLStatements(DIALECT)

TRAITS = Traits(
    name="MySQL",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    max_name_length=64,
    unusable=r"[^\u0001-\uffff]| +$",
    own_schemas="mysql|sys|information_schema|performance_schema",
    rekey=ByPrimaryKey(DIALECT.key_types),
    mage_words=MAGE_WORDS,
)

_UNSYNCED = (
    "innodb_flush_log_at_trx_commit isn't 1 there: what is committed, and told, may be lost when the machine fails."
)


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    tunnel = Tunnel.of(settings.ssh, settings.host, settings.port, settings.connect_timeout_s)
    appends_directly = settings.append_through == "transaction"
    waits_in = InTables(appends_directly=appends_directly, spooled=appends_directly)
    return SqlDestination(
        MySQLServer(settings, tunnel), STATEMENTS, TRAITS, waits_in, Options.of(settings, settings.database)
    )


@dataclass(frozen=True, slots=True)
class MySQLServer:
    """A server."""

    settings: Settings = field(repr=False)
    tunnel: Tunnel | None = None
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> MySQLSession:
        """A new session."""
        given = self.settings
        _require_files(given)
        connection = Connection()
        connection.requires_tls = given.tls == "require"
        connection.through = (LOCAL, self.tunnel.port()) if self.tunnel else None
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
                **given.driver_options,
            )
        except mysql.connector.Error as error:
            words = structs.replace(RULES, words_of=words_of).said(error, user=given.user, database=given.database)
            raise DestinationError(f"the server at {given.host}:{given.port} can't be reached: {words}") from error
        except (AttributeError, TypeError, ValueError) as error:
            if not given.driver_options:
                raise
            raise ConfigError(f"the driver doesn't take them: {error}", key="driver_options") from error
        session = MySQLSession(connection, STATEMENTS, given.database)
        prepare(session, given.lock_timeout_s)
        if session.query(CATALOG.schemas, (given.database,)):
            session.execute(f"USE {STATEMENTS.quoted(given.database)}")
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
            found = session.query(CATALOG.schemas, (self.settings.database,))
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


def _require_files(settings: Settings) -> None:
    """Raise ConfigError for a file of TLS that isn't there: the driver would say something else."""
    for name in ("tls_ca", "tls_cert", "tls_key"):
        path = getattr(settings, name)
        if path and settings.tls != "disable" and not Path(path).is_file():
            raise ConfigError(f"there is no file {path!r}", key=name, hint="a file in PEM format")
