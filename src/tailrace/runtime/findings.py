"""Findings: what decoding comes to beside rows is counted and said, and refused records are handed on."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from itertools import groupby

from tailrace.errors import Violation
from tailrace.log import get_logger
from tailrace.model import LINE, Batch, Decoded, Refused, Stream
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.notes import note
from tailrace.runtime.report import StreamReport, Tally
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import LogLine

_log = get_logger("target")
_LEVELS = logging.getLevelNamesMapping()


class Findings:
    """Where a run's findings go. `refuse_row` may be called from another thread."""

    def __init__(self, tally: Tally, invalid: Invalid, streams: Streams) -> None:
        self._tally = tally
        self._invalid = invalid
        self._streams = streams

    def note(self, stream: Stream, decoded: Decoded) -> None:
        """Count and say what decoding found; raises RecordError where a refused record ends the run."""
        if decoded.refused:
            self.refuse(stream, decoded.refused)
        note(self._tally, stream, decoded)

    def refuse(self, stream: Stream, refused: Sequence[Refused]) -> None:
        """Have records refused; raises RecordError where that ends the run."""
        self._invalid.refuse(stream, self._streams.message(stream), refused)

    def note_staged(self, name: str, stream: Stream | None, found: StreamReport) -> None:
        """Count and say what a worker has found of a stream; without a plan its records were only counted."""
        self._tally.add_staged(name, found)
        if stream is not None:
            none = stream.arrow.empty_table()
            note(self._tally, stream, Decoded(none, (), found.unknown_fields, found.inexact, found.coerced, found.odd))

    @staticmethod
    def say_for_tap(lines: Iterable[LogLine]) -> None:
        """Say what the tap has among its messages for the log."""
        for level, said in groupby(lines, key=lambda line: line.level):
            _log.log_all(_LEVELS.get(level.upper(), logging.INFO), [line.message for line in said], of="tap")

    def refuse_row(self, batch: Batch, line: int, reason: str) -> None:
        """Refuse a row that the destination doesn't take; raises RecordError where that ends the run."""
        from tailrace.decode.records import record_line  # noqa: PLC0415 few loads have such rows

        at = batch.rows[LINE].to_pylist().index(line)
        raw = record_line(batch.stream, batch.rows.slice(at, 1))
        violation = Violation("destination", "$", "a row that the destination takes", reason)
        refused = Refused(batch.stream.name, line, raw, (violation,))
        self._invalid.refuse(batch.stream, self._streams.message(batch.stream), (refused,))
