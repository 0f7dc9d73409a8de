"""The flaws of a JSON Schema in what columns are made of, each with its path."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from tailrace.errors import SchemaError, json_path
from tailrace.schema.references import ReferenceProblemError
from tailrace.schema.shapes import TYPES, Document

MAX_DEPTH = 200
"""The most levels of objects and arrays in a schema."""

_MAX_SHOWN = 60

Steps = tuple[str | int, ...]


class Flaw(Struct, frozen=True):
    """A flaw: the steps to it and to its schema, the field, and what is wrong."""

    steps: Steps
    schema_steps: Steps
    field: tuple[str, ...]
    message: str


def refuse_flaws(document: Document, is_settled: Callable[[tuple[str, ...]], bool]) -> None:
    """Raise SchemaError for the first flaw; `is_settled` says whether settings make a field's schema irrelevant."""
    flaw = next(flaws(document, is_settled), None)
    if flaw is None:
        return
    field = ".".join(flaw.field)
    way_out = f" (`columns: {{{field}: ...}}` with a `kind`, or `select: false`, gets past it)" if field else ""
    raise SchemaError(
        flaw.message + way_out,
        stream=document.stream,
        column=field if field and flaw.steps[:1] != ("properties",) else None,
        path=json_path(flaw.steps),
    )


def flaws(document: Document, is_settled: Callable[[tuple[str, ...]], bool] = lambda _: False) -> Iterator[Flaw]:
    """All flaws in the schemas of the record's fields, in order; each schema is checked once."""
    seen: set[int] = set()
    waiting: list[tuple[Any, Steps, tuple[str, ...]]] = [(document.root, (), ())]
    while waiting:
        schema, steps, field = waiting.pop()
        if isinstance(schema, bool) or id(schema) in seen or (field and is_settled(field)):
            continue
        if not isinstance(schema, Mapping):
            yield Flaw(steps, steps, field, f"{_shown(schema)} stands where a JSON Schema should")
            continue
        seen.add(id(schema))
        inside: list[tuple[Any, Steps, tuple[str, ...]]] = []
        only_annotated = document.references.ignores_siblings(schema)
        for word in document.references.of(schema):
            try:
                target = document.references.target(schema, word)
            except ReferenceProblemError as problem:
                yield Flaw((*steps, word), steps, field, str(problem))
                continue
            inside.append((target, document.references.steps(target) if isinstance(target, Mapping) else steps, field))
        for word, value in schema.items():
            if only_annotated and not word.startswith("x-"):
                continue
            if found := _problem(word, value):
                more, message = found
                yield Flaw((*steps, word, *more), steps, field, message)
            else:
                inside += _inside(word, value, steps, field)
        waiting += reversed(inside)


def depth_of(value: Any, limit: int) -> int:
    """How many levels of objects and arrays a value has, counted up to one above the limit."""
    level, depth = [value], 0
    while level and depth <= limit:
        level = [inner for outer in level for inner in _members(outer)]
        depth += bool(level)
    return depth


def _members(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return list(inner)


def _inside(
    word: str, value: Any, steps: Steps, field: tuple[str, ...]
) -> Iterator[tuple[Any, Steps, tuple[str, ...]]]:
    """The schemas of a keyword that columns or nested values are made of."""
    if word == "properties":
        yield from ((inner, (*steps, word, name), (*field, name)) for name, inner in value.items())
    elif word in ("allOf", "anyOf", "oneOf") or (word == "items" and isinstance(value, list)):
        yield from ((inner, (*steps, word, at), field) for at, inner in enumerate(value))
    elif word == "items":
        yield value, (*steps, word), field


def _problem(word: str, value: Any) -> tuple[Steps, str] | None:
    """What is wrong with a keyword's value, and the steps to it from the keyword."""
    judge = _JUDGES.get(word)
    return judge(value) if judge else None


def _type_problem(value: Any) -> tuple[Steps, str] | None:
    if isinstance(value, str):
        return _name_problem(value, ())
    if not isinstance(value, list) or not value:
        return (), f"{_shown(value)} isn't a type of JSON Schema: it is the name of one, or a list of names"
    return next((found for at, name in enumerate(value) if (found := _name_problem(name, (at,)))), None)


def _name_problem(name: Any, steps: Steps) -> tuple[Steps, str] | None:
    if isinstance(name, Mapping):
        return steps, "a list of types holds names, and schemas only in Draft 3; `anyOf` takes schemas"
    if isinstance(name, str) and name in TYPES:
        return None
    near = difflib.get_close_matches(name[:_MAX_SHOWN], TYPES, 1) if isinstance(name, str) else []
    meant = f"; {near[0]!r} is" if near else f"; there are {', '.join(sorted(TYPES))}"
    # A type's name alone is what is wrong, wherever in the list it stands.
    return (), f"{_shown(name)} isn't a type of JSON Schema{meant}"


def _required_problem(value: Any) -> tuple[Steps, str] | None:
    if value is None or isinstance(value, bool):  # Draft 3 wrote `required: true` inside a property
        return None
    if not isinstance(value, list):
        return (), f"{_shown(value)} stands where a list of properties should"
    return next(
        (
            ((at,), f"{_shown(name)} isn't the name of a property")
            for at, name in enumerate(value)
            if not _is_text(name)
        ),
        None,
    )


def _must(is_right: Callable[[Any], bool], expected: str) -> Callable[[Any], tuple[Steps, str] | None]:
    def judge(value: Any) -> tuple[Steps, str] | None:
        return None if is_right(value) else ((), f"{_shown(value)} stands where {expected} should")

    return judge


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


_text = _must(lambda v: v is None or _is_text(v), "a text")
_schemas = _must(lambda v: isinstance(v, list) and bool(v), "a list of schemas")
_definitions = _must(lambda v: v is None or isinstance(v, Mapping), "an object of schemas")
_bound = _must(lambda v: v is None or _is_number(v), "a number")
_exclusive = _must(lambda v: v is None or isinstance(v, bool) or _is_number(v), "a number, or in Draft 4 a boolean,")
_JUDGES: dict[str, Callable[[Any], tuple[Steps, str] | None]] = {
    "type": _type_problem,
    "required": _required_problem,
    "properties": _must(lambda v: isinstance(v, Mapping), "an object with a schema for each property"),
    "items": _must(lambda v: isinstance(v, (Mapping, bool, list)), "a schema"),
    "allOf": _schemas,
    "anyOf": _schemas,
    "oneOf": _schemas,
    "enum": _must(lambda v: isinstance(v, list), "a list of values"),
    "definitions": _definitions,
    "$defs": _definitions,
    "$id": _text,
    "format": _text,
    "contentEncoding": _text,
    "x-sql-datatype": _text,
    "multipleOf": _bound,
    "minimum": _bound,
    "maximum": _bound,
    "exclusiveMinimum": _exclusive,
    "exclusiveMaximum": _exclusive,
}
"""The keywords that matter for columns -> a check of their value."""


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, Decimal) else str(value)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
