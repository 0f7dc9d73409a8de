"""What a server, a database or a role is set to changes nothing: each session sets what it stands on."""

from urllib.parse import urlsplit

import mysqls
import psycopg
import pytest

from tailrace.destinations import open_destination
from tailrace.errors import RecordError
from tailrace.testing.messages import FLOAT, INT, TEXT, TIMESTAMPTZ, record, schema

HOSTILE = {
    "sql_safe_updates": 1,
    "sql_select_limit": 1,
    "max_join_size": 1,
    "completion_type": "CHAIN",
    "sql_notes": 0,
    "sql_auto_is_null": 1,
    "max_sort_length": 64,
    "time_zone": "+05:00",
    "lc_messages": "de_DE",
    "autocommit": 0,
    "lock_wait_timeout": 1,
    "net_read_timeout": 1,
    "default_tmp_storage_engine": "MyISAM",
    "div_precision_increment": 0,
    "group_concat_max_len": 4,
    "foreign_key_checks": 0,
    "unique_checks": 0,
    "explicit_defaults_for_timestamp": 0,
    "sql_mode": "ANSI_QUOTES,PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES",
}
OWN = {
    "mysql": {"max_execution_time": 1, "transaction_read_only": 1, "transaction_isolation": "SERIALIZABLE"},
    "mariadb": {"max_statement_time": 0.01, "tx_read_only": 1, "tx_isolation": "SERIALIZABLE"}
    | {"idle_transaction_timeout": 1, "alter_algorithm": "INSTANT", "check_constraint_checks": 0},
}


def test_the_variables_of_a_server_of_mysql_change_nothing(any_mysql, any_mysql_url):
    url = any_mysql_url
    sent = [schema({"id": INT, "name": TEXT, "at": TIMESTAMPTZ, "x": FLOAT}, ["id"])]
    sent += [record({"id": n, "name": "x" * n, "at": "2024-05-06T07:08:09Z", "x": 0.1}) for n in range(300)]
    mysqls.query(url, "CREATE TABLE other (n decimal(5, 2))")
    with mysqls.globally(url, **HOSTILE | OWN[any_mysql]):
        for _ in range(2):
            mysqls.load(url, *sent, pipeline="p")
        mysqls.load(url, *sent[:4], stream_maps=None, pipeline="q", method="replace", table="replaced")
        with pytest.raises(RecordError, match=r"line 2.*unchanged"):
            mysqls.load(url, schema({"n": FLOAT}, [], "other"), record({"n": 1.239}, "other"))
    rows = mysqls.query(url, "SELECT count(*), sum(length(name)), min(at), max(at), sum(x = 0.1e0) FROM things")
    assert [tuple(map(str, row)) for row in rows] == [
        ("300", str(sum(range(300))), "2024-05-06 07:08:09", "2024-05-06 07:08:09", "300")
    ]


STANDS_ON = {
    "sql_safe_updates": 0,
    "sql_big_selects": 1,
    "completion_type": "NO_CHAIN",
    "sql_notes": 1,
    "sql_auto_is_null": 0,
    "max_sort_length": 65536,
    "time_zone": "+00:00",
    "lc_messages": "en_US",
    "autocommit": 1,
    "lock_wait_timeout": 60,
    "net_read_timeout": 600,
    "default_tmp_storage_engine": "InnoDB",
    "foreign_key_checks": 1,
    "unique_checks": 1,
    "explicit_defaults_for_timestamp": 1,
}


def test_a_session_has_its_own_variables_one_by_one(any_mysql, any_mysql_url):
    with mysqls.globally(any_mysql_url, **HOSTILE | OWN[any_mysql]):
        session = open_destination(any_mysql_url, {})._database.open()
        try:
            found = session.query(f"SELECT {', '.join(f'@@SESSION.{name}' for name in STANDS_ON)}")[0]
        finally:
            session.close()
    assert dict(zip(STANDS_ON, found, strict=True)) == STANDS_ON


def test_a_null_in_a_timestamp_stays_one_whatever_the_server_takes_it_for(any_mysql_url):
    with mysqls.globally(any_mysql_url, explicit_defaults_for_timestamp=0):
        sent = [schema({"id": INT, "at": TIMESTAMPTZ}, ["id"]), record({"id": 1, "at": None})]
        mysqls.load(any_mysql_url, *sent, columns={"at": {"sql_type": "TIMESTAMP(6)"}})
    assert mysqls.query(any_mysql_url, "SELECT id, at FROM things") == [(1, None)]


def test_the_documented_grants_are_enough_for_every_command(any_mysql_url, tmp_path):
    database = urlsplit(any_mysql_url).path[1:]
    grants = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, CREATE TEMPORARY TABLES"
    mysqls.query(any_mysql_url, "CREATE USER granted IDENTIFIED BY 'secret'")
    try:
        mysqls.query(any_mysql_url, f"GRANT {grants} ON `{database}`.* TO granted")
        login = {"user": "granted", "password": "secret"}
        assert "is there" in open_destination(any_mysql_url, login).check()[1]
        mysqls.query(any_mysql_url, "CREATE TABLE things (id bigint PRIMARY KEY, v tinyint)")
        sent = [schema({"id": INT, "v": INT}, ["id"]), *(record({"id": n, "v": 300 + n}) for n in range(2000))]
        aside = {"on_invalid": "quarantine", "quarantine": str(tmp_path / "q"), "max_invalid": 2000}
        report = mysqls.load(any_mysql_url, *sent, record({"id": 5, "v": 1}), **login, **aside)
        assert (report.total.loaded, report.total.quarantined) == (1, 2000)
    finally:
        mysqls.query(any_mysql_url, "DROP USER granted")


ROLE = {
    "statement_timeout": "500ms",
    "lock_timeout": "500ms",
    "idle_in_transaction_session_timeout": "500ms",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Tokyo",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "transform_null_equals": "on",
    "synchronous_commit": "off",
    "client_encoding": "LATIN1",
    "search_path": "pg_temp",
}


def test_the_settings_of_a_role_of_postgres_change_nothing(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute("CREATE ROLE hostile LOGIN SUPERUSER PASSWORD 'secret'")
        try:
            for name, value in ROLE.items():
                server.execute(f"ALTER ROLE hostile SET {name} = '{value}'")
            login = {"user": "hostile", "password": "secret"}
            sent = [schema({"id": INT, "name": TEXT, "at": TIMESTAMPTZ, "x": FLOAT}, ["id"])]
            sent += [
                record({"id": n, "name": "数\\'", "at": "2024-05-06T07:08:09Z", "x": 0.1 + 0.2}) for n in range(2000)
            ]
            session = open_destination(postgres_url, login)._database.open()
            assert session.query("SELECT current_setting('statement_timeout')") == [("0",)]
            session.close()
            for method in ("upsert", "upsert", "replace"):
                mysqls.load(postgres_url, *sent, **login, method=method, pipeline=method)
            found = server.execute(
                "SELECT count(*), min(name), min(at)::text, sum((x = 0.1::float8 + 0.2)::int) FROM things"
            )
            assert found.fetchone() == (2000, "数\\'", "2024-05-06 07:08:09+00", 2000)
        finally:
            server.execute("DROP OWNED BY hostile")
            server.execute("DROP ROLE hostile")


def test_a_commit_to_postgres_waits_for_the_disk(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as server:
        database = urlsplit(postgres_url).path[1:]
        for given, wanted in (("off", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
            server.execute(f'ALTER DATABASE "{database}" SET synchronous_commit = {given}')
            session = open_destination(postgres_url, {})._database.open()
            assert session.query("SELECT current_setting('synchronous_commit')") == [(wanted,)]
            session.close()
