"""Upserts into Delta tables that another writer optimizes between them: each key once, whatever the log says."""

import datetime as dt
import json
from decimal import Decimal

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tailrace import load
from tailrace.destinations.delta.bounds import bounds
from tailrace.testing.messages import (
    BINARY,
    BOOL,
    DATE,
    DECIMAL,
    FLOAT,
    INT,
    TEXT,
    TIME,
    TIMESTAMPTZ,
    UUID,
    records,
    schema,
    state,
)

KEYS = {
    "int": (INT, [-(2**63), -(2**53) - 1, 0, 2**53, 2**53 + 1, 2**63 - 1]),
    "decimal": (
        DECIMAL,
        ["-12345678901234567890123456789.123456789", "0", "0.000000001", "99999999999999999999999999999.999999999"],
    ),
    "float": (FLOAT, [-1e300, -0.5, 5e-324, 0.1, 1e300]),
    "text": (
        TEXT,
        ["", "a", "a" * 199 + "a", "a" * 199 + "b", "z" * 200, "列" * 199 + "a", "列" * 199 + "b", "\uffff", "😀" * 80],
    ),
    "timestamp": (
        TIMESTAMPTZ,
        [
            "0001-01-01T00:00:00.000001Z",
            "1960-05-05T01:02:03.000001Z",
            "1969-12-31T23:59:59.999999Z",
            "2024-01-02T00:00:00.123456Z",
            "9999-12-31T23:59:59.999999Z",
        ],
    ),
    "date": (DATE, ["0001-01-01", "1969-12-31", "9999-12-31"]),
    "time": (TIME, ["00:00:00", "12:00:00.000001", "23:59:59.999999"]),
    "uuid": (UUID, ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    "bool": (BOOL, [False, True]),
    "binary": (BINARY, ["", "AA==", "/////w=="]),
}


@pytest.mark.parametrize("others", ["alone", "a wide key"])
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_comes_once_though_its_table_was_optimized(tmp_path, kind, others):
    spec, values = KEYS[kind]
    key = ["k"] if others == "alone" else ["k", "part"]
    row = {"k": spec, "part": INT, "v": INT}
    texts = [value if kind == "decimal" else json.dumps(value) for value in values]

    def run(v, some):
        lines = [f'{{"type":"RECORD","stream":"things","record":{{"k":{text},"part":0,"v":{v}}}}}' for text in some]
        load([schema(row, key), *lines, state(v)], to=f"delta:{tmp_path}", pipeline="p")

    run(1, texts[::2])
    run(2, texts[1::2])
    DeltaTable(tmp_path / "things").optimize.compact()
    for v, text in enumerate(texts, 3):
        run(v, [text])
        if v % 2:
            DeltaTable(tmp_path / "things").optimize.z_order(["k"])
    table = DeltaTable(tmp_path / "things").to_pyarrow_table()
    assert sorted(table["v"].to_pylist()) == [*range(3, 3 + len(texts))]
    assert len({*map(str, table["k"].to_pylist())}) == len(texts)


@pytest.mark.parametrize(
    ("values", "believed"),
    [
        (pa.array([2**52 - 1, 1 - 2**52], pa.int64()), (1 - 2**52, 2**52 - 1)),
        (pa.array([2**53 + 1, -(2**63)], pa.int64()), (-(2**63) - 2**11, 2**53 + 3)),
        (pa.array([-128, 127], pa.int8()), (-128, 127)),
        (pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31)]), (dt.date(1, 1, 1), dt.date(9999, 12, 31))),
        (pa.array(["a", "b"]), ("a", "b")),
        (pa.array(["a" * 200, "b" * 200]), ("a" * 12, "b" * 11 + "c")),
        (pa.array(["a", "列" * 200]), None),
        (pa.array([None, None], pa.int64()), None),
        (pa.array([dt.datetime(2024, 1, 1, 0, 0, 0, 123456)], pa.timestamp("us", "UTC")), None),
        (pa.array([dt.datetime(2024, 1, 1, 0, 0, 0, 123456)], pa.timestamp("us")), None),
        (pa.array([3_000_000], pa.int32()).cast(pa.date32()), None),
        (pa.array([260_000_000_000_000_000], pa.timestamp("us", "UTC")), None),
        (pa.array([Decimal("1.01")], pa.decimal128(10, 2)), None),
        (pa.array([0.5, float("nan")]), None),
        (pa.array([b"a"]), None),
    ],
    ids=str,
)
def test_bounds_are_believed_where_every_writer_tells_them_exactly_or_wider(tmp_path, values, believed):
    write_deltalake(tmp_path, pa.table({"k": values}))
    table = DeltaTable(tmp_path)
    (found,) = bounds(pa.table(table.get_add_actions()), pa.schema(table.schema().to_arrow()))
    assert found.get("k") == believed


@pytest.mark.parametrize(
    "stats", ["null", "{}", '{"numRecords":1}', '{"numRecords":1,"minValues":{},"maxValues":{"id":1}}']
)
def test_a_file_of_which_the_log_says_nothing_is_looked_into(tmp_path, stats):
    write_deltalake(tmp_path / "things", pa.table({"id": pa.array([1], pa.int64()), "v": pa.array([1], pa.int64())}))
    log = tmp_path / "things/_delta_log" / f"{0:020}.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["stats"] = None if stats == "null" else stats
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    load([schema({"id": INT, "v": INT}, ["id"]), *records({"id": 1, "v": 2})], to=f"delta:{tmp_path}")
    assert DeltaTable(tmp_path / "things").to_pyarrow_table().to_pylist() == [{"id": 1, "v": 2}]


def test_an_integer_that_the_log_has_as_a_float_is_found(tmp_path):
    one = 2**60 + 1
    write_deltalake(tmp_path / "things", pa.table({"id": pa.array([one], pa.int64()), "v": pa.array([1], pa.int64())}))
    log = tmp_path / "things/_delta_log" / f"{0:020}.json"
    assert str(one) in log.read_text()
    log.write_text(log.read_text().replace(str(one), str(float(one))))
    load([schema({"id": INT, "v": INT}, ["id"]), *records({"id": one, "v": 2})], to=f"delta:{tmp_path}")
    assert DeltaTable(tmp_path / "things").to_pyarrow_table().to_pylist() == [{"id": one, "v": 2}]
