"""Bare JSON values are decoded, and refused, as the fields of records are."""

import pyarrow as pa

from tailrace.decode.bare import BareObjects
from tailrace.model import Column, Kind

INT = {"type": ["integer", "null"]}


def objects():
    return BareObjects([Column("n", ("n",), Kind.INT)], {"n": INT}, "none")


def test_objects_give_a_row_each_counted_from_one():
    decoded = objects().decode(pa.array(['{"n": 1}', '{"n": null}', '{"n": 3}'], pa.large_string()))
    assert (decoded.rows["n"].to_pylist(), decoded.refused) == ([1, None, 3], ())


def test_an_object_with_another_field_or_a_wrong_value_is_refused_by_its_number():
    decoded = objects().decode(pa.array(['{"n": 1}', '{"m": 1}', '{"n": "x"}'], pa.large_string()))
    assert decoded.rows["n"].to_pylist() == [1]
    assert [(each.line, each.violations[0].path) for each in decoded.refused] == [(2, "$.m"), (3, "$.n")]


def test_values_of_one_field_need_no_object_around_them():
    decoded = objects().decode_values("n", [b"7", b"[8]", b"9"])
    assert decoded.rows["n"].to_pylist() == [7, 9]
    assert [each.line for each in decoded.refused] == [2]


def test_a_fields_name_may_be_any_text():
    name = 'a"b\\c'
    bare = BareObjects([Column("x", (name,), Kind.INT)], {name: INT}, "none")
    assert bare.decode_values(name, [b"1"]).rows["x"].to_pylist() == [1]
