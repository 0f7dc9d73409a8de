"""A JSON Schema as `validation: full` compiles it: without what is broken, and without work that is done twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tailrace.errors import SchemaError
from tailrace.schema.drafts import LISTS_OF_SCHEMAS, MAPS_OF_SCHEMAS, ONE_SCHEMA, named_draft, schemas_in
from tailrace.schema.references import ReferenceProblemError
from tailrace.schema.shapes import Document
from tailrace.schema.soundness import flaws

MAX_WEIGHT = 200_000
"""The schemas that one value may have to be held against; past that a record takes seconds."""

_SAME_VALUE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"})
_NEUTRAL = {"allOf": True, "anyOf": False}


def compilable(document: Document) -> Any:
    """The schema to compile: what is broken in it, which the settings have got past, allows anything.

    Raises SchemaError where one value would be held against too many schemas.
    """
    schema: Any = document.root
    if broken := [flaw.schema_steps for flaw in flaws(document)]:
        for steps in broken:
            schema = _with_true(schema, steps)
    if named_draft(document.root) is None or document.root.get("$schema") is None:
        schema = {word: value for word, value in schema.items() if word != "$schema"}
    schema = with_single_references(schema)
    if _weight(Document(schema, document.stream)) > MAX_WEIGHT:
        raise SchemaError(
            "its schema's allOf, anyOf, oneOf and $ref multiply, so that one value would be held against more than "
            f"{MAX_WEIGHT:,} schemas; the tap must send a plainer one, or leave `validation: full` out",
            stream=document.stream,
        )
    return schema


def with_single_references(schema: Any) -> Any:
    """The schema with each reference once in an `allOf` or `anyOf`: a second says nothing, and costs as much."""
    if not isinstance(schema, Mapping):
        return schema
    rewritten = {word: _inside(value, word, with_single_references) for word, value in schema.items()}
    for word, neutral in _NEUTRAL.items():
        options = rewritten.get(word)
        if isinstance(options, list):
            seen: set[str] = set()
            rewritten[word] = [neutral if _is_again(option, seen) else option for option in options]
    return rewritten


def with_numeric_bounds(schema: Any) -> Any:
    """The schema with Draft 4's boolean `exclusiveMinimum` and `exclusiveMaximum` written as later drafts do."""
    if not isinstance(schema, Mapping):
        return schema
    rewritten = {word: _inside(value, word, with_numeric_bounds) for word, value in schema.items()}
    for word in ("minimum", "maximum"):
        exclusive = f"exclusive{word.capitalize()}"
        if isinstance(rewritten.get(exclusive), bool) and rewritten.pop(exclusive) and word in rewritten:
            rewritten[exclusive] = rewritten.pop(word)
    return rewritten


def _inside(value: Any, word: str, change: Any) -> Any:
    """The value of a word, with the schemas right inside it changed."""
    if word in MAPS_OF_SCHEMAS and isinstance(value, Mapping):
        return {name: change(inner) for name, inner in value.items()}
    if word in LISTS_OF_SCHEMAS and isinstance(value, list):
        return [change(inner) for inner in value]
    return change(value) if word in ONE_SCHEMA else value


def _is_again(option: Any, seen: set[str]) -> bool:
    if not isinstance(option, Mapping) or list(option) != ["$ref"] or not isinstance(option["$ref"], str):
        return False
    is_again = option["$ref"] in seen
    seen.add(option["$ref"])
    return is_again


def _with_true(value: Any, steps: tuple[str | int, ...]) -> Any:
    """The value with `true` at the end of the steps; itself, where there is nothing, and the root is never replaced."""
    if not steps:
        return value
    step, more = steps[0], steps[1:]
    if isinstance(value, Mapping) and step in value:
        return {**value, step: _with_true(value[step], more) if more else True}
    if isinstance(value, list) and isinstance(step, int):
        return [*value[:step], _with_true(value[step], more) if more else True, *value[step + 1 :]]
    return value


def _weight(document: Document) -> int:
    """How many schemas one value and what is in it are held against, each way to one counted."""
    weights: dict[int, int] = {}
    waiting, begun = [document.root], set[int]()
    while waiting:
        top = waiting[-1]
        if id(top) in weights:
            waiting.pop()
        elif id(top) in begun:
            same, inner = 1, 0
            for is_same, part in _parts(document, top):
                weight = weights.get(id(part), 0)  # one that leads back to itself adds nothing
                same, inner = (same + weight, inner) if is_same else (same, max(inner, weight))
            weights[id(top)] = min(same + inner, MAX_WEIGHT + 1)
            waiting.pop()
        else:
            begun.add(id(top))
            waiting += [part for _, part in _parts(document, top) if id(part) not in begun]
    return weights[id(document.root)]


def _parts(document: Document, schema: Mapping[str, Any]) -> Iterator[tuple[bool, Mapping[str, Any]]]:
    """The schemas that a value, or what is in it, is held against too, and whether it is the value itself."""
    for steps, inner in schemas_in(schema):
        if isinstance(inner, Mapping) and steps[0] not in ("definitions", "$defs"):
            yield steps[0] in _SAME_VALUE, inner
    for word in document.references.of(schema):
        try:
            target = document.references.target(schema, word)
        except ReferenceProblemError:
            continue
        if isinstance(target, Mapping):
            yield True, target
