"""What `load` does with files, and with rows that come by stdin."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from tailrace.cli.loading import load_by, view
from tailrace.cli.options import Setup
from tailrace.cli.report_file import require_writable
from tailrace.errors import ConfigError
from tailrace.inputs.feed import InputFeed, Rows
from tailrace.inputs.loaded import loaded_files
from tailrace.inputs.places import files_of
from tailrace.parallel.executors import Executor
from tailrace.runtime.feed import Parser
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.scratch import ScratchFolder
from tailrace.singer.source import open_source


def load_kept(rows: Rows, made: Setup, report: Path | None) -> None:
    """Load a file of rows that comes by stdin; it is kept on this machine meanwhile, since it is read twice."""
    if rows.stream is None:
        raise ConfigError("no stream given", key="--stream", hint="what comes by stdin has no file's name")
    with ScratchFolder("stdin") as folder:
        path = folder.path / "stdin"
        with open_source("-") as source, path.open("wb") as kept:
            shutil.copyfileobj(source, kept, 2**20)
        load_files([str(path)], rows, made, report, None, new_only=False)


def load_files(
    sources: list[str], rows: Rows, made: Setup, report: Path | None, workers: Executor | None, *, new_only: bool
) -> None:
    """Load files, by these workers where there are any."""
    inputs = files_of(sources, made.settings.input_store)

    def feed(target: Target, _reader: Parser, stopping: threading.Event, state: bytes | None) -> Report:
        loaded = loaded_files(state, new_only=new_only)
        feeding = InputFeed(
            target, made.settings, inputs, stopping=stopping, rows=rows, loaded=loaded, executor=workers
        )
        with view(target, lambda: feeding.share):
            return feeding.run()

    require_writable(report)
    load_by(feed, made.open(), made.settings, report)
