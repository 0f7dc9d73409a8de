"""What wrong destinations are made of: one that does everything right, and lets others change one thing."""

from dataclasses import replace

import pyarrow as pa

from tailrace.destinations.memory import MemoryDestination
from tailrace.model import LINE, Method


class Mutant:
    """A destination in memory, through whose hooks streams, batches, checkpoints and counts pass; none changes any.

    `noticed_by` are the behaviours each of which must fail.
    """

    noticed_by = ()

    def __init__(self, right):
        self.right = right

    def __reduce__(self):
        return type(self), (self.right,)

    traits = MemoryDestination.traits

    def stream(self, stream):
        return stream

    def batch(self, batch):
        return batch

    def checkpoint(self, checkpoint):
        return checkpoint

    def published(self, published):
        return published

    def recover(self, pipeline):
        return self.right.recover(pipeline)

    def prepare(self, stream):
        self.right.prepare(self.stream(stream))

    def stage(self, batch):
        stream = self.stream(batch.stream)
        named = batch.rows.rename_columns([*(column.name for column in stream.columns), LINE])
        receipt = self.right.stage(self.batch(replace(batch, stream=stream, rows=named)))
        return replace(receipt, stream=batch.stream)

    def commit(self, checkpoint):
        activate = tuple(replace(a, stream=self.stream(a.stream)) for a in checkpoint.activate)
        swapped = tuple(s for s in map(self.stream, checkpoint.replace) if s.method is Method.REPLACE)
        meant = self.checkpoint(replace(checkpoint, activate=activate, replace=swapped))
        return self.published(self.right.commit(meant))

    def is_transient(self, error):
        return self.right.is_transient(error)

    def close(self):
        self.right.close()

    def table(self, stream):
        """The table as readers see it, if there is one."""
        return self.right._place.tables.get(("", str(stream.table)))

    def staged(self):
        """The streams of which batches wait, by their names."""
        return {batch.stream.name: batch.stream for batch, _ in self.right._staged.values()}


def mapped(batch, kind, change):
    """The batch with the values of this kind changed; nulls stay."""
    rows = batch.rows
    for at, column in enumerate(batch.stream.columns):
        if column.kind is kind:
            values = [None if value is None else change(value) for value in rows[column.name].to_pylist()]
            rows = rows.set_column(at, rows.schema.field(at), pa.chunked_array([pa.array(values, column.arrow)]))
    return replace(batch, rows=rows)


def kept(batch, rows):
    """The batch with these rows of it, given as dicts."""
    return replace(batch, rows=pa.Table.from_pylist(rows, schema=batch.rows.schema))


def last_of_each(batch, equal):
    """The batch with the last row of those that `equal` takes for one."""
    return kept(batch, list({equal(row): row for row in batch.rows.to_pylist()}.values()))
