"""Adoption: an input that a worker has staged becomes part of the run, as if it had been read there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from msgspec import Struct

from tailrace.model import Method, Receipt
from tailrace.runtime.drain import Drain
from tailrace.runtime.findings import Findings
from tailrace.runtime.items import Adoption
from tailrace.runtime.pipeline import StreamPipeline
from tailrace.runtime.pipelines import Pipelines
from tailrace.runtime.report import StreamReport
from tailrace.runtime.streams import Streams


class StagedInput(Struct, frozen=True):
    """What a worker has staged of an input: receipts by plans with revision 0, and what became of its records.

    Lines are positions among those of all inputs, and `last_line` is the last. `state` is the input's last STATE value,
    as sent, None if it has none.
    """

    receipts: tuple[Receipt, ...]
    streams: Mapping[str, StreamReport]
    state: bytes | None
    last_line: int

    @property
    def records(self) -> int:
        """The records that were read."""
        return sum(found.read for found in self.streams.values())

    @property
    def bytes(self) -> int:
        """The bytes of these records."""
        return sum(found.bytes for found in self.streams.values())


class Adopter:
    """Has staged inputs taken in by the parts of a run that they concern."""

    def __init__(self, streams: Streams, pipelines: Pipelines, drain: Drain, findings: Findings) -> None:
        self._streams = streams
        self._pipelines = pipelines
        self._drain = drain
        self._findings = findings

    def has_plans_of(self, staged: StagedInput) -> bool:
        """Whether the run has all plans by which the input was staged."""
        return all(self._streams.has_plan(receipt.stream) for receipt in staged.receipts)

    @staticmethod
    def replaces(staged: StagedInput) -> bool:
        """Whether rows of the input become visible only when the run ends."""
        return any(receipt.stream.method is Method.REPLACE for receipt in staged.receipts)

    def adopt(self, receipt: Receipt, now_s: float, *, is_whole: bool) -> StreamPipeline:
        """The pipeline under the receipt's plan; its rows are adopted where stagers of the destination have them."""
        stream = self._streams.reopened(receipt.stream)
        pipeline = self._pipelines.open(stream, receipt.first_line)
        pipeline.turn(now_s, is_adopting=is_whole, line=receipt.first_line)
        if is_whole:
            self._drain.put(Adoption(replace(receipt, stream=pipeline.stream)))
        return pipeline

    def count(self, staged: StagedInput) -> None:
        """Count what became of the input's records, and say what was found."""
        for name, found in staged.streams.items():
            pipeline = self._pipelines.of(name)
            self._findings.note_staged(name, pipeline.stream if pipeline else None, found)
