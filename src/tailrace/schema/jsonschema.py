"""JSON Schema to columns: which kind, how many digits, nullable or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tailrace.config import ColumnSettings, StreamSettings
from tailrace.errors import ConfigError
from tailrace.model import Column, Kind
from tailrace.schema.flatten import Leaf, flattened
from tailrace.schema.kinds import (
    DEFAULT_DECIMAL,
    INT_DIGITS,
    MAX_DIGITS,
    decimal_digits,
    kind_by_sql_type,
    parsed_kind,
)
from tailrace.schema.nested import Nested, nested_text
from tailrace.schema.nesting import Nesting, without_null
from tailrace.schema.shapes import Alternative, Document
from tailrace.schema.soundness import refuse_flaws

FORMATS: dict[str, Kind] = {
    "date-time": Kind.TIMESTAMPTZ,
    "date": Kind.DATE,
    "time": Kind.TIME,
    "uuid": Kind.UUID,
}
"""The kind of a string by its `format`; TEXT for any other format."""

ENCODINGS = frozenset({"base64", "base16"})
"""The values of `contentEncoding` that make a string BINARY."""

_DECIMAL_FORMATS = frozenset({"singer.decimal", "x-singer.decimal"})
_NUMERIC = frozenset({Kind.INT, Kind.FLOAT, Kind.DECIMAL})
_INT64_END = Decimal(2**63)


class _Type(Struct, frozen=True):
    kind: Kind
    precision: int = 0
    scale: int = 0
    encoding: str | None = None


class _Bound(Struct, frozen=True):
    value: Decimal
    is_exclusive: bool


def columns_of(json_schema: Mapping[str, Any], settings: StreamSettings, stream: str) -> tuple[Column, ...]:
    """The columns of a stream's schema in its order, named by their fields (joined by `__` if flattened)."""
    whole = {name for name, override in settings.columns.items() if override.kind or override.sql_type}
    max_level = settings.max_level if settings.nested == "flatten" else 0
    document = Document(json_schema, stream)
    refuse_flaws(document, lambda field: _is_settled(field, settings.columns))
    leaves = flattened(document, max_level, whole)
    columns = [_column(leaf, settings) for leaf in leaves]
    if settings.nested == "native":
        nesting = Nesting(document, settings.max_level, whole, _leaf_of(settings))
        columns = [_nested(column, leaf, nesting) for column, leaf in zip(columns, leaves, strict=True)]
        _refuse_unnested(columns, settings)
    return chosen_columns(columns, settings)


def chosen_columns(columns: Iterable[Column], settings: StreamSettings) -> tuple[Column, ...]:
    """The columns with the kind and sql_type that `columns:` gives, without those that it leaves out."""
    overrides = settings.columns
    return tuple(_overridden(column, overrides) for column in columns if _is_selected(column.path, overrides))


def _is_selected(path: Sequence[str], overrides: Mapping[str, ColumnSettings]) -> bool:
    """Whether the field at that path is selected, and so are all objects that it is in."""
    above = (".".join(path[: n + 1]) for n in range(len(path)))
    return all(overrides[name].select for name in above if name in overrides)


def _is_settled(path: Sequence[str], overrides: Mapping[str, ColumnSettings]) -> bool:
    """Whether the settings override the field at that path, or an object that it is in."""
    found = (overrides.get(".".join(path[: n + 1])) for n in range(len(path)))
    return any(override and (override.kind or override.sql_type or not override.select) for override in found)


def _overridden(column: Column, overrides: Mapping[str, ColumnSettings]) -> Column:
    field = ".".join(column.path)
    override = overrides.get(field)
    if override is None:
        return column
    if override.kind is not None:
        kind, precision, scale = parsed_kind(override.kind, f"columns.{field}.kind")
        encoding = (column.encoding or "base64") if kind is Kind.BINARY else None
        column = replace(
            column, kind=kind, precision=precision, scale=scale, encoding=encoding, sql_type=None, nested=None
        )
    if override.sql_type is None:
        return column
    return replace(column, sql_type=override.sql_type, is_sql_type_sent=False, nested=None)


def _column(leaf: Leaf, settings: StreamSettings) -> Column:
    spelled = _sql_type(leaf)
    found = _typed(leaf, settings)
    return Column(
        name="__".join(leaf.path),
        path=leaf.path,
        kind=found.kind,
        precision=found.precision,
        scale=found.scale,
        nullable=leaf.nullable,
        required=leaf.required,
        encoding=found.encoding,
        is_sql_type_sent=spelled is not None,
        sql_type=spelled,
    )


def _sql_type(leaf: Leaf) -> str | None:
    """The SQL type that the schema names, if it is valid."""
    spelled = {a.keywords["x-sql-datatype"] for a in leaf.alternatives if _has_text(a.keywords, "x-sql-datatype")}
    return spelled.pop() if len(spelled) == 1 else None


def _typed(leaf: Leaf, settings: StreamSettings) -> _Type:
    """The type of a leaf: the schema's, or the one that keeps all digits of the SQL type."""
    found = _unified(leaf.alternatives, settings.numbers)
    override = settings.columns.get(".".join(leaf.path))
    sql_type = (override.sql_type if override else None) or _sql_type(leaf)
    by_sql_type = kind_by_sql_type(sql_type, found.kind) if sql_type else None
    return _Type(*by_sql_type) if by_sql_type else found


def _nested(column: Column, leaf: Leaf, nesting: Nesting) -> Column:
    """The column, with the structure of its objects or arrays if the schema describes it."""
    nested = nesting.of(leaf) if column.kind is Kind.JSON and column.sql_type is None else None
    return column if nested is None else replace(column, nested=nested_text(nested))


def _leaf_of(settings: StreamSettings) -> Callable[[Leaf], Nested]:
    """Gives the leaves of nested values: of the kinds that columns would have, or that `columns:` sets."""

    def leaf_of(leaf: Leaf) -> Nested:
        found = _typed(leaf, settings)
        override = settings.columns.get(field := ".".join(leaf.path))
        if override is not None and override.kind is not None:
            kind, precision, scale = parsed_kind(override.kind, f"columns.{field}.kind")
            found = _Type(kind, precision, scale, (found.encoding or "base64") if kind is Kind.BINARY else None)
        if found.kind is Kind.JSON:
            return Nested()
        return Nested(found.kind, found.precision, found.scale, found.encoding, without_null(leaf.alternatives))

    return leaf_of


def _refuse_unnested(columns: Sequence[Column], settings: StreamSettings) -> None:
    """Raise ConfigError if the settings set something that a struct's field can't have."""
    own = {".".join(column.path) for column in columns}
    structs = tuple(f"{'.'.join(column.path)}." for column in columns if column.nested)
    for field, override in settings.columns.items():
        is_asked = not override.select or override.name is not None or override.sql_type is not None
        if field not in own and field.startswith(structs) and is_asked:
            raise ConfigError(
                "it is a field of a struct, which stays under its name; only its kind can be set",
                key=f"columns.{field}",
                hint="`kind: JSON` for the column keeps it as text, `nested: flatten` makes columns of its fields",
            )


def _has_text(keywords: Mapping[str, Any], word: str) -> bool:
    return isinstance(keywords.get(word), str)


def _unified(alternatives: Sequence[Alternative], numbers: str) -> _Type:
    """The one type that holds the values of all alternatives, null aside."""
    found = {
        (json_type == "string", _type_of(json_type, alternative.keywords, numbers))
        for alternative in alternatives
        for json_type in alternative.types - {"null"}
    }
    types = {found_type for _, found_type in found}
    if not types:
        return _Type(Kind.TEXT if alternatives else Kind.JSON)
    if len(types) == 1:
        return types.pop()
    if all(found_type.kind in _NUMERIC for found_type in types):
        return _wide_number(types)
    if all(is_string for is_string, _ in found):
        return _Type(Kind.TEXT)
    return _Type(Kind.JSON)


def _wide_number(types: set[_Type]) -> _Type:
    if all(found.kind is not Kind.DECIMAL for found in types):
        return _Type(Kind.FLOAT)
    digits = {Kind.INT: (INT_DIGITS, 0), Kind.FLOAT: DEFAULT_DECIMAL}
    sizes = [digits.get(found.kind, (found.precision, found.scale)) for found in types]
    return _decimal(max(p - s for p, s in sizes), max(s for _, s in sizes))


def _decimal(integer_digits: int, scale: int) -> _Type:
    return _Type(Kind.DECIMAL, *decimal_digits(integer_digits, scale))


def _type_of(json_type: str, keywords: Mapping[str, Any], numbers: str) -> _Type:
    if json_type in ("object", "array"):
        return _Type(Kind.JSON)
    if json_type == "boolean":
        return _Type(Kind.BOOL)
    if keywords.get("x-singer.decimal"):
        return _sized_decimal(keywords, 0 if json_type == "integer" else DEFAULT_DECIMAL[1])
    if json_type == "integer":
        return _Type(Kind.DECIMAL, MAX_DIGITS, 0) if _is_beyond_int64(keywords) else _Type(Kind.INT)
    if json_type == "number":
        has_places = _places(keywords) is not None
        is_decimal = has_places or numbers == "decimal"
        return _sized_decimal(keywords, DEFAULT_DECIMAL[1]) if is_decimal else _Type(Kind.FLOAT)
    return _string_type(keywords)


def _string_type(keywords: Mapping[str, Any]) -> _Type:
    encoding = str(keywords.get("contentEncoding", "")).lower()
    if encoding in ENCODINGS:
        return _Type(Kind.BINARY, encoding=encoding)
    written_as = keywords.get("format")
    if not isinstance(written_as, str):
        return _Type(Kind.TEXT)
    if written_as in _DECIMAL_FORMATS:
        return _sized_decimal(keywords, DEFAULT_DECIMAL[1])
    return _Type(FORMATS.get(written_as, Kind.TEXT))


def _sized_decimal(keywords: Mapping[str, Any], default_scale: int) -> _Type:
    """DECIMAL with the digits that the schema states, or that its bounds and `multipleOf` require."""
    said = keywords.get("x-singer.decimal")
    stated = said if isinstance(said, Mapping) else keywords
    precision, scale = _count(stated.get("precision")), _count(stated.get("scale"))
    places = _places(keywords)
    if precision:
        scale = (places or 0) if scale is None else scale
        return _decimal(max(0, precision - scale), scale)
    if scale is None:
        scale = default_scale if places is None else places
    low, high = _bound(keywords, "minimum"), _bound(keywords, "maximum")
    if low is not None and high is not None:
        return _decimal(max(_integer_digits(low), _integer_digits(high)), scale)
    return _decimal(MAX_DIGITS - scale if scale <= MAX_DIGITS else INT_DIGITS, scale)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def _places(keywords: Mapping[str, Any]) -> int | None:
    """The decimal places that `multipleOf` allows, if it is a power of ten."""
    step = _number(keywords.get("multipleOf"))
    if step is None or step <= 0:
        return None
    first, *others = step.as_tuple().digits
    return max(0, -step.adjusted()) if first == 1 and not any(others) else None


def _bound(keywords: Mapping[str, Any], word: str) -> _Bound | None:
    """The stricter of `minimum` and `exclusiveMinimum` (or of the maxima); the latter is a flag in Draft 4."""
    exclusive = keywords.get(f"exclusive{word.capitalize()}")
    written = [(_number(keywords.get(word)), exclusive is True), (_number(exclusive), True)]
    bounds = [_Bound(value, is_exclusive) for value, is_exclusive in written if value is not None]
    if word == "maximum":
        return min(bounds, key=lambda bound: (bound.value, not bound.is_exclusive), default=None)
    return max(bounds, key=lambda bound: (bound.value, bound.is_exclusive), default=None)


def _integer_digits(bound: _Bound) -> int:
    first, *others = bound.value.as_tuple().digits
    is_next_power = bound.is_exclusive and first == 1 and not any(others)
    return max(0, bound.value.adjusted() + (0 if is_next_power else 1)) if bound.value else 0


def _is_beyond_int64(keywords: Mapping[str, Any]) -> bool:
    low, high = _bound(keywords, "minimum"), _bound(keywords, "maximum")
    # An integer above the limit is allowed when the bound is at or past the first one that int64 can't hold.
    is_high = high is not None and (high.value > _INT64_END if high.is_exclusive else high.value >= _INT64_END)
    first_low = -_INT64_END - 1
    is_low = low is not None and (low.value < first_low if low.is_exclusive else low.value <= first_low)
    values = [keywords["const"]] if "const" in keywords else keywords.get("enum") or []
    return is_high or is_low or any(not -(2**63) <= v < 2**63 for v in values if isinstance(v, int))
