"""Destinations that lose, double, confuse or miscount rows."""

import sys
from dataclasses import replace

import pyarrow as pa
from mutant import Mutant, last_of_each

from tailrace.model import LINE, Activation, Fill, Method, Published

# Rows, and their counts.


class LosesTheLastRow(Mutant):
    noticed_by = ("append_keeps_every_record", "a_large_batch_is_loaded_whole")

    def batch(self, batch):
        return replace(batch, rows=batch.rows.slice(0, max(1, batch.rows.num_rows - 1)))


class LoadsTheLastRowTwice(Mutant):
    noticed_by = ("append_keeps_every_record", "a_batch_of_several_chunks_is_loaded_whole")

    def batch(self, batch):
        rows = batch.rows
        return replace(batch, rows=pa.concat_tables([rows, rows.slice(rows.num_rows - 1)]))


class StopsAfterThousandRows(Mutant):
    noticed_by = ("a_large_batch_is_loaded_whole",)

    def batch(self, batch):
        return replace(batch, rows=batch.rows.slice(0, 1000))


class LoadsTheFirstChunkOnly(Mutant):
    noticed_by = ("a_batch_of_several_chunks_is_loaded_whole",)

    def batch(self, batch):
        return replace(batch, rows=pa.Table.from_batches(batch.rows.to_batches()[:1]))


class TakesRowsThatLookAlikeForOne(Mutant):
    noticed_by = ("append_keeps_every_record",)

    def batch(self, batch):
        return last_of_each(batch, lambda row: str({**row, LINE: None}))


class WritesEachBatchOverTheOneBefore(Mutant):
    noticed_by = ("batches_are_staged_from_several_threads", "an_activation_does_not_depend_on_the_batches")

    def stage(self, batch):
        with self.right._place.lock:
            for token, (waiting, _) in list(self.right._staged.items()):
                if waiting.stream == batch.stream:
                    del self.right._staged[token]
            return super().stage(batch)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, publish=tuple(r for r in checkpoint.publish if r.token in self.right._staged))


class CountsNothing(Mutant):
    noticed_by = ("a_commit_counts_what_it_did", "append_keeps_every_record")

    def published(self, published):
        return dict.fromkeys(published, Published())


class CountsUpdatesAsInserts(Mutant):
    noticed_by = ("a_commit_counts_what_it_did", "upsert_counts_what_it_inserts_and_updates")

    def published(self, published):
        return {n: replace(p, inserted=p.inserted + p.updated, updated=0) for n, p in published.items()}


class CountsNoDeletions(Mutant):
    noticed_by = (
        "a_marked_record_deletes_its_row_under_hard_delete",
        "an_activation_without_rows_takes_effect",
        "replace_leaves_the_records_of_this_run_alone",
    )

    def published(self, published):
        return {name: replace(counts, deleted=0) for name, counts in published.items()}


# Keys: which rows are one row, and which line wins.


class ComparesKeysWithoutCase(Mutant):
    noticed_by = ("texts_are_keys_to_their_last_byte",)

    def batch(self, batch):
        key = batch.stream.key
        return last_of_each(batch, lambda row: [str(row[n]).casefold() for n in key].__repr__()) if key else batch


class ComparesKeysAsOneJoinedText(Mutant):
    noticed_by = ("composite_keys_that_are_one_text_when_joined_stay_apart",)

    def batch(self, batch):
        key = batch.stream.key
        return last_of_each(batch, lambda row: "".join(str(row[n]) for n in key)) if key else batch


class ComparesTheFirstColumnOfAKey(Mutant):
    noticed_by = ("composite_keys_are_compared_column_by_column",)

    def stream(self, stream):
        return replace(stream, key=stream.key[:1])


class LetsTheFirstLineWin(Mutant):
    noticed_by = ("last_line_wins_when_a_key_repeats_in_one_batch", "a_later_run_updates_the_rows_of_an_earlier_one")

    def stream(self, stream):
        return replace(stream, method=Method.INSERT_IGNORE) if stream.method is Method.UPSERT else stream


class LetsTheBatchThatIsStagedLastWin(Mutant):
    noticed_by = ("the_last_line_wins_though_it_is_staged_first",)

    def batch(self, batch):
        line = 1 + sum(waiting.rows.num_rows for waiting, _ in self.right._staged.values())
        lines = pa.chunked_array([range(line, line + batch.rows.num_rows)], pa.int64())
        at = batch.rows.schema.get_field_index(LINE)
        return replace(batch, rows=batch.rows.set_column(at, batch.rows.schema.field(at), lines))


class AppendsWhatHasAKey(Mutant):
    noticed_by = ("a_later_run_updates_the_rows_of_an_earlier_one", "upsert_goes_into_a_table_that_was_appended_to")

    def stream(self, stream):
        return replace(stream, method=Method.APPEND) if stream.method is Method.UPSERT else stream


class TakesAnyKey(Mutant):
    noticed_by = ("another_key_in_a_later_run_is_refused", "a_destination_by_itself_refuses_another_key")

    def stream(self, stream):
        self.right._keys.begin()
        if (table := self.table(stream)) and stream.method is not Method.REPLACE:
            table.key = stream.key
        return stream


# Methods.


class UpdatesWhatIsToBeIgnored(Mutant):
    noticed_by = ("insert_ignore_keeps_the_row_that_is_there", "insert_ignore_keeps_the_first_of_a_checkpoint")

    def stream(self, stream):
        return replace(stream, method=Method.UPSERT) if stream.method is Method.INSERT_IGNORE else stream


class AppendsWhatReplaces(Mutant):
    noticed_by = ("replace_leaves_the_records_of_this_run_alone", "replace_without_records_leaves_an_empty_table")

    def stream(self, stream):
        return replace(stream, method=Method.APPEND) if stream.method is Method.REPLACE else stream


class EmptiesTheTableBeforeItIsReplaced(Mutant):
    noticed_by = ("replace_is_not_visible_before_the_end",)

    def prepare(self, stream):
        super().prepare(stream)
        if stream.method is Method.REPLACE and (table := self.table(stream)):
            table.rows.clear()


class KeepsWhatAnUnfinishedReplacementHasLoaded(Mutant):
    noticed_by = ("a_replacement_is_of_all_rows_since_recover",)

    def recover(self, pipeline):
        tables = {name: table for name, table in self.right._place.tables.items() if name[0] == pipeline}
        last = super().recover(pipeline)
        self.right._place.tables |= tables
        return last


class ReplacesByTheLastCheckpointAlone(Mutant):
    noticed_by = ("a_replacement_is_of_all_rows_since_recover",)

    def checkpoint(self, checkpoint):
        for stream in self.staged().values():
            if stream.method is Method.REPLACE:
                self.right._place.tables[self.right._name(stream)].rows.clear()
        return checkpoint


class UpdatesNoValueToNull(Mutant):
    noticed_by = ("an_update_sets_values_to_null",)

    def commit(self, checkpoint):
        tables = [table for stream in self.staged().values() if (table := self.table(stream))]
        before = [list(map(dict, table.rows)) for table in tables]
        streams = self.staged().values()
        published = super().commit(checkpoint)
        for stream, rows in zip(streams, before, strict=False):
            for row, old in zip(self.table(stream).rows, rows, strict=False):
                row.update({name: old[name] for name, value in row.items() if value is None})
        return published


class UpdatesByDeleteAndInsert(Mutant):
    noticed_by = ("an_update_leaves_columns_that_the_stream_lacks", "upsert_counts_what_it_inserts_and_updates")

    def checkpoint(self, checkpoint):
        for batch, _ in self.right._staged.values():
            stream = batch.stream
            if stream.method is Method.UPSERT:
                keys = {tuple(row[n] for n in stream.key) for row in batch.rows.to_pylist()}
                table = self.table(stream)
                table.rows = [row for row in table.rows if tuple(row[n] for n in stream.key) not in keys]
        return checkpoint


# Versions and deletions.


class IgnoresActivations(Mutant):
    noticed_by = (
        "an_activated_version_marks_rows_of_older_ones",
        "an_activation_takes_effect_between_the_records_of_one_checkpoint",
    )

    def checkpoint(self, checkpoint):
        return replace(checkpoint, activate=())


class ActivatesBeforeAllRecords(Mutant):
    noticed_by = (
        "an_activation_takes_effect_between_the_records_of_one_checkpoint",
        "several_activations_of_one_checkpoint_come_in_their_order",
    )

    def checkpoint(self, checkpoint):
        return replace(checkpoint, activate=tuple(replace(a, line=0) for a in checkpoint.activate))


class ActivatesBehindAllRecords(Mutant):
    noticed_by = ("an_activation_does_not_reach_records_after_it",)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, activate=tuple(replace(a, line=sys.maxsize - 1) for a in checkpoint.activate))


class ActivatesTheVersionAfter(Mutant):
    noticed_by = ("an_activated_version_deletes_rows_of_older_ones_under_hard_delete",)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, activate=tuple(replace(a, version=a.version + 1) for a in checkpoint.activate))


class ActivatesInAllStreams(Mutant):
    noticed_by = ("an_activation_leaves_other_streams_alone",)

    def checkpoint(self, checkpoint):
        others = [s for s in self.staged().values() if s.versioned]
        activate = [Activation(s, a.version, a.line) for a in checkpoint.activate for s in others]
        return replace(checkpoint, activate=(*checkpoint.activate, *activate))


class TakesRowsWithoutVersionForOlder(Mutant):
    noticed_by = ("an_activation_leaves_rows_without_a_version",)

    def checkpoint(self, checkpoint):
        for stream in (activation.stream for activation in checkpoint.activate):
            version = stream.filled_with(Fill.TABLE_VERSION).name
            for row in self.table(stream).rows:
                row[version] = row[version] or 0
        return checkpoint


class DeletesWhatIsToBeMarked(Mutant):
    noticed_by = ("an_activated_version_marks_rows_of_older_ones", "a_marked_record_keeps_its_row_and_the_mark")

    def stream(self, stream):
        return replace(stream, hard_delete=True)


class MarksWhatIsToBeDeleted(Mutant):
    noticed_by = (
        "an_activated_version_deletes_rows_of_older_ones_under_hard_delete",
        "a_marked_record_deletes_its_row_under_hard_delete",
        "a_deletion_needs_no_field_in_the_schema",
    )

    def stream(self, stream):
        return replace(stream, hard_delete=False)
