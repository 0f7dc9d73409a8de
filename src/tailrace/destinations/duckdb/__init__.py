"""DuckDB: a file that one process at a time has open; rows and checkpoint are committed in one transaction.

*Durable when* COMMIT returns: the write-ahead log is synced, and replayed when the file is opened after a crash.
*Visible when* COMMIT returns; to other processes once this one has closed the file.
*Load verb* INSERT ... SELECT from the Arrow table, which DuckDB reads in place.
*Source* https://duckdb.org/docs/stable/connect/concurrency and https://duckdb.org/docs/stable/sql/statements/transactions

Addresses are as in SQLAlchemy: `duckdb:///my.duckdb` is relative, `duckdb:////data/my.duckdb` absolute, `duckdb:///:memory:`
lives as long as the destination. Keyed tables get no PRIMARY KEY, whose index would have to fit into memory: the key is
noted as the table's comment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from tailrace.destination import Destination
from tailrace.destinations.duckdb import memory
from tailrace.destinations.duckdb.catalog import CATALOG, TableReader
from tailrace.destinations.duckdb.json_texts import known_json, without_doubtful_json
from tailrace.destinations.duckdb.refusals import Check, Refusals
from tailrace.destinations.duckdb.remedies import DUCKDB
from tailrace.destinations.duckdb.statements import DuckDBStatements
from tailrace.destinations.duckdb.streaming_insert import StreamingInsert
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import Kind, TableName, Traits
from tailrace.schema.kinds import WIDENINGS
from tailrace.sql.checkpoints import TABLE as CHECKPOINTS
from tailrace.sql.design import Designs
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.error_rules import ErrorRules
from tailrace.sql.keys import ByComment
from tailrace.sql.settings import AfterSql, BeforeSql, Options, SchemaName, WithLoads
from tailrace.sql.staging import InTransaction
from tailrace.sql.url import file_settings

from_url = file_settings

TRAITS = Traits(
    name="DuckDB",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
    own_schemas="pg_catalog|information_schema|temp|system",
    rekey=ByComment("duckdb", drops=False),
    is_serial=True,
)

DIALECT = Dialect(
    sqlglot="duckdb",
    types={
        Kind.BOOL: "BOOLEAN",
        Kind.INT: "BIGINT",
        Kind.FLOAT: "DOUBLE",
        Kind.DECIMAL: "DECIMAL({precision},{scale})",
        Kind.TEXT: "VARCHAR",
        Kind.JSON: "JSON",
        Kind.BINARY: "BLOB",
        Kind.DATE: "DATE",
        Kind.TIME: "TIME",
        Kind.TIMESTAMP: "TIMESTAMP",
        Kind.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
        Kind.UUID: "UUID",
    },
    kinds={
        "BOOLEAN": Kind.BOOL,
        **dict.fromkeys(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"), Kind.INT),
        **dict.fromkeys(("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"), Kind.INT),
        **dict.fromkeys(("FLOAT", "DOUBLE"), Kind.FLOAT),
        "DECIMAL": Kind.DECIMAL,
        **dict.fromkeys(("VARCHAR", "ENUM"), Kind.TEXT),
        "JSON": Kind.JSON,
        "BLOB": Kind.BINARY,
        "DATE": Kind.DATE,
        "TIME": Kind.TIME,
        **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), Kind.TIMESTAMP),
        "TIMESTAMP WITH TIME ZONE": Kind.TIMESTAMPTZ,
        "UUID": Kind.UUID,
    },
    # What DuckDB's own text of the others looks like isn't ours (`5.0`); its DECIMAL goes into JSON through a double.
    alterable=frozenset(
        (have, want)
        for have, wants in WIDENINGS.items()
        for want in wants
        if have is not Kind.FLOAT
        and not (have in {Kind.DECIMAL, Kind.TIMESTAMP, Kind.TIMESTAMPTZ} and want is Kind.JSON)
    ),
    relaxes=True,
    merge=Merge.REWRITE,
    keeps_key_in_comment=True,
    catalog=CATALOG,
    begin="BEGIN TRANSACTION",
    shows_types_as_made=True,
    knows_arrow_json=True,
    designs=frozenset({"indexes"}),
)


STATEMENTS = DuckDBStatements(DIALECT)

RULES = ErrorRules(
    name="DuckDB",
    raised=(duckdb.Error,),
    state_of=lambda error: type(error).__name__,
    words_of=lambda error: str(error).strip().partition("\n")[0],
    remedies=DUCKDB,
    # Another process has the file open, or another session was quicker.
    transient=r"IOException .*(?i:lock on file)|TransactionException .*(?i:conflict)",
    about_rows="ConstraintException|ConversionException|OutOfRangeException",
    about_tables=r".*(DECIMAL type (width|scale)|does not accept type parameters|precision for type|Type with name"
    r"|Parser Error)",
)

_ROWS = TableName("_tailrace_rows")

_FEW_ROWS = 2048
"""Fewer rows are inserted at once, unless rows of the same table came before: no thread is worth it for them."""

_REFUSALS = Refusals(STATEMENTS, _ROWS)

_COPIES_ROWS = re.compile(r"CREATE TEMPORARY TABLE \S+ AS ", re.IGNORECASE)
"""What looks for rows by their keys in all of a table, as what deletes them does."""

_VACUUM = "max_vacuum_tasks"
_DELETES_ROWS = re.compile(rf"DELETE FROM (?!\S*{CHECKPOINTS}\b)", re.IGNORECASE)  # noqa: S608 no statement
"""What leaves row groups with so few rows that they are to be put together."""

_OPTIONS = {
    "TimeZone": "'UTC'",
    # Freed memory goes back to the system.
    "allocator_flush_threshold": "'8MB'",
    "allocator_bulk_deallocation_flush_threshold": "'8MB'",
    # Row groups go to the file as soon as they are full, rather than five at a time.
    "write_buffer_row_group_count": "1",
    # Threads insert at once only where rows need not keep their order; keeping it costs memory, too.
    "preserve_insertion_order": "false",
    # Row groups that threads leave half full would be written again, which takes half as long as the load.
    _VACUUM: "0",
    # Else a name that isn't a table is looked up among Python's variables.
    "python_enable_replacements": "false",
}
"""Options of DuckDB's that suit loads, unless the settings have others."""


class Settings(BaseModel):
    """The settings of DuckDB."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str = Field(
        validation_alias=AliasChoices("path", "filepath", "database", "path_to_database"),
        description="The database file, made when it isn't there; `:memory:` for a database that ends with the run.",
    )
    schema_name: SchemaName = "main"
    memory_limit: str | None = Field(
        None,
        description="What DuckDB may keep in memory, as it writes sizes; more goes to the disk. Default: 384MB, and "
        "more for rows that need it, of more than 480 columns or with values of more than 80 MB.",
    )
    threads: int = Field(2, gt=0, description="Threads of DuckDB; each takes memory of its own.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict, repr=False, description="Further options of DuckDB's, by their names."
    )
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
    design: Designs


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    database = DuckDBFile(settings.path, settings.memory_limit, settings.threads, settings.config)
    return SqlDestination(database, STATEMENTS, TRAITS, InTransaction(), Options.of(settings, settings.schema_name))


@dataclass(frozen=True, slots=True)
class DuckDBFile:
    """A database file."""

    path: str
    memory_limit: str | None
    threads: int
    config: Mapping[str, str | int | float | bool] = field(default_factory=dict, repr=False)
    rules: ClassVar[ErrorRules] = RULES

    def open(self) -> _DuckDBSession:
        """A new session; there is none while another process has the file open."""
        try:
            connection = duckdb.connect(self.path, config=dict(self.config))
        except duckdb.Error as error:
            raise DestinationError(f"the DuckDB file {self.path!r} can't be opened: {RULES.said(error)}") from error
        is_limited = self.memory_limit is not None or "memory_limit" in self.config
        session = _DuckDBSession(
            connection, None if is_limited else memory.LEAST_BYTES, has_own_vacuum=_VACUUM in self.config
        )
        fixed = [f"SET {option} = {value}" for option, value in _OPTIONS.items() if option not in self.config]
        if fixed:
            session.execute("; ".join(fixed))
        for option, value in (
            ("memory_limit", self.memory_limit or f"{memory.LEAST_BYTES}B"),
            ("threads", self.threads),
        ):
            if option not in self.config:
                session.execute(f"SET {option} = ?", (value,))
        session.query("SELECT 1 FROM duckdb_tables() LIMIT 1")  # it makes its own catalog then, which takes a while
        return session

    def exists(self) -> bool:
        """Whether the file is there."""
        return Path(self.path).exists()

    def check(self) -> Sequence[str]:
        """Where the file is and what may be done there."""
        version = f"DuckDB {duckdb.__version__}"
        path = Path(self.path).absolute()
        if self.path == ":memory:":
            return [f"{version}, in memory: everything is gone when the run ends."]
        if not path.exists():
            if not os.access(path.parent, os.W_OK):
                raise DestinationError(f"the DuckDB file {path} can't be made: {path.parent} can't be written to")
            return [f"{version}, the file {path} isn't there yet and will be made."]
        if not os.access(path, os.W_OK):
            raise DestinationError(f"the DuckDB file {path} can't be written to; change its permissions")
        session = self.open()
        try:
            schemas = session.query("SELECT count(*) FROM duckdb_schemas() WHERE NOT internal")[0][0]
            tables = session.query("SELECT count(*) FROM duckdb_tables()")[0][0]
        finally:
            session.close()
        return [
            f"{version}, the file {path} can be written to, and no other process has it open.",
            f"It has {schemas} schemas and {tables} tables; schemas and tables may be created.",
        ]


class _DuckDBSession:
    """A connection to the file. Batches for one table that come one after the other are rows of one INSERT.

    `limit_bytes` is DuckDB's limit of memory, where it may be raised for rows that need more.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, limit_bytes: int | None, *, has_own_vacuum: bool = False
    ) -> None:
        self._connection = connection
        self._memory = memory.Memory(connection, limit_bytes)
        self._may_vacuum = has_own_vacuum
        self._tables = TableReader(connection)
        self._streaming: StreamingInsert | None = None
        self._fed: tuple[TableName, pa.Schema] | None = None
        self._required: Sequence[str] = ()

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        self._end_streaming()
        self._tables.note(sql)
        with RULES.translated():
            deletes_rows = _DELETES_ROWS.match(sql)
            if deletes_rows and not self._may_vacuum:
                self._connection.execute(f"RESET {_VACUUM}")
                self._may_vacuum = True
            changed = max(self._connection.execute(sql, list(parameters)).rowcount, 0)
            if sql.startswith("ALTER TABLE"):
                self._memory.altered()
            elif deletes_rows or _COPIES_ROWS.match(sql):
                self._memory.searched()
        return changed

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        self._end_streaming()
        with RULES.translated():
            if answer := self._tables.answers(sql):
                return answer(*parameters)
            return self._connection.execute(sql, list(parameters)).fetchall()

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows, unless the table would refuse some: then an error would end the transaction.

        What goes wrong with rows that a table doesn't refuse is told by the call behind it, the COMMIT at the latest.
        """
        rows = without_doubtful_json(rows)
        self._memory.loaded(rows)
        if self._memory.lacks_room(rows):
            self._end_streaming()
            with RULES.translated():
                self._memory.make_room(rows)
        if self._streaming is None or self._fed != (table, rows.schema) or _has_null(rows, self._required):
            checks = self._checks(table, columns, rows)
            if checks:
                self._load_checked(table, columns, rows, checks)
                return
            sql = STATEMENTS.insert_from(table, columns, _ROWS)
            before, self._fed = self._fed, (table, rows.schema)
            if rows.num_rows < _FEW_ROWS and before != self._fed:
                self._insert(sql, rows)
                return
            self._streaming = StreamingInsert(partial(self._insert, sql), rows.schema)
        try:
            self._streaming.feed(rows)
        except BaseException:
            self._streaming = None
            raise

    def _load_checked(self, table: TableName, columns: Sequence[str], rows: pa.Table, checks: Sequence[Check]) -> None:
        with RULES.translated():
            self._connection.register(_ROWS.name, rows)
        try:
            refused = self.query(_REFUSALS.query(checks))
            if refused:
                reasons = {int(str(line)): checks[int(str(place))].reason for line, place in refused}
                raise RowsRefusedError(f"the table {table} refuses {len(reasons)} rows", reasons)
            self.execute(STATEMENTS.insert_from(table, columns, _ROWS))
        finally:
            self._unregister()

    def _insert(self, sql: str, rows: pa.Table | pa.RecordBatchReader) -> None:
        with RULES.translated():
            self._connection.register(_ROWS.name, rows)
            try:
                self._connection.execute(sql)
            finally:
                self._unregister()

    def _unregister(self) -> None:
        with suppress(duckdb.Error):  # an error before has undone it already
            self._connection.unregister(_ROWS.name)

    def _end_streaming(self) -> None:
        """Wait until every row that was handed on is inserted."""
        streaming, self._streaming = self._streaming, None
        if streaming is not None:
            streaming.end()

    def release_memory(self) -> None:
        """Release what DuckDB keeps in memory; see Session."""
        self._end_streaming()
        with RULES.translated():
            self._memory.release()

    def close(self) -> None:
        with suppress(DestinationError):  # what isn't committed is undone
            self._end_streaming()
        with RULES.translated():
            self._connection.close()

    def _checks(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> list[Check]:
        """What the table's types and constraints may have against the rows; foreign keys are left to the INSERT."""
        self._end_streaming()
        checks: list[Check | None] = []
        with RULES.translated():
            types, constraints = self._tables.types(table), self._tables.constraints(table)
        known = known_json(rows)
        self._required = [name for name, _, is_optional in types if not is_optional and name in columns]
        for name, sql_type, is_optional in types:
            if name in columns:
                checks.append(None if sql_type == "JSON" and name in known else _REFUSALS.value(name, sql_type))
                checks.append(_REFUSALS.null(name) if not is_optional and _has_null(rows, [name]) else None)
            elif not is_optional:
                checks.append(_REFUSALS.missing(name))
        for kind, about, text in constraints:
            match kind:
                case "CHECK":
                    checks.append(_REFUSALS.broken(text))
                case "PRIMARY KEY" | "UNIQUE":
                    checks.append(_REFUSALS.taken(table, [_REFUSALS.quoted(name) for name in about]))
                case "INDEX":
                    checks.append(_REFUSALS.taken(table, about))
        return [check for check in checks if check is not None and check.is_known_of(columns)]


def _has_null(rows: pa.Table, columns: Sequence[str]) -> bool:
    return any(rows.column(name).null_count for name in columns)
