"""The conformance suite for authors of decoders: cases as data, and the check of a decoder by one case."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pyarrow as pa

from tailrace.config import StreamSettings
from tailrace.decode import Decoder
from tailrace.model import LINE, Clock, Column, Decoded, Kind, Noted, RecordBlock, Stream, Traits
from tailrace.schema.stream import planned_stream

STARTED_AT = datetime(2024, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
NOW = datetime(2024, 1, 2, 3, 5, tzinfo=UTC)
CLOCK = Clock(started_at=STARTED_AT, now=lambda: NOW)
"""The clock of every case: its run started at STARTED_AT, and it is always NOW."""

STREAM = "cases"
_TRAITS = Traits("cases", "none")

DecoderFactory = Callable[[Stream, Clock], Decoder]


@dataclass(frozen=True, slots=True)
class Case:
    """RECORD lines of a stream, and what they are decoded to.

    `columns` maps names to the values of the rows that aren't refused, as `spelled` writes them. Columns that it
    doesn't name, which are metadata, aren't checked. `refused` are (line, code, path) of every violation, in order.
    `inexact`, `coerced` and `odd` are (count, first line) by name. `growth` is how the stream has to grow first, as
    {"fields": ..., "versioned": ..., "deletable": ..., "line": ...}.
    """

    name: str
    stream: Stream
    block: RecordBlock
    columns: dict[str, list[str | None]]
    refused: list[tuple[int, str, str]]
    unknown: dict[str, int]
    inexact: dict[str, tuple[int, int]]
    coerced: dict[str, tuple[int, int]]
    odd: dict[str, tuple[int, int]]
    growth: dict[str, Any] | None


def cases() -> Iterator[Case]:
    """Every case, by file and in the order of each file."""
    folder = files("tailrace.testing") / "decoder_cases"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        theme = file.name.removesuffix(".json")
        for raw in json.loads(file.read_text(encoding="utf-8")):
            yield _case(theme, raw)


def check(decoder_factory: DecoderFactory, case: Case) -> None:
    """Assert that the decoder gives what the case expects, however the lines are split into blocks."""
    decoder = decoder_factory(case.stream, CLOCK)
    pieces = tuple(piece for line in _lines(case.block) for piece in line.pieces)
    for block in (case.block, replace(case.block, pieces=pieces)):
        _check_decoded(case, [decoder.decode(block)])
    if case.growth is None:
        _check_decoded(case, [decoder.decode(line) for line in _lines(case.block)])


def spelled(value: Any, column: Column) -> str | None:
    """A value as text: numbers with all their digits, times by ISO 8601, bytes as base16, all else as it is."""
    if value is None:
        return None
    return _SPELLINGS.get(column.kind, str)(value)


def _iso(value: Any) -> str:
    return str(value.isoformat()).replace("+00:00", "Z")


_SPELLINGS: dict[Kind, Callable[[Any], str]] = {
    Kind.BOOL: lambda value: str(value).lower(),
    Kind.FLOAT: repr,
    Kind.DECIMAL: lambda value: format(value, "f"),
    Kind.BINARY: bytes.hex,
    Kind.DATE: _iso,
    Kind.TIME: _iso,
    Kind.TIMESTAMP: _iso,
    Kind.TIMESTAMPTZ: _iso,
}


def _case(theme: str, raw: dict[str, Any]) -> Case:
    known = {"name", "schema", "key", "settings", "versioned", "records", "lines", "lines_base64"}
    known |= {"columns", "refused", "unknown", "inexact", "coerced", "odd", "growth"}
    assert raw.keys() <= known, f"{raw['name']}: unknown {raw.keys() - known}"
    lines = _messages(raw)
    return Case(
        name=f"{theme}: {raw['name']}",
        stream=planned_stream(
            STREAM,
            json.dumps(raw["schema"]).encode() if isinstance(raw["schema"], dict) else raw["schema"].encode(),
            raw.get("key", ()),
            StreamSettings.model_validate({"naming": "preserve"} | raw.get("settings", {})),
            _TRAITS,
            revision=1,
            versioned=raw.get("versioned", False),
        ),
        block=RecordBlock.of(STREAM, b"".join(line + b"\n" for line in lines), (1, len(lines))),
        columns=raw.get("columns", {}),
        refused=[(line, code, path) for line, code, path in raw.get("refused", [])],
        unknown=raw.get("unknown", {}),
        inexact=_pairs(raw.get("inexact", {})),
        coerced=_pairs(raw.get("coerced", {})),
        odd=_pairs(raw.get("odd", {})),
        growth=raw.get("growth"),
    )


def _pairs(raw: dict[str, list[int]]) -> dict[str, tuple[int, int]]:
    return {name: (count, line) for name, (count, line) in raw.items()}


def _messages(raw: dict[str, Any]) -> list[bytes]:
    if "records" in raw:
        return [f'{{"type":"RECORD","stream":"{STREAM}","record":{record}}}'.encode() for record in raw["records"]]
    if "lines" in raw:
        return [line.encode() for line in raw["lines"]]
    return [base64.b64decode(line) for line in raw["lines_base64"]]


def _lines(block: RecordBlock) -> Iterator[RecordBlock]:
    for number, line in zip(block.lines(), block.data.splitlines(keepends=True), strict=True):
        yield RecordBlock.of(block.stream, line, (number, 1))


def _check_decoded(case: Case, parts: list[Decoded]) -> None:
    growths = [part.growth for part in parts if part.growth]
    expected = [{"deletable": False} | case.growth] if case.growth else []
    assert [asdict(growth) for growth in growths] == expected, case.name
    if case.growth:
        assert all(part.rows.num_rows == 0 and not part.refused for part in parts), case.name
        return
    refused = [refused for part in parts for refused in part.refused]
    assert [(r.line, v.code, v.path) for r in refused for v in r.violations] == case.refused, case.name
    sent = dict(zip(case.block.lines(), case.block.data.split(b"\n"), strict=False))
    assert all(r.raw == sent[r.line] and r.stream == STREAM for r in refused), case.name
    _check_rows(case, pa.concat_tables([part.rows for part in parts]), {r.line for r in refused})
    unknown: dict[str, int] = {}
    for part in parts:
        for name, count in part.unknown.items():
            unknown[name] = unknown.get(name, 0) + count
    assert unknown == case.unknown, case.name
    assert _noted(part.inexact for part in parts) == case.inexact, case.name
    assert _noted(part.coerced for part in parts) == case.coerced, case.name
    assert _noted(part.odd for part in parts) == case.odd, case.name


def _noted(parts: Iterable[Mapping[str, Noted]]) -> dict[str, tuple[int, int]]:
    """How many values were noted, and the line of the first, by name."""
    found: dict[str, tuple[int, int]] = {}
    for part in parts:
        for name, noted in part.items():
            count, line = found.get(name, (0, noted.first_line))
            found[name] = (count + noted.count, line)
    return found


def _check_rows(case: Case, rows: pa.Table, refused: set[int]) -> None:
    assert rows.schema == case.stream.arrow, case.name
    rows.validate(full=True)
    assert rows[LINE].to_pylist() == [line for line in case.block.lines() if line not in refused], case.name
    for column in case.stream.columns:
        if column.fill is None or column.name in case.columns:
            found = [spelled(value, column) for value in rows[column.name].to_pylist()]
            expected = case.columns.get(column.name, [])
            assert found == expected, f"{case.name}: {column.name} is {found}, and should be {expected}"
