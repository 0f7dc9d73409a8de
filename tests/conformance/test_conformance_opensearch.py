"""OpenSearch does what every destination does, on a real server; documents are read by its own client alone."""

import pytest
from reading_search import client_of, index_of, rows

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject

LACKS = {
    "upsert_goes_into_a_table_that_was_appended_to": "documents that were appended have ids that no key makes",
    "tables_stand_in_a_schema_by_a_template": "documents that were appended have ids that no key makes",
    "hostile_names_are_columns_as_they_are": "a dot in a field's name makes an object of it",
    "hostile_names_are_tables_as_they_are": "an index can't have all characters in its name; they become _",
    "tables_that_differ_in_case_alone_are_two_or_refused": "indices are in lower case; two streams of one are refused",
}


@pytest.fixture(scope="module")
def client(opensearch_server):
    with client_of("opensearch", opensearch_server.url) as client:
        yield client


@pytest.fixture
def subject(opensearch_place, client):
    url, prefix = opensearch_place
    settings = {"host": "127.0.0.1", "port": int(url.rpartition(":")[2]), "prefix": prefix}

    def read(table, schema=None):
        return rows(client, f"{prefix}{index_of(table, schema)}")

    return Subject(open=lambda: open_destination("opensearch", settings), rows=read, lacks=LACKS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_opensearch(behaviour, subject):
    behaviour(subject)
