"""Destinations whose tables or checkpoints aren't what their streams, settings and runs ask for."""

import json
from dataclasses import replace

from mutant import Mutant, kept, mapped

from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import FencedError, RowsRefusedError
from tailrace.model import LINE, Kind, Method, TableName

# Tables.


class AddsNoColumn(Mutant):
    noticed_by = ("a_new_column_is_added_and_null_in_older_rows",)

    def stream(self, stream):
        return replace(stream, contract="discard_columns")


class AddsColumnsToAFrozenTable(Mutant):
    noticed_by = ("a_frozen_contract_refuses_a_new_column", "a_frozen_contract_refuses_a_wider_kind")

    def stream(self, stream):
        return replace(stream, contract="evolve")


class DropsColumnsThatTheStreamLost(Mutant):
    noticed_by = ("a_column_that_the_stream_lost_is_kept", "an_update_leaves_columns_that_the_stream_lacks")

    def prepare(self, stream):
        super().prepare(stream)
        if table := self.table(stream):
            lost = {column.name for column in table.columns} - {column.name for column in stream.columns}
            table.columns = [column for column in table.columns if column.name not in lost]
            table.rows = [{n: value for n, value in row.items() if n not in lost} for row in table.rows]


class WidensByLosingValues(Mutant):
    noticed_by = ("an_integer_column_takes_text", "a_decimal_column_takes_more_digits")

    def prepare(self, stream):
        table = self.table(stream)
        before = list(table.columns) if table else []
        super().prepare(stream)
        for was, column in zip(before, table.columns if table else (), strict=False):
            for row in table.rows if was != column else ():
                row[column.name] = None


class RoundsWhatATableWouldChange(Mutant):
    noticed_by = ("a_value_that_a_wider_column_would_change_is_refused", "rows_that_the_table_would_change_end_the_run")

    def stage(self, batch):
        try:
            return super().stage(batch)
        except RowsRefusedError:
            return super().stage(mapped(batch, Kind.FLOAT, lambda value: round(value, 2)))


class NullsWhatATableWouldChange(Mutant):
    noticed_by = ("rows_that_the_table_would_change_end_the_run", "refused_rows_leave_nothing_staged")

    def stage(self, batch):
        try:
            return super().stage(batch)
        except RowsRefusedError as error:
            refused = error.reasons
            rows = batch.rows.to_pylist()
            return super().stage(kept(batch, [row if row[LINE] not in refused else row | {"n": None} for row in rows]))


class NamesTheRowAfterTheRefusedOne(Mutant):
    noticed_by = ("a_value_that_a_wider_column_would_change_is_refused", "refused_rows_leave_nothing_staged")

    def stage(self, batch):
        try:
            return super().stage(batch)
        except RowsRefusedError as error:
            raise RowsRefusedError(str(error), {line + 1: why for line, why in error.reasons.items()}) from error


class KeepsTheOtherRowsOfARefusedBatch(Mutant):
    noticed_by = ("refused_rows_leave_nothing_staged",)

    def __init__(self, right):
        super().__init__(right)
        self.half = ()

    def stage(self, batch):
        try:
            return super().stage(batch)
        except RowsRefusedError as error:
            fit = [row for row in batch.rows.to_pylist() if row[LINE] not in error.reasons]
            self.half += (super().stage(kept(batch, fit)),) if fit else ()
            raise

    def checkpoint(self, checkpoint):
        half, self.half = self.half, ()
        return replace(checkpoint, publish=(*checkpoint.publish, *half))


class WritesNamesInLowerCase(Mutant):
    noticed_by = ("preserved_names_keep_their_case", "hostile_names_are_columns_as_they_are")

    def stream(self, stream):
        columns = tuple(replace(column, name=column.name.lower()) for column in stream.columns)
        return replace(stream, columns=columns, key=tuple(name.lower() for name in stream.key))


class FindsTablesWithoutCase(Mutant):
    noticed_by = ("tables_that_differ_in_case_alone_are_two_or_refused",)

    def stream(self, stream):
        names = {name.lower(): name for _, name in self.right._place.tables}
        name = stream.table.name
        return replace(stream, table=replace(stream.table, name=names.get(name.lower(), name)))


class CutsLongNames(Mutant):
    noticed_by = ("long_tables_that_begin_alike_stay_apart",)

    def stream(self, stream):
        return replace(stream, table=replace(stream.table, name=stream.table.name[:63]))


class DropsQuotesFromNames(Mutant):
    noticed_by = ("hostile_names_are_tables_as_they_are", "hostile_names_are_replaced_and_deleted_from")

    def stream(self, stream):
        return replace(stream, table=replace(stream.table, name=stream.table.name.replace('"', "")))


class IgnoresTheSchema(Mutant):
    noticed_by = ("tables_stand_in_a_schema_by_a_template",)

    def stream(self, stream):
        return replace(stream, table=TableName(stream.table.name))


class LoadsColumnsByTheirPosition(Mutant):
    noticed_by = ("a_table_that_somebody_else_made_wider_is_loaded",)

    def stream(self, stream):
        table = self.table(stream)
        if table is None or stream.key:
            return stream
        names = [column.name for column in table.columns] + [column.name for column in stream.columns]
        placed = dict(zip((column.name for column in stream.columns), names, strict=False))
        return replace(stream, columns=tuple(replace(column, name=placed[column.name]) for column in stream.columns))


class UpdatesTimesOfCreation(Mutant):
    noticed_by = (
        "the_time_of_a_rows_creation_is_kept_on_update",
        "what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new",
    )

    def stream(self, stream):
        return replace(stream, columns=tuple(replace(column, keep=False) for column in stream.columns))


# Checkpoints.


class ForgetsTheState(Mutant):
    noticed_by = ("a_commit_is_remembered", "a_pipeline_remembers_its_last_state")

    def checkpoint(self, checkpoint):
        return replace(checkpoint, state=None)


class WritesTheStateAnew(Mutant):
    noticed_by = ("a_state_is_kept_to_the_letter",)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, state=checkpoint.state and json.dumps(json.loads(checkpoint.state)).encode())


class KeepsAStateThatIsTakenAway(Mutant):
    noticed_by = ("a_state_can_be_taken_from_a_pipeline_and_its_run_is_not_disturbed_by_questions",)

    def checkpoint(self, checkpoint):
        last = self.right._place.checkpoints.get(checkpoint.pipeline)
        return replace(checkpoint, state=last.state) if last and checkpoint.state is None else checkpoint


class TakesAPipelineOverWhereItIsAskedAboutIt(Mutant):
    noticed_by = ("a_state_can_be_taken_from_a_pipeline_and_its_run_is_not_disturbed_by_questions",)

    def remembered(self, pipeline):
        return self.recover(pipeline)


class ForgetsTheNumber(Mutant):
    noticed_by = ("a_commit_is_remembered", "an_empty_commit_is_a_checkpoint")

    def recover(self, pipeline):
        last = super().recover(pipeline)
        return last and replace(last, number=1)


class CountsCheckpointsByItself(Mutant):
    noticed_by = ("a_checkpoint_out_of_order_is_refused",)

    def checkpoint(self, checkpoint):
        last = self.right._place.checkpoints.get(checkpoint.pipeline)
        return replace(checkpoint, number=last.number + 1 if last else 1)


class HasOneStateForAllPipelines(Mutant):
    noticed_by = ("pipelines_do_not_know_of_each_other", "a_run_of_another_pipeline_fences_nobody")

    def recover(self, pipeline):
        return super().recover(pipeline if pipeline.startswith("~") else "all")

    def checkpoint(self, checkpoint):
        return replace(checkpoint, pipeline="all") if not checkpoint.pipeline.startswith("~") else checkpoint


class RemembersRunsWithoutPipeline(Mutant):
    noticed_by = ("a_run_without_pipeline_is_forgotten_at_its_end",)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, final=False)


class ForgetsAPipelineAtTheEndOfItsRun(Mutant):
    noticed_by = ("an_empty_commit_is_a_checkpoint", "a_pipeline_remembers_its_last_state")

    def commit(self, checkpoint):
        published = super().commit(checkpoint)
        if checkpoint.final:
            self.right._place.checkpoints.pop(checkpoint.pipeline, None)
        return published


OPENED = []
"""Those that another one's recover() might disturb."""


class DiscardsWhatAnyPipelineHasStaged(Mutant):
    noticed_by = ("recovering_a_pipeline_leaves_what_others_have_staged",)

    is_meant = staticmethod(lambda *_: True)

    def recover(self, pipeline):
        for other in OPENED:
            if other.right._place is self.right._place and self.is_meant(other.right._pipeline, pipeline):
                other.right._staged.clear()
        OPENED.append(self)
        return super().recover(pipeline)


class DiscardsByTheBeginningOfAName(DiscardsWhatAnyPipelineHasStaged):
    noticed_by = DiscardsWhatAnyPipelineHasStaged.noticed_by

    is_meant = staticmethod(str.startswith)


class ShowsRowsAfterTheirState(Mutant):
    noticed_by = ("a_state_is_told_when_its_records_are_visible", "staged_rows_are_invisible_before_the_commit")

    def __init__(self, right):
        super().__init__(right)
        self.late = {}

    def commit(self, checkpoint):
        self.show()
        before = {
            stream.table: list(self.table(stream).rows) for stream in self.staged().values() if self.table(stream)
        }
        published = super().commit(checkpoint)
        for name, rows in before.items():
            table = self.right._place.tables["", str(name)]
            self.late[str(name)], table.rows = table.rows, rows
        return published

    def close(self):
        self.show()
        super().close()

    def show(self):
        for name, rows in self.late.items():
            self.right._place.tables["", name].rows = rows
        self.late = {}


class ShowsRowsBeforeTheirCommit(Mutant):
    noticed_by = ("staged_rows_are_invisible_before_the_commit", "closing_discards_what_is_not_committed")

    def stage(self, batch):
        receipt = super().stage(batch)
        if (table := self.table(batch.stream)) and batch.stream.method is not Method.REPLACE:
            table.rows += batch.rows.drop_columns([LINE]).to_pylist()
        return receipt


class CommitsWhenItIsClosed(Mutant):
    noticed_by = ("closing_discards_what_is_not_committed", "recover_discards_what_no_commit_has_published")

    def close(self):
        for batch, _ in self.right._staged.values():
            self.table(batch.stream).rows += batch.rows.drop_columns([LINE]).to_pylist()
        super().close()


class KeepsStagedRowsThroughRecover(Mutant):
    noticed_by = ("recover_discards_what_the_same_instance_has_staged",)

    def recover(self, pipeline):
        staged = dict(self.right._staged)
        last = super().recover(pipeline)
        self.right._staged.update(staged)
        return last

    def checkpoint(self, checkpoint):
        known = {receipt.token: receipt for receipt in checkpoint.publish}
        found = self.right._staged
        return replace(
            checkpoint, publish=tuple(known.get(t) or replace(checkpoint.publish[0], token=t) for t in found)
        )


class IgnoresFences(Mutant):
    noticed_by = (
        "the_commit_of_a_run_that_was_overtaken_is_refused",
        "the_commit_of_rows_staged_before_the_run_was_overtaken_is_refused",
    )

    def commit(self, checkpoint):
        try:
            return super().commit(checkpoint)
        except FencedError:
            self.right._fence = self.right._place.fences[checkpoint.pipeline]
            last = self.right._place.checkpoints.get(checkpoint.pipeline)
            return super().commit(replace(checkpoint, number=last.number + 1 if last else 1))


class EmptiesATableThatIsPreparedAgain(Mutant):
    noticed_by = ("prepare_may_be_repeated",)

    def prepare(self, stream):
        super().prepare(stream)
        if table := self.table(stream):
            table.rows.clear()


class ForgetsItsSettingsInAPickle(Mutant):
    noticed_by = ("a_destination_can_be_pickled_before_use",)

    def __reduce__(self):
        return type(self), (MemoryDestination("elsewhere"),)


class HasLinesOfItsOwnInReceipts(Mutant):
    noticed_by = ("a_receipt_says_what_was_staged",)

    def stage(self, batch):
        return replace(super().stage(batch), first_line=1, last_line=batch.rows.num_rows)


class TakesEveryErrorForTransient(Mutant):
    noticed_by = ("an_unknown_error_is_not_transient",)

    def is_transient(self, _):
        return True


class CommitsTheStatesOfOtherTimes(Mutant):
    noticed_by = ("a_commit_is_remembered",)

    def checkpoint(self, checkpoint):
        return replace(checkpoint, at=checkpoint.at.replace(microsecond=0))
