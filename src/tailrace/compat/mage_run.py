"""A run in the place of a destination of Mage's: its config and catalog are read as there, and its state written."""

from __future__ import annotations

import argparse
import glob
import io
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tailrace.cli.streams import close_stdout, open_streams
from tailrace.compat.mage_destinations import DESTINATIONS, REFUSED, MageDestination
from tailrace.compat.mage_log import MageHandler, show_log
from tailrace.compat.mage_streams import Catalog, MageReader, array_types, catalog_of, partition_keys, schemas
from tailrace.compat.state_file import StateFile
from tailrace.config import Settings
from tailrace.config.meanings import is_on
from tailrace.config.sources import environment_values, file_values, known_variables, merged, own_names, split
from tailrace.destination import Destination, Inspectable
from tailrace.destinations import open_destination, scheme_of, settings_model, traits_of
from tailrace.errors import ConfigError, TailraceError
from tailrace.runtime.feed import feed_chunks
from tailrace.runtime.report import Report
from tailrace.runtime.target import Target
from tailrace.schema.names import destination_names
from tailrace.singer.reader import Reader
from tailrace.singer.source import ChunkPump, open_source
from tailrace.singer.state import StateWriter

_HEAD_BYTES = 2**20
_PARTITIONED = frozenset({"bigquery", "delta"})
"""Where Mage's partition keys count."""
_WITH_ARRAYS = frozenset({"postgres"})
"""Where Mage makes columns of arrays."""


@dataclass(frozen=True, slots=True)
class Options:
    """What Mage's runner has said."""

    destination: MageDestination
    config: dict[str, Any] = field(repr=False)
    catalog: Catalog
    state: Path | None
    input_file: Path | None


def run(given: argparse.Namespace) -> int:
    """What the options ask for; its exit code. What goes wrong is a line of the log that Mage's runner looks for."""
    handler = show_log(to_stdout=given.log_to_stdout, debug=given.debug)
    try:
        open_streams()
        destination = _destination(given.destination)
        if given.show_templates:
            sys.stdout.write(f"{json.dumps({'config': destination.config})}\n")
            code = 0
        else:
            code = _run(_options(given, destination), handler, only_tries=given.test_connection)
        close_stdout()
    except TailraceError as error:
        text = "; ".join([str(error), *getattr(error, "__notes__", ())])
        handler.say("EXCEPTION", text, {"error": text})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 a bug of ours, shown in full
        handler.say("EXCEPTION", f"a fault of tailrace's own: {error!r}", {"error": traceback.format_exc()})
        return 1
    return code


def _destination(name: str) -> MageDestination:
    if name in DESTINATIONS:
        return DESTINATIONS[name]
    hint = REFUSED.get(name, f"there are {', '.join(DESTINATIONS)}")
    raise ConfigError(f"{name!r} can't be loaded into", key="DESTINATION", hint=hint)


def _options(given: argparse.Namespace, destination: MageDestination) -> Options:
    if given.catalog_json is not None:
        catalog = catalog_of(given.catalog_json, "--catalog_json")
    elif given.catalog is not None:
        catalog = catalog_of(_read(given.catalog, "--catalog"), "--catalog")
    else:
        catalog = {}
    return Options(destination, _config(given), catalog, given.state, given.input_file_path)


def _config(given: argparse.Namespace) -> dict[str, Any]:
    """The config, from the first place that has one, as it stands there."""
    if given.config_json:
        config = _parsed(given.config_json, "--config_json")
    elif given.config is not None:
        config = _parsed(_read(given.config, "--config"), "--config")
    elif given.settings is not None:
        yaml = import_module("yaml")
        try:
            config = (yaml.safe_load(_read(given.settings, "--settings")) or {}).get("config")
        except (AttributeError, yaml.YAMLError):
            config = None
    else:
        raise ConfigError("no config given", key="--config_json", hint="give it, or --config or --settings")
    if not isinstance(config, dict):
        raise ConfigError(
            "there is no config of settings by name",
            key="--config_json" if given.config_json else "--config" if given.config else "--settings",
        )
    return config


def _read(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it isn't UTF-8"
        raise ConfigError(f"{path} can't be read: {reason}", key=option, hint="name a file that can be") from error


def _parsed(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise ConfigError("it isn't JSON", key=option)  # without its cause, in which a password may be


def set_up(options: Options, head: Iterable[bytes]) -> tuple[Settings, Destination]:
    """The settings of a run, and the destination, not connected yet; `head` are lines of the input."""
    destination = options.destination
    name = scheme_of(destination.to)
    model = settings_model(name)
    config = _with_naming(options.config, destination)
    config, everywhere = _without_partitions(config)
    entries = schemas(options.catalog, head) if name in _PARTITIONED | _WITH_ARRAYS else {}
    asked = partition_keys(entries) if name in _PARTITIONED else {}
    everywhere = everywhere if name in _PARTITIONED else []
    file = os.environ.get("TAILRACE_CONFIG")
    sources = [
        {key: value for key, value in destination.defaults.items() if key not in config},
        _with_arrays(entries) if name in _WITH_ARRAYS else {},
        file_values(Path(file)) if file else {},
        known_variables(environment_values(), Settings, model),
        _partitioned(
            asked,
            everywhere if name in _PARTITIONED else [],
            name,
            str(config.get("naming") or destination.defaults["naming"]),
        ),
        config,
    ]
    if "bucket" in destination.config and "aws_region" in destination.config:
        sources[0].setdefault("region", "us-west-2")  # as Mage has it
    for source in sources:
        source.pop("to", None)
    settings, own = split(merged(*(own_names(source, Settings, model) for source in sources)), model)
    return settings, open_destination(destination.to, own)


def _with_naming(config: Mapping[str, Any], destination: MageDestination) -> dict[str, Any]:
    """The config with what its own names say about the spelling of columns in `naming`."""
    if config.get("naming") or destination.defaults.get("naming") != "mage":
        return dict(config)
    cases = [config.get(name) for name in ("lower_case", "use_lowercase")]
    is_cased = any(case not in {None, ""} and not is_on(case) for case in cases)
    words = is_on(config.get("allow_reserved_words") or False)
    rest = {key: value for key, value in config.items() if key not in {"lower_case", "use_lowercase"}}
    return {**rest, "naming": f"mage{'_preserve' if is_cased else ''}{'_words' if words else ''}"}


def _with_arrays(entries: Catalog) -> dict[str, Any]:
    """The settings that give new columns of arrays the types that Mage gives them."""
    types = {glob.escape(stream): array_types(entry) for stream, entry in entries.items()}
    streams = {
        stream: {"columns": {field: {"sql_type": sql_type} for field, sql_type in fields.items()}}
        for stream, fields in types.items()
        if fields
    }
    return {"streams": streams} if streams else {}


def _without_partitions(config: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The config without the partition keys of `_streams`, and these, which are added to what each stream asks for."""
    streams = config.get("_streams")
    keys = streams.get("partition_keys") if isinstance(streams, Mapping) else None
    if not isinstance(streams, Mapping) or not isinstance(keys, list):
        return config, []
    rest = {name: value for name, value in streams.items() if name != "partition_keys"}
    return {**config, "_streams": rest}, [str(key) for key in keys]


def _partitioned(asked: Mapping[str, list[str]], everywhere: list[str], name: str, naming: str) -> dict[str, Any]:
    """The settings that partition the streams' tables."""
    keys = {glob.escape(stream): [*fields, *everywhere] for stream, fields in asked.items()}
    if everywhere:
        keys["*"] = everywhere
    if not keys:
        return {}
    if name == "bigquery":
        named = {
            stream: destination_names(fields[:1], naming, traits_of(name), stream)[fields[0]]
            for stream, fields in keys.items()
        }
        return {"design": {stream: {"partition_by": column} for stream, column in named.items()}}
    return {"partition_keys": keys}


def _run(options: Options, handler: MageHandler, *, only_tries: bool) -> int:
    """Load the input, or only try to connect."""
    source = _opened(options.input_file)
    settings, destination = set_up(options, () if only_tries else _lines(source))
    if only_tries:
        try:
            handler.say("INFO", "Testing connection...", {})
            for finding in destination.check() if isinstance(destination, Inspectable) else ():
                handler.say("INFO", finding, {})
        finally:
            destination.close()
        return 0
    state = StateFile(options.state, "--state") if options.state else None
    if state:
        state.check()
    target = Target(destination, settings, tell=(state or StateWriter(sys.stdout.buffer)).tell)
    reader = MageReader(
        Reader(max_line_bytes=settings.max_line_bytes), options.catalog, appends=options.destination.appends
    )
    stopping = threading.Event()
    try:
        with _stopped_by_signals(stopping) as received:
            target.begin()
            with open_source(source) as stream, ChunkPump(stream) as pump:
                report = feed_chunks(target, reader, pump, stopping=stopping)
    finally:
        target.close()
    _tell(report, handler)
    return 128 + received[0] if received else 0


def _opened(path: Path | None) -> Path | io.BufferedReader:
    """The input: a file, or stdin, of which a good deal can be looked at before it is read."""
    return path or io.BufferedReader(io.FileIO(0, closefd=False), _HEAD_BYTES)


def _lines(source: Path | io.BufferedReader) -> Iterator[bytes]:
    """The lines of a file, or those that stdin begins with, as far as they have come."""
    if isinstance(source, io.BufferedReader):
        yield from source.peek().splitlines()
        return
    with suppress(OSError), source.open("rb") as file:  # what is wrong is told where it is loaded
        yield from file


@contextmanager
def _stopped_by_signals(stopping: threading.Event) -> Iterator[list[int]]:
    """Have the first SIGTERM or SIGINT stop the run, and a second one end it; the signals received."""
    received: list[int] = []

    def stop(number: int, _frame: object) -> None:
        received.append(number)
        stopping.set()
        signal.signal(number, previous[number])

    previous: dict[int, Any] = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, action in previous.items():
            signal.signal(number, action)


def _tell(report: Report, handler: MageHandler) -> None:
    """Say what became of each stream, in the words that Mage's metrics are made of."""
    for name, stream in report.streams.items():
        tags = {
            "stream": name,
            "records_affected": stream.loaded,
            "records_inserted": stream.loaded - stream.updated,
            "records_updated": stream.updated,
        }
        handler.say("INFO", "Export data completed.", tags)
