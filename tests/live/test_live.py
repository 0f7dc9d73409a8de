"""A part of the conformance suite on warehouses that only an account has, each in a schema of its own.

They run where the environment says how to log in, and cost what warehouses cost. With TAILRACE_LIVE=all it is the whole
suite.
"""

import os

import of_bigquery
import of_snowflake
import pytest

from tailrace.testing import BEHAVIOURS

WAREHOUSES = {
    "bigquery": (of_bigquery.VARIABLE, of_bigquery.empty_dataset),
    "snowflake": (of_snowflake.VARIABLE, of_snowflake.empty_schema),
}
"""By name: the variable that says how to log in, and what gives a Subject of its value."""

CHOSEN = {
    "a_column_that_the_stream_lost_is_kept",
    "a_commit_counts_what_it_did",
    "a_large_batch_is_loaded_whole",
    "a_later_run_updates_the_rows_of_an_earlier_one",
    "a_marked_record_deletes_its_row_under_hard_delete",
    "a_new_column_is_added_and_null_in_older_rows",
    "a_pipeline_remembers_its_last_state",
    "an_activated_version_deletes_rows_of_older_ones_under_hard_delete",
    "an_integer_column_takes_text",
    "append_keeps_every_record",
    "converts_timestamps_with_an_offset_to_utc",
    "hostile_names_are_replaced_and_deleted_from",
    "insert_ignore_keeps_the_first_of_a_checkpoint",
    "keeps_control_characters_and_noncharacters",
    "keeps_decimals_of_38_digits",
    "keeps_emoji_and_cjk_text",
    "keeps_every_byte",
    "keeps_json_objects_and_arrays",
    "keeps_null_in_every_kind",
    "keeps_quotes_backslashes_and_newlines",
    "keeps_text_that_looks_like_another_value",
    "keeps_times_to_the_microsecond",
    "keeps_timestamps_from_year_1_to_9999",
    "last_line_wins_across_batches_of_one_checkpoint",
    "names_that_differ_in_case_alone_are_two_or_refused",
    "replace_leaves_the_records_of_this_run_alone",
    "replace_takes_the_columns_of_this_run",
    "replace_with_a_key_keeps_the_last_line",
    "the_commit_of_a_run_that_was_overtaken_is_refused",
    "the_last_line_says_whether_a_row_is_deleted",
}
"""Each way of loading, kinds that warehouses are known to change, and two runs."""

IS_WHOLE = os.environ.get("TAILRACE_LIVE") == "all"


@pytest.fixture(params=WAREHOUSES)
def subject(request):
    """A schema of its own in the warehouse's account."""
    variable, opened = WAREHOUSES[request.param]
    if not (given := os.environ.get(variable)):
        pytest.skip(f"there is no account of {request.param}: {variable} isn't set")
    with opened(given) as subject:
        yield subject


@pytest.mark.live
@pytest.mark.parametrize("behaviour", [each for each in BEHAVIOURS if IS_WHOLE or each.__name__ in CHOSEN])
def test_live(behaviour, subject):
    behaviour(subject)


def test_every_behaviour_that_is_chosen_is_there():
    assert {behaviour.__name__ for behaviour in BEHAVIOURS} >= CHOSEN
