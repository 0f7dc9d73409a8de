"""The Python API: load a file, a stream of bytes, Singer messages or rows into a destination."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, cast

from tailrace.config import Settings
from tailrace.config.sources import split
from tailrace.destination import Destination
from tailrace.destinations import open_destination, scheme_of, settings_model
from tailrace.errors import ConfigError, MessageError
from tailrace.inputs.batches import Batches
from tailrace.inputs.feed import InputFeed, Rows
from tailrace.inputs.formats import format_named
from tailrace.inputs.loaded import loaded_files, require_named
from tailrace.inputs.places import files_of
from tailrace.runtime.feed import feed_chunks, feed_lines
from tailrace.runtime.report import Report
from tailrace.runtime.rows import feed_rows
from tailrace.runtime.target import Target
from tailrace.runtime.upkeep import maintained
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source
from tailrace.singer.writer import message_line


def load(
    source: str | Path | BinaryIO | Sequence[str | Path] | Iterable[Any],
    to: str | Destination,
    *,
    stream: str | None = None,
    key: Sequence[str] = (),
    input_format: str | None = None,
    new_only: bool = False,
    progress: bool | None = None,
    tell: Callable[[bytes], None] | None = None,
    **settings: Any,
) -> Report:
    """Load a source into a destination; the report of what became of every record.

    `source` is a path (.gz and .zst too), an address or a pattern of several, a list of such, a binary stream, an
    iterable of Singer messages (mappings, or lines as str or bytes), or, with `stream` given, rows: an iterable of
    mappings, or anything that speaks the Arrow C stream interface, as Arrow tables and readers, pandas and polars
    frames do. `key` names the fields that identify a row. `input_format` says what files are (singer, csv, jsonl,
    parquet or arrow); else it is found out by how each begins. `to` is a URL or name, with the destination's settings
    among `settings`, or a destination, which is closed at the end. `new_only` leaves out files that the pipeline has
    loaded as they are now, which its state says from then on. `tell` is called with every state that has become true,
    as JSON, from another thread. `progress` shows the run while it goes on, below a notebook's cell or on a terminal's
    stderr; left out, it is shown in notebooks. A notebook shows the report as a table.

    Raises the errors of `tailrace.errors`; what the last STATE before an error covers is committed then.
    """
    destination, run_settings = _opened(to, settings)
    target = Target(destination, run_settings, tell=tell or (lambda _state: None))
    try:
        if new_only:
            require_named(run_settings.pipeline)
        last = target.begin()
        loaded = loaded_files(last.state if last else None, new_only=new_only)
        with _view(target, progress):
            if (names := _files_named(source)) is not None:
                rows = Rows(stream, tuple(key), None if input_format is None else format_named(input_format))
                inputs = files_of(names, run_settings.input_store)
                stopping = threading.Event()
                return InputFeed(target, run_settings, inputs, stopping=stopping, rows=rows, loaded=loaded).run()
            if new_only:
                raise ConfigError("the source is no file", key="new_only", hint='name files, as in "dir/*.csv"')
            if stream is not None:
                return feed_rows(target, stream, source, key)
            return _load_messages(source, target, run_settings)
    finally:
        target.close()


def is_notebook() -> bool:
    """Whether this process is a notebook's kernel; nothing is imported to find out."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _view(target: Target, progress: bool | None) -> AbstractContextManager[object]:  # noqa: FBT001 private
    """What shows the run where that is wanted: in a notebook, unless told otherwise."""
    in_notebook = is_notebook()
    if not (in_notebook if progress is None else progress):
        return nullcontext()
    if in_notebook:
        shown: AbstractContextManager[object] = import_module("tailrace.runtime.notebook").notebook_view(target)
        return shown
    view: AbstractContextManager[object] = import_module("tailrace.runtime.progress").live_view(target)
    return view


def maintain(
    to: str | Destination, tables: Sequence[str] = (), keep: timedelta = timedelta(days=7), **settings: Any
) -> list[str]:
    """Keep a lake fast, as `tailrace maintain` does; a sentence for each thing done.

    Of these tables (`name` or `schema.name`), or of all that are loaded into, small files are put together; what was
    replaced longer ago than `keep` is removed. Loads may be at work meanwhile. Raises ConfigError for a destination
    that looks after its tables itself, or where `keep` is less than an hour.
    """
    destination, _ = _opened(to, settings)
    try:
        return [*maintained(destination, tables, keep)]
    finally:
        destination.close()


def _load_messages(source: object, target: Target, settings: Settings) -> Report:
    batches = Batches(target, settings)
    reader = batches.reading(Reader(max_line_bytes=settings.max_line_bytes))
    with batches.naming_origins():
        if source == "-" or hasattr(source, "read"):
            with open_source(cast(str | BinaryIO, source)) as opened, ChunkPump(opened) as pump:
                return feed_chunks(target, reader, pump, stopping=threading.Event())
        return feed_lines(target, reader, _lines(cast("Iterable[Any]", source)))


def _files_named(source: object) -> list[str] | None:
    """The paths, patterns and addresses that a source is; None for any other source."""
    if isinstance(source, list | tuple) and source and all(map(_is_name, source)):
        return [str(each) for each in source]
    return [str(source)] if isinstance(source, str | Path) and source != "-" else None


def _is_name(item: object) -> bool:
    """Whether an item of a list names files, and isn't a line of messages."""
    return isinstance(item, Path) or (isinstance(item, str) and item.strip()[:1] not in {"", "{"})


def _lines(messages: Iterable[Any]) -> Iterator[bytes]:
    for number, message in enumerate(messages, start=1):
        try:
            yield message_line(message)
        except (TypeError, ValueError) as error:
            raise MessageError(f"this message can't be written as JSON: {error}", line=number) from error
        except RecursionError as error:
            raise MessageError("this message is nested too deeply to be written as JSON", line=number) from error


def _opened(to: str | Destination, settings: dict[str, Any]) -> tuple[Destination, Settings]:
    if isinstance(to, str):
        run_settings, own = split(settings, settings_model(scheme_of(to)))
        return open_destination(to, own), run_settings
    return to, split(settings, Settings)[0]
