"""A statement that is fed: every row arrives, in order, and its failure reaches whoever feeds it."""

import threading

import pyarrow as pa
import pytest

from tailrace.destinations.duckdb.streaming_insert import StreamingInsert

SCHEMA = pa.schema([("n", pa.int64())])


def feed_thousand_times(feeding):
    for number in range(1000):
        feeding.feed(rows(number))


def rows(*numbers):
    return pa.table({"n": list(numbers)}, schema=SCHEMA)


def test_a_statement_reads_all_rows_that_it_is_fed_in_their_order():
    read = []
    feeding = StreamingInsert(lambda reader: read.extend(reader.read_all()["n"].to_pylist()), SCHEMA)
    for number in range(0, 30, 3):
        feeding.feed(rows(number, number + 1, number + 2))
    feeding.end()
    assert read == list(range(30))


def test_a_statement_that_is_fed_nothing_ends():
    read = []
    feeding = StreamingInsert(lambda reader: read.append(reader.read_all()), SCHEMA)
    feeding.end()
    assert read == [rows()]


def test_the_failure_of_a_statement_is_raised_to_whoever_feeds_it_and_again_at_its_end():
    def fail(reader):
        reader.read_next_batch()
        raise ValueError("full")

    feeding = StreamingInsert(fail, SCHEMA)
    with pytest.raises(ValueError, match="full"):
        feed_thousand_times(feeding)
    with pytest.raises(ValueError, match="full"):
        feeding.end()


def test_rows_wait_until_those_before_them_are_taken():
    may_read, read = threading.Event(), []

    def slowly(reader):
        may_read.wait()
        read.extend(reader.read_all()["n"].to_pylist())

    feeding = StreamingInsert(slowly, SCHEMA)
    feeding.feed(rows(1))
    second = threading.Thread(target=feeding.feed, args=(rows(2),))
    second.start()
    second.join(0.05)
    assert second.is_alive()
    may_read.set()
    second.join()
    feeding.end()
    assert read == [1, 2]
