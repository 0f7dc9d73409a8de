"""OpenSearch's data streams do what they can of what every destination does, on a real server."""

import pytest
from reading_search import client_of, index_of, rows

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, DELETIONS, REPLACEMENTS, UPSERTS, Subject

LACKS = dict.fromkeys((*UPSERTS, *DELETIONS, *REPLACEMENTS), "documents of a data stream are only added")


@pytest.fixture(scope="module")
def client(opensearch_server):
    with client_of("opensearch", opensearch_server.url) as client:
        yield client


@pytest.fixture
def subject(opensearch_place, client):
    url, prefix = opensearch_place
    port = int(url.rpartition(":")[2])
    settings = {"host": "127.0.0.1", "port": port, "prefix": prefix, "data_streams": True}

    def read(table, schema=None):
        return rows(client, f"{prefix}{index_of(table, schema)}")

    return Subject(open=lambda: open_destination("opensearch", settings), rows=read, lacks=LACKS)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_data_streams(behaviour, subject):
    behaviour(subject)
