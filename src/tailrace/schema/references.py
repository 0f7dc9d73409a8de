"""References within a JSON Schema, resolved by the identifiers of the schemas around them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urljoin

from msgspec import Struct, field

from tailrace.schema.drafts import Draft, draft_of, schemas_in


class ReferenceProblemError(Exception):
    """A reference that can't be resolved; the text says why."""


class _Resource(Struct):
    """A schema with an identifier, or the whole schema: what `#` means for the references in it."""

    uri: str
    root: Any
    steps: tuple[str | int, ...] = ()
    anchors: dict[str, Any] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)


class _Registered(Struct):
    """The whole schema, the resources by identifier, and for the id() of each schema its resource and steps."""

    whole: _Resource
    resources: dict[str, _Resource] = field(default_factory=dict)
    resource_of: dict[int, _Resource] = field(default_factory=dict)
    steps: dict[int, tuple[str | int, ...]] = field(default_factory=dict)


class References:
    """Resolves the references in one schema. Nothing outside it is ever fetched.

    An embedded identifier (`$id`; `id` in Draft 4) makes the schema that has it a root of its own. `$dynamicRef` and
    `$recursiveRef` are followed if they can lead to one schema only.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._draft = draft_of(root)

    def of(self, schema: Mapping[str, Any]) -> list[str]:
        """The keywords of a schema that are references."""
        words = ["$ref"]
        if self._draft is Draft.DRAFT_2019_09:
            words.append("$recursiveRef")
        if self._draft is Draft.DRAFT_2020_12:
            words.append("$dynamicRef")
        return [word for word in words if word in schema]

    def ignores_siblings(self, schema: Mapping[str, Any]) -> bool:
        """Whether the schema is only a reference; before 2019-09 keywords beside `$ref` are ignored."""
        return "$ref" in schema and self._draft < Draft.DRAFT_2019_09

    def target(self, schema: Mapping[str, Any], word: str) -> Any:
        """The target of a reference in a schema; raises ReferenceProblemError."""
        reference = schema[word]
        if not isinstance(reference, str):
            raise ReferenceProblemError(f"{reference!r} stands where a reference should")
        uri, _, fragment = reference.partition("#")
        registered = self._registered
        here = registered.resource_of.get(id(schema), registered.whole)
        resource = registered.resources.get(_joined(here.uri, uri)) if uri else here
        if resource is None:
            raise ReferenceProblemError(
                f"the schema refers to {reference!r}, which isn't inside it; references to elsewhere aren't followed, "
                "so the tap must send the schema with the others' content in `definitions`"
            )
        if word != "$ref":
            resource = self._dynamic(resource, fragment, reference)
        found, steps = self._at(resource, unquote(fragment), reference)
        self._walk(found, resource, steps, self._registered)  # it may stand where by its words no schema does
        return found

    def steps(self, schema: Mapping[str, Any]) -> tuple[str | int, ...]:
        """The steps from the root to a schema."""
        return self._registered.steps.get(id(schema), ())

    def _dynamic(self, resource: _Resource, fragment: str, reference: str) -> _Resource:
        """The resource of a dynamic reference, which must be unambiguous."""
        name = unquote(fragment)
        if name not in resource.dynamic:
            return resource
        others = {id(r) for r in (self._registered.whole, *self._registered.resources.values()) if name in r.dynamic}
        if len(others) > 1:
            raise ReferenceProblemError(
                f"what {reference!r} leads to depends on the way to it, since several schemas inside the schema have "
                "that anchor; the tap must use `$ref` instead"
            )
        return resource

    def _at(self, resource: _Resource, fragment: str, reference: str) -> tuple[Any, tuple[str | int, ...]]:
        if fragment and not fragment.startswith("/"):
            if fragment in resource.anchors:
                return resource.anchors[fragment], ()
            raise ReferenceProblemError(f"the schema refers to {reference!r}, which it doesn't have")
        schema, steps = resource.root, resource.steps
        for part in fragment.split("/")[1:]:
            step: str | int = part.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, list) and _is_index(part, len(schema)):
                step = int(part)
            elif not isinstance(schema, Mapping) or step not in schema:
                raise ReferenceProblemError(f"the schema refers to {reference!r}, which it doesn't have")
            schema, steps = schema[step], (*steps, step)
        return schema, steps

    @cached_property
    def _registered(self) -> _Registered:
        whole = _Resource("", self._root)
        found = _Registered(whole)
        self._walk(self._root, whole, (), found)
        return found

    def _walk(self, schema: Any, resource: _Resource, steps: tuple[str | int, ...], found: _Registered) -> None:
        """Register a schema and all schemas below it that aren't registered yet."""
        waiting = [(schema, resource, steps)]
        while waiting:
            inside, around, to_inside = waiting.pop()
            if not isinstance(inside, Mapping) or id(inside) in found.resource_of:
                continue
            own = self._own(inside, around, to_inside)
            found.resource_of[id(inside)] = own
            found.steps[id(inside)] = to_inside
            if own.root is inside and own.uri:
                found.resources.setdefault(own.uri, own)
            waiting += [(inner, own, to_inside + more) for more, inner in schemas_in(inside)]

    def _own(self, schema: Mapping[str, Any], around: _Resource, steps: tuple[str | int, ...]) -> _Resource:
        """The resource that a schema belongs to, maybe itself; registers its anchors."""
        named = schema.get("id" if self._draft is Draft.DRAFT_4 else "$id")
        if self.ignores_siblings(schema) and schema is not self._root:
            return around
        own, (uri, _, fragment) = around, (named if isinstance(named, str) else "").partition("#")
        if uri:
            own = _Resource(_joined(around.uri, uri), schema, steps)
            if schema is self._root:
                around.uri, own = own.uri, around
        if fragment and self._draft < Draft.DRAFT_2019_09:
            own.anchors.setdefault(fragment, schema)
        if self._draft >= Draft.DRAFT_2019_09 and isinstance(anchor := schema.get("$anchor"), str):
            own.anchors.setdefault(anchor, schema)
        if self._draft is Draft.DRAFT_2020_12 and isinstance(anchor := schema.get("$dynamicAnchor"), str):
            own.anchors.setdefault(anchor, schema)
            own.dynamic.add(anchor)
        if self._draft is Draft.DRAFT_2019_09 and schema.get("$recursiveAnchor") is True and own.root is schema:
            own.dynamic.add("")
        return own


def _joined(base: str, uri: str) -> str:
    try:
        return urljoin(base, uri).partition("#")[0]
    except ValueError:
        return uri


def _is_index(step: str, length: int) -> bool:
    return step.isascii() and step.isdecimal() and (step == "0" or step[0] != "0") and int(step[:9]) < length
