"""Snowflake's destination does what every destination does, as far as what stands in for Snowflake can tell."""

import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import snowflake.connector
from live import of_snowflake

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject, behaviours
from tailrace.testing.messages import INT, TEXT, record, schema

CASE = "what stands in compares names without their case: `002003 (42S02): ... with name ... already exists!`"
QUOTES = "what stands in takes no quote in a table's name: `000603 (XX000): ParserException: ... unterminated string`"

LACKS = of_snowflake.LACKS | {
    "keeps_the_digits_of_numbers_inside_json": "what stands in makes doubles of numbers within PARSE_JSON",
    "names_that_differ_in_case_alone_are_two_or_refused": CASE,
    "tables_that_differ_in_case_alone_are_two_or_refused": CASE,
    "hostile_names_are_tables_as_they_are": QUOTES,
    "hostile_names_are_replaced_and_deleted_from": QUOTES,
}


@pytest.fixture
def subject(snowflake_server):
    url = snowflake_server.database()
    database = urlsplit(url).path.split("/")[1]
    with closing(snowflake.connector.connect(**snowflake_server.login, database=database)) as connection:
        yield Subject(
            open=lambda: open_destination(url, {}),
            rows=lambda table, schema=None: of_snowflake.read(connection, table, schema or "PUBLIC"),
            lacks=LACKS,
        )
    snowflake_server.drop(url)


# What stands in takes its time: `make test` leaves to `make newest` what least depends on Snowflake.
EACH_TIME = {*behaviours(("kinds", "methods", "versions", "refusals", "checkpoints", "contract"))}
CASES = [each if each in EACH_TIME else pytest.param(each, marks=pytest.mark.newest) for each in BEHAVIOURS]


@pytest.mark.parametrize("behaviour", CASES)
def test_snowflake(behaviour, subject):
    behaviour(subject)


def test_tables_in_capitals_are_found_again(snowflake_server):
    url = snowflake_server.database()
    sent = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": 1, "name": "a"})]
    for _ in range(2):
        report = load((json.dumps(message).encode() for message in sent), url, pipeline="p", disable_double_quotes=True)
    assert report.streams["things"].updated == 1
    database = urlsplit(url).path.split("/")[1]
    with snowflake.connector.connect(**snowflake_server.login, database=database, schema="PUBLIC") as connection:
        found = connection.cursor().execute("SELECT id, name FROM things")
        assert [column.name for column in found.description] == ["ID", "NAME"]
        assert found.fetchall() == [(1, "a")]
