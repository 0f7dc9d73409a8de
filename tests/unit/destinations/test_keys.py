"""A key that changes between runs, on files of this machine: what the error says to do does it."""

import json
import re
from contextlib import closing

import duckdb
import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog

from tailrace import load
from tailrace.errors import SchemaError
from tailrace.testing.messages import INT, TEXT, record, schema


def run(url, key, *ids, **settings):
    """A run in which the stream has that key."""
    return load(
        [schema({"id": INT, "name": TEXT}, key), *(record({"id": n, "name": "x"}) for n in ids)], url, **settings
    )


def refused(url, key, *ids):
    """What a run is told whose key isn't the table's."""
    with pytest.raises(SchemaError) as caught:
        run(url, key, *ids)
    return str(caught.value)


def statement_in(error):
    """The statement that an error asks for."""
    return re.search(r"run `(.*?)`(,| once|$)", error)[1]


CHANGES = pytest.mark.parametrize(
    ("before", "after"), [(["id"], []), ([], ["id"]), (["id"], ["name", "id"])], ids=["dropped", "added", "changed"]
)


@CHANGES
def test_duckdb_has_the_key_that_a_comment_gives_it(tmp_path, before, after):
    url = f"duckdb:///{tmp_path}/db"
    run(url, before, 1)
    told = refused(url, after, 1)
    with duckdb.connect(f"{tmp_path}/db") as connection:
        connection.execute(statement_in(told))
    assert run(url, after, 1, 2).total.loaded == 2
    assert "its key changes" in refused(url, before, 1)


def test_a_primary_key_of_duckdbs_own_is_not_said_to_be_changed_by_a_comment(tmp_path):
    with duckdb.connect(f"{tmp_path}/db") as connection:
        connection.execute("CREATE TABLE things (id BIGINT PRIMARY KEY, name VARCHAR)")
    told = refused(f"duckdb:///{tmp_path}/db", ["name"], 1)
    assert "`method: replace`" in told
    assert "COMMENT" not in told


@CHANGES
def test_sqlite_has_another_key_in_a_table_that_is_made_anew(tmp_path, before, after):
    url = f"sqlite:///{tmp_path}/db"
    run(url, before, 1)
    assert 'run `ALTER TABLE "things" RENAME TO "things_before"`' in refused(url, after, 1)
    run(url, after, 1, method="replace")
    assert run(url, after, 1, 2).total.loaded == 2


def test_sqlite_knows_the_key_of_an_appended_table_after_columns_are_added_and_it_is_renamed(tmp_path):
    url = f"sqlite:///{tmp_path}/db"
    run(url, ["id"], 1, method="append", table="other")
    load(
        [schema({"id": INT, "name": TEXT, "size": INT}, ["id"]), record({"id": 2})], url, method="append", table="other"
    )
    with pytest.raises(SchemaError, match=r"its key changes: \(id\) -> none"):
        run(url, [], 1, table="other")


@CHANGES
def test_delta_has_the_key_that_its_fields_say(tmp_path, before, after):
    url = f"delta://{tmp_path}"
    run(url, before, 1)
    for call in re.findall(r"set_column_metadata\('(\w+)', ({.*?})\)", refused(url, after, 1)):
        DeltaTable(f"{tmp_path}/things").alter.set_column_metadata(call[0], json.loads(call[1].replace("'", '"')))
    assert run(url, after, 1, 2).total.loaded == 2
    assert "its key changes" in refused(url, before, 1)


@CHANGES
def test_iceberg_has_the_key_that_its_property_says(tmp_path, before, after):
    url = f"iceberg+sqlite:///{tmp_path}/db?warehouse={tmp_path}/lake"
    run(url, before, 1)
    named = re.fullmatch(
        r"ALTER TABLE things SET TBLPROPERTIES \('(.*)' = '(.*)'\)", statement_in(refused(url, after, 1))
    )
    with closing(load_catalog("default", type="sql", uri=f"sqlite:///{tmp_path}/db")) as catalog:
        catalog.load_table("default.things").transaction().set_properties({named[1]: named[2]}).commit_transaction()
    assert run(url, after, 1, 2).total.loaded == 2
    assert "its key changes" in refused(url, before, 1)


@pytest.mark.parametrize("kind", ["files", "memory"])
@CHANGES
def test_a_table_without_statements_gets_another_key_by_being_replaced(tmp_path, kind, before, after):
    url = f"{kind}://{tmp_path}"
    run(url, before, 1)
    assert "To give the table things the new one, load 'things' once with `method: replace`" in refused(url, after, 1)
    run(url, after, 1, method="replace")
    assert run(url, after, 2).total.loaded == 1


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_the_key_of_somebody_elses_table_is_whatever_the_stream_has(tmp_path, kind):
    url = f"{kind}:///{tmp_path}/db"
    run(url, ["id"], 1)
    run(url, ["id"], 1, method="replace")
    sent = [
        schema({"id": INT, "name": TEXT}, ["ID"]) | {"schema": {"properties": {"ID": INT, "name": TEXT}}},
        record({"ID": 1, "name": "y"}),
    ]
    assert load(sent, url, naming="preserve").total.updated == 1
