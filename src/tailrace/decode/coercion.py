"""`coerce: exact`: values of another JSON type than the schema's, taken where nothing is lost and one way only."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Struct

from tailrace.decode.lines import is_too_deep
from tailrace.decode.numbers import is_number
from tailrace.decode.refusal import UnfitError

_TEXT = msgspec.json.Decoder(str)
_DOCUMENT = msgspec.json.Decoder(msgspec.Raw)
_BLANKS = " \t\r\n"
_BOOLEANS = {b"true": True, b"false": False, b'"true"': True, b'"false"': False, b"1": True, b"0": False}


class Coerced(Struct, frozen=True):
    """A value that came as another type than the schema's."""

    value: object


def coerced_text(raw: bytes) -> str | None:
    """A number or boolean as text, as it was sent; a string's text."""
    if raw.startswith(b'"'):
        return _TEXT.decode(raw)
    return None if raw.startswith((b"{", b"[")) else raw.decode()


def coerced_boolean(raw: bytes) -> bool | None:
    """The boolean that a value stands for beyond doubt: `true` and `false` in quotes, 1 and 0."""
    return _BOOLEANS.get(raw)


def coerced_number(raw: bytes, of_number: Callable[[bytes], object]) -> object:
    """The number that a JSON number is, or that a string has which is written as one; None for all else."""
    number = _TEXT.decode(raw).encode() if raw.startswith(b'"') else raw
    return of_number(number) if is_number(number) else None


def document_of(raw: bytes, depth: int) -> bytes | None:
    """The object or array that a JSON string spells, in one line; None where it spells none.

    `depth` is how deep the string stands in its line.
    """
    if not raw.startswith(b'"'):
        return None
    text = _TEXT.decode(raw).strip(_BLANKS)
    if not text.startswith(("{", "[")):
        return None
    # Within JSON's strings there are no line feeds, so that they are blanks.
    document = text.replace("\n", " ").encode()
    try:
        _DOCUMENT.decode(document)
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if is_too_deep(b"[" * depth + document) else document


def coercing(exact: Callable[[bytes], object], coerced: Callable[[bytes], object]) -> Callable[[bytes], object]:
    """What reads a value as the schema has it, or else as a Coerced one; `coerced` gives None for what isn't one."""

    def read(raw: bytes) -> object:
        try:
            return exact(raw)
        except UnfitError as unfit:
            if unfit.code != "type":
                raise
            value = coerced(raw)
            if value is None:
                raise
            return Coerced(value)

    return read
