"""Tables that MySQL or MariaDB can't make: the stream is told before a row is loaded, with what to do."""

import mysqls
import pytest

from tailrace.destinations import open_destination
from tailrace.errors import SchemaError
from tailrace.model import Column, Kind
from tailrace.testing.messages import INT, TEXT, UUID, record, schema
from tailrace.testing.parts import stream

NARROW = "leave columns out|leave some out"
FEWER = "set `key_properties` to fewer"
TOO_MUCH = {
    "250 uuids": (dict.fromkeys([f"c{n}" for n in range(250)], UUID), [], NARROW),
    "400 texts": (dict.fromkeys([f"c{n}" for n in range(400)], TEXT), [], NARROW),
    "1,100 columns": (dict.fromkeys([f"c{n}" for n in range(1100)], INT), [], NARROW),
    "33 parts of a key": (dict.fromkeys([f"c{n}" for n in range(33)], INT), [f"c{n}" for n in range(33)], FEWER),
}
TOO_MUCH_FOR_MYSQL = {
    "300 texts": (dict.fromkeys([f"c{n}" for n in range(300)], TEXT), [], NARROW),
    "17 parts of a key": (dict.fromkeys([f"c{n}" for n in range(17)], INT), [f"c{n}" for n in range(17)], FEWER),
}


def refused(url, columns, key, says, **settings):
    """A stream that comes behind another: it is refused, and the other's rows are committed with their state."""
    row = {
        name: 1 if of is INT else "x" if of is TEXT else "0" * 8 + "-0000" * 3 + "-" + "0" * 12
        for name, of in columns.items()
    }
    sent = [schema({"id": INT}, ["id"], "before"), record({"id": 1}, "before"), {"type": "STATE", "value": 1}]
    with pytest.raises(SchemaError, match=rf"stream 'wide'.*({says})"):
        mysqls.load(url, *sent, schema(columns, key, "wide"), record(row, "wide"), pipeline="p", **settings)
    assert mysqls.query(url, "SELECT id FROM `before`") == [(1,)]
    assert not mysqls.query(
        url, "SELECT 1 FROM information_schema.tables WHERE table_schema = database() AND table_name = 'wide'"
    )


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_table_that_is_too_wide_or_has_too_long_a_key_is_refused_before_rows_are_loaded(any_mysql_url, what):
    refused(any_mysql_url, *TOO_MUCH[what])


@pytest.mark.parametrize("what", TOO_MUCH_FOR_MYSQL)
def test_mysql_holds_less_than_mariadb(mysql_url, mariadb_url, what):
    columns, key, says = TOO_MUCH_FOR_MYSQL[what]
    refused(mysql_url, columns, key, says)
    row = {name: 1 if of is INT else "x" for name, of in columns.items()}
    assert mysqls.load(mariadb_url, schema(columns, key), record(row)).total.loaded == 1


def test_a_table_that_would_become_too_wide_is_refused(mysql_url):
    mysqls.load(mysql_url, schema({f"c{n}": TEXT for n in range(190)}), record({"c1": "x"}))
    with pytest.raises(SchemaError, match=rf"Row size too large; ({NARROW})"):
        mysqls.load(mysql_url, schema({f"c{n}": TEXT for n in range(230)}), record({"c1": "x"}))


def test_a_stream_without_a_key_is_told_where_each_table_has_to_have_one(mysql_url):
    sent = [schema({"id": INT}), record({"id": 1})]
    with mysqls.globally(mysql_url, sql_require_primary_key=1):
        for method in ("append", "replace"):
            with pytest.raises(SchemaError, match=r"set `key_properties`.*sql_generate_invisible_primary_key = ON"):
                mysqls.load(mysql_url, *sent, method=method)
        keyed = schema({"id": INT}, ["id"], "keyed")
        for method in ("upsert", "insert_ignore", "replace"):
            mysqls.load(mysql_url, keyed, record({"id": 1}, "keyed"), method=method, pipeline=method)
        with mysqls.globally(mysql_url, sql_generate_invisible_primary_key=1):
            for _ in range(2):
                mysqls.load(mysql_url, *sent, pipeline="p")
            assert mysqls.query(mysql_url, "SELECT * FROM things") == [(1,), (1,)]
            mysqls.load(mysql_url, *sent, method="replace")
            assert mysqls.query(mysql_url, "SELECT * FROM things") == [(1,)]


DECIMALS = {
    "mysql": ("DECIMAL(99,2)", "DECIMAL(65,31)", "NUMERIC(38,38)", "DECIMAL(5,9)"),
    "mariadb": ("DECIMAL(99,2)", "DECIMAL(65,39)", "DECIMAL(5,9)"),
}
HELD = {"mysql": ("DECIMAL(65,30)",), "mariadb": ("DECIMAL(65,30)", "DECIMAL(38,38)")}


@pytest.mark.parametrize("how", ["sent", "set"])
def test_decimals_of_more_digits_than_the_server_has_are_refused_with_what_to_do(any_mysql, any_mysql_url, how):
    number = {"type": ["number", "null"]}
    for spelled in (*DECIMALS[any_mysql], *HELD[any_mysql]):
        of = number | {"x-sql-datatype": spelled} if how == "sent" else number
        settings = {} if how == "sent" else {"columns": {"v": {"sql_type": spelled}}}
        sent = [schema({"id": INT, "v": of}, ["id"]), record({"id": 1, "v": None})]
        if spelled in HELD[any_mysql]:
            mysqls.load(any_mysql_url, *sent, **settings)
            mysqls.query(any_mysql_url, "DROP TABLE things")
            continue
        with pytest.raises(SchemaError, match=r"column 'v'.*set another `sql_type`"):
            mysqls.load(any_mysql_url, *sent, **settings)


def test_a_schemas_own_decimal_is_refused_where_mysql_has_none_so_fine(mysql_url):
    sent = [schema({"id": INT, "v": {"type": ["number", "null"], "multipleOf": 1e-35}}, ["id"])]
    with pytest.raises(SchemaError, match=r"can't have 'v' as decimal\(38,35\).*65 digits, 30 of them.*`kind: TEXT`"):
        mysqls.load(mysql_url, *sent)
    lines = [b'{"type":"RECORD","stream":"things","record":{"id":1,"v":0.00000000000000000000000000000000012}}']
    mysqls.load(mysql_url, *sent, *lines, columns={"v": {"kind": "TEXT"}})
    assert mysqls.query(mysql_url, "SELECT v FROM things") == [("0.00000000000000000000000000000000012",)]


def test_a_plan_says_it_too(mysql_url):
    wanted = stream(Column("v", ("v",), Kind.DECIMAL, precision=38, scale=31), key=())
    with pytest.raises(SchemaError, match="can't have 'v' as"):
        open_destination(mysql_url, {}).plan(wanted)
