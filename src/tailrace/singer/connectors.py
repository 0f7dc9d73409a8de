"""What connectors import from singer-python: messages, bookmarks, the log, the command line, and the errors' names.

States are the tap's own mappings, which the functions change and give back. Messages go to stdout, a line each, exact
for every value that JSON can say; several threads may write.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tailrace.errors import ConfigError
from tailrace.singer.writer import activate_version_line, message_line, record_line, state_line

State = MutableMapping[str, Any]

_BOOKMARKS, _OFFSET, _SYNCING = "bookmarks", "offset", "currently_syncing"
_writing = threading.Lock()


class SingerError(Exception):
    """Any error of a connector."""


class SingerConfigurationError(SingerError):
    """The config is wrong: exits with 2."""

    exit_code = 2


class SingerDiscoveryError(SingerError):
    """The source can't be discovered."""


class SingerSyncError(SingerError):
    """Records can't be read."""


class SingerRetryableRequestError(SingerError):
    """A request failed, and may succeed later."""


def write_message(message: Mapping[str, Any] | str | bytes) -> None:
    """Write a message, or a line of one; raises TypeError or ValueError for what JSON can't say exactly."""
    _write(message_line(message))


def write_schema(
    stream_name: str,
    schema: Mapping[str, Any],
    key_properties: str | Sequence[str],
    bookmark_properties: str | Sequence[str] | None = None,
    stream_alias: str | None = None,
    **more: Any,
) -> None:
    """Write a SCHEMA message; `more` are members besides, such as `unique_constraints`."""
    message: dict[str, Any] = {"type": "SCHEMA", "stream": stream_alias or stream_name, "schema": schema}
    message["key_properties"] = _names(key_properties)
    if bookmark_properties:
        message["bookmark_properties"] = _names(bookmark_properties)
    write_message(message | more)


def write_record(
    stream_name: str,
    record: Mapping[str, Any],
    stream_alias: str | None = None,
    time_extracted: datetime | None = None,
    version: int | None = None,
) -> None:
    """Write a RECORD message; ValueError for a `time_extracted` without an offset."""
    if time_extracted is not None and time_extracted.tzinfo is None:
        raise ValueError("'time_extracted' has no time zone")
    _write(record_line(stream_alias or stream_name, record, version=version, time_extracted=time_extracted))


def write_records(stream_name: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write a RECORD message for each."""
    for record in records:
        write_record(stream_name, record)


def write_batch(
    stream_name: str,
    manifest: Sequence[str],
    encoding_format: str = "jsonl",
    compression: str | None = None,
    version: int | None = None,
) -> None:
    """Write a BATCH message for the files at these addresses; `encoding_format` is jsonl, parquet or arrow."""
    encoding = {"format": encoding_format, "compression": compression or "none"}
    message = {"type": "BATCH", "stream": stream_name, "encoding": encoding, "manifest": list(manifest)}
    write_message(message if version is None else message | {"version": version})


def write_state(value: Any) -> None:
    """Write a STATE message."""
    _write(state_line(value))


def write_version(stream_name: str, version: int) -> None:
    """Write an ACTIVATE_VERSION message."""
    _write(activate_version_line(stream_name, version))


def write_bookmark(state: State, tap_stream_id: str, key: str, val: Any) -> State:
    """Set a stream's bookmark."""
    _bookmarks(state, tap_stream_id)[key] = val
    return state


def get_bookmark(state: Mapping[str, Any], tap_stream_id: str, key: str, default: Any = None) -> Any:
    """A stream's bookmark."""
    return _stream(state, tap_stream_id).get(key, default)


def clear_bookmark(state: State, tap_stream_id: str, key: str) -> State:
    """Remove a stream's bookmark."""
    _bookmarks(state, tap_stream_id).pop(key, None)
    return state


def reset_stream(state: State, tap_stream_id: str) -> State:
    """Remove all of a stream's bookmarks."""
    _bookmarks(state, tap_stream_id).clear()
    return state


def set_offset(state: State, tap_stream_id: str, offset_key: str, offset_value: Any) -> State:
    """Set one of the offsets at which a stream was left in the middle."""
    offset = _bookmarks(state, tap_stream_id).setdefault(_OFFSET, {})
    offset[offset_key] = offset_value
    return state


def get_offset(state: Mapping[str, Any], tap_stream_id: str, default: Any = None) -> Any:
    """All of a stream's offsets."""
    return _stream(state, tap_stream_id).get(_OFFSET, default)


def clear_offset(state: State, tap_stream_id: str) -> State:
    """Remove a stream's offsets."""
    _bookmarks(state, tap_stream_id).pop(_OFFSET, None)
    return state


def set_currently_syncing(state: State, tap_stream_id: str | None) -> State:
    """Note which stream is being read."""
    state[_SYNCING] = tap_stream_id
    return state


def get_currently_syncing(state: Mapping[str, Any], default: Any = None) -> Any:
    """The stream that was being read."""
    return state.get(_SYNCING, default)


def get_logger(name: str = "singer") -> logging.Logger:
    """A logger to stderr, where what a tap says belongs; at INFO unless it was given a level."""
    root, logger = logging.getLogger(), logging.getLogger(name)
    if not root.handlers and not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    return logger


def parse_args(required_config_keys: Iterable[str], arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """A tap's command line: `config`, `state`, `catalog` and `properties` read from their files, and `discover`.

    Raises ConfigError for a file that can't be read, and for keys that the config lacks.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("-c", "--config", required=True, help="config file")
    parser.add_argument("-s", "--state", help="state file")
    parser.add_argument("-p", "--properties", help="catalog file, by its old name")
    parser.add_argument("--catalog", help="catalog file")
    parser.add_argument("-d", "--discover", action="store_true", help="print the catalog, and end")
    parser.add_argument("--dev", action="store_true", help="for whoever writes the tap")
    given = parser.parse_args(arguments)
    for name in ("config", "state", "properties", "catalog"):
        path = getattr(given, name)
        setattr(given, f"{name}_path", path)
        setattr(given, name, _read(path, name) if path else {} if name == "state" else None)
    missing = [key for key in required_config_keys if key not in given.config]
    if missing:
        raise ConfigError(
            f"the config has no {', '.join(missing)}", key=missing[0], hint=f"add it to {given.config_path}"
        )
    return given


def _read(path: str, name: str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}", key=name) from error
    except ValueError as error:
        raise ConfigError(f"{path} isn't JSON", key=name) from error


def _write(line: bytes) -> None:
    """Write a whole line at once, so that it is neither parted nor kept back."""
    with _writing:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def _names(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _stream(state: Mapping[str, Any], tap_stream_id: str) -> Mapping[str, Any]:
    found = (state.get(_BOOKMARKS) or {}).get(tap_stream_id)
    return found if isinstance(found, Mapping) else {}


def _bookmarks(state: State, tap_stream_id: str) -> State:
    """A stream's bookmarks, made where there are none."""
    bookmarks: State = state.get(_BOOKMARKS) or {}
    state[_BOOKMARKS] = bookmarks
    if not isinstance(bookmarks.get(tap_stream_id), MutableMapping):
        bookmarks[tap_stream_id] = {}
    found: State = bookmarks[tap_stream_id]
    return found
