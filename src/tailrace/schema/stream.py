"""A SCHEMA message and the settings as a Stream: names columns, finds the key, adds metadata columns."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

import msgspec

from tailrace.config import StreamSettings
from tailrace.errors import ConfigError, SchemaError
from tailrace.model import Column, Fill, Kind, Method, Stream, Traits
from tailrace.schema.jsonschema import columns_of
from tailrace.schema.kinds import MAX_DIGITS
from tailrace.schema.names import destination_names, given_name, table_name
from tailrace.schema.soundness import MAX_DEPTH, depth_of

_VERSION = Column("_sdc_table_version", (), Kind.INT, fill=Fill.TABLE_VERSION)
_DELETED_AT = Column("_sdc_deleted_at", (), Kind.TIMESTAMPTZ, fill=Fill.DELETED_AT)
_MAGE_DELETED_AT = "_mage_deleted_at"

METADATA: dict[str, tuple[Column, ...]] = {
    "none": (),
    "singer": (
        Column("_sdc_extracted_at", (), Kind.TIMESTAMPTZ, fill=Fill.EXTRACTED_AT),
        Column("_sdc_received_at", (), Kind.TIMESTAMPTZ, fill=Fill.RECEIVED_AT),
        Column("_sdc_batched_at", (), Kind.TIMESTAMPTZ, fill=Fill.BATCHED_AT),
        _DELETED_AT,
        Column("_sdc_sequence", (), Kind.INT, fill=Fill.SEQUENCE),
        _VERSION,
        Column("_sdc_sync_started_at", (), Kind.INT, fill=Fill.SYNC_STARTED_AT),
    ),
    "mage": (
        Column("_mage_created_at", (), Kind.TIMESTAMPTZ, fill=Fill.CREATED_AT, keep=True),
        Column("_mage_updated_at", (), Kind.TIMESTAMPTZ, fill=Fill.UPDATED_AT),
    ),
}
"""The columns that each value of the setting `metadata` adds, in order."""

_CONFLICT_METHODS = {"UPDATE": Method.UPSERT, "IGNORE": Method.INSERT_IGNORE}
_KEYED = frozenset({Method.UPSERT, Method.INSERT_IGNORE})
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def planned_stream(
    name: str,
    json_schema: bytes,
    key_properties: Sequence[str],
    settings: StreamSettings,
    traits: Traits,
    *,
    revision: int,
    versioned: bool,
    deletable: bool = False,
    unique_constraints: Sequence[str] | None = None,
    unique_conflict_method: str | None = None,
) -> Stream:
    """The Stream of a SCHEMA message and the settings, for a destination with those traits.

    `versioned` adds the columns that ACTIVATE_VERSION needs, `deletable` one for the deletions that records ask for
    under hard_delete. Raises SchemaError where the schema or its key can't be a table, ConfigError where the settings
    ask for what can't be.
    """
    stream = stream_of_columns(
        name,
        columns_of(_object(json_schema, name), settings, name),
        unique_constraints or key_properties,
        settings,
        traits,
        versioned=versioned,
        deletable=deletable,
        unique_conflict_method=unique_conflict_method,
    )
    return replace(stream, json_schema=json_schema, revision=revision)


def stream_of_columns(
    name: str,
    columns: Sequence[Column],
    key_properties: Sequence[str],
    settings: StreamSettings,
    traits: Traits,
    *,
    versioned: bool = False,
    deletable: bool = False,
    unique_conflict_method: str | None = None,
) -> Stream:
    """The Stream of columns that are still named by their fields; `key_properties` are fields too.

    The columns are those that the settings have left over and given their kinds, as `chosen_columns` does.
    """
    if settings.nested == "native" and not traits.keeps_nested:
        raise ConfigError(
            f"stream {name!r}: {traits.name} can't keep structs and lists",
            key="nested",
            hint="use json or flatten; files as Parquet, Delta Lake and Iceberg keep them",
        )
    if not columns and settings.unknown_fields != "evolve":
        raise SchemaError(
            "there are no columns: its schema has no properties, or the settings leave all of them out "
            "(`unknown_fields: evolve` makes columns of the fields that come, `select: false` skips the stream)",
            stream=name,
        )
    fields = key_properties if settings.key_properties is None else settings.key_properties
    named = [*_named(columns, settings, traits, name), *_constants(settings, traits)]
    complete = _with_metadata(
        named, settings, traits, _needed(named, settings, versioned=versioned, deletable=deletable)
    )
    key = _key(complete, fields, name)
    return Stream(
        name=name,
        table=table_name(name, settings, traits),
        columns=tuple(replace(c, nullable=False, required=True, nested=None) if c.name in key else c for c in complete),
        key=key,
        method=_method(key, settings, traits, name, unique_conflict_method),
        hard_delete=settings.hard_delete,
        contract=settings.contract,
        validation=settings.validation,
        unknown_fields=settings.unknown_fields,
        coerce=_coerce(settings, name),
    )


def _coerce(settings: StreamSettings, stream: str) -> str:
    """The effective setting `coerce`."""
    if settings.coerce == "exact" and settings.validation == "full":
        raise ConfigError(
            f"stream {stream!r}: `validation: full` refuses what isn't of the schema's types",
            key="coerce",
            hint="set `validation: types` beside `coerce: exact`, or `coerce: none`",
        )
    return settings.coerce or ("exact" if settings.validation == "off" else "none")


def _object(json_schema: bytes, stream: str) -> dict[str, object]:
    try:
        # Numbers stay exact, so that a bound or a `multipleOf` is what the tap wrote.
        schema = _DECODER.decode(json_schema)
    except (msgspec.DecodeError, InvalidOperation) as error:
        raise SchemaError(f"its schema isn't JSON: {error}", stream=stream) from error
    except RecursionError:
        raise _too_deep(stream) from None
    if depth_of(schema, MAX_DEPTH) > MAX_DEPTH:
        raise _too_deep(stream)
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise SchemaError("its schema must be a JSON object; the tap sends something else", stream=stream)
    return schema


def _too_deep(stream: str) -> SchemaError:
    return SchemaError(f"its schema has more than {MAX_DEPTH} levels of objects and arrays", stream=stream)


def _field(column: Column) -> str:
    """The column's field as an operator writes it."""
    return ".".join(column.path)


def _named(columns: Sequence[Column], settings: StreamSettings, traits: Traits, stream: str) -> list[Column]:
    """The columns under their names in the destination."""
    for source, count in Counter(c.name for c in columns).items():
        if count > 1:
            fields = " and ".join(repr(_field(c)) for c in columns if c.name == source)
            raise SchemaError(
                f"the fields {fields} would both be the column {source!r}; leave one out with `select: false` "
                "under `columns:`",
                stream=stream,
                column=source,
            )
    given: dict[str, str] = {}
    for column in columns:
        override = settings.columns.get(_field(column))
        if override is not None and override.name is not None:
            given[column.name] = given_name(override.name, f"columns.{_field(column)}.name", traits)
    sources = [c.name for c in columns]
    names = destination_names(sources, settings.naming, traits, stream, given=given)
    return [replace(column, name=names[column.name]) for column in columns]


def _constants(settings: StreamSettings, traits: Traits) -> list[Column]:
    return [
        _constant(given_name(name, f"constants.{name}", traits), value) for name, value in settings.constants.items()
    ]


def _constant(name: str, value: str | float | bool) -> Column:  # noqa: FBT001 the value of a setting
    column = Column(name, (), Kind.TEXT, fill=Fill.CONSTANT, constant=str(value))
    if isinstance(value, bool):
        return replace(column, kind=Kind.BOOL, constant=str(value).lower())
    if isinstance(value, int):
        fits = -(2**63) <= value < 2**63
        return replace(column, kind=Kind.INT) if fits else replace(column, kind=Kind.DECIMAL, precision=MAX_DIGITS)
    return replace(column, kind=Kind.FLOAT) if isinstance(value, float) else column


def _needed(
    columns: Sequence[Column], settings: StreamSettings, *, versioned: bool, deletable: bool
) -> tuple[Column, ...]:
    """The metadata columns that versions and deletions need, whatever the settings."""
    needed = (_VERSION,) if versioned else ()
    if deletable:
        # A field that is a column of the record's own takes its deletions itself.
        own = {column.path for column in columns}
        return (*needed, replace(_DELETED_AT, name=_MAGE_DELETED_AT) if (_DELETED_AT.name,) in own else _DELETED_AT)
    return needed if settings.hard_delete or not versioned else (*needed, _DELETED_AT)


def _with_metadata(
    columns: Sequence[Column], settings: StreamSettings, traits: Traits, needed: Sequence[Column]
) -> list[Column]:
    """The columns and the metadata columns. Of two with one name the record's own stays, except for versions."""
    metadata = list(METADATA[settings.metadata])
    metadata += [column for column in needed if column not in metadata]
    if _VERSION in metadata:
        columns = [c for c in columns if _folded(c.name, traits) != _VERSION.name or c.fill is Fill.CONSTANT]
    own = {_folded(c.name, traits) for c in columns if c.fill is None}
    taken = own | {c.name for c in metadata}
    for constant in (c for c in columns if c.fill is Fill.CONSTANT):
        if _folded(constant.name, traits) in taken:
            raise ConfigError(
                "the table has a column of that name already",
                key=f"constants.{constant.name}",
                hint="give the constant another name, or leave the field out with `select: false` under `columns:`",
            )
        taken.add(_folded(constant.name, traits))
    return [*columns, *(c for c in metadata if c.name not in own)]


def _folded(name: str, traits: Traits) -> str:
    return name if traits.case_sensitive else name.lower()


def _key(columns: Sequence[Column], fields: Sequence[str], stream: str) -> tuple[str, ...]:
    """The names of the columns that hold the key's fields, in the key's order."""
    by_field = {c.name: c for c in columns} | {_field(c): c for c in columns if c.path}
    found: dict[str, None] = {}
    for field in fields:
        if field not in by_field:
            near = difflib.get_close_matches(field, by_field, 1, cutoff=0.5)
            meant = f"the nearest is {near[0]!r}" if near else f"there are {', '.join(map(repr, by_field)) or 'none'}"
            raise SchemaError(
                f"the key field {field!r} isn't among the columns; {meant} "
                "(the tap must describe its key in the schema, or set `key_properties` to fields that it has)",
                stream=stream,
                column=field,
            )
        found[by_field[field].name] = None
    return tuple(found)


def _method(
    key: Sequence[str], settings: StreamSettings, traits: Traits, stream: str, unique_conflict_method: str | None
) -> Method:
    asked = settings.method
    if asked is None and unique_conflict_method and key:
        asked = _CONFLICT_METHODS.get(unique_conflict_method.upper())
        if asked is None:
            raise ConfigError(
                f"stream {stream!r}: {unique_conflict_method!r} isn't a way to meet a conflict",
                key="unique_conflict_method",
                hint="use UPDATE or IGNORE",
            )
    if asked is None:
        # Nobody has asked: a destination that can't upsert appends.
        asked = Method.UPSERT if key and Method.UPSERT in traits.methods else Method.APPEND
    if asked not in traits.methods:
        has = ", ".join(sorted(traits.methods))
        raise ConfigError(
            f"stream {stream!r}: {traits.name} can't load with {asked}", key="method", hint=f"it has {has}"
        )
    if asked in _KEYED and not key:
        raise ConfigError(
            f"stream {stream!r}: {asked} needs a key, and the stream has none",
            key="method",
            hint="set `key_properties`, or `method: append`",
        )
    return asked
