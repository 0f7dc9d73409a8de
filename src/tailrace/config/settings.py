"""What there is to set: the settings of a run and of a stream, each documented, with its unit in its name."""

from __future__ import annotations

import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from tailrace.model import Method
from tailrace.pipelines import wrong_with_name

Positive = Annotated[int, Field(gt=0)]


def listed(value: Any) -> Any:
    """A text as the list of names that it has between its commas; anything else as it is."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(listed)]
"""A list of names, or a text of them with commas between."""


class ColumnSettings(BaseModel):
    """Overrides for one column, under `columns:` by its field name (dotted where objects are flattened)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: str | None = Field(None, description="Kind to use instead of the schema's, as in `DECIMAL(38,9)`.")
    sql_type: str | None = Field(
        None, description="The database's own type, used as it stands in CREATE TABLE; files and lakes have none."
    )
    name: str | None = Field(None, description="The column's name in the table.")
    select: bool = Field(True, description="False leaves the field out of the table.")


class StreamSettings(BaseModel):
    """What can be set for all streams, and again for some of them under `streams:`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    select: bool = Field(True, description="False skips the stream; its records are counted as filtered.")
    method: Method | None = Field(
        None,
        description="How rows are loaded: append, upsert, insert_ignore or replace. "
        "Default: upsert for a stream with keys, append without.",
    )
    truncate_full_table: bool = Field(
        False,
        description="`method: replace` for streams whose SCHEMA message has the replication_method FULL_TABLE, as "
        "Mage's taps send it, where `method` isn't set.",
    )
    key_properties: Names | None = Field(
        None,
        validation_alias=AliasChoices("key_properties", "unique_constraints"),
        description="Fields that identify a row, instead of the SCHEMA message's.",
    )
    table: str = Field(
        "{stream}",
        description="Template of the table's name; knows {stream}, and {schema} and {table} "
        "of streams that are named schema-table.",
    )
    # `schema` is the setting's name everywhere; pydantic's BaseModel has a method of that name.
    schema_name: str | None = Field(
        None,
        validation_alias=AliasChoices("schema", "schema_name", "default_target_schema"),
        serialization_alias="schema",
        description="Template of the schema (namespace) that tables stand in; the destination's default otherwise.",
    )
    naming: Literal["snake", "preserve", "mage", "mage_preserve", "mage_words", "mage_preserve_words"] = Field(
        "snake",
        description="snake: lower case, other characters become _. preserve: names as the tap sends them. mage: "
        "columns as in tables that Mage made: lower case, _ for each other character and before words of SQL, as in "
        "_user; tables as they are sent. mage_preserve keeps the case, mage_words the words, mage_preserve_words both.",
    )
    metadata: Literal["none", "singer", "mage"] = Field(
        "none",
        description="Metadata columns: singer adds _sdc_extracted_at and its siblings, mage _mage_created_at "
        "and _mage_updated_at.",
    )
    validation: Literal["types", "full", "off"] = Field(
        "types",
        description="types: what columns need (type, null, required, format). full: every keyword of the schema. "
        "off: only what can't be represented is refused.",
    )
    coerce: Literal["none", "exact"] | None = Field(
        None,
        description="exact: a value of another JSON type than the schema's is taken where the column holds it without "
        "loss and one way only (2 as text, the text 5 as a number, the text true as a boolean, the text of an object "
        "as the object), and counted. none: it is refused. Default: exact under `validation: off`, else none.",
    )
    unknown_fields: Literal["drop", "fail", "evolve"] = Field(
        "drop", description="Fields that the schema doesn't name: dropped and counted, refused, or made columns."
    )
    nested: Literal["json", "flatten", "native"] = Field(
        "json",
        description="Objects and arrays. json: one JSON column. flatten: an object's fields as columns named "
        "parent__child. native: structs and lists by the schema, where the destination has them (files as Parquet, "
        "Delta Lake, Iceberg).",
    )
    max_level: Positive = Field(
        10,
        description="How many levels of objects `nested: flatten` takes apart, and `nested: native` makes structs of.",
    )
    numbers: Literal["float", "decimal"] = Field(
        "float", description="What `number` becomes: FLOAT, or DECIMAL(38,9) where the schema says nothing finer."
    )
    contract: Literal["evolve", "freeze", "discard_columns"] = Field(
        "evolve", description="A table that differs: changed to fit, left with an error, or left with columns dropped."
    )
    hard_delete: bool = Field(
        False,
        description="Delete rows of replaced versions, and the row of a record that has _sdc_deleted_at or "
        "_mage_deleted_at set (whether the schema names them or not), instead of keeping them.",
    )
    columns: dict[str, ColumnSettings] = Field(
        default_factory=dict, description="Overrides by field: kind, sql_type, name, select."
    )
    constants: dict[str, str | int | float | bool] = Field(
        default_factory=dict, description="Columns with the same value in every row, by name."
    )


class ParallelSettings(BaseModel):
    """How many inputs are read at once, and by whom, under `parallel:`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    backend: Literal["threading", "loky", "dask", "ray"] = Field(
        "loky",
        description="Who reads, decodes and stages the inputs. threading: threads of this process. loky: processes of "
        "this machine. dask, ray: the workers of a cluster, which need tailrace and the destination's driver.",
    )
    workers: Positive | None = Field(
        None, description="How many inputs are worked on at once. Default: the cores of this machine, or the cluster's."
    )
    address: str | None = Field(
        None,
        description="Where the cluster is, as in `tcp://scheduler:8786` (dask) or `ray://head:10001`. Default: one of "
        "this machine is started.",
    )
    spool: Path | None = Field(
        None,
        description="A folder that driver and workers can write to, for the rows of destinations to which this process "
        "alone can write, such as DuckDB. Default: a temporary one of this machine.",
    )


class Settings(StreamSettings):
    """Everything that can be set for a run, but the destination's own settings."""

    pipeline: str | None = Field(
        None,
        description="Name under which checkpoints are remembered; without it a run starts afresh. "
        "At most 255 characters, and none of `~` at its start, of blanks at its ends, or of control characters.",
    )
    streams: dict[str, StreamSettings] = Field(
        default_factory=dict, description="Overrides by stream name or glob; a later match overrides an earlier one."
    )
    on_invalid: Literal["fail", "quarantine"] = Field(
        "fail", description="A record that breaks its schema: end the run, or set the record aside and go on."
    )
    quarantine: Path | None = Field(
        None,
        description="The JSON Lines file of refused records, which one run at a time may have. "
        "Default: PIPELINE.quarantine.jsonl, and without a pipeline tailrace-TIME-RUN.quarantine.jsonl.",
    )
    max_invalid: float | None = Field(
        None, ge=0, description="Quarantined records that end the run: a count, or below 1 a share of those read."
    )
    batch_rows: Positive = Field(50_000, description="Rows at which a batch is sealed.")
    batch_bytes: Positive = Field(
        8 * 2**20,
        validation_alias=AliasChoices("batch_bytes", "maximum_batch_size_bytes"),
        description="Bytes of columns at which a batch is sealed.",
    )
    batch_age_s: float = Field(60.0, gt=0, description="Seconds after which a batch is sealed.")
    checkpoint_rows: Positive = Field(1_000_000, description="Rows after which the next STATE is a checkpoint.")
    checkpoint_bytes: Positive = Field(
        256 * 2**20, description="Input bytes after which the next STATE is a checkpoint."
    )
    checkpoint_age_s: float = Field(300.0, gt=0, description="Seconds after which the next STATE is a checkpoint.")
    commit_without_state: bool = Field(
        False, description="Also commit at the limits when the tap sends no STATE: then rows may come twice."
    )
    max_memory_bytes: Positive = Field(
        32 * 2**20, description="Bytes of records held in memory before the reader waits."
    )
    max_parallelism: Positive = Field(8, description="Batches staged at once.")
    input_store: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        json_schema_extra={"writeOnly": True},
        description="How the object store of inputs is reached: endpoint, region, access_key_id, secret_access_key, "
        "session_token, role_arn, storage_options. Default: as AWS's, Google's or Azure's own tools do.",
    )
    batch_roots: Names = Field(
        (),
        description="Folders and addresses (s3://bucket/path, gs://, az://) below which the files of the tap's BATCH "
        "messages may stand; no other file is read. Default: none, so that BATCH messages are refused.",
    )
    parallel: ParallelSettings | None = Field(
        None,
        description="Of several inputs, whole ones are worked on at once: backend, workers, address, spool. "
        "Default: one is read after the other.",
    )
    retry_s: float = Field(120.0, ge=0, description="Seconds for which a transient failure is retried.")
    max_line_bytes: Positive = Field(2**30, description="The longest line that is read.")
    log_level: Literal["debug", "info", "warning", "error"] | None = Field(
        None,
        description="The least of what the log says. Default: what a runner asks for (SINGER_SDK_LOG_CONFIG), else "
        "info, and warning beside the live view of a terminal.",
    )
    log_format: Literal["text", "json", "singer", "plain"] | None = Field(
        None,
        description="How the log says it. text: lines with time, level and fields. json: an object a line. singer: as "
        "the Singer SDK does, which Meltano reads. plain: without time, for runners that add it. Default: what a "
        "runner asks for, else text.",
    )

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _case_does_not_matter(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("pipeline")
    @classmethod
    def _pipeline_is_a_name(cls, pipeline: str | None) -> str | None:
        if pipeline is not None and (wrong := wrong_with_name(pipeline)):
            raise ValueError(wrong)
        return pipeline

    def for_stream(self, name: str) -> StreamSettings:
        """The settings of the stream of that name: these, overridden by each match under `streams` in order."""
        fields = StreamSettings.model_fields.keys() & self.model_fields_set
        merged = {field: getattr(self, field) for field in fields}
        for pattern, overrides in self.streams.items():
            if fnmatch.fnmatchcase(name, pattern):
                merged |= overrides.model_dump(exclude_unset=True)
        return StreamSettings.model_validate(merged)
