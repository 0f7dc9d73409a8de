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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from sqlglot import exp, parse_one

from tailrace.destination import Destination
from tailrace.errors import DestinationError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName, Traits
from tailrace.schema.evolve import WIDENINGS
from tailrace.sql import statements
from tailrace.sql.destination import SqlDestination
from tailrace.sql.dialect import Dialect, Merge
from tailrace.sql.url import file_settings

from_url = file_settings

TRAITS = Traits(
    name="DuckDB",
    guarantee="exactly once: rows and checkpoint are committed in one transaction",
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
    # DuckDB's DECIMAL goes into JSON through a double, so that one isn't altered in place.
    alterable=frozenset(
        (have, want) for have, wants in WIDENINGS.items() for want in wants if (have, want) != (Kind.DECIMAL, Kind.JSON)
    ),
    relaxes=True,
    merge=Merge.MERGE,
    row_id="rowid",
    keeps_key_in_comment=True,
    has_schemas=True,
    columns="""
        SELECT c.column_name, c.data_type, c.is_nullable, c.column_default IS NOT NULL,
            list_position(
                coalesce(k.constraint_column_names, TRY(from_json(substr(t.comment, 6), '["VARCHAR"]'))), c.column_name)
        FROM duckdb_columns() c
        JOIN duckdb_tables() t USING (database_oid, table_oid)
        LEFT JOIN duckdb_constraints() k
            ON k.database_oid = t.database_oid AND k.table_oid = t.table_oid AND k.constraint_type = 'PRIMARY KEY'
        WHERE c.database_name = current_database() AND lower(c.schema_name) = lower(coalesce(?, 'main'))
            AND lower(c.table_name) = lower(?)
        ORDER BY c.column_index
    """,
    tables="""
        SELECT schema_name, table_name FROM duckdb_tables()
        WHERE database_name = current_database() AND starts_with(table_name, ?)
    """,
    begin="BEGIN TRANSACTION",
)

_ROWS = TableName("_tailrace_rows")

_TABLE = """
    WHERE database_name = coalesce($database, current_database()) AND lower(schema_name) = lower($schema)
        AND lower(table_name) = lower($name)
"""
_TYPES = f"SELECT column_name, data_type, is_nullable OR column_default IS NOT NULL FROM duckdb_columns() {_TABLE}"
_CHECKS = f"SELECT expression FROM duckdb_constraints() {_TABLE} AND constraint_type = 'CHECK'"
_UNIQUES = f"""
    SELECT constraint_column_names FROM duckdb_constraints() {_TABLE} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE')
"""
_INDEXES = f"SELECT expressions::VARCHAR[] FROM duckdb_indexes() {_TABLE} AND is_unique AND NOT is_primary"


class Settings(BaseModel):
    """The settings of DuckDB."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: str = Field(
        validation_alias=AliasChoices("path", "filepath", "database", "path_to_database"),
        description="The database file, made when it isn't there; `:memory:` for a database that ends with the run.",
    )
    schema_name: str = Field(
        "main",
        validation_alias=AliasChoices("schema", "schema_name", "default_target_schema"),
        serialization_alias="schema",
        description="The schema that tables and checkpoints stand in by default, made when it isn't there.",
    )
    memory_limit: str = Field(
        "512MB", description="What DuckDB may keep in memory, as it writes sizes; more goes to the disk."
    )
    threads: int = Field(2, gt=0, description="Threads of DuckDB; each takes memory of its own.")
    config: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Further options of DuckDB's, by their names."
    )


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    database = DuckDBFile(settings.path, settings.memory_limit, settings.threads, settings.config)
    return SqlDestination(database, DIALECT, TRAITS, settings.schema_name)


@dataclass(frozen=True, slots=True)
class DuckDBFile:
    """A database file."""

    path: str
    memory_limit: str
    threads: int
    config: Mapping[str, str | int | float | bool] = field(default_factory=dict)

    def open(self) -> _DuckDBSession:
        """A new session; there is none while another process has the file open."""
        try:
            connection = duckdb.connect(self.path, config=dict(self.config))
        except duckdb.Error as error:
            raise DestinationError(f"the DuckDB file {self.path!r} can't be opened: {_first_line(error)}") from error
        session = _DuckDBSession(connection)
        for option, value in (
            ("TimeZone", "UTC"),
            ("memory_limit", self.memory_limit),
            ("threads", self.threads),
            # Keeping the order of rows within a batch costs DuckDB memory, and speed where that is scarce.
            ("preserve_insertion_order", False),
            # Else a name that isn't a table is looked up among Python's variables.
            ("python_enable_replacements", False),
        ):
            if option not in self.config:
                session.execute(f"SET {option} = ?", (value,))
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

    def is_transient(self, error: BaseException) -> bool:
        """Whether another process has the file open, or another session was quicker."""
        text = str(error).lower()
        if isinstance(error, duckdb.IOException):
            return "lock on file" in text
        return isinstance(error, duckdb.TransactionException) and "conflict" in text


class _DuckDBSession:
    """A connection to the file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        with _told():
            return max(self._connection.execute(sql, list(parameters)).rowcount, 0)

    def query(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[object, ...]]:
        with _told():
            given = dict(parameters) if isinstance(parameters, Mapping) else list(parameters)
            return self._connection.execute(sql, given).fetchall()

    def load(self, table: TableName, columns: Sequence[str], rows: pa.Table) -> None:
        """Insert the rows, once none of them is found that the table would refuse: an error would end the transaction."""
        with _told():
            self._connection.register(_ROWS.name, rows)
        try:
            checks = self._checks(table, columns)
            refused = self.query(_refused_rows([condition for condition, _ in checks])) if checks else []
            if refused:
                reasons = {int(str(line)): checks[int(str(check))][1] for line, check in refused}
                raise RowsRefusedError(f"the table {table} refuses {len(reasons)} rows", reasons)
            self.execute(statements.insert_from(DIALECT, table, columns, _ROWS))
        finally:
            with _told():
                self._connection.unregister(_ROWS.name)

    def close(self) -> None:
        with _told():
            self._connection.close()

    def _checks(self, table: TableName, columns: Sequence[str]) -> list[tuple[exp.Condition, str]]:
        """What is true of a row that the table refuses, and the reason."""
        names = {"database": None if table.schema else "temp", "schema": table.schema or "main", "name": table.name}
        checks: list[tuple[exp.Condition, str]] = []
        known = {*columns, LINE}
        for name, data_type, is_optional in self.query(_TYPES, names):
            if name in columns:
                checks += _type_checks(str(name), str(data_type), is_optional=bool(is_optional))
            elif not is_optional:
                checks.append(
                    (exp.true(), f"column {name!r} of the table can't be null, and the stream doesn't have it")
                )
        for (text,) in self.query(_CHECKS, names):
            checks.append((_is_broken(_parsed(str(text), "r")), f"CHECK {text} fails"))
        for (keys,) in self.query(_UNIQUES, names):
            checks.append(
                (_is_taken(table, [_quoted(name) for name in _texts(keys)]), f"a row with this {keys} exists")
            )
        for (keys,) in self.query(_INDEXES, names):
            checks.append((_is_taken(table, _texts(keys)), f"a row with this {keys} exists"))
        # What a check says of columns that take their default can't be known here.
        return [(c, reason) for c, reason in checks if {column.name for column in c.find_all(exp.Column)} <= known]


@contextmanager
def _told() -> Iterator[None]:
    """Raise DuckDB's errors as ours."""
    try:
        yield
    except duckdb.Error as error:
        raise DestinationError(f"DuckDB: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _texts(values: object) -> list[str]:
    return [str(value) for value in values] if isinstance(values, list) else []


def _quoted(name: str) -> str:
    return exp.to_identifier(name, quoted=True).sql("duckdb")


def _parsed(text: str, table: str) -> exp.Expression:
    """An expression of the catalog, its columns those of that table."""
    expression = parse_one(text, dialect="duckdb")
    for column in expression.find_all(exp.Column):
        column.this.set("quoted", True)
        column.set("table", exp.to_identifier(table))
    return expression


def _refused_rows(checks: Sequence[exp.Condition]) -> str:
    """The lines of the rows that one of the checks is true of, and the first such check."""
    case = exp.case()
    for place, check in enumerate(checks):
        case = case.when(check, exp.Literal.number(place))
    found = exp.select(_value(LINE), case.as_("failed")).from_(exp.to_table(_ROWS.name, alias="r"))
    rows = exp.select(exp.column(LINE), "failed").from_(found.subquery("checked")).where("failed IS NOT NULL")
    return rows.sql("duckdb")


def _value(name: str) -> exp.Column:
    return exp.column(name, table="r", quoted=True)


def _type_checks(name: str, data_type: str, *, is_optional: bool) -> list[tuple[exp.Condition, str]]:
    """What makes a value unfit for its column: null where that can't be, or a cast that fails or changes it."""
    checks: list[tuple[exp.Condition, str]] = []
    if not is_optional:
        checks.append((_value(name).is_(exp.null()), f"column {name!r} can't be null"))
    kind, precision, scale = DIALECT.kind_of(data_type)
    ours = DIALECT.types[kind].format(precision=precision, scale=scale) if kind else None
    if data_type == ours and kind not in {Kind.JSON, Kind.UUID}:
        return checks
    cast = exp.TryCast(this=_value(name), to=exp.Var(this=data_type))
    changed: exp.Condition = exp.and_(_value(name).is_(exp.null()).not_(), cast.is_(exp.null()))
    if kind is Kind.TIMESTAMP:
        changed = exp.NullSafeNEQ(this=exp.cast(cast, "TIMESTAMP"), expression=_value(name))
    return [*checks, (changed, f"column {name!r}: the value isn't a {data_type}")]


def _is_broken(check: exp.Expression) -> exp.Condition:
    return exp.Is(this=exp.Anonymous(this="TRY", expressions=[check]), expression=exp.false())


def _is_taken(table: TableName, keys: Sequence[str]) -> exp.Condition:
    """Whether the table has a row with these keys, or an earlier row of the batch has them."""
    new = [_parsed(key, "r") for key in keys]
    same = [exp.EQ(this=_parsed(key, "t"), expression=key_of_row) for key, key_of_row in zip(keys, new, strict=True)]
    there = exp.select("1").from_(exp.table_(table.name, db=table.schema, quoted=True, alias="t")).where(*same)
    earlier = exp.Window(
        this=exp.RowNumber(), partition_by=[key.copy() for key in new], order=exp.Order(expressions=[_value(LINE)])
    )
    is_known = [exp.Not(this=exp.Is(this=key.copy(), expression=exp.Null())) for key in new]
    repeats = exp.and_(exp.GT(this=earlier, expression=exp.Literal.number(1)), *is_known)
    return exp.or_(exp.Exists(this=there), repeats)
