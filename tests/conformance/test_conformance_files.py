"""Files do what every destination does, but merge; manifests and files are read by DuckDB and pyarrow alone."""

import base64
import csv
import datetime as dt
import gzip
import json
from decimal import Decimal
from urllib.parse import quote

import duckdb
import msgspec
import pytest
import zstandard

from tailrace.destinations import open_destination
from tailrace.testing import Subject, behaviours

NO_UPSERT = "rows of plain files aren't changed: streams with keys are appended, upsert is refused"
NO_DELETION = "rows of plain files aren't changed: neither marks nor versions delete any"
LACKS = {
    **dict.fromkeys(
        (
            "last_line_wins_when_a_key_repeats_in_one_batch",
            "last_line_wins_across_batches_of_one_checkpoint",
            "last_line_wins_across_checkpoints",
            "a_later_run_updates_the_rows_of_an_earlier_one",
            "an_update_sets_values_to_null",
            "loads_a_stream_whose_every_column_is_key",
            "composite_keys_are_compared_column_by_column",
            "composite_keys_that_are_one_text_when_joined_stay_apart",
            "the_order_of_a_key_is_not_the_order_of_the_columns",
            "integers_are_keys_to_their_last_digit",
            "texts_are_keys_to_their_last_byte",
            "texts_with_nul_are_keys",
            "booleans_are_keys",
            "dates_are_keys",
            "timestamps_are_keys_by_their_instant",
            "replace_takes_a_table_of_another_method_over",
            "decimals_are_keys_by_their_value",
            "replace_with_a_key_keeps_the_last_line",
            "integers_beyond_int64_are_keys",
            "uuids_are_keys_however_they_are_written",
            "takes_the_key_from_the_settings",
            "unique_constraints_are_a_key",
            "an_update_leaves_columns_that_the_stream_lacks",
            "streams_of_one_run_are_loaded_each_by_its_method",
            "upsert_counts_what_it_inserts_and_updates",
            "upsert_goes_into_a_table_that_was_appended_to",
            "a_method_that_needs_a_key_is_refused_without_one",
            "insert_ignore_keeps_the_row_that_is_there",
            "insert_ignore_keeps_the_first_of_a_checkpoint",
            "insert_ignore_deletes_what_is_marked_under_hard_delete",
            "a_deletion_needs_no_field_in_the_schema",
            "mages_field_of_deletions_deletes_too",
            "either_of_two_fields_deletes",
            "insert_ignore_deletes_what_no_schema_names",
            "a_replaced_table_has_nothing_that_is_deleted",
            "a_table_that_stays_as_it_is_must_have_the_column_of_deletions",
            "last_line_wins_across_schemas_of_one_checkpoint",
            "an_update_into_the_column_beside_is_seen_there",
            "a_schema_that_is_sent_again_changes_nothing",
            "a_row_that_is_deleted_and_comes_again_has_nothing_of_before",
            "a_value_leaves_the_column_beside_the_one_that_it_goes_into",
            "a_contract_that_discards_columns_loads_the_others",
            "long_columns_that_begin_alike_stay_apart",
            "reserved_words_are_columns",
            "the_time_of_a_rows_creation_is_kept_on_update",
            "an_update_keeps_creation_times_and_columns_that_the_stream_lacks_together",
            "names_of_system_columns_are_columns",
            "reserved_words_are_tables",
            "hostile_names_are_columns_as_they_are",
            "tables_stand_in_a_schema_by_a_template",
            "unknown_fields_become_columns",
            "hostile_names_are_tables_as_they_are",
            "many_small_checkpoints_are_as_one",
            "the_last_line_wins_though_it_is_staged_first",
            "the_first_line_stays_under_insert_ignore_though_it_is_staged_last",
            "a_commit_counts_what_it_did",
            "what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new",
        ),
        NO_UPSERT,
    ),
    **dict.fromkeys(
        (
            "keys_work_beside_versions",
            "a_marked_record_keeps_its_row_and_the_mark",
            "a_marked_record_deletes_its_row_under_hard_delete",
            "the_last_line_says_whether_a_row_is_deleted",
            "a_mark_is_understood_beside_metadata_columns",
            "deleting_a_row_that_is_not_there_does_nothing",
            "an_activated_version_marks_rows_of_older_ones",
            "an_activated_version_deletes_rows_of_older_ones_under_hard_delete",
            "an_activation_takes_effect_between_the_records_of_one_checkpoint",
            "an_activation_does_not_depend_on_the_batches",
            "an_activation_does_not_reach_records_after_it",
            "several_activations_of_one_checkpoint_come_in_their_order",
            "an_activation_works_on_streams_without_key",
            "an_activation_leaves_other_streams_alone",
            "an_activation_without_records_empties_the_table",
            "a_marked_row_that_comes_again_is_unmarked",
            "hostile_names_are_replaced_and_deleted_from",
            "an_activation_without_rows_takes_effect",
            "an_activation_leaves_rows_without_a_version",
        ),
        NO_DELETION,
    ),
}


TEXT_VARIES = frozenset({"kinds", "texts", "evolution", "names", "columns", "checkpoints"})
VARIES = {
    "parquet": None,
    # How values, nulls and names are written, in files of any size and of columns that change; where, it is the same.
    "csv": TEXT_VARIES,
    # As CSV, with names in each line.
    "jsonl": TEXT_VARIES,
    # How objects are listed, put if absent and removed, and their keys; what is in them is the same.
    "s3": frozenset({"methods", "names", "refusals", "checkpoints", "contract"}),
}
CASES = [(subject, behaviour) for subject, varies in VARIES.items() for behaviour in behaviours(varies)]


@pytest.fixture
def subject(request, tmp_path):
    root = tmp_path / "lake"
    if request.param == "s3":
        server = request.getfixturevalue("s3_server")
        bucket = server.bucket()
        url = f"s3://{bucket}/lake?{server.query}"
    else:
        compression = {"csv": "&compression=gzip", "jsonl": "&compression=zstd"}.get(request.param, "")
        url = f"files://{quote(str(root))}?format={request.param}{compression}"

    def rows(table, schema=None):
        if request.param == "s3":
            server.download(bucket, "lake", root)
        return listed_rows(root, table, schema)

    return Subject(open=lambda: open_destination(url, {}), rows=rows, lacks=LACKS, varies=VARIES[request.param])


def listed_rows(root, table, schema):
    """The rows of the files that manifests list, by the columns that they name."""
    entries = [json.loads(path.read_bytes()) for path in root.glob("_tailrace/*/*.json")]
    entries.sort(key=lambda entry: (entry.get("at", ""), entry["sequence"]))
    changes = [c for e in entries for c in e.get("tables", ()) if (c["table"], c.get("schema")) == (table, schema)]
    voids = {path for change in changes for path in change.get("voids", ())}
    columns = {}
    for change in changes:
        columns = {} if change.get("replace") else columns
        columns |= {column["name"]: column["kind"] for column in change["columns"]}
    files = [file["path"] for change in changes for file in change.get("files", ()) if file["path"] not in voids]
    found = [row for path in files for row in file_rows(root / path, columns)]
    return [{name: row.get(name) for name in columns} for row in found]


def file_rows(path, kinds):
    """A file's rows; a value that is text in it is read by its column's kind."""
    if path.suffix == ".zst":
        with zstandard.open(path) as file:
            lines = file.read().split(b"\n")[:-1]
        raws = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines]
        return [
            {n: None if bytes(v) == b"null" else OF_JSON[kinds[n]](bytes(v)) for n, v in row.items()} for row in raws
        ]
    if path.suffix == ".gz":
        with gzip.open(path, "rt") as lines:
            names = next(csv.reader(lines))
        reading = (
            "read_csv(?, auto_detect = false, delim = ',', quote = '\"', escape = '\"', header = true, columns = ?"
        )
        null = "NULL" if len(names) == 1 and kinds[names[0]] in TEXTS else ""
        found = duckdb.execute(
            f"SELECT * FROM {reading}, new_line = '\\n', allow_quoted_nulls = ?, nullstr = '{null}')",
            [str(path), dict.fromkeys(names, "VARCHAR"), len(names) == 1 and not null],
        )
        rows = found.fetchall()
        return [
            {n: None if v is None else OF_CSV[kinds[n]](v) for n, v in zip(names, row, strict=True)} for row in rows
        ]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        cursor = connection.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, map(plain, row), strict=True)) for row in cursor.fetchall()]


def plain(value):
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo else value


def instant(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


OF_CSV = {
    "BOOL": lambda text: {"true": True, "false": False}[text],
    "INT": int,
    "FLOAT": float,
    "DECIMAL": Decimal,
    **dict.fromkeys(("TEXT", "JSON", "UUID"), str),
    "BINARY": base64.b64decode,
    "DATE": dt.date.fromisoformat,
    "TIME": dt.time.fromisoformat,
    "TIMESTAMP": dt.datetime.fromisoformat,
    "TIMESTAMPTZ": instant,
}
TEXTS = ("TEXT", "JSON", "UUID", "BINARY")
"""Kinds that are texts in CSV; null is NULL among them where they are a file's only column, and `""` among others."""

QUOTED = ("TEXT", "UUID", "BINARY", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ")
OF_JSON = {kind: lambda text, read=read: read(text.decode()) for kind, read in OF_CSV.items()} | {
    kind: lambda text, read=OF_CSV[kind]: read(json.loads(text)) for kind in QUOTED
}


@pytest.mark.parametrize(("subject", "behaviour"), CASES, indirect=["subject"])
def test_files(subject, behaviour):
    behaviour(subject)
