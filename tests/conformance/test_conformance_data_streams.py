"""OpenSearch's data streams do what they can of what every destination does, on a real server."""

import pytest
from reading_search import client_of, index_of, rows

from tailrace.destinations import open_destination
from tailrace.testing import BEHAVIOURS, DELETIONS, REPLACEMENTS, UPSERTS, Subject

KEYED = (
    "refuses_a_null_in_a_key",
    "refuses_a_record_without_its_key",
    "a_key_in_another_order_is_the_same",
    "a_stream_without_records_has_its_table",
    "a_mark_keeps_the_time_of_the_first_activation",
    "a_new_column_is_added_and_null_in_older_rows",
    "a_failed_change_leaves_the_table_as_it_was",
    "an_integer_column_takes_text",
    "an_integer_column_takes_decimals",
    "a_decimal_column_takes_more_digits",
    "an_integer_column_takes_floats",
    "values_that_become_text_are_written_as_those_that_come_as_text_later",
    "a_key_that_becomes_text_finds_the_rows_that_wait",
    "a_date_column_takes_timestamps",
    "a_table_is_found_again_under_a_preserved_name",
    "singer_metadata_is_added",
    "metadata_comes_to_a_table_that_has_none",
    "unknown_fields_widen",
    "flattened_objects_are_columns",
    "columns_are_renamed_retyped_and_left_out_by_settings",
    "records_that_break_their_schema_are_set_aside",
    "rows_that_the_table_would_change_are_set_aside",
    "a_state_is_told_when_its_records_are_visible",
    "a_large_batch_is_loaded_whole",
    "staged_rows_are_invisible_before_the_commit",
    "a_receipt_says_what_was_staged",
    "a_destination_can_be_pickled_before_use",
    "recover_discards_what_no_commit_has_published",
    "plans_of_a_stream_take_turns",
    "a_commit_is_remembered",
    "closing_discards_what_is_not_committed",
    "a_run_without_pipeline_is_forgotten_at_its_end",
    "the_commit_of_rows_staged_before_the_run_was_overtaken_is_refused",
    "the_commit_of_a_run_that_was_overtaken_is_refused",
    "a_run_of_another_pipeline_fences_nobody",
    "recovering_a_pipeline_leaves_what_others_have_staged",
    "prepare_may_be_repeated",
    "a_commit_may_come_from_another_thread_than_recover",
    "batches_are_staged_from_several_threads",
)
"""Behaviours whose streams have a key besides what they are about."""

ONLY_ADDED = "documents of a data stream are only added, and a stream with a key is refused"
LACKS = dict.fromkeys((*UPSERTS, *DELETIONS, *REPLACEMENTS, *KEYED), ONLY_ADDED) | {
    "tables_that_differ_in_case_alone_are_two_or_refused": "names are in lower case; two streams of one are refused",
}


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
