"""The sink: blocks are decoded ahead and taken in the order of their lines, whatever comes of them."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tailrace.config import StreamSettings
from tailrace.decode import decoder
from tailrace.model import LINE, Clock, RecordBlock, Traits
from tailrace.runtime import sink as sinks
from tailrace.runtime.sink import Sink, decoding_threads
from tailrace.schema.stream import planned_stream

NOW = datetime(2024, 1, 2, tzinfo=UTC)
CLOCK = Clock(NOW, lambda: NOW)
SCHEMA = b'{"properties": {"id": {"type": "integer"}}}'


@pytest.fixture
def sink():
    traits = Traits("tests", "none")
    stream = planned_stream("s", SCHEMA, (), StreamSettings(), traits, revision=1, versioned=False)
    with ThreadPoolExecutor(2) as threads:
        yield Sink(stream, decoder(stream, CLOCK), threads)


def block(first_line, *values):
    lines = [f'{{"type":"RECORD","stream":"s","record":{{"id":{value}}}}}\n'.encode() for value in values]
    return RecordBlock.of("s", b"".join(lines), (first_line, len(lines)))


def begin(sink, *blocks):
    for each in blocks:
        sink.add(each)
        sink.decode_ahead()


def taken(sink, until_line=None):
    """The lines of each block that is taken, and those of them that are refused."""
    found = []
    while result := sink.take_decoded(until_line):
        _, decoded = result
        found.append((decoded.rows[LINE].to_pylist(), [refused.line for refused in decoded.refused]))
    return found


def test_blocks_are_taken_in_the_order_of_their_lines(sink):
    begin(sink, block(1, 1, 2), block(3, 3), block(4, 4, 5))
    assert taken(sink) == [([1, 2], []), ([3], []), ([4, 5], [])]
    assert sink.is_empty


def test_a_block_that_begins_beyond_a_line_is_left(sink):
    begin(sink, block(1, 1, 2), block(3, 3, 4))
    assert taken(sink, until_line=2) == [([1, 2], [])]
    assert (sink.waiting_count, sink.is_empty) == (0, False)
    assert taken(sink) == [([3, 4], [])]


def test_a_block_of_rows_alone_is_taken_whole_though_it_goes_beyond_the_line(sink):
    begin(sink, block(1, 1, 2, 3))
    assert taken(sink, until_line=2) == [([1, 2, 3], [])]


def test_a_refusal_beyond_a_line_is_held_back_with_the_records_behind_the_line(sink):
    begin(sink, block(1, 1, '"x"', 3, '"y"', 5), block(6, 6))
    assert taken(sink, until_line=3) == [([1, 3], [2])]
    assert taken(sink) == [([5], [4]), ([6], [])]


def test_a_block_that_is_put_back_comes_before_those_that_were_begun_and_those_that_wait(sink):
    begin(sink, block(1, 1), block(2, 2))
    sink.add(block(3, 3))
    first, _ = sink.take_decoded()
    sink.put_back(first)
    assert (sink.waiting_count, sink.held_bytes) == (3, sum(block(line, line).size for line in (1, 2, 3)))
    assert list(sink.take_waiting().lines()) == [1, 2, 3]
    assert (sink.is_empty, sink.held_bytes) == (True, 0)


def test_a_block_is_to_be_taken_once_it_is_decoded_or_enough_are_begun(sink, monkeypatch):
    monkeypatch.setattr(sinks, "MAX_AHEAD", 2)
    assert not sink.has_decoded
    begin(sink, block(1, 1), block(2, 2))
    assert sink.has_decoded
    taken(sink)
    assert not sink.has_decoded


@pytest.mark.skipif(sys.platform != "linux", reason="threads are nice by themselves on Linux alone")
def test_decoding_gives_way_to_other_threads():
    with decoding_threads() as threads:
        assert threads.submit(os.nice, 0).result() == min(19, os.nice(0) + 10)
