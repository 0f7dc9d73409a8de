"""The pipelines of all streams of a run, and what is done to all of them at once."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.model import RecordBlock, Stream
from tailrace.runtime.pipeline import Shared, StreamPipeline
from tailrace.runtime.sink import DECODE_BYTES

_DECODE_ALL_BYTES = 8 * DECODE_BYTES
"""Bytes of all streams' records after which all that waits is decoded: no stream may have enough by itself."""


class Pipelines:
    """The streams' pipelines, by name."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._pipelines: dict[str, StreamPipeline] = {}
        self._added_bytes = 0

    def of(self, name: str) -> StreamPipeline | None:
        """The pipeline of the stream; None before its first plan."""
        return self._pipelines.get(name)

    def plans(self) -> list[Stream]:
        """The present plan of every stream."""
        return [pipeline.stream for pipeline in self._pipelines.values()]

    def plan_of(self, name: str, now_s: float) -> Stream | None:
        """The present plan of a stream, with all its records decoded; None before its first one."""
        if (pipeline := self.of(name)) is None:
            return None
        pipeline.decode(None, now_s)
        return pipeline.stream

    def open(self, stream: Stream, line: int) -> StreamPipeline:
        """The stream's pipeline, which takes records under this plan from that line on."""
        pipeline = self._pipelines.get(stream.name)
        if pipeline is None:
            pipeline = self._pipelines[stream.name] = StreamPipeline(self._shared, stream, line)
        else:
            pipeline.open(stream, line)
        return pipeline

    def add(self, pipeline: StreamPipeline, block: RecordBlock, now_s: float) -> None:
        """Take in records of a stream that aren't decoded yet."""
        pipeline.add(block, now_s)
        self._added_bytes += block.size

    def advance(self, names: Iterable[str], now_s: float) -> list[StreamPipeline]:
        """Have the records of these streams decoded that are worth it; gives the pipelines that are to be sealed."""
        if self._added_bytes >= _DECODE_ALL_BYTES:
            self._added_bytes = 0
            for pipeline in self._pipelines.values():
                pipeline.begin_decoding()
        pipelines = [self._pipelines[name] for name in dict.fromkeys(names) if name in self._pipelines]
        for pipeline in pipelines:
            pipeline.advance(now_s)
        return [pipeline for pipeline in pipelines if pipeline.is_full]

    def old(self, now_s: float) -> list[StreamPipeline]:
        """The pipelines whose first record has waited long enough."""
        return [pipeline for pipeline in self._pipelines.values() if pipeline.is_old(now_s)]

    def largest(self) -> StreamPipeline | None:
        """The pipeline that holds most; None where none holds anything."""
        held = (pipeline for pipeline in self._pipelines.values() if not pipeline.is_empty)
        return max(held, key=lambda pipeline: pipeline.held_bytes, default=None)

    def decode(self, until_line: int | None, now_s: float) -> None:
        """Turn the records of every stream into rows, up to that line."""
        for pipeline in self._pipelines.values():
            pipeline.begin_decoding(until_line)
        for pipeline in self._pipelines.values():
            pipeline.decode(until_line, now_s)

    def seal(self, until_line: int | None, now_s: float) -> None:
        """Hand the rows of every stream up to that line to the drain."""
        for pipeline in self._pipelines.values():
            pipeline.seal(until_line, now_s)
