"""tailrace's reader and decoder alone, with no destination: `decode.py INPUT RECORDS` prints the seconds on stderr."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from tailrace.config import Settings
from tailrace.decode import decoder
from tailrace.destinations import traits_of
from tailrace.model import Clock, RecordBlock
from tailrace.runtime.sink import DECODE_BYTES, Sink
from tailrace.runtime.streams import Streams
from tailrace.singer.messages import SchemaMessage
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source


def decoded(sink: Sink) -> int:
    """Decode what the sink holds; the number of rows."""
    sink.decode_ahead()
    rows = 0
    while found := sink.take_decoded():
        rows += found[1].rows.num_rows
    return rows


def main() -> None:
    """Decode the file in blocks of the length that a load has, and check that no row is missing."""
    source, records = sys.argv[1], int(sys.argv[2])
    started_s = time.perf_counter()
    settings = Settings()
    clock = Clock(started_at=datetime.now(UTC), now=lambda: datetime.now(UTC))
    streams = Streams(settings, traits_of("postgres"))
    reader = Reader(max_line_bytes=settings.max_line_bytes)
    sinks: dict[str, Sink] = {}
    rows = 0
    with ThreadPoolExecutor(1) as threads, open_source(source) as stream, ChunkPump(stream) as pump:
        while chunk := pump.next(None):
            for message in (message for block in reader.feed(chunk) for message in block.messages):
                if isinstance(message, SchemaMessage) and (plan := streams.accept(message)):
                    sinks[message.stream] = Sink(plan, decoder(plan, clock), threads)
                if isinstance(message, RecordBlock):
                    sink = sinks[message.stream]
                    sink.add(message)
                    rows += decoded(sink) if sink.waiting_bytes >= DECODE_BYTES else 0
        rows += sum(decoded(sink) for sink in sinks.values())
    seconds = time.perf_counter() - started_s
    if rows != records:
        raise SystemExit(f"{rows} rows were decoded, not {records}")
    sys.stderr.write(f"{seconds}\n")


if __name__ == "__main__":
    main()
