"""Behaviours: a record that can't be loaded is refused by its line, or quarantined with its reason."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tailrace.errors import MessageError, RecordError, RecordsWithoutSchemaError
from tailrace.testing.messages import (
    DATE,
    FLOAT,
    INT,
    TEXT,
    THINGS,
    decimal,
    loaded,
    raises,
    record,
    records,
    schema,
    state,
    things,
)
from tailrace.testing.subject import Subject

_ROW = {"id": INT, "name": TEXT}


def a_record_that_breaks_its_schema_ends_the_run(subject: Subject) -> None:
    """The error names its line and field. Records up to the last STATE before it are loaded."""
    sent = [record({"id": 1}), state(1), record({"id": 2}), record({"id": "three"})]
    with raises(RecordError, "line 5", "$.id", "three"):
        loaded(subject, schema(_ROW), *sent)
    assert things(subject, "id") == [(1,)]


def a_line_that_is_no_message_ends_the_run(subject: Subject) -> None:
    """The error names its line. Records up to the last STATE before it are loaded."""
    with raises(MessageError, "line 4"):
        loaded(subject, schema(_ROW), record({"id": 1}), state(1), '{"type":"RECORD","stream"')
    assert things(subject, "id") == [(1,)]


def a_record_before_its_schema_ends_the_run(subject: Subject) -> None:
    """The error names the stream."""
    with raises(RecordsWithoutSchemaError, "line 1", THINGS):
        loaded(subject, record({"id": 1}), schema(_ROW))


def records_that_break_their_schema_are_set_aside(subject: Subject) -> None:
    """`on_invalid: quarantine`; the others are loaded, and the counts add up."""
    sent = records({"id": 1}, {"id": "two"}, {"id": 3, "name": 4}, {"id": None, "name": "x"}, {"id": 5})
    with _quarantine() as path:
        report = loaded(subject, schema(_ROW, ["id"]), *sent, on_invalid="quarantine", quarantine=path)
        assert [entry["line"] for entry in _set_aside(path)] == [3, 4, 5]
    assert things(subject, "id") == [(1,), (5,)]
    assert (report.total.read, report.total.loaded, report.total.quarantined) == (5, 2, 3)


def rows_that_the_table_would_change_are_set_aside(subject: Subject) -> None:
    """Only those rows: the table has decimals of five digits, and the stream sends floats."""
    loaded(subject, schema({"id": INT, "n": decimal(5, 2)}, ["id"]), record({"id": 1, "n": 0}))
    numbers = (1.25, 1.234, 999.99, 1000, None, -0.005, 3)
    sent = records(*({"id": place, "n": number} for place, number in enumerate(numbers)))
    with _quarantine() as path:
        settings = {"on_invalid": "quarantine", "quarantine": path}
        report = loaded(subject, schema({"id": INT, "n": FLOAT}, ["id"]), *sent, **settings)
        entries = _set_aside(path)
    assert [entry["line"] for entry in entries] == [3, 5, 7]
    assert {reason["code"] for entry in entries for reason in entry["reasons"]} == {"destination"}
    assert json.loads(entries[0]["record"])["record"] == {"id": 1, "n": 1.234}
    assert [number for (number,) in things(subject, "id")] == [0, 1, 2, 4, 6]
    assert (report.total.read, report.total.loaded, report.total.quarantined) == (7, 4, 3)


def rows_that_the_table_would_change_end_the_run(subject: Subject) -> None:
    """Without a quarantine; nothing after the last STATE is loaded."""
    loaded(subject, schema({"id": INT, "n": decimal(5, 2)}), record({"id": 1, "n": 0}))
    sent = [record({"id": 2, "n": 1.25}), state(1), record({"id": 3, "n": 0.5}), record({"id": 4, "n": 1.234})]
    with raises(RecordError, "line 5", "1.234"):
        loaded(subject, schema({"id": INT, "n": FLOAT}), *sent, checkpoint_rows=1)
    assert things(subject, "id") == [(1,), (2,)]


def a_run_goes_on_after_rows_were_set_aside(subject: Subject) -> None:
    """Later batches, later checkpoints and a later schema are loaded."""
    loaded(subject, schema({"id": INT, "d": DATE}), record({"id": 0, "d": "2024-01-31"}))
    schemas = (schema({"id": INT, "d": TEXT}), schema({"id": INT, "d": DATE}))
    sent = [*records({"id": "x"}, {"id": 1}), state(1), *records({"id": 2}, {"id": "y"}), state(2)]
    with _quarantine() as path:
        settings = {"on_invalid": "quarantine", "quarantine": path, "batch_rows": 1, "checkpoint_rows": 1}
        report = loaded(subject, schemas[0], *sent, schemas[1], record({"id": 3, "d": "2024-02-29"}), **settings)
    assert things(subject, "id") == [(0,), (1,), (2,), (3,)]
    assert (report.total.loaded, report.total.quarantined, report.state) == (3, 2, "2")


@contextmanager
def _quarantine() -> Iterator[Path]:
    """The path of a quarantine file in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "quarantine.jsonl"


def _set_aside(path: Path) -> list[dict[str, Any]]:
    """The quarantine's entries of refused records, in the order of their lines."""
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted((entry for entry in entries if "record" in entry), key=lambda entry: entry["line"])
