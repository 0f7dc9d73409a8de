"""Rows split by partition columns, and partitions as text in the form of Hive and Delta Lake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from tailrace import compute as pc
from tailrace.errors import ConfigError
from tailrace.lake.entries import folder_of
from tailrace.model import LINE
from tailrace.schema.evolve import TableColumn

Partition = tuple[tuple[str, str | None], ...]
"""Partition columns and their values as text, in order; empty where there are none."""

NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
"""What Hive writes for null."""

_MAX_PARTITIONS = 10_000


def partitioned(rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[Partition, pa.Table]]:
    """The rows of each partition, in their order."""
    if not columns:
        yield (), rows
        return
    texts = pa.table([_texts(rows[name]) for name in columns], names=list(columns))
    codes = _codes(texts)
    order = pc.sort_indices(codes)
    counts = pc.value_counts(codes.take(order))  # in the order of codes, since these are sorted
    if len(counts) > _MAX_PARTITIONS:
        raise ConfigError(
            f"a batch has {len(counts):,} different values in {', '.join(columns)}",
            key="partition_keys",
            hint="partition by columns of few values, as a date",
        )
    start = 0
    for count in counts.field("counts").to_pylist():
        places = order.slice(start, count)
        key = texts.take(places.slice(0, 1)).to_pylist()[0]
        yield tuple((name, key[name]) for name in columns), rows if len(counts) == 1 else rows.take(places)
        start += count


def _codes(texts: pa.Table) -> pa.Array:
    """A number for each row, the same for rows of one partition."""
    codes: pa.Array | None = None
    for column in texts.columns:
        encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
        own = encoded.indices.cast(pa.int64())
        codes = own if codes is None else pc.add(pc.multiply(codes, len(encoded.dictionary)), own)
        codes = codes.dictionary_encode().indices.cast(pa.int64())
    return codes


def partition_names(wanted: Sequence[str], columns: Sequence[TableColumn]) -> tuple[str, ...]:
    """The wanted partition columns that exist; ConfigError for structs and lists, and if no other column is left."""
    by_name = {column.name: column for column in columns}
    names = tuple(name for name in wanted if name in by_name)
    for name in names:
        if by_name[name].nested:
            raise ConfigError(
                f"the column {name!r} is {by_name[name].spelling}, by which nothing is partitioned",
                key="partition_keys",
                hint="partition by columns of few values, as a date",
            )
    if names and len(names) == len(by_name):
        raise ConfigError(
            f"the columns {', '.join(map(repr, names))} are all that a table has, whose files would have none",
            key="partition_keys",
            hint="leave one out",
        )
    return names


def lost_rows(rows: pa.Table, lost_texts: Mapping[str, str]) -> dict[int, str]:
    """Reasons, by input line, for rows with texts that readers would take for null in a partition."""
    reasons: dict[int, str] = {}
    for name, text in lost_texts.items():
        values = rows[name]
        if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
            continue
        is_lost = pc.equal(values, pa.scalar(text.encode(), values.type))
        reason = f"column {name!r}: {text!r} would be read from its partition as null"
        reasons |= dict.fromkeys(rows[LINE].filter(is_lost).to_pylist(), reason)
    return reasons


def folder_of_partition(partition: Partition) -> str:
    """The nested folders of a partition: `column=value/...`."""
    return "/".join(
        f"{folder_of(name)}={NULL_FOLDER if value is None else folder_of(value)}" for name, value in partition
    )


def _texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values as Delta's protocol writes them in partitions; times are in UTC."""
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.timestamp("us")).cast(pa.string())
    return values.cast(pa.string())
