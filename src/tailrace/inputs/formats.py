"""What a file is, by how it begins and, where that doesn't tell, by its name."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath

import msgspec

from tailrace.errors import ConfigError
from tailrace.inputs.places import InputFile
from tailrace.singer.source import decompressed
from tailrace.singer.unreadable import is_like_csv

_START_BYTES = 2**16
_MESSAGES = frozenset({"RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH", "LOG"})
_MESSAGE = re.compile(rb'\{\s*"type"\s*:\s*"(?:[A-Z_]+"\s*,\s*"(?:stream|value|record|schema)"|[A-Z_]*$)')
_CONTENTS = ("record", "schema", "value")
_TABLES = frozenset({".csv", ".tsv"})
_COMPRESSED = frozenset({".gz", ".zst"})


class Format(StrEnum):
    """What a file's content is."""

    SINGER = "singer"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


def format_named(name: str) -> Format:
    """The format of that name; raises ConfigError where there is none."""
    if name not in {*Format}:
        raise ConfigError(f"there is no format {name!r}", key="input_format", hint=f"it is one of {', '.join(Format)}")
    return Format(name)


def format_of(given: InputFile) -> Format:
    """The format of a file; what isn't anything else is for the reader of messages to refuse."""
    with decompressed(given.open(), given.name) as source:
        start = source.read(_START_BYTES)
    if start.startswith(b"PAR1"):
        return Format.PARQUET
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return Format.ARROW
    lines = start.removeprefix(b"\xef\xbb\xbf").splitlines()
    line = next((each for each in lines if each.strip()), b"").strip()
    if line.startswith(b"{"):
        return Format.JSONL if _is_record(line) else Format.SINGER
    is_table = _plain(given.name).suffix.lower() in _TABLES or (is_like_csv(line) and len(lines) > 1)
    return Format.CSV if line and is_table else Format.SINGER


def name_of(given: InputFile) -> str:
    """The name of the stream that a file of rows is: that of the file, without what it ends in."""
    stem = _plain(given.name).stem
    if not stem:
        raise ConfigError(f"{given.name} has no name for a stream", key="--stream", hint="name the stream")
    return stem


def _plain(name: str) -> PurePosixPath:
    """The path without what says that it is compressed."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.with_suffix("") if path.suffix.lower() in _COMPRESSED else path


def _is_record(line: bytes) -> bool:
    """Whether a line that begins an object is no Singer message. What can't be read here is one if it begins so."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return line != b"{" and _MESSAGE.match(line) is None
    type_ = found.get("type")
    if not isinstance(type_, str) or type_.upper() not in _MESSAGES or not {"stream", "value", "message"} & {*found}:
        return True
    return type_ not in _MESSAGES and not any(isinstance(found.get(name), dict) for name in _CONTENTS)
