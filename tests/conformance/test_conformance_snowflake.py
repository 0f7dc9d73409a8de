"""Snowflake's destination does what every destination does, as far as what stands in for Snowflake can tell."""

import json
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
import snowflake.connector
from snowflake.connector.errors import ProgrammingError

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject
from tailrace.testing.messages import INT, TEXT, record, schema

INT_DIGITS = 19

CASE = "what stands in compares names without their case: `002003 (42S02): ... with name ... already exists!`"
QUOTES = "what stands in takes no quote in a table's name: `000603 (XX000): ParserException: ... unterminated string`"

LACKS = {
    "keeps_decimals_with_every_digit_after_the_point": "Snowflake has at most 37 digits after the point",
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
    connection = snowflake.connector.connect(**snowflake_server.login, database=database)

    def rows(table, schema=None):
        with connection.cursor() as cursor:
            try:
                cursor.execute("SELECT * FROM {}.{}".format(*map(quoted, (schema or "PUBLIC", table))))
            except ProgrammingError as error:
                if error.errno != 2003:
                    raise
                return []
            columns = cursor.description
            return [{c.name: plain(v, c) for c, v in zip(columns, row, strict=True)} for row in cursor.fetchall()]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS)
    connection.close()


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def plain(value, column):
    if isinstance(value, int) and not isinstance(value, bool) and column.precision != INT_DIGITS:
        return Decimal(value)
    return bytes(value) if isinstance(value, bytearray) else value


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
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
