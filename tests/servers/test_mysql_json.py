"""MySQL's JSON keeps integers of 64 bits and doubles: a row with another number is refused, by its line and path."""

import json
import math
from decimal import Decimal

import mysqls
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.destinations.mysql.numbers import changed_number
from tailrace.errors import RecordError
from tailrace.testing.messages import ANY, INT, schema

CHANGED = {
    '{"a":123456789012345678901234567890}': "$.a",
    '{"a":{"b":[1,{"c":0.10000000000000000001}]}}': "$.a.b[1].c",
    "[1,1e400]": "$[1]",
    '{"x":-9223372036854775809}': "$.x",
    "1234567890123456789.5": "$",
    '{"x":18446744073709551617}': "$.x",
    '{"x":18446744073709551616}': "$.x",
    '{"x":1e-400}': "$.x",
    '[[[[[["y",12345678.123456789012]]]]]]': "$[0][0][0][0][0][1]",
    '{"x":123456789012345678e5}': "$.x",
    '{"x":1E999999999999999999999}': "$.x",
    '{"s":"12345678901234567890123","x" : -12345678901234567890123 }': "$.x",
}
KEPT = [
    '{"most":18446744073709551615,"least":-9223372036854775808,"bytes":9007199254740993}',
    '{"tenth":0.1,"sum":0.30000000000000004,"big":1.7976931348623157e308,"small":5e-324,"zeros":1.5000000000000000000}',
    '{"round":1e22,"power":1000000000000000000000000000000}',
    '{"text":"123456789012345678901234567890, 0.10000000000000000001"}',
]


def line(text):
    return b'{"type":"RECORD","stream":"things","record":{"id":1,"v":' + text.encode() + b"}}"


def exact(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


@pytest.mark.parametrize("text", CHANGED)
def test_a_number_that_mysql_would_change_is_refused_by_its_path(mysql_url, text, tmp_path):
    sent = [schema({"id": INT, "v": ANY}, ["id"]), line('{"id":7}'), line(text)]
    with pytest.raises(RecordError, match="line 3") as refused:
        mysqls.load(mysql_url, *sent)
    assert f"the number at {CHANGED[text]} is" in str(refused.value)
    report = mysqls.load(mysql_url, *sent, on_invalid="quarantine", quarantine=str(tmp_path / "q"))
    assert (report.total.loaded, report.total.quarantined) == (1, 1)


@pytest.mark.parametrize("settings", [{"sql_type": "LONGTEXT"}, {"kind": "TEXT"}])
def test_a_column_that_is_longtext_by_setting_keeps_all_numbers(mysql_url, settings):
    for text in CHANGED:
        for _ in range(2):
            mysqls.load(mysql_url, schema({"id": INT, "v": ANY}, ["id"]), line(text), columns={"v": settings})
        assert mysqls.query(mysql_url, "SELECT v FROM things") == [(text,)]


def test_a_table_whose_column_is_longtext_keeps_all_numbers(mysql_url):
    mysqls.query(mysql_url, "CREATE TABLE things (id bigint PRIMARY KEY, v longtext)")
    for text in CHANGED:
        mysqls.load(mysql_url, schema({"id": INT, "v": ANY}, ["id"]), line(text))
        assert mysqls.query(mysql_url, "SELECT v FROM things") == [(text,)]


def test_other_numbers_are_kept(any_mysql_url):
    for text in KEPT:
        mysqls.load(any_mysql_url, schema({"id": INT, "v": ANY}, ["id"]), line(text))
        assert exact(mysqls.query(any_mysql_url, "SELECT v FROM things")[0][0]) == exact(text)


def test_a_double_with_all_its_digits_stays_that_double(mysql_url):
    mysqls.load(mysql_url, schema({"id": INT, "v": ANY}, ["id"]), line("[0.10000000000000001,0.5e-1]"))
    assert json.loads(mysqls.query(mysql_url, "SELECT v FROM things")[0][0]) == [0.1, 0.05]


@pytest.mark.parametrize("text", CHANGED)
def test_mariadb_keeps_json_as_it_was_sent(mariadb_url, text):
    mysqls.load(mariadb_url, schema({"id": INT, "v": ANY}, ["id"]), line(text))
    assert mysqls.query(mariadb_url, "SELECT v FROM things") == [(text,)]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64 - 1))
def test_what_programs_write_of_doubles_and_integers_is_never_refused(number, whole):
    assert not changed_number(json.dumps([number, {"a": whole}, f"{number}"]))


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_what_no_double_keeps_is_always_refused(number):
    text = f"{number:f}" if -40 < number.adjusted() < 40 else str(number)
    nearest = float(text)
    forms = {Decimal(repr(nearest)), Decimal(f"{nearest:.17g}"), Decimal(nearest)} if math.isfinite(nearest) else set()
    is_whole = text.lstrip("-").isdigit()
    is_kept = (-(2**63) <= number < 2**64 or number == Decimal(repr(nearest))) if is_whole else Decimal(text) in forms
    assert bool(changed_number(f'{{"a":[{text}]}}')) is not is_kept
