"""Files on object stores or this machine: Parquet, CSV or JSON Lines, listed by manifests.

*Durable when* the checkpoint's manifest is put, after its files; on this machine both are synced to the disk.
*Visible when* the manifest is put: readers of manifests see all files of a checkpoint, in every table, or none.
*Load verb* put of whole files, and put-if-absent of the manifest.
*Source* https://developmentseed.org/obstore and https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html

Addresses are `s3://bucket/path`, `gs://bucket/path`, `az://container/path`, `file:///path` and `files:path`. A manifest
is an entry of the pipeline's journal, in `_tailrace/PIPELINE/`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec
import pyarrow as pa
from pydantic import AliasChoices, Field, field_validator

from tailrace.destination import Destination
from tailrace.errors import ConfigError
from tailrace.lake.destination import LakeDestination
from tailrace.lake.entries import MAX_NAME_LENGTH, Change, Entry, folder_of, sequence_of
from tailrace.lake.formats import KIND
from tailrace.lake.journal import ObjectJournal
from tailrace.lake.listing import Listed, Listing
from tailrace.lake.manifests import Upkeep
from tailrace.lake.partitions import NULL_FOLDER, partition_names
from tailrace.lake.settings import LakeSettings, lake_settings
from tailrace.lake.tables import ExistingTable, Journal, LakeTable, Layout, Store
from tailrace.model import Kind, Method, Published, Stream, TableName, Traits
from tailrace.objects import Folder
from tailrace.objects.errors import is_passing
from tailrace.schema.evolve import TableColumn

from_url = lake_settings

TRAITS = Traits(
    name="files",
    max_name_length=MAX_NAME_LENGTH,
    guarantee="exactly once for readers of the manifests",
    methods=frozenset({Method.APPEND, Method.REPLACE}),
    keeps_nested=True,
)

TYPES: Mapping[Kind, str] = {
    Kind.BOOL: "boolean",
    Kind.INT: "int64",
    Kind.FLOAT: "double",
    Kind.DECIMAL: "decimal({precision},{scale})",
    Kind.TEXT: "string",
    Kind.JSON: "string",
    Kind.BINARY: "binary; base64 in CSV and JSON Lines",
    Kind.DATE: "date",
    Kind.TIME: "time, microseconds",
    Kind.TIMESTAMP: "timestamp, microseconds, local",
    Kind.TIMESTAMPTZ: "timestamp, microseconds, UTC",
    Kind.UUID: "string",
}
"""What each kind is in Parquet; in CSV and JSON Lines it is the text of that."""

_TOKEN = re.compile(r"\{(\w+)(?::([^}]*))?\}")


class Settings(LakeSettings):
    """The settings of files."""

    format: Literal["parquet", "csv", "jsonl"] = Field(
        "parquet", validation_alias=AliasChoices("format", "file_type"), description="What the files are."
    )
    compression: Literal["none", "snappy", "gzip", "zstd", "lz4"] | None = Field(
        None,
        description="How files are compressed. Default: zstd in Parquet, none otherwise, where gzip and zstd can be.",
    )

    @field_validator("format", mode="before")
    @classmethod
    def _format_is_one_of_files(cls, name: object) -> object:
        if name in {"delta", "iceberg"}:
            raise ValueError(f"tables of {name} are a destination of their own, as in `--to {name}`")
        return name

    file_template: str = Field(
        "{schema}/{table}",
        description="The folder of a table's files; knows {stream}, {schema}, {table} and {date:%Y/%m/%d}, in UTC.",
    )
    date_partition_format: str | None = Field(
        None,
        description="A date, as in `%Y/%m/%d`, that becomes a folder in the table's: when the run began to load it.",
    )
    column_header_format: Literal["lower", "upper"] | None = Field(
        None, description="How the header of CSV writes the names of columns, if not as they are."
    )


SETTINGS = Settings


def build(settings: Settings) -> Destination:
    """The destination of these settings."""
    if settings.format != "parquet" and settings.compression in {"snappy", "lz4"}:
        raise ConfigError(f"{settings.format} can't be compressed by it", key="compression", hint="use gzip or zstd")
    if settings.format == "parquet":
        return LakeDestination(FileTables(settings), TRAITS, is_passing)
    traits = replace(TRAITS, name=f"files as {settings.format}", keeps_nested=False)
    return LakeDestination(FileTables(settings), traits, is_passing)


class FileTables:
    """Tables whose files are listed by manifests; see Tables."""

    rewrites = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = Folder(settings, settings.root)
        self._listing = Listing(self._root)
        self._listed: Mapping[TableName, Listed] | None = None
        self._made: dict[TableName, list[TableColumn]] = {}
        self._keys: dict[TableName, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[object, ...]:
        return FileTables, (self._settings,)

    def journal(self, pipeline: str) -> Journal:
        """The pipeline's manifests; see Tables."""
        self._listed = None
        self._made.clear()
        self._keys.clear()
        return ObjectJournal(self._root, pipeline)

    def named(self, table: TableName) -> TableName:
        """The table itself; see Tables."""
        return table

    def existing(self, table: TableName) -> ExistingTable | None:
        """The columns that manifests name, and those that this run has added; see Tables."""
        is_known = table in self._tables() or table in self._made
        return self._has(table) if is_known else None

    def accepting(self, stream: Stream) -> ExistingTable | None:
        """As existing() gives it, since every table takes more files; see Tables."""
        return self.existing(stream.table)

    def create(self, stream: Stream, columns: Sequence[TableColumn], key: Sequence[str]) -> ExistingTable:
        """Remember columns and key, for the manifest of the first commit; see Tables."""
        self._made[stream.table], self._keys[stream.table] = [*columns], tuple(key)
        return self._has(stream.table)

    def add_columns(self, table: TableName, columns: Sequence[TableColumn]) -> ExistingTable:
        """Remember the columns, which files have from now on; see Tables."""
        self._made.setdefault(table, []).extend(columns)
        return self._has(table)

    def relax(self, table: TableName, columns: Sequence[str]) -> ExistingTable:
        """Nothing: every column takes null; see Tables."""
        del columns
        return self._has(table)

    def layout(self, stream: Stream, columns: Sequence[TableColumn]) -> Layout:
        """Files in the folder that the template makes; see Tables."""
        given = self._settings
        compression = given.compression or ("zstd" if given.format == "parquet" else "none")
        return Layout(
            store=self._root,
            folder=self._folder(stream, datetime.now(UTC)),
            schema=self.schema_of(columns),
            format=given.format,
            compression=compression,
            header=given.column_header_format or "original",
            max_bytes=given.file_bytes,
            partition_by=partition_names(given.partitions(stream.name), columns),
        )

    def schema_of(self, columns: Sequence[TableColumn]) -> pa.Schema:
        """Arrow's own types; each column carries its kind; see Tables."""
        return pa.schema(
            [pa.field(c.name, c.arrow or pa.string(), metadata={KIND: (c.kind or "TEXT").encode()}) for c in columns]
        )

    def lost_texts(self, stream: Stream, columns: Sequence[TableColumn]) -> Mapping[str, str]:
        """The name of the folder that stands for null; see Tables."""
        return dict.fromkeys(partition_names(self._settings.partitions(stream.name), columns), NULL_FOLDER)

    def staging(self, pipeline: str) -> tuple[Store, str]:
        """Never called, since rows aren't merged; see Tables."""
        raise AssertionError(f"files have nothing to merge ({pipeline})")

    def table(self, table: TableName) -> LakeTable:
        """Never called, since manifests list what a table has; see Tables."""
        raise AssertionError(f"the files of {table} are listed by manifests")

    def decided(self, change: Change) -> Change:
        """The change; if it replaces the table, with the files that the table then loses; see Tables."""
        if not change.replace:
            return change
        self._listed = None
        listed = self._tables().get(change.name)
        return msgspec.structs.replace(change, voids=tuple(listed.files) if listed else ())

    def apply(self, entry: Entry, change: Change) -> Published:
        """Only count rows, since the manifest is all there is; see Tables."""
        del entry
        deleted = self._rows_of(change.voids) if change.voids else 0
        return Published(inserted=sum(part.rows for part in change.files), deleted=deleted)

    def clean(self, journal: Journal, takeover: Entry, *, is_settled: bool) -> None:
        """Remove files of the pipeline that no manifest lists, and those that its last run replaced; see Tables."""
        tables = self._tables()
        own = self._listing.entries(takeover.pipeline)
        first = next((entry.run for entry in own if entry.sequence == takeover.sequence - 1), 1)
        self._root.remove(
            path for entry in own if entry.sequence >= first for change in entry.tables for path in change.voids
        )
        if is_settled:
            return
        known = {path for listed in tables.values() for path in (*listed.files, *listed.gone)}
        written = range(min(first, takeover.since), takeover.sequence + 1)
        for folder in {self._static(table) for table in journal.tables()}:
            for path in [*self._root.names(folder)]:
                if sequence_of(path, takeover.pipeline) in written and path not in known:
                    self._root.remove([path])

    def maintain(self, tables: Collection[TableName], keep: timedelta) -> Iterator[str]:
        """Put small files and manifests together, and remove what nothing needs; see Tables."""
        self._listed = None
        return Upkeep(self._root, self._settings.file_bytes, keep).run(tables)

    def addresses(self, table: TableName) -> Sequence[str]:
        """As the manifests have them; see Tables."""
        listed = self._tables().get(table)
        return [self._root.address(path) for path in sorted(listed.files)] if listed else []

    def check(self) -> Sequence[str]:
        """Where the files are; see Tables."""
        names = [name for name, _ in zip(self._root.names(), range(1), strict=False)]
        there = "there are files in it" if names else "nothing is in it yet"
        self._root.put("_tailrace/check", b"")
        self._root.remove(["_tailrace/check"])
        return [f"{self._root.url} can be written to; {there}."]

    def _rows_of(self, paths: Sequence[str]) -> int:
        """The rows of files that some manifest has listed."""
        parts = [part for each in self._listing.all() for change in each.tables for part in change.files]
        rows = {part.path: part.rows for part in parts}
        return sum(rows.get(path, 0) for path in paths)

    def _has(self, table: TableName) -> ExistingTable:
        listed = self._tables().get(table)
        columns = [*(listed.columns.values() if listed else ()), *self._made.get(table, ())]
        newest = tuple({column.name: column for column in columns}.values())  # structs may have grown
        key = listed.key if listed and listed.key is not None else self._keys.get(table)
        return ExistingTable(newest, key, self.schema_of(newest))

    def _tables(self) -> Mapping[TableName, Listed]:
        with self._lock:
            if self._listed is None:
                self._listed = self._listing.read()
            return self._listed

    def _folder(self, stream: Stream, now: datetime) -> str:
        given = self._settings
        template = given.file_template
        if given.date_partition_format:
            template += f"/{{date:{given.date_partition_format}}}"
        return self._filled(template, {"stream": stream.name, **_names(stream.table)}, now)

    def _static(self, table: TableName) -> str:
        """The folder that all files of the table are in, whatever the date and the stream."""
        before = re.split(r"\{(?:date|stream)\b", self._settings.file_template)[0]
        folder = self._filled(before, _names(table), datetime.now(UTC))
        return folder if before == self._settings.file_template else folder.rpartition("/")[0]

    def _filled(self, template: str, names: Mapping[str, str], now: datetime) -> str:
        def value(token: re.Match[str]) -> str:
            name, detail = token.groups()
            if name == "date":
                return now.strftime(detail or "%Y-%m-%d")
            if name not in names:
                raise ConfigError(
                    f"it has {{{name}}}", key="file_template", hint="it knows {stream}, {schema}, {table}, {date}"
                )
            return folder_of(names[name])

        return "/".join(part for part in _TOKEN.sub(value, template).split("/") if part not in {"", ".", ".."})


def _names(table: TableName) -> dict[str, str]:
    return {"schema": table.schema or "", "table": table.name}
