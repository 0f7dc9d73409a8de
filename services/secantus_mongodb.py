"""Serves MongoDB, by `python secantus_mongodb.py WORDS` with the Python that has secantusdb, whose own words they are.

Here a document is found by an `_id` that is a document as quickly as by any other, where secantusdb reads all that the
collection has; and `{_id: {$in: [...]}}` costs what its ids do, where secantusdb compares each document with each id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secantus import query, storage
from secantus.cli import main
from secantus.sortkey import encode_id_key

_point_lookup, _match = storage._id_point_lookup_keys, query._match_clause  # noqa: SLF001 no setting says how ids are found
_wanted: tuple[object, frozenset[bytes]] = (None, frozenset())
"""The ids last asked for, and their keys."""


def _is_plain(spec: object) -> bool:
    """Whether it is a document that is looked for as it is."""
    return isinstance(spec, Mapping) and len(spec) > 0 and not any(str(name).startswith("$") for name in spec)


def _ids(spec: object) -> list[Any] | None:
    """The ids that `{_id: spec}` asks for, where some are documents; else None."""
    if _is_plain(spec):
        return [spec]
    if not isinstance(spec, Mapping) or len(spec) != 1:
        return None
    (operator, operand), *_ = spec.items()
    found = {"$eq": [operand], "$in": operand}.get(operator)
    if not isinstance(found, list) or not any(_is_plain(each) for each in found):
        return None
    return found if all(_is_plain(each) or isinstance(each, int | float | str) for each in found) else None


def _keys(spec: Any) -> list[bytes] | None:
    ids = _ids(spec)
    return _point_lookup(spec) if ids is None else sorted({encode_id_key(each) for each in ids})


def _matches(document: Mapping[str, Any], key: str, condition: Any, names: Any, collation: Any) -> bool:
    global _wanted  # noqa: PLW0603 the ids of one command are asked for once a document
    if key == "_id" in document and collation is None and isinstance(condition, Mapping) and [*condition] == ["$in"]:
        asked, keys = _wanted
        if asked is not condition["$in"]:
            keys = frozenset(_keys(condition) or ())
            _wanted = (condition["$in"], keys)
        if keys:
            return encode_id_key(document["_id"]) in keys
    return _match(document, key, condition, names, collation)


storage._id_point_lookup_keys = _keys  # noqa: SLF001 as above
query._match_clause = _matches  # noqa: SLF001 as above

if __name__ == "__main__":
    raise SystemExit(main())
