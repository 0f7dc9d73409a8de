"""Rows as the texts that requests are put together from, and which rows a checkpoint sends."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pyarrow as pa
from msgspec import Struct

from tailrace import compute as pc
from tailrace.destinations.http.settings import PLACEHOLDER, Settings
from tailrace.model import LINE, Column, Fill, Kind, Stream
from tailrace.schema.cast import failing
from tailrace.schema.texts import JSON_TEXTS

_LARGE = pa.large_string()
_OF_RUNS = frozenset({Fill.RECEIVED_AT, Fill.BATCHED_AT, Fill.SEQUENCE, Fill.SYNC_STARTED_AT})
_OF_RUNS |= {Fill.CREATED_AT, Fill.UPDATED_AT}
"""Metadata that another run fills otherwise."""

ENCODED = pa.schema(
    {LINE: pa.int64(), "text": _LARGE, "same": _LARGE, "key": _LARGE, "path": _LARGE, "is_gone": pa.bool_()}
)
"""A row as it waits: its text, that of it which another run would send too, where it differs, its key as JSON texts,
its key as a URL has it, and whether it asks for its deletion."""


class Row(NamedTuple):
    """A row that is sent."""

    line: int
    text: str
    same: str
    path: str


def encoded(rows: pa.Table, stream: Stream, settings: Settings) -> tuple[pa.Table, dict[int, str]]:
    """The rows as ENCODED, and the reason for each that can't be sent, by input line; those are left out."""
    refused: dict[int, str] = {}
    for column in stream.columns:
        if column.kind is Kind.FLOAT:
            for place in failing(rows[column.name], JSON_TEXTS[Kind.FLOAT]):
                reason = f"column {column.name!r}: JSON has no number for {rows[column.name][place].as_py()}"
                refused[rows[LINE][place].as_py()] = reason
    rows = _without(rows, refused)
    texts = {column.name: _json(rows[column.name], column, settings) for column in stream.columns}
    table = _encoded(rows, stream, settings, texts)
    urls = [
        settings.url,
        *([settings.delete_url] if settings.delete_url and stream.hard_delete and stream.is_merged else []),
    ]
    wrong = dict(refused)
    for row in table.select([LINE, "path"]).to_pylist() if any("{key}" in url for url in urls) else ():
        if not all(is_one_path(url, stream, row["path"]) for url in urls):
            wrong[row[LINE]] = "its key would be another path of the URL"
    return _without(table, wrong), wrong


def _encoded(rows: pa.Table, stream: Stream, settings: Settings, texts: Mapping[str, pa.ChunkedArray]) -> pa.Table:
    count, keys = rows.num_rows, [texts[name] for name in stream.key]
    written = _form if settings.format == "form" else _objects
    of_all = {column.name for column in stream.columns if column.fill not in _OF_RUNS}
    same = written({n: t for n, t in texts.items() if n in of_all}, count) if len(of_all) < len(texts) else None
    nothing = pa.nulls(count, _LARGE)
    marks = [rows[column.name] for column in stream.deletions] if stream.hard_delete else []
    columns = {
        LINE: rows[LINE],
        "text": written(texts, count),
        "same": nothing if same is None else same,
        "key": pc.binary_join_element_wise(*keys, pa.scalar(",", _LARGE), null_handling="replace") if keys else nothing,
        "path": pa.array(_paths(rows, stream, texts), _LARGE) if keys else nothing,
        "is_gone": pa.array(_any_set(marks, count)),
    }
    return pa.table(columns, schema=ENCODED)


def _json(values: pa.ChunkedArray, column: Column, settings: Settings) -> pa.ChunkedArray:
    """A column's values as JSON; null stays null."""
    if column.kind is Kind.BINARY:
        texts = [None if value is None else base64.b64encode(value).decode() for value in values.to_pylist()]
        values = JSON_TEXTS[Kind.TEXT](pa.chunked_array([texts], pa.string()))
    elif column.kind is not Kind.JSON:
        values = JSON_TEXTS[column.kind](values)
    if column.kind is Kind.DECIMAL and settings.decimals == "string":
        values = pc.binary_join_element_wise('"', values, '"', "")
    return values.cast(_LARGE)


def _objects(texts: Mapping[str, pa.ChunkedArray], count: int) -> pa.ChunkedArray:
    """The rows as JSON objects; null where there is no value."""
    if not texts:
        return pa.chunked_array([pa.repeat(pa.scalar("{}", _LARGE), count)])
    pieces: list[Any] = []
    for name, values in texts.items():
        quoted = JSON_TEXTS[Kind.TEXT](pa.chunked_array([[name]]))[0].as_py()
        pieces += [pa.scalar(f"{',' if pieces else '{'}{quoted}:", _LARGE), values]
    end = [pa.scalar("}", _LARGE), pa.scalar("", _LARGE)]
    return pc.binary_join_element_wise(*pieces, *end, null_handling="replace", null_replacement="null")


def _form(texts: Mapping[str, pa.ChunkedArray], count: int) -> pa.ChunkedArray:
    """The rows as forms; a field without a value is empty."""
    columns = [[_plain(text) for text in values.to_pylist()] for values in texts.values()]
    rows = zip(*columns, strict=True) if columns else [()] * count
    return pa.chunked_array([[urlencode([*zip(texts, row, strict=True)]) for row in rows]], _LARGE)


def _paths(rows: pa.Table, stream: Stream, texts: Mapping[str, pa.ChunkedArray]) -> list[str]:
    """The rows' keys as a URL has them, value by value."""
    columns = [[quote(_plain(text), safe="") for text in texts[name].to_pylist()] for name in stream.key]
    return [",".join(values) for values in zip(*columns, strict=True)] if columns else [""] * rows.num_rows


def _plain(text: str | None) -> str:
    """A JSON text without the quotes of a string; empty for none."""
    if text is None:
        return ""
    return str(_unquoted(text)) if text.startswith('"') else text


def _unquoted(text: str) -> object:
    import msgspec  # noqa: PLC0415 forms and keys in URLs need it alone

    return msgspec.json.decode(text)


def _any_set(marks: Sequence[pa.ChunkedArray], count: int) -> list[bool]:
    columns = [values.to_pylist() for values in marks]
    return [any(v not in (None, "") for v in row) for row in zip(*columns, strict=True)] if columns else [False] * count


def url_of(template: str, stream: Stream, path: str = "") -> str:
    """The template's URL for a stream; the key comes as a URL has it."""
    names = {"stream": quote(stream.name, safe=""), "table": quote(str(stream.table), safe=""), "key": path}
    return PLACEHOLDER.sub(lambda found: names[found[1]], template)


def is_one_path(template: str, stream: Stream, path: str = "x") -> bool:
    """Whether the URL has the template's steps: none that is empty, and none that leads up, in what comes in."""
    steps = template.partition("?")[0].split("/")[3:]
    filled = url_of(template, stream, path).partition("?")[0].split("/")[3:]
    of_values = [got for want, got in zip(steps, filled, strict=False) if "{" in want]
    return len(steps) == len(filled) and not {"", ".", ".."} & {*of_values}


def _without(rows: pa.Table, lines: Iterable[int]) -> pa.Table:
    refused = pa.array([*lines], pa.int64())
    return rows.filter(pc.invert(pc.is_in(rows[LINE], value_set=refused))) if len(refused) else rows


class Choice(Struct, frozen=True):
    """Which rows of a stream with a key a checkpoint sends, by line: deletions first, then the last of each key."""

    deletions: pa.Array
    last: pa.Array
    removals: int

    @classmethod
    def of(cls, tables: Iterable[pa.Table]) -> Choice:
        """The choice among all rows of a stream, whatever their order."""
        small = pa.concat_tables([table.select([LINE, "key", "is_gone"]) for table in tables])
        last = small.group_by("key").aggregate([(LINE, "max")])[f"{LINE}_max"]
        gone = small.filter(small["is_gone"])
        deletions = gone.group_by("key").aggregate([(LINE, "max")])[f"{LINE}_max"]
        is_removal = pc.is_in(deletions, value_set=last)
        kept = last.filter(pc.invert(pc.is_in(last, value_set=gone[LINE])))
        return cls(deletions.combine_chunks(), kept.combine_chunks(), pc.sum(is_removal).as_py() or 0)


def chosen(tables: Iterable[pa.Table], lines: pa.Array | None) -> Iterator[Row]:
    """These lines' rows, or all."""
    for table in tables:
        kept = table if lines is None else table.filter(pc.is_in(table[LINE], value_set=lines))
        columns = (kept[name].to_pylist() for name in (LINE, "text", "same", "path"))
        for line, text, same, path in zip(*columns, strict=True):
            yield Row(line, text, text if same is None else same, path or "")
