"""What decoding found beside rows: counted in the report, and said once for each field or column."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pyarrow as pa

from tailrace.log import get_logger
from tailrace.model import Decoded, Fill, Inexact, Stream
from tailrace.runtime.report import Tally
from tailrace.schema.kinds import kind_for_digits

_log = get_logger("target")

_ODD = {
    "time_extracted": "time_extracted isn't a date-time to the microsecond; the metadata column has it cut, or null",
    "version": "a version isn't written as an integer, and is taken as the integer that it is",
}
"""What is said of members of messages, by name."""


def note(tally: Tally, stream: Stream, decoded: Decoded) -> None:
    """Count what was found in a run of the stream, and say what is new of it."""
    for field in tally.add_unknown(stream.name, decoded.unknown):
        _log.warning("a field isn't in the schema and is dropped", stream=stream.name, field=field)
    for column in tally.add_noted(stream.name, "inexact", decoded.inexact):
        inexact = decoded.inexact[column]
        setting = exact_setting(stream, column, inexact, decoded.rows[column])
        _log.warning(
            f"a number has more digits than a float holds; `{setting}` keeps those seen so far",
            stream=stream.name,
            column=column,
            line=inexact.first_line,
        )
    for column in tally.add_noted(stream.name, "coerced", decoded.coerced):
        _log.warning(
            "a value came as another type than the schema's, and is taken as what it says",
            stream=stream.name,
            column=column,
            line=decoded.coerced[column].first_line,
        )
    for name in tally.add_noted(stream.name, "odd", decoded.odd):
        _log.warning(_ODD[name], stream=stream.name, line=decoded.odd[name].first_line)
    extracted_at = stream.filled_with(Fill.EXTRACTED_AT)
    if extracted_at is not None:
        tally.add(stream.name, without_time_extracted=decoded.rows[extracted_at.name].null_count)


def exact_setting(stream: Stream, name: str, inexact: Inexact, floats: pa.ChunkedArray) -> str:
    """The setting of a column that keeps all digits of the numbers that came with these floats, as text."""
    column = stream.column(name)
    field = ".".join(column.path) if column else name
    return f"columns: {{{_quoted(field)}: {{kind: {kind_for(inexact, floats)}}}}}"


def kind_for(inexact: Inexact, floats: pa.ChunkedArray) -> str:
    """The kind that holds inexact numbers and the others of their column, given as floats."""
    before, behind = _places(floats.cast(pa.string()).unique().to_pylist())
    return kind_for_digits(max(before, inexact.before), max(behind, inexact.behind))


def _places(texts: Iterable[str | None]) -> tuple[int, int]:
    """How many digits numbers have at most, before the point and behind it."""
    before = behind = 0
    for number in (Decimal(text).normalize() for text in texts if text is not None):
        digits, power = len(number.as_tuple().digits), number.as_tuple().exponent
        if isinstance(power, int) and number:
            before, behind = max(before, digits + power), max(behind, -power)
    return before, behind


def _quoted(field: str) -> str:
    """A field's name as YAML has it."""
    return field if field.replace("_", "").isalnum() and field.isascii() else f'"{field}"'
