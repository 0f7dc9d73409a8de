"""Rows that wait in Arrow files of a folder that workers and driver share, where a destination gives no stagers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from tailrace.errors import ConfigError, advice_on_space
from tailrace.model import Batch


class SpoolStager:
    """Writes rows of one stream to a file, whose name is the token. A Stager of every destination's rows."""

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self._folder = folder
        self._schema = schema
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._writer: pa.RecordBatchFileWriter | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._folder, self._schema)

    def stage(self, batch: Batch) -> None:
        """Write the batch's rows; see Stager."""
        with _named_errors(self._folder):
            if self._writer is None:
                self._path = self._folder / f"{secrets.token_hex(16)}.arrow"
                self._file = self._path.open("xb")
                self._writer = pa.ipc.new_file(self._file, self._schema)
            self._writer.write_table(batch.rows)

    def seal(self) -> str:
        """Close the file; its name. See Stager."""
        with _named_errors(self._folder):
            self._close()
        return self._path.name if self._path else ""

    def discard(self) -> None:
        """Remove the file; see Stager."""
        with suppress(OSError):
            self._close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        file, self._file = self._file, None
        try:
            if writer is not None:
                writer.close()
        finally:
            if file is not None:
                file.close()


def spooled_rows(folder: Path, token: str) -> Iterator[pa.Table]:
    """The rows of a file, batch by batch; the file is removed behind the last."""
    path = folder / token
    with _named_errors(folder), pa.memory_map(str(path)) as mapped:
        reader = pa.ipc.open_file(mapped)
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)])
    path.unlink(missing_ok=True)


@contextmanager
def _named_errors(folder: Path) -> Iterator[None]:
    """Raise what the disk says as ConfigError, which names the folder."""
    try:
        yield
    except OSError as error:
        hint = advice_on_space(error, folder) or "set it to a folder that driver and workers can write to"
        raise ConfigError(
            f"{folder} can't be used: {error.strerror or error}", key="parallel.spool", hint=hint
        ) from error
