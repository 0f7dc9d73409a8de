"""BigQuery under the conformance suite: how its tables are read, what is lacking, and a dataset of a project."""

import json
import secrets
from contextlib import closing, contextmanager

from google.api_core.exceptions import NotFound

from tailrace.destinations import bigquery, open_destination
from tailrace.destinations.bigquery.project import Project
from tailrace.testing import Subject

VARIABLE = "TAILRACE_LIVE_BIGQUERY"
"""The address of a project, or its settings by name as JSON; `dataset` is made and dropped, whatever it says."""

NAMES = "BigQuery takes no quotes, points and brackets in names, and each becomes a `_`: two names may become one"
LACKS = {
    "keeps_the_digits_of_numbers_inside_json": "BigQuery keeps integers of 64 bits and doubles, and refuses others",
    "hostile_names_are_columns_as_they_are": NAMES,
    "hostile_names_are_tables_as_they_are": NAMES,
    "hostile_names_are_replaced_and_deleted_from": NAMES,
}
"""What BigQuery itself lacks."""
ELSEWHERE = {"tables_stand_in_a_schema_by_a_template": "it makes a dataset of a name that the project may have"}


def read(client, table, dataset):
    """All rows of a table, as the suite wants them; none where it isn't there."""
    try:
        client.get_table(f"{dataset}.{table}")
    except NotFound:
        return []
    found = client.query(f"SELECT * FROM `{dataset}`.`{table}`").result()
    is_json = {field.name: field.field_type == "JSON" for field in found.schema}
    return [{n: json.dumps(v) if is_json[n] and v is not None else v for n, v in row.items()} for row in found]


def settings_of(given, dataset):
    """The settings in an address or in JSON, with that dataset."""
    return (json.loads(given) if given.startswith("{") else bigquery.from_url(given)) | {"dataset": dataset}


@contextmanager
def empty_dataset(given, name="", **more):
    """A dataset of the project for one test, which drops it; nothing of it is there yet."""
    name = name or f"tailrace_live_{secrets.token_hex(8)}"
    settings = settings_of(given, name) | more
    with closing(Project(bigquery.Settings.model_validate(settings)).client()) as client:
        try:
            yield Subject(
                open=lambda: open_destination("bigquery", settings),
                rows=lambda table, schema=None: read(client, table, schema or name),
                lacks=LACKS | ELSEWHERE,
            )
        finally:
            client.delete_dataset(name, delete_contents=True, not_found_ok=True)
