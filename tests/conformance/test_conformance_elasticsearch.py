"""Elasticsearch does what every destination does, on a real server; documents are read by its own client alone."""

import pytest
from reading_search import client_of, index_of, rows

from tailrace.destinations import open_destination
from tailrace.testing import Subject, behaviours

LACKS = {
    "hostile_names_are_columns_as_they_are": "a dot in a field's name makes an object of it",
    "hostile_names_are_tables_as_they_are": "an index can't have all characters in its name; they become _",
    "tables_that_differ_in_case_alone_are_two_or_refused": "indices are in lower case; two streams of one are refused",
}

OF_ENGINE = frozenset({"kinds", "checkpoints", "contract", "refusals"})
"""What the engine and its client can do otherwise than OpenSearch and its own, which runs all themes."""


@pytest.fixture(scope="module")
def client(elasticsearch_server):
    with client_of("elasticsearch", elasticsearch_server.url) as client:
        yield client


@pytest.fixture
def subject(elasticsearch_place, client):
    url, prefix = elasticsearch_place
    settings = {"host": "127.0.0.1", "port": int(url.rpartition(":")[2]), "prefix": prefix}

    def read(table, schema=None):
        return rows(client, f"{prefix}{index_of(table, schema)}")

    return Subject(open=lambda: open_destination("elasticsearch", settings), rows=read, lacks=LACKS, varies=OF_ENGINE)


@pytest.mark.parametrize("behaviour", behaviours(OF_ENGINE))
def test_elasticsearch(behaviour, subject):
    behaviour(subject)
