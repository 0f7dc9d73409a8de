"""What Mage's own tests hold its destinations to, in our words, held against what stands in for them.

*Source* `mage_integrations/tests/destinations` of https://github.com/mage-ai/mage-ai: `test_base.py`, and those of
PostgreSQL, MySQL, Snowflake, BigQuery and Redshift.
"""

import datetime as dt
import json

import pytest
from mage_runs import ADA, logged, record, schema, state, upserted

from tailrace.compat.mage_destinations import DESTINATIONS
from tailrace.compat.mage_run import Options, set_up
from tailrace.destinations import _module, scheme_of, traits_of
from tailrace.schema.names import destination_names

METADATA = ["_mage_created_at", "_mage_updated_at"]


def test_the_templates_of_a_destination_are_one_document_on_stdout(mage, capsys):
    assert mage(destination="postgresql", options=["--show_templates"]) == 0
    config = json.loads(capsys.readouterr().out)["config"]
    assert {"database", "host", "password", "port", "schema", "table", "username"} <= config.keys()
    assert (config["port"], config["host"]) == (5432, "")


def test_a_record_is_exported_as_its_schema_says(mage):
    assert mage(upserted(), record()) == 0
    [row] = mage.rows()
    assert [row.pop(name) is not None for name in METADATA] == [True, True]
    joined = dt.datetime(1993, 8, 28, tzinfo=dt.UTC)
    assert row.pop("date_joined").astimezone(dt.UTC) == joined
    assert row == {"id": "2", "first_name": "Ada", "age": 36, "_user": "ada", "power_level": 99.99}


def test_records_are_exported_in_batches_of_their_stream(mage):
    sent = [message for number in range(50) for message in (record(id=number), record("others", id=number))]
    assert mage(upserted(), upserted(stream="others"), *sent, config={"table": "{stream}"}) == 0
    assert [len(mage.rows(name)) for name in ("demo_users", "others")] == [50, 50]


def test_no_records_are_no_rows_and_no_state(mage):
    assert mage(upserted()) == 0
    assert mage.rows() == []
    assert not mage.state_file.exists()


def test_a_schema_gets_mages_own_columns_and_keeps_its_key(mage):
    assert mage(upserted(), record(), record(first_name="Grace"), record(id=3)) == 0
    assert list(mage.rows()[0])[-2:] == METADATA
    assert {row["id"]: row["first_name"] for row in mage.rows()} == {"2": "Grace", "3": "Ada"}


def test_a_state_is_written_once_what_it_covers_is_loaded(mage):
    assert mage(upserted(), record(), state(id=2), record(id=3), state(id=3)) == 0
    assert mage.state() == {"bookmarks": {"demo_users": {"id": 3}}}


def test_a_state_without_a_value_is_an_error(mage, capsys):
    assert mage(upserted(), {"type": "STATE", "record": ADA}) == 3
    [told] = [line for line in logged(capsys.readouterr().out) if line["level"] == "EXCEPTION"]
    assert "the STATE message's 'value' is missing" in told["tags"]["error"]


def test_a_connection_is_tested_and_nothing_is_processed(mage, capsys):
    assert mage("no message at all", options=["--test_connection"]) == 0
    assert [line["level"] for line in logged(capsys.readouterr().out)] == ["INFO"] * 2
    assert not mage.state_file.exists()
    assert mage(config={"file_path": "/nowhere/x.duckdb"}, options=["--test_connection"]) == 6


def test_a_process_tells_what_it_has_inserted_and_updated(mage, capsys):
    assert mage(upserted(), record(), record(id=3), state(id=3)) == 0
    assert mage(upserted(), record(first_name="Grace"), record(id=4), state(id=4)) == 0
    counted = [line["tags"] for line in logged(capsys.readouterr().out) if "records_inserted" in line["tags"]]
    assert [(tags["records_inserted"], tags["records_updated"]) for tags in counted] == [(2, 0), (1, 1)]
    assert {tags["stream"] for tags in counted} == {"demo_users"}


@pytest.mark.parametrize("name", ["bigquery", "mysql", "postgresql", "redshift", "snowflake"])
@pytest.mark.parametrize(
    ("lower_case", "expected"), [(False, {"ID": "ID", "USER": "_USER"}), (True, {"ID": "id", "USER": "_user"})]
)
def test_tables_have_the_columns_that_mage_gives_them(mage, monkeypatch, name, lower_case, expected):
    naming = opened(monkeypatch, name, {"lower_case": lower_case})[0].naming
    assert destination_names(["ID", "USER"], naming, traits_of(scheme_of(DESTINATIONS[name].to)), "test") == expected


def test_a_full_table_is_emptied_before_it_comes_again(mage):
    whole = schema(replication_method="FULL_TABLE", key_properties=[])
    for numbers in ([1, 2], [3]):
        assert mage(whole, *(record(id=number) for number in numbers), config={"truncate_full_table": True}) == 0
    assert [row["id"] for row in mage.rows()] == ["3"]
    assert mage(whole, record(id=4)) == 0
    assert [row["id"] for row in mage.rows()] == ["3", "4"]


LOGINS = {
    "mysql": {"database": "database", "host": "host", "password": "password", "username": "username"},
    "postgresql": {"database": "database", "host": "host", "password": "password", "username": "username"},
    "snowflake": {
        "account": "account",
        "database": "database",
        "password": "password",
        "schema": "schema",
        "username": "username",
        "warehouse": "warehouse",
    },
}


@pytest.mark.parametrize("name", LOGINS)
def test_a_connection_is_made_by_what_the_config_says(monkeypatch, name):
    _, own = opened(monkeypatch, name, {"lower_case": False})
    ours = {"username": "user", "schema": "schema_name"}
    for key, value in LOGINS[name].items():
        found = getattr(own, ours.get(key, key))
        assert (found.get_secret_value() if key == "password" else found) == value


def opened(monkeypatch, name, config):
    """The settings of a run, and of a destination as its module gets them."""
    destination = DESTINATIONS[name]
    monkeypatch.setattr(_module(scheme_of(destination.to)), "build", lambda settings: settings)
    login = LOGINS.get(name, {"database": "d", "host": "h", "user": "u", "password": "p"})
    login = {"project_id": "p", "dataset": "d"} if name == "bigquery" else login
    return set_up(Options(destination, {**login, **config}, {}, None, None), ())
