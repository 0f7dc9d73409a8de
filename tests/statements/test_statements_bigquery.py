"""The SQL of BigQuery, to the letter: what stands in for it in the tests takes some of this, and means less by it.

Held against https://cloud.google.com/bigquery/docs/reference/standard-sql, read on 2026-11-26.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from google.api_core import exceptions
from google.auth.exceptions import RefreshError, TransportError
from pydantic import ValidationError
from requests.exceptions import ConnectionError as LostConnectionError

from tailrace.destinations import bigquery, open_destination
from tailrace.destinations.bigquery.errors import RULES
from tailrace.destinations.bigquery.landing import QUOTA, LoadJobs
from tailrace.destinations.bigquery.project import Project
from tailrace.destinations.bigquery.session import _parameter
from tailrace.destinations.bigquery.settings import Settings
from tailrace.destinations.bigquery.statements import BigQueryStatements
from tailrace.errors import ConfigError, RowsRefusedError
from tailrace.model import LINE, Kind, Published, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.schema.names import destination_names
from tailrace.sql.design import Design
from tailrace.sql.fitting import refuse_beyond_limits
from tailrace.sql.publisher import Publisher, Staging
from tailrace.sql.selections import Mark, Upsert
from tailrace.sql.tables import Place
from tailrace.testing.parts import ID, NAME, stream

SQL = BigQueryStatements(bigquery.DIALECT)
USERS, STAGING = TableName("users", "raw"), TableName("staging")
COLUMNS = [TableColumn("id", Kind.INT, nullable=False), TableColumn("at", Kind.DATE)]
PROJECT = {"project_id": "p", "dataset": "raw"}


def test_every_kind_is_spelled_and_read_back():
    for kind in Kind:
        column = TableColumn("x", kind, *((20, 4) if kind is Kind.DECIMAL else (0, 0)))
        read = SQL.dialect.kind_of(SQL.dialect.spelled(column))
        assert read[0] is (Kind.TEXT if kind is Kind.UUID else kind)


@pytest.mark.parametrize(
    ("digits", "spelled"),
    [
        ((38, 9), "NUMERIC(38, 9)"),
        ((29, 0), "NUMERIC(29, 0)"),
        ((30, 0), "BIGNUMERIC(30, 0)"),
        ((20, 10), "BIGNUMERIC(20, 10)"),
        ((38, 38), "BIGNUMERIC(38, 38)"),
    ],
)
def test_decimals_are_numeric_as_far_as_that_has_their_digits(digits, spelled):
    assert SQL.dialect.spelled(TableColumn("x", Kind.DECIMAL, *digits)) == spelled
    assert SQL.dialect.kind_of(spelled) == (Kind.DECIMAL, *digits)


# https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_table_statement
@pytest.mark.parametrize(
    ("kind", "more", "partitions"),
    [
        (Kind.DATE, {}, "`at`"),
        (Kind.DATE, {"partition_unit": "MONTH"}, "DATE_TRUNC(`at`, MONTH)"),
        (Kind.TIMESTAMP, {"partition_unit": "HOUR"}, "DATETIME_TRUNC(`at`, HOUR)"),
        (Kind.TIMESTAMPTZ, {}, "TIMESTAMP_TRUNC(`at`, DAY)"),
        (Kind.INT, {"partition_range": (0, 100, 10)}, "RANGE_BUCKET(`at`, GENERATE_ARRAY(0, 100, 10))"),
    ],
)
def test_a_table_is_partitioned_and_clustered_and_its_key_noted(kind, more, partitions):
    design = Design(partition_by="at", cluster_by=("id",), options={"require_partition_filter": True}, **more)
    columns = [COLUMNS[0], TableColumn("at", kind)]
    spelled = bigquery.DIALECT.types[kind]
    create = (
        f"CREATE TABLE `raw`.`users` (`id` INT64 NOT NULL, `at` {spelled}) PARTITION BY {partitions} CLUSTER BY `id`"
    )
    options = """OPTIONS (require_partition_filter=TRUE, description='key: ["it\\'s"]')"""
    assert SQL.create_noted(USERS, columns, ["it's"], design) == [f"{create} {options}"]


def test_a_key_is_not_declared_since_queries_would_rely_on_it():
    assert SQL.create_table(USERS, COLUMNS, ["id"]) == "CREATE TABLE `raw`.`users` (`id` INT64 NOT NULL, `at` DATE)"
    assert bigquery.TRAITS.rekey(stream(ID, NAME), ("old",), None).startswith(
        "run `ALTER TABLE `things` SET OPTIONS (description='key: [\"id\"]')` once"
    )


def test_a_dataset_is_made_where_it_is_to_be():
    assert SQL.create_schema("raw") == "CREATE SCHEMA IF NOT EXISTS `raw`"
    assert BigQueryStatements(bigquery.DIALECT, "EU").create_schema("raw") == (
        "CREATE SCHEMA IF NOT EXISTS `raw` OPTIONS (location='EU')"
    )


def test_a_table_is_altered_once_for_all_new_columns_and_replaced_by_a_copy():
    columns = [TableColumn("a", Kind.TEXT), TableColumn("b", Kind.JSON)]
    assert SQL.add_columns(USERS, columns) == ["ALTER TABLE `raw`.`users` ADD COLUMN `a` STRING, ADD COLUMN `b` JSON"]
    assert SQL.add_columns(USERS, []) == []
    assert SQL.exchange_tables(TableName("new", "raw"), USERS, TableName("old", "raw")) == [
        "CREATE OR REPLACE TABLE `raw`.`users` COPY `raw`.`new`",
        "DROP TABLE IF EXISTS `raw`.`new`",
    ]
    assert SQL.delete_rows(USERS) == "DELETE FROM `raw`.`users` WHERE TRUE"


# https://cloud.google.com/bigquery/docs/reference/standard-sql/dml-syntax#update_statement: one source row for each
def test_an_update_has_one_row_of_the_staged_for_each_of_the_table():
    update = SQL.update_matched(Upsert(USERS, STAGING, TableName("w"), ["id", "at"], ["id"], ["at"]))
    assert update == (
        "UPDATE `raw`.`users` AS `t` SET `at` = `n`.`at` FROM (SELECT `s`.`id`, `s`.`at` FROM `staging` AS `s` INNER "
        "JOIN (SELECT DISTINCT `_tailrace_line` FROM `w`) AS `w` ON `s`.`_tailrace_line` = `w`.`_tailrace_line`) AS "
        "`n` WHERE `t`.`id` = `n`.`id`"
    )


class Told:
    """A session that keeps what it is told; the staged rows stand between two dates."""

    def __init__(self):
        self.told = []

    def execute(self, sql, parameters=()):
        self.told.append((sql, tuple(parameters)))
        return 1

    def query(self, sql, parameters=()):
        self.told.append((sql, tuple(parameters)))
        return [(date(2026, 1, 1), date(2026, 1, 31))] if "MIN" in sql else [(1, 1)]


# https://cloud.google.com/bigquery/docs/querying-partitioned-tables: constants name partitions, and joins don't
def test_a_merge_names_the_partitions_of_a_table_that_is_parted_by_a_column_of_its_key():
    at = TableColumn("at", Kind.DATE, nullable=False)
    place = Place(USERS, {"id": COLUMNS[0], "name": at}, partition="at")
    keyed, session = stream(ID, NAME, key=("id", "name")), Told()
    done = Publisher(SQL).merge(session, Staging(keyed, STAGING, place, 1), 1, 9)
    assert isinstance(done, Published)
    bounds = (date(2026, 1, 1), date(2026, 1, 31))
    within = "(`t`.`at` >= ? AND `t`.`at` <= ?)"
    told = [(sql, parameters) for sql, parameters in session.told if "`users` AS `t`" in sql]
    assert [parameters for _, parameters in told] == [(1, 9, *bounds)]
    assert told[0][0].endswith(f"ON (`t`.`id` = `s`.`id` AND `t`.`at` = `s`.`at`) AND {within}")


def test_deletions_and_first_rows_name_the_partitions_too():
    within = "(`t`.`at` >= ? AND `t`.`at` <= ?)"
    assert SQL.delete_segment(USERS, STAGING, ["id"], [Mark("gone")], "at").endswith(f") AND {within}")
    assert f"AND {within} WHERE `t`.`id` IS NULL" in SQL.insert_first(
        USERS, STAGING, columns=["id"], key=["id"], within="at"
    )
    update = SQL.update_matched(Upsert(USERS, STAGING, TableName("w"), ["id", "b"], ["id"], ["b"], within="at"))
    assert update.endswith(f"WHERE `t`.`id` = `n`.`id` AND {within}")


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ('{"a": 18446744073709551615, "b": -9223372036854775808, "c": 0.1}', True),
        ('{"a": 100000000000000000000, "b": 1e300}', True),
        ('["1234567890123456789012345678901234567890"]', True),
        ('{"a": 18446744073709551617}', False),
        ("[0.12345678901234567890]", False),
        ("[1e400]", False),
    ],
)
def test_a_number_that_json_would_change_is_refused(text, is_kept):
    rows = pa.table({"o": [text], LINE: [1]})
    try:
        refuse_beyond_limits(SQL.dialect, rows, {"o": TableColumn("o", Kind.JSON, sql_type="JSON")})
    except RowsRefusedError:
        assert not is_kept
    else:
        assert is_kept


@pytest.mark.parametrize(
    ("value", "sql_type"),
    [
        (True, "BOOL"),
        (1, "INT64"),
        (1.5, "FLOAT64"),
        (Decimal("1.5"), "BIGNUMERIC"),
        (datetime(2026, 1, 1), "DATETIME"),
        (datetime(2026, 1, 1, tzinfo=UTC), "TIMESTAMP"),
        (date(2026, 1, 1), "DATE"),
        (b"a", "BYTES"),
        ("a", "STRING"),
        (None, "STRING"),
    ],
)
def test_parameters_have_the_types_of_their_values(value, sql_type):
    assert _parameter(value).type_ == sql_type


# https://cloud.google.com/bigquery/docs/tables#table_naming and .../docs/schemas#column_names
@pytest.mark.parametrize(
    ("sent", "name"),
    [
        ("My Things", "My Things"),
        ("列 A", "列 A"),
        ("naïve-ñ", "naïve-ñ"),
        ("हिन्दी", "हिन्दी"),
        ("a.b", "a_b"),
        ('a"b', "a_b"),
        ("a`b", "a_b"),
        ("price ($)", "price ___"),
        ("😀", "_"),
        ("_PARTITIONTIME", "__PARTITIONTIME"),
        ("_table_name", "__table_name"),
        ("_tables", "_tables"),
    ],
)
def test_names_keep_letters_of_all_scripts_and_no_other_signs(sent, name):
    assert destination_names([sent], "preserve", bigquery.TRAITS, "things") == {sent: name}
    assert SQL.create_table(TableName(name, "raw"), COLUMNS[1:]) == f"CREATE TABLE `raw`.`{name}` (`at` DATE)"


def test_an_address_is_as_in_sqlalchemy():
    assert bigquery.from_url("bigquery://my-project/raw?location=EU&credentials_path=k.json") == {
        "project_id": "my-project",
        "dataset": "raw",
        "location": "EU",
        "credentials_path": "k.json",
    }


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ({}, True),
        ({"path_to_credentials_json_file": "k.json"}, True),
        ({"credentials_info": {"private_key": "hush-hush"}}, True),
        ({"credentials_json": '{"private_key": "hush-hush"}'}, True),
        ({"credentials_info": {"a": 1}, "credentials_path": "k.json"}, False),
        ({"endpoint": "http://bigquery.example.com"}, False),
        ({"endpoint": "https://bigquery.europe-west3.rep.googleapis.com"}, True),
        ({"endpoint": "http://127.0.0.1:9050", "streams_endpoint": "127.0.0.1:9060"}, True),
        ({"streams_endpoint": "example.com:9060"}, False),
    ],
)
def test_ways_to_log_in_by_the_names_of_other_targets(given, is_right):
    if is_right:
        assert "hush-hush" not in repr(Settings.model_validate(PROJECT | given))
        assert "hush-hush" not in repr(Project(Settings.model_validate(PROJECT | given)))
        return
    with pytest.raises(ValidationError):
        Settings.model_validate(PROJECT | given)


def test_nobody_but_a_server_on_this_machine_is_asked_without_credentials():
    here, elsewhere = ({"endpoint": f"{url}"} for url in ("http://127.0.0.1:9050", "https://bigquery.example.com"))
    assert Settings.model_validate(PROJECT | here).is_keyless
    assert not Settings.model_validate(PROJECT | elsewhere).is_keyless
    assert not Settings.model_validate(PROJECT).is_keyless


def test_a_key_that_is_none_is_said_to_be_so_and_not_shown(tmp_path):
    with pytest.raises(ConfigError, match="isn't the JSON of a key") as error:
        Project(Settings.model_validate(PROJECT | {"credentials_info": "hush-hush"})).credentials()
    assert "hush-hush" not in str(error.value)
    for wrong, why in (({"type": "other"}, "its `type` is none"), ({"type": "service_account"}, "isn't a whole key")):
        with pytest.raises(ConfigError, match=why):
            Project(Settings.model_validate(PROJECT | {"credentials_info": wrong})).credentials()
    missing = Settings.model_validate(PROJECT | {"credentials_path": str(tmp_path / "none.json")})
    with pytest.raises(ConfigError, match="path_to_credentials_json_file"):
        Project(missing).credentials()
    key = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "t"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    for given in ({"credentials_info": key}, {"credentials_path": str(tmp_path / "key.json")}):
        assert Project(Settings.model_validate(PROJECT | given)).credentials().refresh_token == "t"


def test_a_layout_that_can_not_be_had_and_types_that_stay():
    with pytest.raises(ConfigError, match="BigQuery has no indexes"):
        open_destination("bigquery", PROJECT | {"design": {"*": {"indexes": [["id"]]}}})
    assert open_destination("bigquery", PROJECT)._dialect.alterable
    assert not open_destination("bigquery", PROJECT | {"disable_update_column_types": True})._dialect.alterable


def failed(reason, message, of=exceptions.BadRequest):
    return of(message, errors=[{"reason": reason, "message": message}])


@pytest.mark.parametrize(
    ("error", "passes", "rows"),
    [
        (failed("rateLimitExceeded", "Exceeded rate limits", exceptions.Forbidden), True, False),
        (failed("quotaExceeded", "Quota exceeded", exceptions.Forbidden), False, False),
        (failed("accessDenied", "Access Denied: Table p:d.t", exceptions.Forbidden), False, False),
        (failed("invalidQuery", "Transaction is aborted due to concurrent update against table p:d.t"), True, False),
        (failed("invalid", "Invalid input session id."), True, False),
        (failed("invalidQuery", "Required field name cannot be null"), False, True),
        (failed("invalidQuery", "Value has type NUMERIC out of range: secret"), False, True),
        (failed("invalidQuery", "Bad int64 value: secret"), False, False),
        (exceptions.ServiceUnavailable("503"), True, False),
        (exceptions.RetryError("deadline", None), True, False),
        (exceptions.Aborted("try again"), True, False),
        (exceptions.NotFound("Not found: Session abc"), True, False),
        (failed("invalidQuery", "Failed to parse input string 'secret'"), False, False),
        (TimeoutError("Operation did not complete"), True, False),
        (TransportError("no answer"), True, False),
        (LostConnectionError("secret"), True, False),
        (RefreshError("invalid_grant"), False, False),
    ],
)
def test_errors_are_told_apart_and_tell_no_values(error, passes, rows):
    assert (RULES.is_transient(error), RULES.is_about_rows(error)) == (passes, rows)
    assert "secret" not in RULES.said(error)


def test_a_table_is_changed_no_more_often_than_the_quota_says():
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    loads = LoadJobs(1, QUOTA, now=lambda: now[0], sleep=sleep)
    for _ in range(7):
        loads._wait_turn("d.t")
        now[0] += 1
    assert slept == [5.0]
    loads._wait_turn("d.other")
    assert len(slept) == 1
