"""BigQuery's destination does what every destination does, as far as what stands in for BigQuery can tell."""

import json
from urllib.parse import urlsplit

import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud.bigquery import Client

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, Subject, behaviours

NAMES = "BigQuery takes no quotes, points and brackets in names, and each becomes a `_`: two names may become one"
IDS = "what stands in takes no space in a table's name: `400 Invalid table id for SQL: 'My Things'`"

LACKS = {
    "keeps_the_digits_of_numbers_inside_json": "BigQuery keeps integers of 64 bits and doubles, and refuses others",
    "hostile_names_are_columns_as_they_are": NAMES,
    "hostile_names_are_tables_as_they_are": NAMES,
    "hostile_names_are_replaced_and_deleted_from": NAMES,
    "a_table_is_found_again_under_a_preserved_name": IDS,
}


@pytest.fixture
def subject(bigquery_server):
    url, client = bigquery_server.database(), reader(bigquery_server)
    dataset = urlsplit(url).path[1:]

    def rows(table, schema=None):
        try:
            client.get_table(f"{schema or dataset}.{table}")
        except NotFound:
            return []
        found = client.query(f"SELECT * FROM `{schema or dataset}`.`{table}`").result()
        is_json = {field.name: field.field_type == "JSON" for field in found.schema}
        return [{n: json.dumps(v) if is_json[n] and v is not None else v for n, v in row.items()} for row in found]

    yield Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS)
    client.close()
    bigquery_server.drop(dataset)


def reader(server):
    """A client that reads what is there."""
    options = ClientOptions(api_endpoint=server.endpoint)
    return Client(server.project, AnonymousCredentials(), client_options=options)


# What stands in answers forty requests a load: `make test` leaves to `make newest` what least depends on BigQuery.
EACH_TIME = {*behaviours(("kinds", "methods", "versions", "refusals", "checkpoints", "contract"))}
CASES = [each if each in EACH_TIME else pytest.param(each, marks=pytest.mark.newest) for each in BEHAVIOURS]


@pytest.mark.parametrize("behaviour", CASES)
def test_bigquery(behaviour, subject):
    behaviour(subject)
