"""JSON arrays as the literals of PostgreSQL's own arrays, for columns of such types.

*Source* https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pyarrow as pa

from tailrace import compute as pc

_ARRAYS = "[]"
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def with_arrays(rows: pa.Table, types: Callable[[], dict[str, str]]) -> pa.Table:
    """The rows with JSON arrays as literals, where the table's column is an array; `types` are its columns'.

    What isn't an array of JSON stays, and is for the server to refuse.
    """
    names = _with_brackets(rows)
    spelled = types() if names else {}
    for name in names:
        sql_type = spelled.get(name, "")
        if sql_type.endswith(_ARRAYS):
            texts = [None if value is None else literal(value, sql_type) for value in rows[name].to_pylist()]
            place = rows.schema.get_field_index(name)
            rows = rows.set_column(place, name, pa.chunked_array([pa.array(texts, pa.string())]))
    return rows


def _with_brackets(rows: pa.Table) -> Sequence[str]:
    texts = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    return [name for name in texts if pc.any(pc.starts_with(rows[name], "[")).as_py()]


def literal(text: str, sql_type: str) -> str:
    """A text of JSON as the literal of an array of that type; the text itself where it holds no array.

    Numbers and objects stay as they are written, and elements of JSON's own types are JSON.
    """
    try:
        return _array(text, is_json=sql_type.startswith("json"))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def _array(text: str, *, is_json: bool) -> str:
    elements = _ELEMENTS.decode(text)
    return f"{{{','.join(_element(bytes(element).decode().strip(), is_json=is_json) for element in elements)}}}"


def _element(text: str, *, is_json: bool) -> str:
    if text == "null":
        return "NULL"
    if is_json or text.startswith("{"):
        return _quoted(text)
    if text.startswith("["):
        return _array(text, is_json=False)
    return _quoted(msgspec.json.decode(text)) if text.startswith('"') else text


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
