"""SQLite: a file; rows and checkpoint are committed in one transaction, during which other writers wait.

*Durable when* COMMIT returns: the write-ahead log is synced (journal_mode WAL, synchronous FULL).
*Visible when* COMMIT returns; until then readers see the checkpoint before.
*Load verb* a prepared INSERT, executed for many rows in one call of the driver.
*Source* https://www.sqlite.org/wal.html and https://www.sqlite.org/datatype3.html

Addresses are as in SQLAlchemy: `sqlite:///my.db` is relative, `sqlite:////data/my.db` absolute, `sqlite:///:memory:`
lives as long as the destination. SQLite knows five kinds of value; the declared types say which kind is meant, and are
such that SQLite converts nothing: decimals, dates, times, JSON and UUIDs are text. Times in UTC look like
`2024-01-31 09:05:00.000000+00:00`, so that they sort.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
from msgspec import Struct
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from tailrace import compute as pc
from tailrace.destination import Destination
from tailrace.destinations.sqlite.catalog import CATALOG
from tailrace.destinations.sqlite.remedies import SQLITE
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName, Traits
from tailrace.schema.evolve import TableColumn
from tailrace.sql.dbapi import DbapiSession
from tailrace.sql.design import PLAIN, Design, Designs
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.keys import ByAnotherTable, note
from tailrace.sql.settings import AfterSql, BeforeSql, Options, WithLoads
from tailrace.sql.staging import InTransaction
from tailrace.sql.statements import Statements
from tailrace.sql.url import file_settings

from_url = file_settings

TRAITS = Traits(
    name="SQLite",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    own_tables="sqlite_.*",
    rekey=ByAnotherTable("sqlite"),
    is_serial=True,
)

_TYPES = {
    Kind.BOOL: "BOOLEAN",
    Kind.INT: "INTEGER",
    Kind.FLOAT: "DOUBLE",
    Kind.DECIMAL: "DECIMAL_TEXT({precision},{scale})",
    Kind.TEXT: "TEXT",
    Kind.JSON: "JSON_TEXT",
    Kind.BINARY: "BLOB",
    Kind.DATE: "DATE_TEXT",
    Kind.TIME: "TIME_TEXT",
    Kind.TIMESTAMP: "TIMESTAMP_TEXT",
    Kind.TIMESTAMPTZ: "TIMESTAMPTZ_TEXT",
    Kind.UUID: "UUID_TEXT",
}

DIALECT = Dialect(
    sqlglot="sqlite",
    types=_TYPES,
    kinds={
        **{spelling.partition("(")[0]: kind for kind, spelling in _TYPES.items()},
        "BOOL": Kind.BOOL,
        **dict.fromkeys(("INT", "TINYINT", "SMALLINT", "MEDIUMINT", "BIGINT", "INT2", "INT8"), Kind.INT),
        # SQLite makes numbers of what is written into these, if it looks like one.
        **dict.fromkeys(("REAL", "FLOAT", "DOUBLE PRECISION", "NUMERIC", "DECIMAL", "STRING"), Kind.FLOAT),
        **dict.fromkeys(("VARCHAR", "CHAR", "NCHAR", "NVARCHAR", "CHARACTER", "CLOB"), Kind.TEXT),
        "JSON": Kind.JSON,
        "DATE": Kind.DATE,
        "TIME": Kind.TIME,
        **dict.fromkeys(("TIMESTAMP", "DATETIME"), Kind.TIMESTAMP),
        "TIMESTAMPTZ": Kind.TIMESTAMPTZ,
        "UUID": Kind.UUID,
    },
    alterable=frozenset(),
    relaxes=False,
    merge=Merge.UPDATE,
    keeps_key_in_comment=False,
    catalog=CATALOG,
    max_columns=2000,
    designs=frozenset({"indexes"}),
    begin="BEGIN IMMEDIATE",
    shows_types_as_made=True,
)


class SQLiteStatements(Statements, frozen=True):
    """The texts of SQLite."""

    def create_noted(
        self, table: TableName, columns: Iterable[TableColumn], key: Sequence[str], design: Design = PLAIN
    ) -> list[str]:
        """CREATE TABLE with the key in its own text, which SQLite keeps: it has no comments on tables."""
        text = note(key).replace("*/", r"*\/")
        return [f"{self.create_table(table, columns, (), design).removesuffix(')')} /* {text} */)"]


STATEMENTS = SQLiteStatements(DIALECT)

RULES = ErrorRules(
    name="SQLite",
    raised=(sqlite3.Error,),
    # The class, and the first byte of the code: what is behind it says how it came about.
    state_of=lambda error: f"{type(error).__name__} {getattr(error, 'sqlite_errorcode', 0) & 0xFF}",
    words_of=str,
    remedies=SQLITE,
    transient=f"OperationalError ({sqlite3.SQLITE_BUSY}|{sqlite3.SQLITE_LOCKED}) ",
    about_rows="IntegrityError|DataError",
    about_tables="OperationalError.*(too many columns|syntax error|unrecognized token)",
)

_ROWS_AT_ONCE = 50_000


class Settings(BaseModel):
    """The settings of SQLite."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str = Field(
        validation_alias=AliasChoices("path", "filepath", "database", "path_to_database"),
        description="The database file, made when it isn't there; `:memory:` for a database that ends with the run.",
    )
    lock_timeout_s: float = Field(60.0, ge=0, description="Seconds to wait for another program's transaction.")
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
    design: Designs


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    return SqlDestination(
        SQLiteFile(settings.path, settings.lock_timeout_s), STATEMENTS, TRAITS, InTransaction(), Options.of(settings)
    )


class SQLiteFile(Struct, frozen=True):
    """A database file."""

    path: str
    lock_timeout_s: float
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> _SQLiteSession:
        """A new session."""
        try:
            connection = sqlite3.connect(
                self.path, timeout=self.lock_timeout_s, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise DestinationError(f"the SQLite file {self.path!r} can't be opened: {RULES.said(error)}") from error
        session = _SQLiteSession(connection)
        for pragma in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA cache_size = -65536",  # KiB
            # Else a table can't take the name of one that was dropped while a view still speaks of it.
            "PRAGMA legacy_alter_table = ON",
        ):
            session.query(pragma)
        return session

    def exists(self) -> bool:
        """Whether the file is there."""
        return Path(self.path).exists()

    def check(self) -> Sequence[str]:
        """Where the file is and what may be done there."""
        version = f"SQLite {sqlite3.sqlite_version}"
        path = Path(self.path).absolute()
        if self.path == ":memory:":
            return [f"{version}, in memory: everything is gone when the run ends."]
        if not os.access(path.parent, os.W_OK):
            raise DestinationError(f"the SQLite file {path} can't be used: {path.parent} can't be written to")
        if not path.exists():
            return [f"{version}, the file {path} isn't there yet and will be made."]
        if not os.access(path, os.W_OK):
            raise DestinationError(f"the SQLite file {path} can't be written to; change its permissions")
        session = self.open()
        try:
            tables = session.query("SELECT count(*) FROM sqlite_master WHERE type = 'table'")[0][0]
            journal = session.query("PRAGMA journal_mode")[0][0]
        finally:
            session.close()
        return [
            f"{version}, the file {path} can be written to; its journal is {journal}.",
            f"It has {tables} tables; tables may be created, and there are no schemas.",
        ]


class _SQLiteSession(DbapiSession):
    """A connection to the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection, RULES, _ManyInserts(), _execute)

    def release_memory(self) -> None:
        """Release the cached pages."""
        self.execute("PRAGMA shrink_memory")


class _ManyInserts:
    """The bulk verb: one INSERT, executed for many rows."""

    def load(self, session: DbapiSession, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows; where SQLite refuses some, all are tried one by one to name them, and undone."""
        _refuse_nan(rows, columns)
        insert = STATEMENTS.insert_values(table, columns)
        session.execute("SAVEPOINT tailrace_load")
        try:
            for part in _parts(rows, columns):
                with RULES.translated():
                    session.connection.executemany(insert, part)
        except DestinationError as error:
            session.execute("ROLLBACK TO tailrace_load")
            if not RULES.is_about_rows(error.__cause__):
                raise
            reasons = _refused(session.connection, insert, columns, rows)
            session.execute("ROLLBACK TO tailrace_load")
            session.execute("RELEASE tailrace_load")
            raise RowsRefusedError(f"the table {table} refuses {len(reasons)} rows", reasons) from error.__cause__
        session.execute("RELEASE tailrace_load")


def _refused(connection: sqlite3.Connection, insert: str, columns: Sequence[str], rows: pa.Table) -> dict[int, str]:
    """Why rows are refused, by line: they are tried one by one."""
    reasons: dict[int, str] = {}
    lines = iter(rows[LINE].to_pylist())
    for part in _parts(rows, columns):
        for values in part:
            line = next(lines)
            try:
                connection.execute(insert, values)
            except (sqlite3.IntegrityError, sqlite3.DataError) as error:
                reasons[line] = str(error)
    return reasons


def _execute(cursor: sqlite3.Cursor, sql: str, parameters: Sequence[object]) -> None:
    """Run a statement, with its parameters as SQLite stores them."""
    cursor.execute(sql, [_bound(value) for value in parameters])


def _bound(value: object) -> object:
    """A parameter as SQLite stores it."""
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value


def _refuse_nan(rows: pa.Table, columns: Sequence[str]) -> None:
    """SQLite would store a null instead."""
    reasons: dict[int, str] = {}
    for name in columns:
        if pa.types.is_floating(rows.schema.field(name).type):
            lines = rows[LINE].filter(pc.is_nan(rows[name])).to_pylist()
            reasons |= dict.fromkeys(lines, f"column {name!r}: SQLite has no NaN")
    if reasons:
        raise RowsRefusedError(f"SQLite has no NaN, and {len(reasons)} rows have one", reasons)


def _parts(rows: pa.Table, columns: Sequence[str]) -> Iterator[Iterator[tuple[object, ...]]]:
    """The rows as SQLite stores them, a part at a time."""
    for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
        part = rows.slice(start, _ROWS_AT_ONCE)
        yield zip(*(_stored(part[name]).to_pylist() for name in columns), strict=True)


def _stored(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column's values as SQLite stores them."""
    for is_type, spelling in _SPELLINGS:
        if is_type(values.type):
            return spelling(values)
    return values


def _decimal_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """All digits, where Arrow's own text of small numbers has an exponent."""
    texts = values.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    return pa.chunked_array([pa.array([None if v is None else f"{v:f}" for v in values.to_pylist()], pa.string())])


def _timestamp_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    texts = values.cast(pa.timestamp("us")).cast(pa.string())
    return texts if values.type.tz is None else pc.binary_join_element_wise(texts, "+00:00", "")


def _texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(pa.string())


_SPELLINGS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.ChunkedArray], pa.ChunkedArray]], ...] = (
    (pa.types.is_decimal, _decimal_texts),
    (pa.types.is_timestamp, _timestamp_texts),
    (pa.types.is_date, _texts),
    (pa.types.is_time, _texts),
)
