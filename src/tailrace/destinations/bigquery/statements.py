"""What BigQuery says in a way of its own: partitions and clusters, several columns at once, copies of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import structs

from tailrace.model import LINE, Kind, Stream, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.keys import by
from tailrace.sql.design import PLAIN, Design
from tailrace.sql.expressions import column_of, rows_of, table_of
from tailrace.sql.glot import exp
from tailrace.sql.keys import alter_of, note
from tailrace.sql.selections import Upsert
from tailrace.sql.statements import Statements


class BigQueryStatements(Statements, frozen=True):
    """The texts of BigQuery. `location` is where a dataset is made."""

    location: str | None = None

    def create_schema(self, schema: str) -> str:
        """CREATE SCHEMA, unless it exists, where it is to be."""
        where = f" OPTIONS (location={self.literal(self.location)})" if self.location else ""
        return f"CREATE SCHEMA IF NOT EXISTS {self.quoted(schema)}{where}"

    def create_table(
        self,
        table: TableName,
        columns: Iterable[TableColumn],
        key: Sequence[str] = (),  # noqa: ARG002 none is enforced, and queries would rely on one that is declared
        design: Design = PLAIN,
        *,
        temporary: bool = False,
        unlogged: bool = False,  # noqa: ARG002 as others
        exists: bool = False,
    ) -> str:
        """CREATE TABLE with its partitions and clusters; see Statements."""
        columns = list(columns)
        create = super().create_table(table, columns, (), temporary=temporary, exists=exists)
        return create + self._partitions(design, columns) + self.layout_of(design) + self._options(design.options)

    def lasting(self, table: TableName) -> list[str]:
        """No expiration, whatever the dataset's tables have by default."""
        return [f"ALTER TABLE {self.table(table)} SET OPTIONS (expiration_timestamp=NULL)"]

    def create_noted(
        self, table: TableName, columns: Iterable[TableColumn], key: Sequence[str], design: Design = PLAIN
    ) -> list[str]:
        """CREATE TABLE with the key as its description."""
        options = dict(design.options) | {"description": note(key)}
        return [self.create_table(table, columns, (), design.model_copy(update={"options": options}))]

    def layout_of(self, design: Design) -> str:
        """CLUSTER BY; see Statements."""
        return f" CLUSTER BY {self.names(design.cluster_by)}" if design.cluster_by else ""

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> list[str]:
        """One ALTER TABLE for all columns, since a table can't be altered often."""
        added = ", ".join(f"ADD COLUMN {self.definition(column)}" for column in columns)
        return [f"ALTER TABLE {self.table(table)} {added}"] if columns else []

    def exchange_tables(self, new: TableName, table: TableName, old: TableName) -> list[str]:  # noqa: ARG002 none is kept
        """What puts a copy of the new table in the place of the table, whether it is there or not."""
        copy = exp.Clone(this=table_of(new), copy=True)
        create = exp.Create(this=table_of(table), kind="TABLE", replace=True, clone=copy)
        return [self.written(create), self.drop_table(new)]

    def delete_rows(self, table: TableName) -> str:
        """DELETE of all rows, which has to say so."""
        return self.written(exp.Delete(this=table_of(table), where=exp.Where(this=exp.true())))

    def updating(self, upsert: Upsert) -> exp.Update:
        """UPDATE ... FROM, of no row by two: a key that the table has twice would match two winners of one line."""
        if isinstance(upsert.winners, TableName):
            lines = rows_of(upsert.winners, column_of(LINE)).distinct(copy=False)
            upsert = structs.replace(upsert, winners=lines)
        return super().updating(upsert)

    def parsed_json(self, value: exp.Expression) -> str:
        """The document in a text; numbers were looked at before."""
        return f"PARSE_JSON({self.written(value)}, wide_number_mode=>'round')"

    def _partitions(self, design: Design, columns: Sequence[TableColumn]) -> str:
        if not design.partition_by:
            return ""
        kinds = {column.name: column.kind for column in columns}
        name, kind = self.quoted(design.partition_by), kinds[design.partition_by]
        unit = design.partition_unit
        match kind:
            case Kind.INT:
                start, end, step = design.partition_range or (0, 4000 * 10**6, 10**6)
                what = f"RANGE_BUCKET({name}, GENERATE_ARRAY({start}, {end}, {step}))"
            case Kind.DATE if unit == "DAY":
                what = name
            case Kind.DATE:
                what = f"DATE_TRUNC({name}, {unit})"
            case Kind.TIMESTAMP:
                what = f"DATETIME_TRUNC({name}, {unit})"
            case _:
                what = f"TIMESTAMP_TRUNC({name}, {unit})"
        return f" PARTITION BY {what}"

    def _options(self, options: dict[str, str | int | float | bool]) -> str:
        told = ", ".join(f"{name}={self.literal(value)}" for name, value in options.items())
        return f" OPTIONS ({told})" if told else ""


def rekey(stream: Stream, have: tuple[str, ...], _: str | None) -> str:  # noqa: ARG001 as others
    """How a table gets the stream's key; see Traits."""
    text = exp.Literal.string(note(stream.key)).sql("bigquery")
    return by(f"{alter_of(stream, 'bigquery')} SET OPTIONS (description={text})", stream)


def decimal_of(precision: int, scale: int) -> str:
    """The type of decimals of so many digits: NUMERIC where it has them, otherwise BIGNUMERIC."""
    return f"{'NUMERIC' if is_numeric(precision, scale) else 'BIGNUMERIC'}({precision}, {scale})"


def is_numeric(precision: int, scale: int) -> bool:
    """Whether a NUMERIC has so many digits: 29 before the point, and 9 behind it."""
    return scale <= 9 and precision - scale <= 29  # noqa: PLR2004 as told above
