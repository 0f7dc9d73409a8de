"""Draws on its terminal, each time it is asked to, a run of so many streams in its midst: `drawing.py STREAMS`.

The terminal sends the sizes to draw at, as in `80 24`, when it has been made so large: for the live view up to an empty
line, and then for the end report. stdout tells when each is drawn. Time is what the run says it is.
"""

import json
import os
import sys
import threading
import time
import tty
from datetime import UTC, datetime, timedelta

from tailrace.config import Settings
from tailrace.destinations.memory import MemoryDestination
from tailrace.runtime.progress import live_view
from tailrace.runtime.summary import report_table
from tailrace.runtime.target import Target
from tailrace.singer.reader import Reader

TERMINAL = 2
BEGUN = datetime(2024, 5, 6, tzinfo=UTC)
STATE = {"type": "STATE", "value": 1}
LONG, WIDE = "public-a_table_with_a_name_of_many_characters_that_begins_and_ends_like_no_other", "銘柄_時価"


class Holding(MemoryDestination):
    """A memory whose second commit takes as long as the pictures do."""

    def __init__(self):
        super().__init__("pictures")
        self.is_reached, self.is_drawn = threading.Event(), threading.Event()

    def commit(self, checkpoint):
        if checkpoint.number == 2:
            self.is_reached.set()
            self.is_drawn.wait()
        return super().commit(checkpoint)


class Run:
    """A run: most streams are loaded, some wait for their commit, some are being read, and some have no records."""

    def __init__(self, streams):
        self.now_s = 0.0
        self.destination = Holding()
        self.target = Target(
            self.destination,
            Settings(pipeline="nightly", checkpoint_rows=1),
            tell=lambda _state: None,
            now=lambda: BEGUN + timedelta(seconds=self.now_s),
            monotonic_s=lambda: 0.0,
        )
        self.reader = Reader(max_line_bytes=2**20)
        self.names = ["orders", *(f"stream_{number:04}" for number in range(2, streams + 1))]
        self.target.begin()

    def feed(self, *messages):
        lines = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        for block in self.reader.feed(lines):
            self.target.accept(block)

    def records(self, names, count):
        self.feed(*({"type": "RECORD", "stream": n, "record": {"id": i}} for n in names for i in range(count(n))))

    def wait(self, is_so):
        """Wait for the threads of the run."""
        while not is_so():
            self.target.keep_time()
            time.sleep(0.01)

    def go(self, live):
        """Bring the run into its midst."""
        streams = len(self.names)
        loaded, waiting = max(streams * 6 // 10, 1), streams * 8 // 10
        current = self.names[waiting : waiting + max(streams // 20, 1)]
        current[-2:] = [LONG, WIDE] if len(current) > 1 else current
        self.names[waiting : waiting + len(current)] = current
        schema = {"type": "SCHEMA", "schema": {"properties": {"id": {"type": "integer"}}}, "key_properties": []}
        self.feed(*(schema | {"stream": name} for name in self.names))
        self.records(self.names[:loaded], lambda name: 12_345 if name == "orders" else 7)
        self.feed(STATE)
        self.wait(lambda: self.target.tally.checkpoints == 1)
        self.now_s = 61.0
        self.records(self.names[loaded:waiting], lambda _name: 40)
        live.refresh()
        self.now_s = 66.0
        self.records(current, lambda _name: 100)
        self.now_s = 66.2
        self.feed(STATE)
        self.wait(self.destination.is_reached.is_set)

    def end(self):
        """Let the run end; its report."""
        self.now_s = 3671.0
        self.destination.is_drawn.set()
        return self.target.end()


def clear(width, height):
    """Wait until the terminal is so large, and begin at its top."""
    while os.get_terminal_size(TERMINAL) != (width, height):
        time.sleep(0.001)
    os.write(TERMINAL, b"\x1b[2J\x1b[3J\x1b[H")


def tell():
    """Tell that all is drawn, when the terminal has answered what comes behind it."""
    sys.stderr.flush()
    os.write(TERMINAL, b"\x1b[6n")
    sent(b"R")
    os.write(1, b"drawn\n")


def main(streams):
    tty.setcbreak(0)
    os.write(1, b"ready\n")
    run = Run(streams)
    with live_view(run.target, lambda: 0.6, monotonic_s=lambda: run.now_s, is_refreshed=False) as live:
        run.go(live)
        for width, height in sizes():
            clear(width, height)
            live.refresh()
            tell()
    report = run.end()
    for width, height in sizes():
        clear(width, height)
        sys.stderr.write(report_table(report, width))
        tell()
    run.target.close()


def sizes():
    """The sizes that are asked for, up to an empty line."""
    while size := sent(b"\n").split():
        yield tuple(map(int, size))


def sent(end):
    """What the terminal sends before that."""
    text = b""
    while not text.endswith(end):
        text += os.read(0, 1)
    return text.removesuffix(end)


if __name__ == "__main__":
    main(int(sys.argv[1]))
