"""Behaviours: the promises of recover, prepare, stage, commit, is_transient and close, each by itself."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from tailrace.errors import DestinationError, FencedError, RowsRefusedError, TailraceError
from tailrace.model import Activation, Column, Fill, Kind, Method, Published
from tailrace.testing.messages import THINGS, by, raises, things
from tailrace.testing.parts import AT, ID, NAME, PIPELINE, batch, checkpoint, commit_rows, stream
from tailrace.testing.subject import Subject

_STREAM = stream()
_LOG = stream(key=())
_V = {kind: Column("v", ("v",), kind) for kind in (Kind.INT, Kind.TEXT)}
_PLANS: tuple[tuple[Kind, tuple[Column, ...]], ...] = ((Kind.INT, ()), (Kind.TEXT, (NAME,)))


def a_destination_says_what_it_is_like_without_a_connection(subject: Subject) -> None:
    """Its traits are plain data, known without a connection."""
    with closing(subject.open()) as destination:
        traits = destination.traits
    assert traits.name
    assert traits.guarantee
    assert traits.methods
    assert traits.max_name_length >= 30


def a_destination_can_be_pickled_before_use(subject: Subject) -> None:
    """The copy loads into the same destination."""
    with closing(subject.open()) as original:
        pickled = pickle.dumps(original)
    copy = pickle.loads(pickled)  # noqa: S301 it was made a line before
    try:
        commit_rows(copy, _STREAM, (1, "a"))
    finally:
        copy.close()
    assert things(subject, "id", "name") == [(1, "a")]


def a_pipeline_that_has_never_run_has_no_checkpoint(subject: Subject) -> None:
    """Not even if it was recovered before and committed nothing."""
    for _ in range(2):
        with closing(subject.open()) as destination:
            assert destination.recover(PIPELINE) is None


def staged_rows_are_invisible_before_the_commit(subject: Subject) -> None:
    """With and without a key. After the commit all of them are visible."""
    log = stream(key=(), name="log")
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        for one in (_STREAM, log):
            destination.prepare(one)
        receipts = [destination.stage(batch(one, (1, "a"), (2, "b"))) for one in (_STREAM, log)]
        assert subject.rows(THINGS) == subject.rows("log") == []
        destination.commit(checkpoint(*receipts))
        assert len(subject.rows(THINGS)) == len(subject.rows("log")) == 2


def what_an_update_keeps_is_the_first_lines_in_a_row_that_is_new(subject: Subject) -> None:
    """As with a checkpoint after each line. A row that is deleted and inserted again is new."""
    made, gone = Column("made", ("made",), Kind.TEXT, keep=True), Column("gone", ("_sdc_deleted_at",), Kind.TIMESTAMPTZ)
    keeping, now = stream(ID, NAME, made, gone, hard_delete=True), datetime(2024, 1, 31, tzinfo=UTC)
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        rows = [(1, "a", "mon", None), (1, "b", "tue", None), (2, "a", "mon", None), (2, "a", "tue", now)]
        rows += [(2, "c", "wed", None), (2, "d", "thu", None), (3, "e", "mon", None), (3, "e", "tue", now)]
        destination.prepare(keeping)
        published = destination.commit(checkpoint(destination.stage(batch(keeping, *rows))))
    assert things(subject, "id", "name", "made") == [(1, "b", "mon"), (2, "d", "wed")]
    assert published == {THINGS: Published(inserted=2, deduplicated=5, removals=1)}


def a_receipt_says_what_was_staged(subject: Subject) -> None:
    """It has the batch's stream and checkpoint, the number of rows, and the first and last line."""
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (1, "a"), (2, "b"), first_line=7))
    assert (receipt.stream, receipt.checkpoint, receipt.rows) == (_STREAM, 1, 2)
    assert (receipt.first_line, receipt.last_line) == (7, 8)


def plans_of_a_stream_take_turns(subject: Subject) -> None:
    """Batches of both are staged in any order, each plan being prepared again before them; also with a key."""
    for key in ((), ("id",)):
        narrow, wide = (stream(ID, _V[kind], *more, key=key, name=f"turns{len(key)}") for kind, more in _PLANS)
        with closing(subject.open()) as destination:
            last = destination.recover(PIPELINE)
            for number in (1, 2) if last is None else (last.number + 1, last.number + 2):
                receipts = []
                for line in (5, 1, 2, 6, 3, 4):
                    one = replace(wide if line % 2 else narrow, revision=line if key else 1)
                    row = (line, f"v{line}", "wide") if line % 2 else (line, line)
                    destination.prepare(one)
                    receipts.append(destination.stage(batch(one, row, first_line=line, checkpoint=number)))
                destination.commit(checkpoint(*receipts, number=number))
        rows = by(subject.rows(f"turns{len(key)}"), "id")
        found = [str(row["v"] if row["v"] is not None else row["v__text"]) for row in rows]
        times = 1 if key and len(rows) == 6 else 2  # some can only append
        assert found == [value for value in ("v1", "2", "v3", "4", "v5", "6") for _ in range(times)]
        assert [row["name"] for row in rows] == [name for name in ("wide", None) * 3 for _ in range(times)]


def closing_discards_what_is_not_committed(subject: Subject) -> None:
    """close() may be called twice."""
    destination = subject.open()
    destination.recover(PIPELINE)
    destination.prepare(_STREAM)
    destination.stage(batch(_STREAM, (1, "a")))
    destination.close()
    destination.close()
    assert subject.rows(THINGS) == []


def recover_discards_what_no_commit_has_published(subject: Subject) -> None:
    """An earlier run of the pipeline left it, with and without a key."""
    for one in (_STREAM, stream(key=(), name="log")):
        with closing(subject.open()) as destination:
            commit_rows(destination, one, (1, "a"))
            destination.stage(batch(one, (2, "b"), checkpoint=2))
    with closing(subject.open()) as destination:
        last = destination.recover(PIPELINE)
        assert last is not None
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (3, "c"), checkpoint=last.number + 1))
        destination.commit(checkpoint(receipt, number=last.number + 1))
    assert things(subject, "id") == [(1,), (3,)]
    assert [row["id"] for row in subject.rows("log")] == [1]


def recover_discards_what_the_same_instance_has_staged(subject: Subject) -> None:
    """A run may call recover() again without closing."""
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_LOG)
        destination.stage(batch(_LOG, (1, "a")))
        commit_rows(destination, _LOG, (2, "b"))
    assert things(subject, "id") == [(2,)]


def a_commit_is_remembered(subject: Subject) -> None:
    """recover() returns its number, state and time, and no receipts."""
    with closing(subject.open()) as destination:
        commit_rows(destination, _STREAM, (1, "a"))
        destination.commit(checkpoint(number=2, state=b'{"n":2}'))
    with closing(subject.open()) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert (last.pipeline, last.number, last.state) == (PIPELINE, 2, b'{"n":2}')
    assert last.at.astimezone(UTC) == AT
    assert (last.publish, last.activate, last.replace) == ((), (), ())


def a_state_is_kept_to_the_letter(subject: Subject) -> None:
    """Spaces, escapes, line ends, quotes, other scripts, long numbers, no state, and a megabyte."""
    text = (
        '{ "b":1.50,\n"a" : "\\u0000\\ud83d\\ude00 😀 漢字 é e\u0301 \\\\ \'; --","n":12345678901234567890123,"x":{} }'
    )
    states = (text.encode(), b"null", b'""', None, b'"' + b"x" * 2**20 + b'"')
    for number in range(len(states) + 1):
        with closing(subject.open()) as destination:
            last = destination.recover(PIPELINE)
            assert (last and (last.number, last.state)) == ((number, states[number - 1]) if number else None)
            if number < len(states):
                destination.commit(checkpoint(number=number + 1, state=states[number]))


def an_empty_commit_is_a_checkpoint(subject: Subject) -> None:
    """Also the last one of a run."""
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        assert all(rows == Published() for rows in destination.commit(checkpoint(final=True)).values())
        assert destination.commit(checkpoint(number=2, final=True)) is not None
    with closing(subject.open()) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert last.number == 2


def a_run_without_pipeline_is_forgotten_at_its_end(subject: Subject) -> None:
    """Its rows stay."""
    name = "~0123456789abcdef"
    with closing(subject.open()) as destination:
        destination.recover(name)
        destination.prepare(_STREAM)
        receipt = destination.stage(batch(_STREAM, (1, "a")))
        destination.commit(checkpoint(receipt, pipeline=name))
        destination.commit(checkpoint(number=2, pipeline=name, final=True))
    with closing(subject.open()) as destination:
        assert destination.recover(name) is None
    assert things(subject, "id") == [(1,)]


def the_commit_of_a_run_that_was_overtaken_is_refused(subject: Subject) -> None:
    """Nothing of it becomes visible, and the newer run goes on."""
    with closing(subject.open()) as older, closing(subject.open()) as newer:
        commit_rows(older, _STREAM, (1, "a"))
        commit_rows(newer, _STREAM, (2, "b"))
        with raises(FencedError, PIPELINE):
            older.commit(checkpoint(older.stage(batch(_STREAM, (3, "c"), checkpoint=2)), number=2))
        older.close()
        newer.commit(checkpoint(newer.stage(batch(_STREAM, (4, "d"), checkpoint=3)), number=3))
    assert things(subject, "id") == [(1,), (2,), (4,)]


def the_commit_of_rows_staged_before_the_run_was_overtaken_is_refused(subject: Subject) -> None:
    """The newer run has only recovered, and committed nothing."""
    with closing(subject.open()) as older, closing(subject.open()) as newer:
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
    """Two pipelines load into one table, one after the other."""
    with closing(subject.open()) as one, closing(subject.open()) as other:
        one.recover(PIPELINE)
        commit_rows(other, _STREAM, (2, "b"), pipeline="another")
        one.prepare(_STREAM)
        one.commit(checkpoint(one.stage(batch(_STREAM, (1, "a")))))
    assert things(subject, "id") == [(1,), (2,)]


def recovering_a_pipeline_leaves_what_others_have_staged(subject: Subject) -> None:
    """Though their names are similar: a prefix, a longer name, a pattern that matches, another case."""
    with closing(subject.open()) as one:
        one.recover(PIPELINE)
        one.prepare(_STREAM)
        receipt = one.stage(batch(_STREAM, (1, "a")))
        for name in (PIPELINE[:4], f"{PIPELINE}2", f"{PIPELINE[:4]}%", f"{PIPELINE[:-1]}_", PIPELINE.upper()):
            with closing(subject.open()) as other:
                assert other.recover(name) is None
        one.commit(checkpoint(receipt))
    assert things(subject, "id") == [(1,)]


def a_checkpoint_out_of_order_is_refused(subject: Subject) -> None:
    """Checkpoint numbers have no gaps and don't repeat."""
    for number in (1, 3):
        with closing(subject.open()) as destination:
            last = destination.recover(PIPELINE)
            if last is None:
                destination.commit(checkpoint())
            with raises(TailraceError):
                destination.commit(checkpoint(number=number))
    with closing(subject.open()) as destination:
        last = destination.recover(PIPELINE)
    assert last is not None
    assert last.number == 1


def prepare_may_be_repeated(subject: Subject) -> None:
    """By one instance and by several, before and after rows are loaded."""
    for number in (1, 2):
        with closing(subject.open()) as destination:
            destination.recover(PIPELINE)
            destination.prepare(_STREAM)
            destination.prepare(_STREAM)
            receipt = destination.stage(batch(_STREAM, (number, "a"), checkpoint=number))
            destination.prepare(_STREAM)
            destination.commit(checkpoint(receipt, number=number))
            destination.prepare(_STREAM)
    assert things(subject, "id") == [(1,), (2,)]


def batches_are_staged_from_several_threads(subject: Subject) -> None:
    """Of two streams at the same time. Every row is loaded once."""
    streams = (_STREAM, stream(key=(), name="log"))
    count, size = 8, 50
    with closing(subject.open()) as destination:
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
    """The runtime calls them from different threads."""
    failed: list[BaseException] = []
    with closing(subject.open()) as destination:
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
    """The order of lines decides, not the order of batches."""
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(_STREAM)
        late = destination.stage(batch(_STREAM, (1, "late"), (2, "b"), first_line=100))
        early = destination.stage(batch(_STREAM, (1, "early"), (3, "c"), first_line=1))
        published = destination.commit(checkpoint(late, early))
    assert things(subject, "id", "name") == [(1, "late"), (2, "b"), (3, "c")]
    assert published[THINGS] == Published(inserted=3, deduplicated=1)


def the_first_line_stays_under_insert_ignore_though_it_is_staged_last(subject: Subject) -> None:
    """The order of lines decides here too."""
    ignoring = stream(method=Method.INSERT_IGNORE)
    with closing(subject.open()) as destination:
        destination.recover(PIPELINE)
        destination.prepare(ignoring)
        late = destination.stage(batch(ignoring, (1, "late"), first_line=100))
        early = destination.stage(batch(ignoring, (1, "early"), first_line=1))
        published = destination.commit(checkpoint(late, early))
    assert things(subject, "id", "name") == [(1, "early")]
    assert published[THINGS] == Published(inserted=1, ignored=1)


def a_commit_counts_what_it_did(subject: Subject) -> None:
    """Inserted + updated + deduplicated = the rows that were staged."""
    with closing(subject.open()) as destination:
        commit_rows(destination, _STREAM, (1, "a"), (2, "b"))
        receipt = destination.stage(batch(_STREAM, (2, "c"), (3, "d"), (3, "e"), checkpoint=2))
        published = destination.commit(checkpoint(receipt, number=2))
    assert published[THINGS] == Published(inserted=1, updated=1, deduplicated=1)


def an_activation_without_rows_takes_effect(subject: Subject) -> None:
    """In a checkpoint that publishes nothing."""
    version = Column("v", (), Kind.INT, fill=Fill.TABLE_VERSION)
    versioned = stream(ID, version, hard_delete=True)
    with closing(subject.open()) as destination:
        commit_rows(destination, versioned, (1, 1), (2, 2))
        published = destination.commit(checkpoint(number=2, activate=(Activation(versioned, 2, 10),)))
    assert things(subject, "id") == [(2,)]
    assert published[THINGS] == Published(deleted=1)


def refused_rows_leave_nothing_staged(subject: Subject) -> None:
    """Not even the batch's other rows. Batches staged before it and after it are committed."""
    amount = Column("n", ("n",), Kind.DECIMAL, precision=5, scale=2)
    decimals, floats = stream(ID, amount, key=()), stream(ID, Column("n", ("n",), Kind.FLOAT), key=())
    with closing(subject.open()) as destination:
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
    """Only calls that are known to be safe are repeated."""
    with closing(subject.open()) as destination:
        for error in (ValueError("?"), DestinationError("?"), FencedError(PIPELINE), RuntimeError()):
            assert destination.is_transient(error) is False
