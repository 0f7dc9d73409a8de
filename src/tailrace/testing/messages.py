"""What behaviours are written with: Singer messages, a run that loads them, and checks of the loaded rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from tailrace.api import load
from tailrace.runtime.report import Report
from tailrace.testing.subject import Row, Subject

Message = Mapping[str, Any] | str

INT: Mapping[str, Any] = {"type": ["null", "integer"]}
BIG: Mapping[str, Any] = {"type": ["null", "integer"], "minimum": -(10**38) + 1, "maximum": 10**38 - 1}
FLOAT: Mapping[str, Any] = {"type": ["null", "number"]}
DECIMAL: Mapping[str, Any] = {"type": ["null", "number"], "x-singer.decimal": {"precision": 38, "scale": 9}}
TEXT: Mapping[str, Any] = {"type": ["null", "string"]}
BOOL: Mapping[str, Any] = {"type": ["null", "boolean"]}
DATE: Mapping[str, Any] = {"type": ["null", "string"], "format": "date"}
TIME: Mapping[str, Any] = {"type": ["null", "string"], "format": "time"}
TIMESTAMPTZ: Mapping[str, Any] = {"type": ["null", "string"], "format": "date-time"}
UUID: Mapping[str, Any] = {"type": ["null", "string"], "format": "uuid"}
BINARY: Mapping[str, Any] = {"type": ["null", "string"], "contentEncoding": "base64"}
OBJECT: Mapping[str, Any] = {"type": ["null", "object"]}
ANY: Mapping[str, Any] = {}

THINGS = "things"
"""The stream and the table of behaviours that need only one."""


def decimal(precision: int, scale: int) -> Mapping[str, Any]:
    """The JSON Schema of DECIMAL(precision,scale)."""
    return {"type": ["null", "number"], "x-singer.decimal": {"precision": precision, "scale": scale}}


def schema(properties: Mapping[str, Any], key: Sequence[str] = (), stream: str = THINGS, **more: Any) -> Message:
    """A SCHEMA message; `more` are further members of it."""
    object_schema = {"type": "object", "properties": dict(properties)}
    return {"type": "SCHEMA", "stream": stream, "schema": object_schema, "key_properties": list(key), **more}


def record(fields: Mapping[str, Any], stream: str = THINGS, **more: Any) -> Message:
    """A RECORD message; `more` are further members of it."""
    return {"type": "RECORD", "stream": stream, "record": dict(fields), **more}


def records(*several: Mapping[str, Any], stream: str = THINGS) -> list[Message]:
    """A RECORD message for each."""
    return [record(fields, stream) for fields in several]


def state(value: Any) -> Message:
    """A STATE message."""
    return {"type": "STATE", "value": value}


def activate(version: int, stream: str = THINGS) -> Message:
    """An ACTIVATE_VERSION message."""
    return {"type": "ACTIVATE_VERSION", "stream": stream, "version": version}


def loaded(subject: Subject, *messages: Message, **settings: Any) -> Report:
    """Load the messages in one run, and return its report. Every record must be accounted for."""
    report = load(messages, to=subject.open(), **settings)
    assert report.total.uncommitted == 0, report
    return report


def by(rows: Sequence[Row], *columns: str) -> list[Row]:
    """The rows in the order of these columns, which each of them must have."""
    missing = {name for row in rows for name in columns if name not in row}
    assert not missing, f"there is no column {', '.join(sorted(missing))} in {rows}"
    return sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in columns])


def things(subject: Subject, *columns: str) -> list[tuple[object, ...]]:
    """These columns of the table of things, sorted by them."""
    return [tuple(row[name] for name in columns) for row in by(subject.rows(THINGS), *columns)]


def only(rows: Sequence[Row]) -> Row:
    """The one row there is."""
    assert len(rows) == 1, rows
    return rows[0]


def round_trip(
    subject: Subject, kind: Mapping[str, Any], values: Sequence[tuple[Any, object]], **settings: Any
) -> None:
    """Load each value (sent, expected) as a row of its own, and check that the table has the expected value."""
    sent = [record({"id": number, "v": value}) for number, (value, _) in enumerate(values)]
    report = loaded(subject, schema({"id": INT, "v": kind}), *sent, **settings)
    assert report.total.loaded == len(values)
    found = by(subject.rows(THINGS), "id")
    assert len(found) == len(values)
    for row, (_, expected) in zip(found, values, strict=True):
        assert_same(row["v"], expected)


def assert_same(found: object, expected: object) -> None:
    """Both have one type and are equal: -0.0 isn't 0.0, True isn't 1, and a time with an offset isn't one without."""
    assert type(found) is type(expected), (found, expected)
    assert found == expected, (found, expected)
    if isinstance(expected, float):
        assert repr(found) == repr(expected), (found, expected)
    if isinstance(found, datetime) and isinstance(expected, datetime):
        assert found.utcoffset() == expected.utcoffset(), (found, expected)


@contextmanager
def raises(kind: type[Exception], *words: str) -> Iterator[None]:
    """Expect an error of that kind, whose text has all the words."""
    text: str | None = None
    try:
        yield
    except kind as error:
        text = str(error)
    assert text is not None, f"{kind.__name__} should have been raised"
    missing = [word for word in words if word not in text]
    assert not missing, f"{text} doesn't say {missing}"
