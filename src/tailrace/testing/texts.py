"""Behaviours: text and JSON come back as they were sent, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tailrace.testing.messages import ANY, INT, OBJECT, TEXT, THINGS, by, loaded, only, record, round_trip, schema
from tailrace.testing.subject import Subject

_ARRAY: Mapping[str, Any] = {"type": ["null", "array"], "items": {"type": "integer"}}


def keeps_nul_in_text(subject: Subject) -> None:
    """U+0000 is a character like any other, at the start, within and at the end."""
    _keeps(subject, "a\x00b", "\x00", "\x00a", "a\x00")


def keeps_emoji_and_cjk_text(subject: Subject) -> None:
    """Characters within and beyond the basic plane."""
    _keeps(subject, "😀👩‍👩‍👧‍👦🏳️‍🌈", "漢字かな交じり文", "한국어", "𠮷野家", "مرحبا", "Ω≈ç√")


def keeps_combining_characters_as_they_are(subject: Subject) -> None:
    """Texts that look alike aren't normalised into one."""
    _keeps(subject, "e\u0301", "\u00e9", "A\u030a", "\u00c5", "\u212b")


def keeps_the_empty_string_apart_from_null(subject: Subject) -> None:
    """An empty text is a text."""
    round_trip(subject, TEXT, [("", ""), (None, None), (" ", " ")])


def keeps_a_megabyte_of_text(subject: Subject) -> None:
    """Texts are never cut."""
    _keeps(subject, "0123456789abcdef" * 65536, "é" * 2**19)


def keeps_quotes_backslashes_and_newlines(subject: Subject) -> None:
    """Characters that SQL, CSV or JSON treat specially are plain characters in a value."""
    _keeps(subject, "'", '"', "''", '""', "`", "\\", "\\n", "\n", "\r\n", "\t", "a,b;c|d", "'; DROP TABLE things; --")


def keeps_spaces_at_both_ends(subject: Subject) -> None:
    """Nothing is trimmed, and nothing padded."""
    _keeps(subject, " a", "a ", "  ", "\ta\n")


def keeps_text_that_looks_like_another_value(subject: Subject) -> None:
    """Text is never read as null, as a value of another kind, or as an escape of a bulk file."""
    _keeps(subject, "NULL", "null", "\\N", "None", "NaN", "true", "007", "1e5", "2024-01-01", "{}", "[1]", "\\x41")


def keeps_control_characters_and_noncharacters(subject: Subject) -> None:
    """Every code point that UTF-8 can hold."""
    _keeps(subject, "\x01\x1f\x7f\x80", "\ufeffa", "\u2028\u2029", "\ufffe\uffff", "\U0010ffff", "\ufffd")


def keeps_json_objects_and_arrays(subject: Subject) -> None:
    """Nested, empty, and with their members in any order."""
    values: list[Any] = [{"b": 1, "a": {"c": [1, None, "x"]}}, {}, {"": ""}, {"k": [[], {}]}]
    _keeps_json(subject, OBJECT, values)


def keeps_json_arrays(subject: Subject) -> None:
    """The order of an array is part of it."""
    _keeps_json(subject, _ARRAY, [[3, 1, 2], [], [0]])


def keeps_json_scalars(subject: Subject) -> None:
    """A column without a type holds any JSON value: text isn't mistaken for what it looks like."""
    _keeps_json(subject, ANY, [1, -1.5, True, False, "text", "1", "true", "null", "", [1, "2"], {"a": 0}])


def keeps_the_digits_of_numbers_inside_json(subject: Subject) -> None:
    """No number within JSON passes through a float."""
    text = '{"price":0.10000000000000000001,"count":12345678901234567890123,"small":1.5e-9,"list":[9007199254740993]}'
    line = f'{{"type":"RECORD","stream":"things","record":{{"v":{text}}}}}'
    loaded(subject, schema({"v": OBJECT}), line)
    found = only(subject.rows(THINGS))["v"]
    assert _exact(found) == _exact(text)


def keeps_unicode_and_escapes_inside_json(subject: Subject) -> None:
    """Quotes, backslashes, line ends, emoji and the largest code points, in names and values."""
    _keeps_json(subject, OBJECT, [{'"\\\n': "\u2028😀'", "é": "e\u0301", "a.b": "\x1f", "$": "\U0010ffff"}])


def keeps_nul_inside_json(subject: Subject) -> None:
    """U+0000 in a text within JSON, where it is written as an escape."""
    _keeps_json(subject, OBJECT, [{"a": "x\x00y"}])


def _keeps(subject: Subject, *texts: str) -> None:
    round_trip(subject, TEXT, [(text, text) for text in texts])


def _keeps_json(subject: Subject, kind: Mapping[str, Any], values: Sequence[Any]) -> None:
    sent = [record({"id": number, "v": value}) for number, value in enumerate(values)]
    loaded(subject, schema({"id": INT, "v": kind}), *sent, record({"id": len(values), "v": None}))
    *found, last = by(subject.rows(THINGS), "id")
    assert [_exact(row["v"]) for row in found] == [_exact(json.dumps(value)) for value in values]
    assert last["v"] is None


def _exact(text: object) -> Any:
    """JSON text as Python values in which 1, 1.0 and true are three different things."""
    assert isinstance(text, str), text

    def told_apart(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: told_apart(item) for key, item in value.items()}
        if isinstance(value, list):
            return [told_apart(item) for item in value]
        return (type(value).__name__, value)

    return told_apart(json.loads(text, parse_float=Decimal))
