"""Behaviours: the promises of recover, prepare, stage, commit, is_transient and close, each by itself."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from tailrace.destination import Destination
from tailrace.errors import DestinationError, FencedError, RowsRefusedError, TailraceError
from tailrace.model import Activation, Column, Fill, Kind, Method, Published
from tailrace.testing.messages import THINGS, raises, things
from tailrace.testing.parts import AT, ID, NAME, PIPELINE, batch, checkpoint, commit_rows, stream
from tailrace.testing.subject import Subject

_STREAM = stream()
_LOG = stream(key=())


def a_destination_says_what_it_is_like_without_a_connection(subject: Subject) -> None:
    """Its traits are plain data."""
    with _opened(subject) as destination:
        traits = destination.traits
    assert traits.name
    assert traits.guarantee
    assert traits.methods
    assert traits.max_name_length >= 30


def a_destination_can_be_pickled_before_use(subject: Subject) -> None:
    """Its copy works on the same place."""
    with _opened(subject) as original:
        pickled = pickle.dumps(original)
    copy = pickle.loads(pickled)  # noqa: S301 it was made a line before
    try:
        commit_rows(copy, _STREAM, (1, "a"))
    finally:
        copy.close()
    assert things(subject, "id", "name") == [(1, "a")]


def a_pipeline_that_has_never_run_has_no_checkpoint(subject: Subject) -> None:
    """Nor after it was recovered without committing anything."""
    for _ in range(2):
        with _opened(subject) as destination:
            assert destination.recover(PIPELINE) is None


def staged_rows_are_invisible_before_the_commit(subject: Subject) -> None:
    """Keyed and not; all of them are visible after it."""
    log = stream(key=(), name="log")
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        for one in (_STREAM, log):
            destination.prepare(one)
        receipts = [destination.stage(batch(one, (1, "a"), (2, "b"))) for one in (_STREAM, log)]
        assert subject.rows(THINGS) == subject.rows("log") == []
        destination.commit(checkpoint(*receipts))
        assert len(subject.rows(THINGS)) == len(subject.rows("log")) == 2


def what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new(subject: Subject) -> None:
    """As if there were a checkpoint behind each line; a row that is deleted and comes again is new."""
    made, gone = Column("made", ("made",), Kind.TEXT, keep=True), Column("gone", ("_sdc_deleted_at",), Kind.TIMESTAMPTZ)
    keeping, now = stream(ID, NAME, made, gone, hard_delete=True), datetime(2024, 1, 31, tzinfo=UTC)
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        rows = [(1, "a", "mon", None), (1, "b", "tue", None), (2, "a", "mon", None), (2, "a", "tue", now)]
        rows += [(2, "c", "wed", None), (2, "d", "thu", None), (3, "e", "mon", None), (3, "e", "tue", now)]
        destination.prepare(keeping)
        published = destination.commit(checkpoint(destination.stage(batch(keeping, *rows))))
    assert things(subject, "id", "name", "made") == [(1, "b", "mon"), (2, "d", "wed")]
    assert published == {THINGS: Published(inserted=2, deduplicated=5, removals=1)}


def a_receipt_says_what_was_staged(subject: Subject) -> None:
    """Stream, checkpoint, rows and lines."""
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (1, "a"), (2, "b"), first_line=7))
    assert (receipt.stream, receipt.checkpoint, receipt.rows) == (_STREAM, 1, 2)
    assert (receipt.first_line, receipt.last_line) == (7, 8)


def a_batch_of_several_chunks_is_loaded_whole(subject: Subject) -> None:
    """Arrow's chunks may be parts of larger ones, with values and nulls of their own before and behind them."""
    column = Column("is_open", ("is_open",), Kind.BOOL)
    opened = stream(ID, NAME, column, key=())
    rows = [(n, None if n % 3 == 0 else f"n{n}", None if n % 4 == 0 else n % 2 == 0) for n in range(24)]
    whole = batch(opened, *rows)
    chunks = [whole.rows.slice(first, count) for first, count in ((3, 4), (7, 1), (8, 11))]
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(opened)
        receipt = destination.stage(replace(whole, rows=pa.concat_tables(chunks)))
        destination.commit(checkpoint(receipt))
    assert receipt.rows == 16
    assert things(subject, "id", "name", "is_open") == rows[3:19]


def a_replacement_is_of_all_rows_since_recover(subject: Subject) -> None:
    """Those of earlier checkpoints of the run too, but none of a run that ended before it had replaced the table."""
    replacing = stream(key=(), method=Method.REPLACE)
    with _opened(subject) as destination:
        commit_rows(destination, _LOG, (1, "there"))
    with _opened(subject) as destination:
        commit_rows(destination, replacing, (2, "of a run that ended"))
    assert things(subject, "id") == [(1,)]
    with _opened(subject) as destination:
        commit_rows(destination, replacing, (3, "of its first checkpoint"))
        last = destination.stage(batch(replacing, (4, "of its last"), first_line=2, checkpoint=4))
        destination.commit(checkpoint(last, number=4, replace=(replacing,), final=True))
    assert things(subject, "id") == [(3,), (4,)]


def closing_discards_what_is_not_committed(subject: Subject) -> None:
    """And may be done twice."""
    destination = subject.open()
    destination.recover(PIPELINE)
    destination.prepare(_STREAM)
    destination.stage(batch(_STREAM, (1, "a")))
    destination.close()
    destination.close()
    assert subject.rows(THINGS) == []


def recover_discards_what_no_commit_has_published(subject: Subject) -> None:
    """Left by another run of the pipeline, keyed or not."""
    for one in (_STREAM, stream(key=(), name="log")):
        with _opened(subject) as destination:
            commit_rows(destination, one, (1, "a"))
            destination.stage(batch(one, (2, "b"), checkpoint=2))
    with _opened(subject) as destination:
        last = destination.recover(PIPELINE)
        assert last is not None
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (3, "c"), checkpoint=last.number + 1))
        destination.commit(checkpoint(receipt, number=last.number + 1))
    assert things(subject, "id") == [(1,), (3,)]
    assert [row["id"] for row in subject.rows("log")] == [1]


def recover_discards_what_the_same_instance_has_staged(subject: Subject) -> None:
    """A run may begin anew without being closed."""
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_LOG)
        destination.stage(batch(_LOG, (1, "a")))
        commit_rows(destination, _LOG, (2, "b"))
    assert things(subject, "id") == [(2,)]


def a_commit_is_remembered(subject: Subject) -> None:
    """Number, state and time; what it published isn't told again."""
    with _opened(subject) as destination:
        commit_rows(destination, _STREAM, (1, "a"))
        destination.commit(checkpoint(number=2, state=b'{"n":2}'))
    with _opened(subject) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert (last.pipeline, last.number, last.state) == (PIPELINE, 2, b'{"n":2}')
    assert last.at.astimezone(UTC) == AT
    assert (last.publish, last.activate, last.replace) == ((), (), ())


def a_state_is_kept_to_the_letter(subject: Subject) -> None:
    """Spaces, escapes, line ends, quotes, every script, digits; none at all; and a megabyte."""
    text = (
        '{ "b":1.50,\n"a" : "\\u0000\\ud83d\\ude00 😀 漢字 é e\u0301 \\\\ \'; --","n":12345678901234567890123,"x":{} }'
    )
    for number, told in enumerate((text.encode(), b"null", b'""', None, b'"' + b"x" * 2**20 + b'"'), start=1):
        with _opened(subject) as destination:
            destination.recover(PIPELINE)
            destination.commit(checkpoint(number=number, state=told))
        with _opened(subject) as destination:
            last = destination.recover(PIPELINE)
        assert last is not None
        assert (last.number, last.state) == (number, told)


def an_empty_commit_is_a_checkpoint(subject: Subject) -> None:
    """The last of a run, too."""
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        assert all(rows == Published() for rows in destination.commit(checkpoint(final=True)).values())
        assert destination.commit(checkpoint(number=2, final=True)) is not None
    with _opened(subject) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert last.number == 2


def a_run_without_pipeline_is_forgotten_at_its_end(subject: Subject) -> None:
    """Its rows stay."""
    name = "~0123456789abcdef"
    with _opened(subject) as destination:
        destination.recover(name)
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (1, "a")))
        destination.commit(checkpoint(receipt, pipeline=name))
        destination.commit(checkpoint(number=2, pipeline=name, final=True))
    with _opened(subject) as destination:
        assert destination.recover(name) is None
    assert things(subject, "id") == [(1,)]


def the_commit_of_a_run_that_was_overtaken_is_refused(subject: Subject) -> None:
    """Nothing of it becomes visible, and the newer run goes on."""
    with _opened(subject) as older, _opened(subject) as newer:
        commit_rows(older, _STREAM, (1, "a"))
        commit_rows(newer, _STREAM, (2, "b"))
        with raises(FencedError, PIPELINE):
            older.commit(checkpoint(older.stage(batch(_STREAM, (3, "c"), checkpoint=2)), number=2))
        older.close()
        newer.commit(checkpoint(newer.stage(batch(_STREAM, (4, "d"), checkpoint=3)), number=3))
    assert things(subject, "id") == [(1,), (2,), (4,)]


def the_commit_of_rows_staged_before_the_run_was_overtaken_is_refused(subject: Subject) -> None:
    """The newer run has only recovered, and committed nothing."""
    with _opened(subject) as older, _opened(subject) as newer:
        older.recover(PIPELINE)
        older.prepare(_STREAM)
        receipt = older.stage(batch(_STREAM, (1, "a")))
        newer.recover(PIPELINE)
        with raises(FencedError, PIPELINE):
            older.commit(checkpoint(receipt))
        older.close()
        assert subject.rows(THINGS) == []
        newer.prepare(_STREAM)
        newer.commit(checkpoint(newer.stage(batch(_STREAM, (2, "b")))))
    assert things(subject, "id") == [(2,)]


def a_run_of_another_pipeline_fences_nobody(subject: Subject) -> None:
    """Two of them load into one table, one after the other."""
    with _opened(subject) as one, _opened(subject) as other:
        one.recover(PIPELINE)
        commit_rows(other, _STREAM, (2, "b"), pipeline="another")
        one.prepare(_STREAM)
        one.commit(checkpoint(one.stage(batch(_STREAM, (1, "a")))))
    assert things(subject, "id") == [(1,), (2,)]


def recovering_a_pipeline_leaves_what_others_have_staged(subject: Subject) -> None:
    """Though the names are alike: one begins with the other, or matches it as a pattern, or differs in case."""
    with _opened(subject) as one:
        one.recover(PIPELINE)
        one.prepare(_STREAM)
        receipt = one.stage(batch(_STREAM, (1, "a")))
        for name in (PIPELINE[:4], f"{PIPELINE}2", f"{PIPELINE[:4]}%", f"{PIPELINE[:-1]}_", PIPELINE.upper()):
            with _opened(subject) as other:
                assert other.recover(name) is None
        one.commit(checkpoint(receipt))
    assert things(subject, "id") == [(1,)]


def a_checkpoint_out_of_order_is_refused(subject: Subject) -> None:
    """Numbers have no gaps and don't repeat."""
    for number in (1, 3):
        with _opened(subject) as destination:
            last = destination.recover(PIPELINE)
            if last is None:
                destination.commit(checkpoint())
            with raises(TailraceError):
                destination.commit(checkpoint(number=number))
    with _opened(subject) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert last.number == 1


def prepare_may_be_repeated(subject: Subject) -> None:
    """By one instance and by others, before and after rows are there."""
    for number in (1, 2):
        with _opened(subject) as destination:
            destination.recover(PIPELINE)
            destination.prepare(_STREAM)
            destination.prepare(_STREAM)
            receipt = destination.stage(batch(_STREAM, (number, "a"), checkpoint=number))
            destination.prepare(_STREAM)
            destination.commit(checkpoint(receipt, number=number))
            destination.prepare(_STREAM)
    assert things(subject, "id") == [(1,), (2,)]


def batches_are_staged_from_several_threads(subject: Subject) -> None:
    """Of two streams at once; all rows are there, once."""
    streams = (_STREAM, stream(key=(), name="log"))
    count, size = 8, 50
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        for one in streams:
            destination.prepare(one)
        batches = [
            batch(one, *((number, str(number)) for number in range(start, start + size)), first_line=start + 1)
            for one in streams
            for start in range(0, count * size, size)
        ]
        with ThreadPoolExecutor(count) as threads:
            receipts = list(threads.map(destination.stage, batches))
        published = destination.commit(checkpoint(*receipts))
    assert {name: rows.inserted for name, rows in published.items()} == {THINGS: count * size, "log": count * size}
    for name in (THINGS, "log"):
        assert sorted(str(row["id"]) for row in subject.rows(name)) == sorted(map(str, range(count * size)))


def a_commit_may_come_from_another_thread_than_recover(subject: Subject) -> None:
    """The runtime does so."""
    failed: list[BaseException] = []
    with _opened(subject) as destination:
        destination.recover(PIPELINE)

        def commit() -> None:
            try:
                destination.prepare(_STREAM)
                destination.commit(checkpoint(destination.stage(batch(_STREAM, (1, "a")))))
            except TailraceError as error:
                failed.append(error)

        thread = threading.Thread(target=commit)
        thread.start()
        thread.join()
    assert failed == []
    assert things(subject, "id") == [(1,)]


def the_last_line_wins_though_it_is_staged_first(subject: Subject) -> None:
    """The order of batches doesn't matter; lines do."""
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_STREAM)
        late = destination.stage(batch(_STREAM, (1, "late"), (2, "b"), first_line=100))
        early = destination.stage(batch(_STREAM, (1, "early"), (3, "c"), first_line=1))
        published = destination.commit(checkpoint(late, early))
    assert things(subject, "id", "name") == [(1, "late"), (2, "b"), (3, "c")]
    assert published[THINGS] == Published(inserted=3, deduplicated=1)


def the_first_line_stays_under_insert_ignore_though_it_is_staged_last(subject: Subject) -> None:
    """Likewise."""
    ignoring = stream(method=Method.INSERT_IGNORE)
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(ignoring)
        late = destination.stage(batch(ignoring, (1, "late"), first_line=100))
        early = destination.stage(batch(ignoring, (1, "early"), first_line=1))
        published = destination.commit(checkpoint(late, early))
    assert things(subject, "id", "name") == [(1, "early")]
    assert published[THINGS] == Published(inserted=1, ignored=1)


def a_commit_counts_what_it_did(subject: Subject) -> None:
    """Inserted, updated, deduplicated: together the rows that were staged."""
    with _opened(subject) as destination:
        commit_rows(destination, _STREAM, (1, "a"), (2, "b"))
        receipt = destination.stage(batch(_STREAM, (2, "c"), (3, "d"), (3, "e"), checkpoint=2))
        published = destination.commit(checkpoint(receipt, number=2))
    assert published[THINGS] == Published(inserted=1, updated=1, deduplicated=1)


def an_activation_without_rows_takes_effect(subject: Subject) -> None:
    """In a checkpoint that publishes nothing."""
    version = Column("v", (), Kind.INT, fill=Fill.TABLE_VERSION)
    versioned = stream(ID, version, hard_delete=True)
    with _opened(subject) as destination:
        commit_rows(destination, versioned, (1, 1), (2, 2))
        published = destination.commit(checkpoint(number=2, activate=(Activation(versioned, 2, 10),)))
    assert things(subject, "id") == [(2,)]
    assert published[THINGS] == Published(deleted=1)


def refused_rows_leave_nothing_staged(subject: Subject) -> None:
    """Neither the batch's other rows; what was staged before, and is staged after, is committed."""
    amount = Column("n", ("n",), Kind.DECIMAL, precision=5, scale=2)
    decimals, floats = stream(ID, amount, key=()), stream(ID, Column("n", ("n",), Kind.FLOAT), key=())
    with _opened(subject) as destination:
        destination.recover(PIPELINE)
        destination.prepare(decimals)
        destination.commit(checkpoint())
        destination.prepare(floats)
        before = destination.stage(batch(floats, (1, 0.5), checkpoint=2))
        bad = batch(floats, (2, 0.25), (3, 0.001), (4, 1.0), first_line=10, checkpoint=2)
        refused: set[int] | None = None
        try:
            destination.stage(bad)
        except RowsRefusedError as error:
            refused = set(error.reasons)
        assert refused is not None, "a float that doesn't go into the column's decimals should be refused"
        assert refused <= {11}
        after = destination.stage(batch(floats, (5, 0.75), first_line=20, checkpoint=2))
        destination.commit(checkpoint(before, after, number=2))
    assert things(subject, "id") == [(1,), (5,)]


def an_unknown_error_is_not_transient(subject: Subject) -> None:
    """Nothing is repeated that nobody knows to be safe."""
    with _opened(subject) as destination:
        for error in (ValueError("?"), DestinationError("?"), FencedError(PIPELINE), RuntimeError()):
            assert destination.is_transient(error) is False


@contextmanager
def _opened(subject: Subject) -> Iterator[Destination]:
    """A fresh destination, closed at the end."""
    destination = subject.open()
    try:
        yield destination
    finally:
        destination.close()
