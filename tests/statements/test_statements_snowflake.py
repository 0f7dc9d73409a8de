"""The SQL of Snowflake, to the letter: what stands in for it in the tests takes some of this, and means less by it.

Held against https://docs.snowflake.com/en/sql-reference, read on 2026-11-26.
"""

import pickle

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from tailrace.destinations import open_destination, snowflake
from tailrace.destinations.snowflake.account import RULES, Account
from tailrace.destinations.snowflake.settings import Settings
from tailrace.destinations.snowflake.stage import StageFiles
from tailrace.errors import ConfigError, RowsRefusedError
from tailrace.model import LINE, Kind, TableName
from tailrace.schema.evolve import TableColumn
from tailrace.sql.design import Design
from tailrace.sql.fitting import refuse_beyond_limits
from tailrace.sql.selections import Upsert, last_rows
from tailrace.testing.parts import ID, NAME, stream

SQL, UPPER = snowflake.STATEMENTS, snowflake.IN_CAPITALS
USERS, STAGING = TableName("users", "RAW"), TableName("staging", "RAW")
COLUMNS = [TableColumn("id", Kind.INT, nullable=False), TableColumn("at", Kind.DATE)]
LOGIN = {"account": "a", "user": "u", "password": "hush-hush", "database": "D"}


def test_every_kind_is_spelled_and_read_back():
    for kind in Kind:
        column = TableColumn("x", kind, *((20, 4) if kind is Kind.DECIMAL else (0, 0)))
        read = SQL.dialect.kind_of(SQL.dialect.spelled(column))
        assert read[0] is (Kind.TEXT if kind is Kind.UUID else kind)
    assert SQL.dialect.kind_of("NUMBER(38,0)") == (Kind.DECIMAL, 38, 0)


def test_a_table_is_clustered_and_its_key_declared_or_noted():
    design = Design(cluster_by=("at", "id"))
    assert SQL.create_table(USERS, COLUMNS, ["id"], design) == (
        'CREATE TABLE "RAW"."users" ("id" NUMBER(19,0) NOT NULL, "at" DATE, PRIMARY KEY ("id")) CLUSTER BY ("at", "id")'
    )
    assert SQL.create_noted(USERS, COLUMNS[1:], ["it's"], design) == [
        """CREATE TABLE "RAW"."users" ("at" DATE) CLUSTER BY ("at", "id") COMMENT='key: ["it\\'s"]'"""
    ]
    assert SQL.show_key(USERS) == 'SHOW PRIMARY KEYS IN TABLE "RAW"."users"'
    assert snowflake.TRAITS.rekey(stream(ID, NAME), ("old",), None).startswith(
        'run `ALTER TABLE "things" DROP PRIMARY KEY; ALTER TABLE "things" ADD PRIMARY KEY ("id")` once'
    )


def test_rows_wait_in_transient_tables_and_a_renamed_table_stays_in_its_schema():
    assert SQL.create_table(STAGING, COLUMNS[1:], unlogged=True) == 'CREATE TRANSIENT TABLE "RAW"."staging" ("at" DATE)'
    assert SQL.rename_table(USERS, "people") == 'ALTER TABLE "RAW"."users" RENAME TO "RAW"."people"'


def test_a_new_table_is_cloned_over_the_old_one_and_kept_clustered():
    """As https://docs.snowflake.com/en/sql-reference/sql/create-clone has it, read on 2026-11-26."""
    assert SQL.exchange_tables(STAGING, USERS, TableName("old", "RAW")) == [
        'CREATE OR REPLACE TABLE "RAW"."users" CLONE "RAW"."staging" COPY GRANTS',
        'DROP TABLE IF EXISTS "RAW"."staging"',
    ]
    assert SQL.resume_layout(USERS, Design(cluster_by=("at",))) == ['ALTER TABLE "RAW"."users" RESUME RECLUSTER']
    assert SQL.resume_layout(USERS, Design()) == []


def test_a_merge_makes_nothing_within_the_transaction():
    winners = last_rows(STAGING, USERS, ["id"])
    update = SQL.update_matched(Upsert(USERS, STAGING, winners, ["id", "at"], ["id"], ["at"]))
    assert update == (
        'UPDATE "RAW"."users" AS "t" SET "at" = "n"."at" FROM (SELECT "s"."id", "s"."at" FROM "RAW"."staging" AS "s" '
        'INNER JOIN (SELECT "s"."_tailrace_line", "t"."id" AS "_tailrace_match" FROM "RAW"."staging" AS "s" INNER JOIN '
        '(SELECT MAX("f"."_tailrace_line") AS "_tailrace_line" FROM "RAW"."staging" AS "f" WHERE "f"."_tailrace_line" '
        '>= ? AND "f"."_tailrace_line" < ? GROUP BY "f"."id") AS "k" ON "s"."_tailrace_line" = "k"."_tailrace_line" '
        'LEFT JOIN "RAW"."users" AS "t" ON "t"."id" = "s"."id") AS "w" ON "s"."_tailrace_line" = "w"."_tailrace_line") '
        'AS "n" WHERE "t"."id" = "n"."id"'
    )


def test_names_are_in_capitals_where_nobody_is_to_quote_them():
    assert UPPER.create_table(USERS, COLUMNS, ["id"]) == (
        'CREATE TABLE "RAW"."USERS" ("ID" NUMBER(19,0) NOT NULL, "AT" DATE, PRIMARY KEY ("ID"))'
    )
    assert "_TAILRACE_LINE" in UPPER.count_segment(STAGING)
    assert "c.table_name = upper(?)" in UPPER.dialect.catalog.columns
    assert "c.table_name = ?" in SQL.dialect.catalog.columns


def test_files_are_copied_by_their_names_into_the_types_of_the_table(monkeypatch):
    told = []
    files = StageFiles(Account(Settings.model_validate(LOGIN)), SQL, "RAW")
    monkeypatch.setattr(files, "_run", lambda sql, **_: told.append(sql))
    columns = {"id": COLUMNS[0], "o": TableColumn("o", Kind.JSON), LINE: TableColumn(LINE, Kind.INT, nullable=False)}
    rows = pa.table({"id": [1], "o": ["{}"], LINE: [7]})
    files.remove("p")
    files.put("p/s/7-7", rows, columns)

    class Told:
        def execute(self, sql):
            told.append(sql)

    files.copy(Told(), STAGING, list(columns), ["p/s/7-7"])
    put = 'PUT file://7-7.parquet @"RAW"._TAILRACE_STAGE/p/s '
    rows = "SELECT $1:c0::NUMBER(19,0), PARSE_JSON($1:c1::VARCHAR), $1:c2::NUMBER(19,0)"
    copy = f'COPY INTO "RAW"."staging" ("id", "o", "_tailrace_line") FROM ({rows} FROM @"RAW"._TAILRACE_STAGE/p/s/) '
    how = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = FALSE) FORCE = TRUE"
    assert told == [
        'REMOVE @"RAW"._TAILRACE_STAGE/p',
        f"{put}SOURCE_COMPRESSION = NONE AUTO_COMPRESS = FALSE OVERWRITE = TRUE",
        f"{copy}FILES = ('7-7.parquet') {how}",
    ]


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ('{"a": 0.10000000000000000001, "b": [12345678901234567890123456789012345678]}', True),
        ('{"a": 1.5e-9, "b": 1e300}', True),
        ('["1234567890123456789012345678901234567890"]', True),
        ('{"a": 1234567890123456789012345678901234567891}', False),
        ("[0.123456789012345678901234567890123456789]", False),
        ("[1e400]", False),
    ],
)
def test_a_number_that_a_variant_would_change_is_refused(text, is_kept):
    rows = pa.table({"o": [text], LINE: [1]})
    try:
        refuse_beyond_limits(SQL.dialect, rows, {"o": TableColumn("o", Kind.JSON, sql_type="VARIANT")})
    except RowsRefusedError:
        assert not is_kept
    else:
        assert is_kept


def test_an_address_is_as_in_sqlalchemy():
    assert snowflake.from_url("snowflake://me:p%40ss@my_org-Acc/DB/raw%20x?warehouse=w&role=r") == {
        "user": "me",
        "password": "p@ss",
        "account": "my_org-Acc",
        "database": "DB",
        "schema": "raw x",
        "warehouse": "w",
        "role": "r",
    }


@pytest.mark.parametrize(
    ("given", "is_right"),
    [
        ({"username": "u", "account": "a", "database": "d", "password": "p"}, True),
        ({"user": "u", "account": "a", "dbname": "d", "private_key_path": "k.p8", "private_key_passphrase": "x"}, True),
        ({"user": "u", "account": "a", "database": "d", "oauth_token": "t", "default_target_schema": "S"}, True),
        ({"user": "u", "account": "a", "database": "d"}, False),
        ({"user": "u", "account": "a", "database": "d", "password": "p", "token": "t"}, False),
        ({"user": "u", "account": "a", "database": "d", "password": "p", "private_key": "k"}, False),
        ({"user": "u", "account": "a", "database": "d", "password": "p", "protocol": "http", "host": "x"}, False),
    ],
)
def test_ways_to_log_in_by_the_names_of_other_targets(given, is_right):
    if is_right:
        assert "'p'" not in repr(Settings.model_validate(given))
        return
    with pytest.raises(ValidationError):
        Settings.model_validate(given)


def test_what_it_is_logged_in_with_is_told_to_the_driver_alone():
    key = {"private_key_file": "k.p8", "private_key_file_pwd": "hush-hush", "role": "R"}
    login = Account(Settings.model_validate(LOGIN | {"password": None} | key))._login()
    assert (login["private_key_file"], login["private_key_file_pwd"], login["role"]) == ("k.p8", "hush-hush", "R")
    assert not {"password", "host", "port", "authenticator"} & login.keys()
    oauth = Account(Settings.model_validate(LOGIN | {"password": None, "token": "hush-hush"}))._login()
    assert (oauth["authenticator"], oauth["token"]) == ("oauth", "hush-hush")
    assert "hush-hush" not in repr(Account(Settings.model_validate(LOGIN)))


@pytest.mark.parametrize("password", [None, b"hush-hush"])
def test_a_private_key_may_stand_in_the_settings(password):
    made = rsa.generate_private_key(65537, 2048)
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    want = made.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    given = LOGIN | {"password": None, "private_key_passphrase": password.decode() if password else None}
    for text in (pem, pem.replace("\n", r"\n"), "".join(pem.splitlines()[1:-1])):
        account = Account(Settings.model_validate(given | {"private_key": text}))
        assert account._login()["private_key"] == want
        assert pem.splitlines()[1] not in repr(account.settings)
    for wrong in (pem[:200], "hush-hush", "private_key"):
        account = Account(Settings.model_validate(given | {"private_key": wrong}))
        with pytest.raises(ConfigError, match=r"^private_key: it can't be read") as refused:
            account.open()
        assert refused.value.__cause__ is None


def test_a_tag_is_sent_beside_a_statement_and_stays_the_same_account_s_in_another_process():
    destination = pickle.loads(pickle.dumps(open_destination("snowflake", LOGIN)))
    destination._label.pipeline, destination._label.checkpoint = "it's 表", 7

    class Told:
        def execute(self, *given, **named):
            self.given = given, named

    told = Told()
    destination._database.execute(told, "SELECT ?", [1])
    tag = '{"app": "tailrace", "pipeline": "it\'s 表", "checkpoint": 7}'
    assert told.given == (("SELECT ?", (1,)), {"_statement_params": {"QUERY_TAG": tag}})
    destination._waiting._files._account.execute(told, "SELECT 1")
    assert told.given == (("SELECT 1", None), {"_statement_params": {"QUERY_TAG": tag}})


def test_a_layout_and_a_case_that_can_not_be_had():
    with pytest.raises(ConfigError, match="Snowflake has no indexes"):
        open_destination("snowflake", LOGIN | {"design": {"*": {"indexes": [["id"]]}}})
    assert open_destination("snowflake", LOGIN).traits.case_sensitive
    assert not open_destination("snowflake", LOGIN | {"disable_double_quotes": True}).traits.case_sensitive


@pytest.mark.parametrize(
    ("number", "state", "words", "passes", "rows"),
    [
        (250003, None, "Failed to execute request", True, False),
        (250001, "08001", "Could not connect to Snowflake backend", True, False),
        (250001, "08001", "Incorrect username or password was specified.", False, False),
        (
            625,
            "57014",
            "Statement was aborted because the number of waiters for this lock exceeds the limit",
            True,
            False,
        ),
        (100072, "22000", 'NULL result in a non-nullable column "x"', False, True),
        (100038, "22018", "Numeric value 'secret' is not recognized", False, True),
        (2003, "42S02", "Object 'T' does not exist or not authorized.", False, False),
    ],
)
def test_errors_are_told_apart_and_tell_no_values(number, state, words, passes, rows):
    error = snowflake.account.Error(msg=words, errno=number, sqlstate=state)
    assert (RULES.is_transient(error), RULES.is_about_rows(error)) == (passes, rows)
    assert "secret" not in RULES.said(error)
