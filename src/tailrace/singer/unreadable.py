"""Why a line can't be read as a message, and where in it the trouble is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from tailrace.errors import json_path
from tailrace.log import printable

EXCERPT_BYTES = 80
_LOOKED_AT_BYTES = 1024
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_NAME = rb'"?[\w\x80-\xff][\w\x80-\xff .()#%/-]*"?'
_CSV_HEADER = re.compile(rb"%b(?:[,;\t]%b)+" % (_NAME, _NAME))
_BINARY = {
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite file",
    b"PK\x03\x04": "a zip or an Excel file",
    b"BZh": "compressed by bzip2",
    b"\xff\xfe": "text in UTF-16",
    b"\xfd7zXZ": "compressed by xz",
}
"""What binary files begin with."""
_OTHERWISE = "CSV, JSON Lines, Parquet and Arrow files are loaded by their names, as in `tailrace load FILE`"
_BYTE = re.compile(r"\(byte (\d+)\)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_PLACES = 3


def reason_unreadable(data: bytes, error: Exception) -> str:
    """What is wrong with a line that gave that error when it was parsed."""
    if isinstance(error, RecursionError):
        return "the message is nested too deeply to be read"
    if isinstance(error, UnicodeDecodeError):
        return f"the message isn't UTF-8 text ({error.reason}); it begins {excerpt(data)}"
    if isinstance(error, msgspec.ValidationError):
        return f"a message must be a JSON object, and this is {excerpt(data)}"
    return _reason_not_strict(data) or (
        f"the line isn't JSON{_place(error)}; it begins {excerpt(data)} "
        "(a tap may write nothing but messages to stdout; its log goes to stderr)"
    )


def _place(error: Exception) -> str:
    """Where a parser has given up, by what it says."""
    found = _BYTE.search(str(error))
    return f" from its byte {int(found[1]) + 1} on" if found and found[1] != "0" else ""


def other_format(start: bytes) -> str | None:
    """What an input is, by its first line, that surely isn't Singer messages, and how to load it; None if it may be."""
    text = start.strip()
    if text.startswith(b"{") and text != b"{":
        return None
    binary = next((name for magic, name in _BINARY.items() if text.startswith(magic)), "a binary file")
    if _CONTROLS.search(text[:_LOOKED_AT_BYTES]):
        return f"the input is {binary}, and not Singer messages, which are lines of JSON; {_OTHERWISE}"
    if text.startswith(b"["):
        return f"the input is a JSON array, and not Singer messages, each an object on a line of its own; {_OTHERWISE}"
    if text == b"{":
        return f"the input is a JSON document of many lines, and not Singer messages, one on a line; {_OTHERWISE}"
    if is_like_csv(text):
        return f"the input looks like CSV, and not like Singer messages; {_OTHERWISE}, and from stdin with --format csv"
    return None


def is_like_csv(line: bytes) -> bool:
    """Whether a line looks like the header of a CSV file."""
    return _CSV_HEADER.fullmatch(line.strip()) is not None


def record_stream(data: bytes) -> str | None:
    """The stream of a RECORD that only lenient readers of JSON take: what is wrong in it is for the decoder to say."""
    message = _leniently_read(data) or {}
    type_, stream = message.get("type"), message.get("stream")
    if not (isinstance(type_, str) and type_.upper() == "RECORD" and isinstance(stream, str)):
        return None
    return None if _SURROGATE.search(stream) else stream or None


def excerpt(data: bytes) -> str:
    """The beginning of what was sent, as text for people."""
    text = printable(data[:EXCERPT_BYTES].decode(errors="backslashreplace").strip())
    return f"{text}..." if len(data) > EXCERPT_BYTES else text


class _Constant(Struct, frozen=True):
    """A number that Python's writers of JSON write, and JSON doesn't have: NaN, Infinity or -Infinity."""

    name: str


def _reason_not_strict(data: bytes) -> str | None:
    """Where a message has what only lenient readers of JSON take; None where even these take it for no message."""
    message = _leniently_read(data)
    if message is None:
        return None
    type_ = message.get("type")
    called = f"the {printable(type_[:EXCERPT_BYTES])} message" if isinstance(type_, str) else "the message"
    reasons: dict[str, list[str]] = {}
    for path, reason in _oddities(message):
        reasons.setdefault(reason, []).append(json_path(path))
    for reason, paths in reasons.items():
        more = f" and {len(paths) - _MAX_PLACES} other places" if len(paths) > _MAX_PLACES else ""
        return f"{called} has {reason} at {', '.join(paths[:_MAX_PLACES])}{more}; the tap must leave it out or mend it"
    return None


def _leniently_read(data: bytes) -> dict[str, Any] | None:
    """The message of a line that may have half characters, NaN and Infinity in it; None where it is none."""
    try:
        message = json.loads(data.decode(), parse_int=str, parse_float=str, parse_constant=_Constant)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _oddities(message: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The places of half characters and of numbers that JSON doesn't have, in order, each with what is there."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), message)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, _Constant):
            yield path, f"{found.name}, which isn't JSON,"
        elif isinstance(found, str):
            if _SURROGATE.search(found):
                yield path, "half a character (a lone surrogate)"
        elif isinstance(found, dict):
            if any(_SURROGATE.search(name) for name in found):
                yield path, "half a character (a lone surrogate) in a name"
            waiting += [((*path, name), item) for name, item in reversed(found.items())]
        elif isinstance(found, list):
            waiting += [((*path, at), item) for at, item in reversed(list(enumerate(found)))]
