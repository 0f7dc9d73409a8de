"""Streams, batches and checkpoints built by hand, for behaviours that test the contract itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tailrace.destination import Destination
from tailrace.model import Batch, Checkpoint, Column, Kind, Method, Receipt, Stream, TableName
from tailrace.testing.messages import THINGS

AT = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
"""The time of every checkpoint built by hand."""

PIPELINE = "pipeline"

ID = Column("id", ("id",), Kind.INT, nullable=False, required=True)
NAME = Column("name", ("name",), Kind.TEXT)


def stream(*columns: Column, key: Sequence[str] = ("id",), name: str = THINGS, **more: Any) -> Stream:
    """A stream called things. Its columns are an id and a name unless others are given."""
    method = Method.UPSERT if key else Method.APPEND
    planned: dict[str, Any] = {"method": method} | more
    return Stream(name, TableName(name), columns or (ID, NAME), tuple(key), **planned)


def batch(of: Stream, *rows: Sequence[object], first_line: int = 1, checkpoint: int = 1) -> Batch:
    """A batch of these rows, on consecutive lines."""
    lines = range(first_line, first_line + len(rows))
    columns = zip(*[(*row, line) for row, line in zip(rows, lines, strict=True)], strict=True)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, of.arrow, strict=True)]
    return Batch(of, pa.table(arrays, schema=of.arrow), checkpoint)


def checkpoint(*receipts: Receipt, number: int = 1, pipeline: str = PIPELINE, **more: Any) -> Checkpoint:
    """A checkpoint that publishes these receipts in the order of their lines. Its state is `{}` unless given."""
    planned: dict[str, Any] = {"state": b"{}"} | more
    publish = tuple(sorted(receipts, key=lambda receipt: receipt.first_line))
    return Checkpoint(pipeline, number, at=AT, publish=publish, **planned)


def commit_rows(destination: Destination, of: Stream, *rows: Sequence[object], pipeline: str = PIPELINE) -> None:
    """Recover the pipeline, and commit these rows as its next checkpoint."""
    last = destination.recover(pipeline)
    number = last.number + 1 if last else 1
    destination.prepare(of)
    receipt = destination.stage(batch(of, *rows, checkpoint=number))
    destination.commit(checkpoint(receipt, number=number, pipeline=pipeline))
