"""Messages as lines: what Python values become, exactly, and what JSON can't say."""

import enum
import json
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import messages_of

from tailrace.singer.messages import ActivateVersionMessage, SchemaMessage, StateMessage
from tailrace.singer.reader import Reader
from tailrace.singer.writer import activate_version_line, message_line, record_line, schema_line, state_line


class Colour(enum.Enum):
    RED = "red"


class Name(str):
    __slots__ = ()


class Moment(datetime):
    pass


def read(line):
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    (block,) = Reader(max_line_bytes=2**20).feed(line)
    (message,) = messages_of(block)
    return message


def test_a_record_line_begins_with_type_and_stream():
    assert record_line("a", {"id": 1}) == b'{"type":"RECORD","stream":"a","record":{"id":1}}\n'
    assert read(record_line("a", {"id": 1})).stream == "a"


def test_a_record_line_may_carry_a_version_and_the_time_of_extraction():
    moment = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert record_line("a", {}, version=0, time_extracted=moment) == (
        b'{"type":"RECORD","stream":"a","record":{},"version":0,"time_extracted":"2024-01-02T03:04:05+00:00"}\n'
    )


def test_a_schema_line_is_read_back():
    schema = {"properties": {"id": {"multipleOf": Decimal("0.010")}}}
    assert read(schema_line("a", schema, ["id"])) == SchemaMessage(
        1, "a", b'{"properties":{"id":{"multipleOf":0.010}}}', ("id",), (), None, None
    )


def test_a_schema_line_may_be_made_of_json_text_and_without_keys():
    line = schema_line("a", msgspec.Raw(b'{"x": 1.0}'), None)
    assert read(line) == SchemaMessage(1, "a", b'{"x": 1.0}', None, (), None, None)


def test_a_state_line_and_a_version_line_are_read_back():
    assert read(state_line({"a": [1, None]})) == StateMessage(1, b'{"a":[1,null]}')
    assert read(activate_version_line("a", 7)) == ActivateVersionMessage(1, "a", 7)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("517.60"), "517.60"),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("0.1234567890123456789012345678901234567890"), "0.1234567890123456789012345678901234567890"),
        (10**400, "1" + "0" * 400),
        (0.1, "0.1"),
        (-0.0, "-0.0"),
        (True, "true"),
        (None, "null"),
        ("語\x00\n", '"語\\u0000\\n"'),
        (b"\x00\xff", '"AP8="'),
        (bytearray(b"ab"), '"YWI="'),
        (memoryview(b"ab"), '"YWI="'),
        (UUID(int=5), '"00000000-0000-0000-0000-000000000005"'),
        (date(1, 2, 3), '"0001-02-03"'),
        (time(1, 2, 3, 4), '"01:02:03.000004"'),
        (datetime.fromisoformat("2024-01-02T03:04:05"), '"2024-01-02T03:04:05"'),
        (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '"2024-01-02T03:04:05.000006+00:00"'),
        (datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-5.5))), '"2024-01-02T00:00:00-05:30"'),
        (datetime(1890, 1, 2, tzinfo=timezone(timedelta(minutes=53, seconds=28))), '"1890-01-01T23:06:32+00:00"'),
        (Moment.fromisoformat("2024-01-02"), '"2024-01-02T00:00:00"'),
        (Colour.RED, '"red"'),
        (Name("x"), '"x"'),
        (np.int64(5), "5"),
        (np.float64(0.1), "0.1"),
        (MappingProxyType({"a": (1, Decimal("2.50"))}), '{"a":[1,2.50]}'),
        (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
        ({3}, "[3]"),
    ],
)
def test_a_value_is_written_exactly(value, text):
    assert record_line("a", {"v": value}) == f'{{"type":"RECORD","stream":"a","record":{{"v":{text}}}}}\n'.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), np.float64("nan")]
)
def test_a_number_that_json_has_not_is_an_error_with_its_place(value):
    with pytest.raises(ValueError, match=r"^\$\.record\.rows\[1\]\.x is s?-?(nan|inf|NaN|sNaN|Infinity), which JSON"):
        record_line("a", {"rows": [{}, {"x": value}]})


@pytest.mark.parametrize("value", [object(), timedelta(1), 1j, np.array([1, 2])])
def test_a_value_that_json_can_not_say_is_an_error_with_its_place(value):
    with pytest.raises(TypeError, match=r"^\$\.record\.v is a \w+, which JSON can't say"):
        record_line("a", {"v": value})


@pytest.mark.parametrize("key", [1, None, b"a"])
def test_a_key_that_is_no_string_is_an_error(key):
    with pytest.raises(TypeError, match=r"^\$\.record has the key .*, which isn't a string"):
        record_line("a", {key: 1})


def test_half_a_surrogate_pair_is_an_error():
    with pytest.raises(UnicodeEncodeError):
        record_line("a", {"v": "\ud800"})


@pytest.mark.parametrize(
    "message",
    [
        {"type": "STATE", "value": 1},
        MappingProxyType({"type": "STATE", "value": 1}),
        '{"type":"STATE","value":1}',
        '{"type":"STATE","value":1}\n',
        b'{"type":"STATE","value":1}',
        b'{"type":"STATE","value":1}\n',
    ],
)
def test_a_message_may_be_a_mapping_or_a_line(message):
    assert message_line(message) == b'{"type":"STATE","value":1}\n'


def test_a_message_that_is_something_else_is_an_error():
    with pytest.raises(TypeError, match="a mapping or a line as str or bytes, not list"):
        message_line([1])


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aé語\0\n"\\'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_a_state_line_gives_back_every_json_value(value):
    assert json.loads(read(state_line(value)).value) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_all_its_digits(value):
    written = json.loads(record_line("a", {"v": value}), parse_float=Decimal, parse_int=Decimal)["record"]["v"]
    assert written.as_tuple() == value.as_tuple()
