"""RECORD lines taken apart: an object's fields as raw JSON, names that repeat, and what is wrong with a line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NoReturn

import msgspec
from msgspec import Struct

from tailrace.decode.refusal import UnreadableError, json_path, shown
from tailrace.errors import Violation

MAX_DEPTH = 512
"""How many levels of objects and arrays a line may have, the message's own among them."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_A_CHARACTER = "text (a lone surrogate is no character)"


def fields_of(raw: bytes) -> dict[str, bytes]:
    """The fields of an object as raw JSON; of several with one name, the last."""
    return {name: bytes(value) for name, value in _OBJECT.decode(raw).items()}


def repeated_names(raw: bytes, fields: dict[str, bytes]) -> tuple[str, ...]:
    """The names that stand more than once in the object that has these fields, in order."""
    # An object that repeats a name is longer than what its fields need, however they are written.
    needed = sum(map(len, fields)) + sum(map(len, fields.values())) + 4 * len(fields) + 1
    if len(raw) == needed or not fields:
        return ()
    if _spaced(tuple(fields)) % tuple(fields.values()) == raw:
        return ()
    counts = Counter(_names(raw))
    return tuple(name for name, count in counts.items() if count > 1)


@lru_cache(maxsize=256)
def _spaced(names: tuple[str, ...]) -> bytes:
    """A template of an object with these fields, written as Python does: a space after each colon and comma."""
    fields = (b'"' + name.encode().replace(b"%", b"%%") + b'": %b' for name in names)
    return b"{" + b", ".join(fields) + b"}"


def _names(raw: bytes) -> list[str]:
    """The names of the object's own fields, every time that they stand there."""
    last: list[tuple[str, Any]] = []

    def keep(pairs: list[tuple[str, Any]]) -> None:
        # Objects end inside out: the last to be kept is the outermost.
        last[:] = pairs

    json.JSONDecoder(object_pairs_hook=keep, parse_int=str, parse_float=str).decode(raw.decode())
    return [name for name, _ in last]


def is_too_deep(line: bytes) -> bool:
    """Whether the line nests objects and arrays deeper than MAX_DEPTH."""
    if line.count(b"[") + line.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRUCTURE.finditer(line):
        if match[0] in (b"[", b"{"):
            depth += 1
        elif match[0] in (b"]", b"}"):
            depth -= 1
        if depth > MAX_DEPTH:
            return True
    return False


def refuse_deep(line: bytes) -> NoReturn:
    """Raise what a line that is too deep is refused with."""
    expected = f"at most {MAX_DEPTH} levels of objects and arrays"
    raise UnreadableError(Violation("nesting", "$", expected, shown(line)))


def is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8."""
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def refuse_if_not_utf8(line: bytes) -> None:
    """Raise UnreadableError when the line isn't UTF-8."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        start = max(0, error.start - 10)
        got = f"{shown(line[start : error.end + 10])} (byte {error.start} of the line)"
        raise UnreadableError(Violation("invalid_utf8", "$", "UTF-8", got)) from error


def refuse_unreadable(line: bytes, error: msgspec.DecodeError | RecursionError) -> NoReturn:
    """Raise what a line of UTF-8, not too deep, that can't be parsed is refused with."""
    if isinstance(error, RecursionError):
        refuse_deep(line)
    lenient = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_NoNumber)
    try:
        message = lenient.decode(line.decode())
    except RecursionError:
        refuse_deep(line)
    except ValueError:
        raise UnreadableError(_not_json(line, error)) from error
    if not isinstance(message, dict):
        raise UnreadableError(Violation("type", "$", "a message", shown(line))) from error
    beside = {name: value for name, value in message.items() if name != "record"}
    found = [violation for part in (message.get("record"), beside) for violation in _unreadable(part, line)]
    raise UnreadableError(*(found or [_not_json(line, error)])) from error


def _not_json(line: bytes, error: Exception) -> Violation:
    reason = str(error).removeprefix("JSON is malformed: ")
    return Violation("not_json", "$", "JSON", f"{shown(line)} ({reason})")


class _NoNumber(Struct, frozen=True):
    """NaN or an infinity, which Python writes and JSON doesn't have."""

    name: str


def _unreadable(value: Any, line: bytes) -> Iterator[Violation]:
    """What JSON doesn't have in a value: lone surrogates in strings, and numbers that are none."""
    waiting: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while waiting:
        path, found = waiting.pop()
        if isinstance(found, str):
            if _SURROGATE.search(found):
                yield Violation("invalid_utf8", json_path(path), _A_CHARACTER, shown(line))
        elif isinstance(found, _NoNumber):
            got = f"{found.name}, which JSON doesn't have (the tap must send null)"
            yield Violation("not_json", json_path(path), "a number", got)
        elif isinstance(found, dict):
            if any(_SURROGATE.search(name) for name in found):
                yield Violation("invalid_utf8", json_path(path), _A_CHARACTER, shown(line))
            waiting += [((*path, name), item) for name, item in reversed(found.items())]
        elif isinstance(found, list):
            waiting += [((*path, at), item) for at, item in reversed(list(enumerate(found)))]
