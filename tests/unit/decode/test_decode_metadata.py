"""Metadata columns that say nothing yet."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tailrace.decode.metadata import Facts, filled
from tailrace.model import Clock, Column, Fill, Kind
from tailrace.testing.parts import stream

NOW = datetime(2024, 1, 31, 12, tzinfo=UTC)
DELETED_AT = Column("_sdc_deleted_at", (), Kind.TIMESTAMPTZ, fill=Fill.DELETED_AT)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 70_000])
def test_no_row_is_deleted_that_no_record_says_so_of(count):
    facts = Facts(NOW, pa.array(range(count), pa.int64()), pa.nulls(count, pa.int64()), pa.nulls(count, pa.string()))
    deleted = filled(stream(DELETED_AT), Clock(NOW, lambda: NOW), facts)["_sdc_deleted_at"]
    assert (deleted.type, len(deleted), deleted.null_count) == (pa.timestamp("us", "UTC"), count, count)
    assert deleted.nbytes <= count * 9
