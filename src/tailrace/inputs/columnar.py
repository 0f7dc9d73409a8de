"""Parquet and Arrow files, which say themselves what their columns are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from tailrace.errors import ConfigError
from tailrace.inputs.places import InputFile
from tailrace.singer.source import decompressed

_ROWS = 65_536


def parquet_tables(given: InputFile) -> Iterator[pa.Table]:
    """The rows of a Parquet file, some at a time, behind a table without any; raises ConfigError for what isn't one."""
    from pyarrow import parquet  # noqa: PLC0415 who reads no Parquet needs nothing of it

    with _as_config_error(given.name, "Parquet"), given.open() as source, parquet.ParquetFile(source) as file:
        yield file.schema_arrow.empty_table()
        for batch in file.iter_batches(batch_size=_ROWS):
            yield pa.Table.from_batches([batch])


def arrow_tables(given: InputFile) -> Iterator[pa.Table]:
    """The rows of an Arrow file or stream, some at a time, behind a table without any; see parquet_tables."""
    with _as_config_error(given.name, "Arrow"), given.open() as start:
        is_file = start.read(6) == b"ARROW1"
    with _as_config_error(given.name, "Arrow"):
        if not is_file:
            with decompressed(given.open(), given.name) as source, pa.ipc.open_stream(source) as reader:
                yield reader.schema.empty_table()
                yield from (pa.Table.from_batches([batch]) for batch in reader)
            return
        with given.open() as source, pa.ipc.open_file(source) as reader:
            yield reader.schema.empty_table()
            for number in range(reader.num_record_batches):
                yield pa.Table.from_batches([reader.get_batch(number)])


@contextmanager
def _as_config_error(name: str, format_: str) -> Iterator[None]:
    """Raise what Arrow says as ConfigError about the file."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"{name} isn't a sound {format_} file", key="INPUT", hint="get it again") from error
