"""The nouns of tailrace: kinds, columns, streams, blocks of records, batches, receipts and checkpoints. All frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

import pyarrow as pa

from tailrace.blocks import RecordBlock as RecordBlock  # noqa: PLC0414 one of these nouns
from tailrace.errors import Violation
from tailrace.pipelines import is_unnamed as is_unnamed  # noqa: PLC0414 the names of pipelines are among these nouns
from tailrace.pipelines import unnamed as unnamed  # noqa: PLC0414 as above

LINE = "_tailrace_line"
"""The column that every batch carries last: int64, the row's line in the input, counted from 1."""


class Kind(StrEnum):
    """The closed set of what a column can hold; every destination spells each of them."""

    BOOL = "BOOL"
    INT = "INT"
    FLOAT = "FLOAT"
    DECIMAL = "DECIMAL"
    TEXT = "TEXT"
    JSON = "JSON"
    BINARY = "BINARY"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMPTZ = "TIMESTAMPTZ"
    UUID = "UUID"


ARROW: dict[Kind, pa.DataType] = {
    Kind.BOOL: pa.bool_(),
    Kind.INT: pa.int64(),
    Kind.FLOAT: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.JSON: pa.string(),
    Kind.BINARY: pa.binary(),
    Kind.DATE: pa.date32(),
    Kind.TIME: pa.time64("us"),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.TIMESTAMPTZ: pa.timestamp("us", tz="UTC"),
    Kind.UUID: pa.string(),
}
"""The Arrow type of each kind; DECIMAL(p,s) is decimal128(p, s)."""


class Method(StrEnum):
    """How a stream's rows come into its table."""

    APPEND = "append"
    UPSERT = "upsert"
    INSERT_IGNORE = "insert_ignore"
    REPLACE = "replace"


class Fill(StrEnum):
    """What a metadata column is filled with; a column of the record has none."""

    EXTRACTED_AT = "extracted_at"
    RECEIVED_AT = "received_at"
    BATCHED_AT = "batched_at"
    DELETED_AT = "deleted_at"
    SEQUENCE = "sequence"
    TABLE_VERSION = "table_version"
    SYNC_STARTED_AT = "sync_started_at"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a stream's table.

    `path` is where its value stands in the record (one name, or several where objects are flattened); empty for
    metadata columns, which have `fill` instead. `precision` and `scale` count decimal digits, of DECIMAL alone.
    `required` means that the schema demands the field to be present; `nullable` that it may be null. `encoding`
    (base64, base16) says how BINARY is written in JSON. `sql_type` overrides the destination's spelling of the kind;
    `is_sql_type_sent` says that the tap has sent it. `keep` means that an update leaves the value that the row has.
    `constant` is the text of a Fill.CONSTANT column. `nested`, by `schema.nested`, says what structs JSON becomes.
    `is_empty` means that all values are null, which say nothing of their kind.
    """

    name: str
    path: tuple[str, ...]
    kind: Kind
    precision: int = 0
    scale: int = 0
    nullable: bool = True
    required: bool = False
    encoding: str | None = None
    sql_type: str | None = None
    fill: Fill | None = None
    keep: bool = False
    constant: str | None = None
    nested: str | None = None
    is_sql_type_sent: bool = False
    is_empty: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type that a batch holds this column in."""
        if self.kind is Kind.DECIMAL:
            return pa.decimal128(self.precision, self.scale)
        return ARROW[self.kind]

    @property
    def spelling(self) -> str:
        """The kind as text, with the digits of a decimal: `INT`, `DECIMAL(38,9)`."""
        return f"DECIMAL({self.precision},{self.scale})" if self.kind is Kind.DECIMAL else self.kind.value


DELETED_AT = (("_sdc_deleted_at",), ("_mage_deleted_at",))
"""The fields in which records say that their row was deleted at the source."""


@dataclass(frozen=True, slots=True)
class TableName:
    """A table in the destination, and the schema (namespace) it stands in; None is the destination's default."""

    name: str
    schema: str | None = None

    @classmethod
    def of(cls, text: str) -> TableName:
        """The table that is written as `name` or `schema.name`."""
        schema, _, name = text.rpartition(".")
        return cls(name, schema or None)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as one SCHEMA message and the settings make it: the plan by which its records become rows.

    `key` holds column names (not field names). `contract` is evolve, freeze or discard_columns. `validation` is
    types, full or off; `unknown_fields` is drop, fail or evolve; `coerce` is none or exact. `json_schema` is the SCHEMA
    message's schema as JSON, with the fields that records alone have, the `evolved`. `revision` counts the stream's
    schemas in this run, from 1; rows of different revisions never share a batch.
    """

    name: str
    table: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    method: Method = Method.APPEND
    hard_delete: bool = False
    contract: str = "evolve"
    validation: str = "types"
    unknown_fields: str = "drop"
    coerce: str = "none"
    json_schema: bytes = b"{}"
    revision: int = 1
    evolved: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, if there is one."""
        return next((c for c in self.columns if c.name == name), None)

    def filled_with(self, fill: Fill) -> Column | None:
        """The metadata column with that filling, if there is one."""
        return next((c for c in self.columns if c.fill is fill), None)

    @property
    def deletion(self) -> Column | None:
        """The column that says when a row was deleted: the metadata column, or the record's own `_sdc_deleted_at`."""
        return next((c for c in self.columns if c.fill is Fill.DELETED_AT or c.path == ("_sdc_deleted_at",)), None)

    @property
    def deletions(self) -> tuple[Column, ...]:
        """The columns in which a record can ask for its row's deletion, under hard_delete."""
        return tuple(c for c in self.columns if c.fill is Fill.DELETED_AT or c.path in DELETED_AT)

    @property
    def versioned(self) -> bool:
        """Whether rows carry the table version that ACTIVATE_VERSION messages speak of."""
        return self.filled_with(Fill.TABLE_VERSION) is not None

    @property
    def is_merged(self) -> bool:
        """Whether rows of the stream are told apart by their key."""
        return bool(self.key) and self.method is not Method.APPEND

    @property
    def waits_for_commit(self) -> bool:
        """Whether rows may have to wait for the commit, which takes them in the order of their lines."""
        return self.is_merged or self.versioned

    @property
    def arrow(self) -> pa.Schema:
        """The schema of the stream's batches: its columns in order, then the line."""
        fields = [pa.field(c.name, c.arrow) for c in self.columns]
        return pa.schema([*fields, pa.field(LINE, pa.int64(), nullable=False)])


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that can't be loaded: where it stood, its line as sent (without the line feed), and every reason."""

    stream: str
    line: int
    raw: bytes
    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """What metadata columns know of time: when the run started, and what gives the time now (both UTC)."""

    started_at: datetime
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Noted:
    """Values of which something is told: how many, and the input line of the first."""

    count: int
    first_line: int

    def __add__(self, other: Self) -> Self:
        return replace(self, count=self.count + other.count, first_line=min(self.first_line, other.first_line))


@dataclass(frozen=True, slots=True)
class Inexact(Noted):
    """Numbers of a column that a float changes, and the most digits they have before the point and behind it."""

    before: int = 0
    behind: int = 0

    def __add__(self, other: Self) -> Self:
        both = Noted(self.count, self.first_line) + Noted(other.count, other.first_line)
        before, behind = max(self.before, other.before), max(self.behind, other.behind)
        return replace(self, count=both.count, first_line=both.first_line, before=before, behind=behind)


@dataclass(frozen=True, slots=True)
class Growth:
    """Why a stream has to grow before a block can be decoded.

    `fields` maps fields to add, or to widen, under `unknown_fields: evolve` to the JSON Schema that their values make;
    `versioned` means that records carry a version, `deletable` that they ask for deletions under hard_delete, and the
    stream has no column for it. `line` is the first input line that asks for it.
    """

    fields: Mapping[str, Mapping[str, object]]
    versioned: bool = False
    deletable: bool = False
    line: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """A block as columns: rows in line order with the stream's Arrow schema, and what became of all else.

    rows + refused = the block's records. `unknown` counts dropped fields by name. `inexact` and `coerced`, values that
    came as another type than the schema's, are by column name; `odd` are members of messages that are wrong.
    With `growth` set nothing is decoded: rows and refused are empty until the stream has grown.
    """

    rows: pa.Table
    refused: Sequence[Refused] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    inexact: Mapping[str, Inexact] = field(default_factory=dict)
    coerced: Mapping[str, Noted] = field(default_factory=dict)
    odd: Mapping[str, Noted] = field(default_factory=dict)
    growth: Growth | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Sealed rows of one stream, on their way to be staged for the checkpoint of that number.

    `rows` has the stream's Arrow schema (columns, then LINE in rising order) and at least one row. `is_outdated` says
    that some may be of an older version than one that was activated before them.
    """

    stream: Stream
    rows: pa.Table
    checkpoint: int
    is_outdated: bool = False

    @property
    def first_line(self) -> int:
        """The input line of the first row."""
        return int(self.rows[LINE][0].as_py())

    @property
    def last_line(self) -> int:
        """The input line of the last row."""
        return int(self.rows[LINE][-1].as_py())

    def receipt(self, rows: int, token: str = "") -> Receipt:
        """What a destination gives for the batch, of which that many rows wait under its own name for where."""
        return Receipt(self.stream, self.checkpoint, rows, self.first_line, self.last_line, token)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a destination gives for a staged batch; `token` is the destination's own name for where the rows wait."""

    stream: Stream
    checkpoint: int
    rows: int
    first_line: int
    last_line: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Activation:
    """An ACTIVATE_VERSION message: the table's rows of an older version go, once the records before `line` are in."""

    stream: Stream
    version: int
    line: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All records before one STATE message, in every stream, with that state.

    `number` counts a pipeline's checkpoints from 1, without gaps. `state` is the STATE's value as JSON, None when
    the tap has sent none. `publish` is in the order of the input lines. `replace` are the streams whose tables are
    swapped for what this run has staged (only in a final checkpoint). `at` is the time of the commit in UTC.
    `final` is true for the last checkpoint of a run that read its input to the end.
    """

    pipeline: str
    number: int
    state: bytes | None
    at: datetime
    publish: tuple[Receipt, ...] = ()
    activate: tuple[Activation, ...] = ()
    replace: tuple[Stream, ...] = ()
    final: bool = False

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody recovers it: a run without a pipeline has ended well with it."""
        return self.final and is_unnamed(self.pipeline)


@dataclass(frozen=True, slots=True)
class Published:
    """What a commit did to one stream's table, in rows.

    inserted + updated + removals + deduplicated + ignored = the rows staged. `removals` are records that ask for their
    row's deletion (under hard_delete), whether the table had that row or not; `deduplicated` were superseded by a later
    line with the same key in the same checkpoint; `ignored` met a row that insert_ignore keeps. `deleted` counts the
    table's rows that went away or were marked as deleted, by removals, activations and replacements of the table.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    deduplicated: int = 0
    ignored: int = 0
    removals: int = 0

    def __add__(self, other: Published) -> Published:
        return Published(*(mine + more for mine, more in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Traits:
    """What a destination is like, as data.

    `guarantee` is a sentence for people. `max_name_length` counts bytes of UTF-8. `methods` are the ways of loading
    that it has. `case_sensitive` says whether names that differ in case alone differ. `reserved` are names, in lower
    case, that no column can have; a `_` is put behind them. Each match of `unusable` in a name becomes a `_`. Its own
    tables and schemas match `own_tables` and `own_schemas`. `keeps_nested` says that columns with `nested` become
    structs and lists; `is_serial`, that nothing is gained by staging several at once; `rekey`, in the destination's
    own words, how a table gets a stream's key (see `schema.keys`); `mage_words` (lower case) get `_` by `naming: mage`.
    """

    name: str
    guarantee: str
    max_name_length: int = 255
    methods: frozenset[Method] = field(default_factory=lambda: frozenset(Method))
    case_sensitive: bool = False
    reserved: frozenset[str] = frozenset()
    unusable: str = ""
    own_tables: str = ""
    own_schemas: str = ""
    keeps_nested: bool = False
    rekey: Callable[[Stream, tuple[str, ...], str | None], str] | None = None
    is_serial: bool = False
    mage_words: frozenset[str] = frozenset()
