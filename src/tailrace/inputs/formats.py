"""What a file is, by how it begins and, where that doesn't tell, by its name."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath

import msgspec

from tailrace.errors import ConfigError
from tailrace.inputs.places import InputFile
from tailrace.singer.source import decompressed

_START_BYTES = 2**16
_MESSAGES = frozenset({"RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH", "LOG"})
_TABLES = frozenset({".csv", ".tsv", ".txt"})
_COMPRESSED = frozenset({".gz", ".zst"})
_DELIMITER = re.compile(rb"[,;\t|]")


class Format(StrEnum):
    """What a file's content is."""

    SINGER = "singer"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


def format_of(given: InputFile) -> Format:
    """The format of a file; what isn't anything else is for the reader of messages to refuse."""
    with decompressed(given.open(), given.name) as source:
        start = source.read(_START_BYTES)
    if start.startswith(b"PAR1"):
        return Format.PARQUET
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return Format.ARROW
    line = next((each for each in start.removeprefix(b"\xef\xbb\xbf").splitlines() if each.strip()), b"").strip()
    if line.startswith(b"{"):
        return Format.SINGER if _is_message(line) else Format.JSONL
    is_table = _suffix(given.name) in _TABLES or _DELIMITER.search(line)
    return Format.CSV if line and is_table else Format.SINGER


def name_of(given: InputFile) -> str:
    """The name of the stream that a file of rows is: that of the file, without what it ends in."""
    path = PurePosixPath(given.name.replace("\\", "/"))
    while path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    if not path.stem:
        raise ConfigError(f"{given.name} has no name for a stream", key="--stream", hint="name the stream")
    return path.stem


def _suffix(name: str) -> str:
    path = PurePosixPath(name)
    while path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    return path.suffix.lower()


def _is_message(line: bytes) -> bool:
    """Whether a line is a Singer message. One that is too long to be read here is one if it begins as they do."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return re.match(rb'\{\s*"type"\s*:\s*"[A-Z_]+"\s*,\s*"(?:stream|value|record|schema)"', line) is not None
    type_ = found.get("type") if isinstance(found, dict) else None
    named = {"stream", "value", "message"} & {*found} if isinstance(found, dict) else set()
    return isinstance(type_, str) and type_.upper() in _MESSAGES and bool(named)
