"""A decimal of more digits than a database has, and types that there aren't, are told with the column."""

import json

import pytest

from tailrace import load
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, record, schema

NUMBER = {"type": ["number", "null"]}


@pytest.mark.parametrize(
    ("spelled", "says"),
    [
        ("DECIMAL(99,2)", "DuckDB has decimals of 38 digits, 38 of them behind the point; set another `sql_type`"),
        ("DECIMAL(5,9)", "set another `sql_type` under `columns:`, or none .types that were chosen: v DECIMAL.5,9"),
        ("NO_SUCH_TYPE", "set another `sql_type` under `columns:`, or none .types that were chosen: v NO_SUCH_TYPE"),
    ],
)
def test_duckdb_says_so_and_keeps_what_came_before(tmp_path, spelled, says):
    sent = [schema({"id": INT}, [], "before"), record({"id": 1}, "before"), {"type": "STATE", "value": 1}]
    sent += [schema({"v": NUMBER}), record({"v": None})]
    settings = {"columns": {"v": {"sql_type": spelled}}}
    lines = [json.dumps(message).encode() for message in sent]
    with pytest.raises(SchemaError, match=f"stream 'things', column 'v', line 4: .*{says}"):
        load(lines, f"duckdb:///{tmp_path}/x.duckdb", pipeline="p", **settings)
    again = load(lines[:3], f"duckdb:///{tmp_path}/x.duckdb", pipeline="p")
    assert again.total.loaded == 1


def test_sqlite_has_decimals_of_any_digits(tmp_path):
    for number, spelled in enumerate(("DECIMAL(99,2)", "NUMERIC(2000,1000)")):
        sent = [schema({"v": NUMBER}, [], f"t{number}"), record({"v": None}, f"t{number}")]
        lines = [json.dumps(message).encode() for message in sent]
        load(lines, f"sqlite:///{tmp_path}/x.db", columns={"v": {"sql_type": spelled}})
