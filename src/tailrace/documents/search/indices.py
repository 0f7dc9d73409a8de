"""Indices and data streams: made with mappings, altered, described; and indices put into each other's place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tailrace.documents.database import Description, Swap
from tailrace.documents.search.cluster import NOT_FOUND, Cluster, path_of
from tailrace.documents.search.mappings import OURS, described, fields_of, merged, meta_of, properties_of
from tailrace.errors import DestinationError
from tailrace.model import Stream

_FIELDS = 1000
"""The fields that an index has at most, unless its settings say more."""

TIMESTAMP = "@timestamp"
"""The field that all documents of a data stream have."""

_EXISTS = 400
_TEMPLATE_PRIORITY = 500
_OF_ITSELF = frozenset({"creation_date", "provided_name", "uuid", "version", "resize", "routing", "blocks", "hidden"})
"""Settings of an index that another one can't have too."""


class Layout(Struct, frozen=True):
    """What new indices are made with, besides what their streams say; `lacks` are types that the engine hasn't."""

    shards: int | None
    replicas: int | None
    settings: Mapping[str, Any]
    mappings: Mapping[str, Any]
    lacks: frozenset[str]


class Indices:
    """The indices of a cluster."""

    def __init__(self, cluster: Cluster, layout: Layout) -> None:
        self._cluster = cluster
        self._layout = layout

    def describe(self, index: str) -> Description | None:
        """The columns and the key of an index; None where there is none."""
        found = self._found(index)
        return None if found is None else described(found["mappings"])

    def create(self, index: str, stream: Stream, description: Description, like: str | None) -> None:
        """Make an index for the stream; one that is built to replace another has its settings, and is hidden."""
        body = self._body(stream, description, like)
        if self._cluster.ask("PUT", path_of(index), body, but={_EXISTS}) is None and self._found(index) is None:
            self._cluster.ask("PUT", path_of(index), body)  # which says why it can't be

    def create_data_stream(self, name: str, stream: Stream, description: Description) -> None:
        """Make a data stream by the cluster's templates or, where none fits, by one that is made for it."""
        is_made = self._cluster.ask("PUT", path_of("_data_stream", name), but={_EXISTS}) is not None
        if is_made or self.is_data_stream(name):
            return
        body = self._body(stream, description, None)
        times = body["mappings"]["properties"]
        times[TIMESTAMP] = (
            {"type": "date"} if times.get(TIMESTAMP, {}).get("type") != "date_nanos" else times[TIMESTAMP]
        )
        template = {"index_patterns": [name], "data_stream": {}, "priority": _TEMPLATE_PRIORITY, "template": body}
        self._cluster.ask("PUT", _template_of(name), template)
        is_made = self._cluster.ask("PUT", path_of("_data_stream", name), but={_EXISTS}) is not None
        if not is_made and not self.is_data_stream(name):
            self._cluster.ask("PUT", path_of("_data_stream", name))  # as above

    def _body(self, stream: Stream, description: Description, like: str | None) -> dict[str, Any]:
        """What an index is made with."""
        columns, key = description.columns, description.key or ()
        properties = properties_of(columns, key, self._layout.lacks, stream)
        settings: dict[str, Any] = {}
        model = self._found(like) if like else None
        if model is not None:
            own = model["settings"]["index"]
            settings = {name: value for name, value in own.items() if name not in _OF_ITSELF}
            there = model["mappings"].get("properties", {})
            known = {(c.name, c.spelling) for c in described(model["mappings"]).columns}
            properties |= {c.name: there[c.name] for c in columns if (c.name, c.spelling) in known and c.name in there}
        given = {"number_of_shards": self._layout.shards, "number_of_replicas": self._layout.replicas}
        settings |= {name: value for name, value in given.items() if value is not None}
        settings = merged(settings, self._layout.settings)
        if like:
            settings["hidden"] = True
        mappings = merged({"properties": properties, "_meta": meta_of(description)}, self._layout.mappings)
        if fields_of(mappings["properties"]) > _limit(settings):
            settings = merged(settings, _limited(fields_of(mappings["properties"])))
        return {"settings": {"index": settings}, "mappings": mappings}

    def alter(self, index: str, description: Description) -> None:
        """Let the index have these columns."""
        found = self._found(index)
        if found is None:
            raise DestinationError(f"the index {index} is gone; run again, which makes it anew")
        mapping = found["mappings"]
        there = mapping.get("properties", {})
        ours = {column.name for column in description.columns}
        kept = [c for c in described(mapping).columns if c.name not in ours]
        both = Description((*description.columns, *kept), description.key)
        new = [column for column in description.columns if column.name not in there]
        properties = properties_of(new, description.key or (), self._layout.lacks, None)
        over = self._layout.mappings.get("properties", {})
        properties = {name: merged(each, over.get(name, {})) for name, each in properties.items()}
        count = fields_of({**there, **properties})
        limit = _limited(count) if count > _limit(found["settings"]["index"]) else {}
        meta = {**mapping.get("_meta", {}), OURS: meta_of(both)[OURS]}
        change = {"properties": properties, "_meta": meta}
        if "data_stream" in found:
            self._alter_template(index, limit, change)
        if limit:
            self._cluster.ask("PUT", path_of(index, "_settings"), {"index": limit})
        self._cluster.ask("PUT", path_of(index, "_mapping"), change)

    def is_data_stream(self, name: str) -> bool | None:
        """Whether that is a data stream; None where there is nothing of the name."""
        answer = self._cluster.ask("GET", path_of(name), but={NOT_FOUND})
        return None if answer is None else any("data_stream" in each for each in answer.values())

    def drop(self, index: str) -> None:
        """Drop an index, if there is one."""
        self._cluster.ask("DELETE", path_of(index), but={NOT_FOUND})

    def swap(self, swap: Swap) -> bool:
        """Let an alias lead to the index beside, in place of the index that it led to, or that had the name.

        Both happen at once. False where it has happened before.
        """
        beside = self._cluster.ask("GET", path_of(swap.beside), but={NOT_FOUND})
        if beside is None:
            return False
        is_done = swap.name in beside[swap.beside]["aliases"]
        if not is_done:
            self._cluster.ask("POST", path_of(swap.beside, "_refresh"))
            self._cluster.ask("POST", "/_aliases", {"actions": self._actions(swap)})
        self._cluster.ask("PUT", path_of(swap.beside, "_settings"), {"index": {"hidden": False}})
        return not is_done

    def _alter_template(self, name: str, settings: dict[str, Any], mappings: dict[str, Any]) -> None:
        """Let the next backing indices have this too, if their template is the one that was made for them."""
        answer = self._cluster.ask("GET", _template_of(name), but={NOT_FOUND})
        if answer is None:
            return
        template = answer["index_templates"][0]["index_template"]
        change = {"settings": {"index": settings}, "mappings": mappings}
        self._cluster.ask("PUT", _template_of(name), merged(template, {"template": change}))

    def _actions(self, swap: Swap) -> list[dict[str, Any]]:
        """What takes the old index away, and gives its aliases to the new one."""
        old = self._cluster.ask("GET", path_of(swap.name), but={NOT_FOUND}) or {}
        aliases: dict[str, Any] = {}
        for each in old.values():
            aliases |= each["aliases"]
        aliases.setdefault(swap.name, {})
        removed = [{"remove_index": {"index": name}} for name in old]
        return [*removed, *({"add": {"index": swap.beside, "alias": a, **how}} for a, how in aliases.items())]

    def _found(self, index: str) -> Any:
        """The mapping, settings and aliases of an index; None where there is none."""
        answer = self._cluster.ask("GET", path_of(index), but={NOT_FOUND})
        if answer is None:
            return None
        if any("data_stream" in each for each in answer.values()):
            (stream,) = self._cluster.ask("GET", path_of("_data_stream", index))["data_streams"]
            answer = {index: answer[stream["indices"][-1]["index_name"]]}
        if len(answer) > 1:
            several = ", ".join(sorted(answer)[:3])
            raise DestinationError(
                f"{index} is an alias of several indices ({several}), and it isn't known which has which document; "
                "load into an index of another name"
            )
        (found,) = answer.values()
        if not found["mappings"].get("_source", {}).get("enabled", True):
            raise DestinationError(
                f"the index {index} doesn't keep documents (`_source` is off); load into another one"
            )
        return found


def _template_of(name: str) -> str:
    """The path of the template that is made for a data stream."""
    return path_of("_index_template", f"tailrace-{name}")


def _limit(settings: Mapping[str, Any]) -> int:
    at: Any = settings.get("mapping", {})
    for name in ("total_fields", "limit"):
        at = at.get(name, {}) if isinstance(at, Mapping) else {}
    dotted = settings.get("mapping.total_fields.limit")
    return int(dotted or at or _FIELDS)


def _limited(count: int) -> dict[str, Any]:
    """Room for so many fields, and for as many again."""
    return {"mapping": {"total_fields": {"limit": 2 * count}}}
