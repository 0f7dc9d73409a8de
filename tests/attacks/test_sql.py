"""SQL in every place where a stream or a setting can put text: it is a text there, or refused; nothing of it runs."""

from contextlib import suppress

import pytest
from hostile import SQL
from scenes import VICTIMS

from tailrace.errors import TailraceError
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, activate, record, schema, state

VICTIM = TableName("victim")

BY_STREAM = {
    "sql type": lambda sql: [
        schema({"id": INT, "v": TEXT | {"x-sql-datatype": sql}}, [], f"t{SQL.index(sql)}"),
        record({"id": 1, "v": "1"}, f"t{SQL.index(sql)}"),
    ],
    "format": lambda sql: [schema({"id": INT, "v": TEXT | {"format": sql}}), record({"id": 1, "v": "x"})],
    "encoding": lambda sql: [schema({"id": INT, "v": TEXT | {"contentEncoding": sql}}), record({"id": 1, "v": "eA=="})],
    "type": lambda sql: [schema({"id": INT, "v": {"type": ["null", sql]}}), record({"id": 1, "v": "x"})],
    "words": lambda sql: [
        schema(
            {"id": INT, "v": TEXT | {"enum": [sql], "default": sql, "title": sql, "description": sql, "const": sql}}
        ),
        record({"id": 1, "v": sql}),
    ],
    "pattern": lambda sql: [schema({"id": INT, "v": TEXT | {"pattern": sql}}), record({"id": 1, "v": sql})],
    "reference": lambda sql: [schema({"id": INT, "v": {"$ref": f"#/definitions/{sql}"}}), record({"id": 1, "v": "x"})],
    "decimal": lambda sql: [
        schema({"id": INT, "v": {"type": "number", "x-singer.decimal": {"precision": sql, "scale": sql}}}),
        record({"id": 1, "v": 1}),
    ],
    "key": lambda sql: [schema({"id": INT, sql: TEXT}, [sql]), record({"id": 1, sql: sql})],
    "key that isn't there": lambda sql: [schema({"id": INT}, [sql]), record({"id": 1})],
    "constraints": lambda sql: [
        schema({"id": INT, sql: TEXT}, unique_constraints=[sql], unique_conflict_method="UPDATE"),
        record({"id": 1, sql: sql}),
    ],
    "conflict": lambda sql: [schema({"id": INT}, unique_constraints=["id"], unique_conflict_method=sql)],
    "bookmarks": lambda sql: [schema({"id": INT}, bookmark_properties=[sql]), record({"id": 1})],
    "stream": lambda sql: [schema({"id": INT}, [], sql), record({"id": 1}, sql)],
    "value": lambda sql: [schema({"id": TEXT, "v": {}}, ["id"]), record({"id": sql, "v": {sql: [sql]}})],
    "time": lambda sql: [schema({"id": INT}), record({"id": 1}, time_extracted=sql)],
    "version": lambda sql: [schema({"id": INT}), record({"id": 1}, version=sql), activate(sql)],
    "state": lambda sql: [schema({"id": INT}), record({"id": 1}), state({sql: sql})],
    "log": lambda sql: [{"type": "LOG", "level": sql, "message": sql}, {"type": sql}],
}
"""Messages that a tap may send."""

BY_SETTING = {
    "kind": lambda sql: {"streams": {"things": {"columns": {"id": {"kind": sql}}}}},
    "name": lambda sql: {"streams": {"things": {"columns": {"id": {"name": sql}}}}},
    "constant": lambda sql: {"constants": {sql: sql, "c": sql}},
    "table": lambda sql: {"table": sql + "{stream}"},
    "schema": lambda sql: {"schema": sql},
    "key": lambda sql: {"key_properties": [sql]},
    "pipeline": lambda sql: {"pipeline": sql},
    "glob": lambda sql: {"streams": {sql: {"method": "append"}}},
    "method": lambda sql: {"method": sql},
}
"""Settings that a config may have, which its writer may have from elsewhere."""


DATABASES = ("duckdb", "sqlite", "postgres", "mariadb", "mysql", "redshift")
"""What speaks SQL; the others have names that look like it in `test_names`."""


def attack(scene, messages, **settings):
    with suppress(TailraceError):  # refused, in our own words
        scene.load(*messages, **settings)


@pytest.mark.parametrize("place", BY_STREAM)
@pytest.mark.parametrize("scene", DATABASES, indirect=True)
def test_sql_from_a_stream_never_runs(scene, place):
    for sql in SQL if place == "sql type" else SQL[:3]:
        attack(scene, BY_STREAM[place](sql), naming="preserve")
    require_victim(scene)


@pytest.mark.parametrize("place", BY_SETTING)
@pytest.mark.parametrize("scene", DATABASES, indirect=True)
def test_sql_from_a_setting_never_runs(scene, place):
    for sql in SQL[:3]:
        settings = {"naming": "preserve"} | BY_SETTING[place](sql)
        attack(scene, [schema({"id": INT}), record({"id": 1})], **settings)
    require_victim(scene)


def require_victim(scene):
    names = scene.names()
    assert "victim" in names
    assert not {"pwned", "zz"} & names
    assert scene.rows(VICTIM) == VICTIMS
