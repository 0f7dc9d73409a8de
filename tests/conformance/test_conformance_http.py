"""A REST endpoint takes what tables take, as far as it can; what it holds is read from the endpoint itself."""

import base64
import datetime as dt
import json
from contextlib import suppress
from decimal import Decimal

import pytest
from services.rest import rest

from tailrace.destinations import open_destination
from tailrace.destinations.http.destination import HttpDestination
from tailrace.model import Kind
from tailrace.testing import BEHAVIOURS, REPLACEMENTS, Subject

NO_TABLE = "an endpoint has no table that is replaced, and none that remembers its key"
NO_VERSION = "an endpoint's rows can't be deleted or marked by their version"
NO_TYPE = "an endpoint has no columns of a type, which a schema could break or change: a field is sent as it is"
NO_IGNORING = "an endpoint replaces the row of a key; insert_ignore is refused"
NO_KEEPING = "an endpoint gets the last row of a key as a whole, and nothing of what comes before it in its checkpoint"
LACKS = {
    **dict.fromkeys(REPLACEMENTS, NO_TABLE),
    "replace_takes_a_table_of_another_method_over": NO_TABLE,
    "replace_with_a_key_keeps_the_last_line": NO_TABLE,
    "a_replaced_table_has_nothing_that_is_deleted": NO_TABLE,
    "hostile_names_are_replaced_and_deleted_from": NO_TABLE,
    "tables_stand_in_a_schema_by_a_template": NO_TABLE,
    "insert_ignore_keeps_the_row_that_is_there": NO_IGNORING,
    "insert_ignore_keeps_the_first_of_a_checkpoint": NO_IGNORING,
    "insert_ignore_deletes_what_is_marked_under_hard_delete": NO_IGNORING,
    "insert_ignore_deletes_what_no_schema_names": NO_IGNORING,
    "the_first_line_stays_under_insert_ignore_though_it_is_staged_last": NO_IGNORING,
    "streams_of_one_run_are_loaded_each_by_its_method": NO_IGNORING,
    "unique_constraints_are_a_key": NO_IGNORING,
    "a_row_that_is_deleted_and_comes_again_has_nothing_of_before": NO_IGNORING,
    "the_time_of_a_rows_creation_is_kept_on_update": NO_KEEPING,
    "an_update_keeps_creation_times_and_columns_that_the_stream_lacks_together": NO_KEEPING,
    "what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new": NO_KEEPING,
    "last_line_wins_across_schemas_of_one_checkpoint": NO_KEEPING,
    "an_activated_version_marks_rows_of_older_ones": NO_VERSION,
    "an_activated_version_deletes_rows_of_older_ones_under_hard_delete": NO_VERSION,
    "an_activation_takes_effect_between_the_records_of_one_checkpoint": NO_VERSION,
    "an_activation_does_not_depend_on_the_batches": NO_VERSION,
    "an_activation_does_not_reach_records_after_it": NO_VERSION,
    "several_activations_of_one_checkpoint_come_in_their_order": NO_VERSION,
    "an_activation_works_on_streams_without_key": NO_VERSION,
    "an_activation_leaves_other_streams_alone": NO_VERSION,
    "an_activation_without_records_empties_the_table": NO_VERSION,
    "an_activation_without_rows_takes_effect": NO_VERSION,
    "an_activation_leaves_rows_without_a_version": NO_VERSION,
    "a_marked_row_that_comes_again_is_unmarked": NO_VERSION,
    "a_column_that_cannot_be_altered_gets_another_beside_it": NO_TYPE,
    "a_contract_that_discards_columns_loads_the_others": NO_TYPE,
    "a_date_column_takes_timestamps": NO_TYPE,
    "a_failed_change_leaves_the_table_as_it_was": NO_TYPE,
    "a_frozen_contract_refuses_a_new_column": NO_TYPE,
    "a_frozen_contract_refuses_a_wider_kind": NO_TYPE,
    "a_key_that_becomes_text_finds_the_rows_that_wait": NO_TYPE,
    "a_narrower_kind_goes_into_a_wider_column": NO_TYPE,
    "a_value_leaves_the_column_beside_the_one_that_it_goes_into": NO_TYPE,
    "a_value_that_a_wider_column_would_change_is_refused": NO_TYPE,
    "an_integer_column_takes_floats": NO_TYPE,
    "an_update_into_the_column_beside_is_seen_there": NO_TYPE,
    "refused_rows_leave_nothing_staged": NO_TYPE,
    "rows_that_the_table_would_change_are_set_aside": NO_TYPE,
    "rows_that_the_table_would_change_end_the_run": NO_TYPE,
    "values_that_become_text_are_written_as_those_that_come_as_text_later": NO_TYPE,
    "a_table_that_stays_as_it_is_must_have_the_column_of_deletions": NO_TYPE,
}


@pytest.fixture(scope="module")
def endpoint():
    with rest() as server:
        yield server


@pytest.fixture
def subject(endpoint, tmp_path):
    kinds = {}
    endpoint.tables.clear()
    endpoint.keys.clear()
    endpoint.kept.clear()
    Noting.noted, Noting.keys = kinds, endpoint.keys
    settings = {
        "url": f"{endpoint.url}/results/{{table}}",
        "results": {"list": "/results", "status": "/status", "message": "/error/message"},
        "created_status": 201,
        "delete_url": f"{endpoint.url}/{{table}}/{{key}}",
        "checkpoints": str(tmp_path / "checkpoints"),
    }

    def rows(table, schema=None):
        name = f"{schema}.{table}" if schema else table
        found, columns = endpoint.tables.get(name, {}).values(), kinds.get(name, {})
        return [{n: value_of(columns[n], bytes(row[n])) if n in row else None for n in columns} for row in found]

    def opened():
        destination = open_destination("http", settings)
        return Noting(destination._settings)

    return Subject(open=opened, rows=rows, lacks=LACKS)


class Noting(HttpDestination):
    """Notes the kinds of columns, and has the endpoint know the keys."""

    def prepare(self, stream):
        super().prepare(stream)
        columns = self.noted.setdefault(str(stream.table), {})
        for column in stream.columns:
            columns.setdefault(column.name, []).insert(0, column.kind)
        if stream.is_merged:
            self.keys[str(stream.table)] = stream.key


def value_of(kinds, raw):
    """The value by the newest of the column's kinds that has such a one."""
    for kind in kinds if raw != b"null" else ():
        with suppress(ValueError, KeyError, ArithmeticError):
            return OF_JSON[kind](raw.decode())
    return None


def of_text(read):
    return lambda raw: read(json.loads(raw))


OF_JSON = {
    Kind.BOOL: {"true": True, "false": False}.__getitem__,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.DECIMAL: Decimal,
    Kind.TEXT: json.loads,
    Kind.JSON: str,
    Kind.BINARY: of_text(base64.b64decode),
    Kind.DATE: of_text(dt.date.fromisoformat),
    Kind.TIME: of_text(dt.time.fromisoformat),
    Kind.TIMESTAMP: of_text(dt.datetime.fromisoformat),
    Kind.TIMESTAMPTZ: of_text(dt.datetime.fromisoformat),
    Kind.UUID: json.loads,
}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_http(behaviour, subject):
    behaviour(subject)
