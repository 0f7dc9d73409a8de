"""Targets of the Singer SDK as destinations: their sinks get our batches, and states once every sink is drained.

`python -m tailrace.compat.singer_sdk package.module:Class --config config.json` takes a stream as the target does.
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from tailrace.api import load
from tailrace.checkpoint_files import CheckpointFiles, Checkpoints, RunCheckpoints
from tailrace.cli.exit_codes import exit_code_of, leave
from tailrace.cli.logs import show_log
from tailrace.config.sources import flag_values
from tailrace.errors import ConfigError, DestinationError, TailraceError
from tailrace.model import Batch, Checkpoint, Column, Fill, Kind, Method, Published, Receipt, Stream, Traits
from tailrace.pipelines import is_unnamed
from tailrace.schema.steps import rows_by_token
from tailrace.singer.state import StateWriter
from tailrace.spool import Spool

_REFUSED = ("stream_maps", "stream_map_config", "faker_config", "batch_config")


class HostedTarget:
    """A Destination that hands its rows to a `singer_sdk` Target, each at least once.

    Each stream's rows come to its sink in the order of the input's lines; sinks are fed and drained in parallel, up to
    the target's `max_parallelism`. A checkpoint is committed once all of them are drained.
    """

    def __init__(self, target: Any, checkpoints: str | Path | None = None) -> None:
        asked = next((name for name in _REFUSED if target.config.get(name)), None)
        if asked:
            raise ConfigError("it can't be had here", key=asked, hint="map the records in the tap")
        self._target = target
        self._folder = None if checkpoints is None else Path(checkpoints)
        methods = frozenset({Method.APPEND})
        self.traits = Traits(str(target.name), "at least once", 4096, methods=methods, case_sensitive=True)
        self._checkpoints: Checkpoints | None = None
        self._spool = Spool()
        self._rows: dict[str, int] = {}
        self._prepared: list[Stream] = []
        self._made: dict[str, tuple[Stream, list[tuple[Any, Any]]]] = {}
        self._lock = threading.RLock()
        self._making = threading.Lock()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a run that gives the target records as its own runner does."""
        return {
            "naming": "preserve",
            "metadata": "singer" if self._target.config.get("add_record_metadata") else "none",
        }

    def recover(self, pipeline: str) -> Checkpoint | None:
        """The pipeline's last checkpoint, where it is kept; see Destination."""
        with self._lock:
            self._discard()
            if not is_unnamed(pipeline) and self._folder is None:
                raise ConfigError(
                    "the target remembers no pipeline", key="pipeline", hint="name a folder of checkpoints, or none"
                )
            is_kept = self._folder is not None and not is_unnamed(pipeline)
            self._checkpoints = CheckpointFiles(Path(str(self._folder))) if is_kept else RunCheckpoints()
            return self._checkpoints.recover(pipeline)

    def prepare(self, stream: Stream) -> None:
        """Have the stream's sink made at the next commit, after the rows that came before; see Destination."""
        with self._lock:
            self._prepared.append(stream)

    def stage(self, batch: Batch) -> Receipt:
        """Keep the batch's rows until commit; see Destination."""
        self._spool.add(batch)
        token = secrets.token_hex(8)
        with self._lock:
            self._rows[token] = batch.rows.num_rows
        return batch.receipt(batch.rows.num_rows, token)

    def commit(self, checkpoint: Checkpoint) -> Mapping[str, Published]:
        """Feed and drain the sinks, and then store the state; see Destination."""
        with self._lock:
            if self._checkpoints is None or rows_by_token(checkpoint.publish) != self._rows:
                raise DestinationError(f"checkpoint {checkpoint.number} doesn't publish what is staged")
            streams: dict[str, list[Stream]] = {}
            for stream in sorted({*self._spool.streams, *self._prepared}, key=lambda each: each.revision):
                streams.setdefault(stream.name, []).append(stream)
            with self._checkpoints.committing(checkpoint):
                with ThreadPoolExecutor(max_workers=max(1, self._target.max_parallelism)) as pool:
                    done = dict(pool.map(self._written, streams.values()))
                self._conclude(checkpoint)
            self._discard()
            return done

    def is_transient(self, error: Exception) -> bool:
        """Never, since the target may have taken rows; see Destination."""
        del error
        return False

    def close(self) -> None:
        """Discard what isn't committed; repeatable."""
        with self._lock:
            self._discard()

    def _conclude(self, checkpoint: Checkpoint) -> None:
        """Activate versions, and at the end of the input have all sinks cleaned up."""
        for activation in checkpoint.activate:
            with _failures(self._target, activation.stream.name):
                for _, sink in self._mapped(activation.stream):
                    if sink.process_activate_version_messages:
                        sink.activate_version(activation.version)
        if checkpoint.final:
            with _failures(self._target, "all streams"):
                self._target.drain_all(is_endofpipe=True)

    def _written(self, revisions: Sequence[Stream]) -> tuple[str, Published]:
        """Write the rows of a stream into its sinks, one revision of its schema after the other."""
        rows = 0
        with _failures(self._target, revisions[0].name):
            for stream in revisions:
                mapped = self._mapped(stream)
                for table in self._spool.read(stream):
                    rows += table.num_rows
                    for record, message in _records(stream, table):
                        for stream_map, sink in mapped:
                            self._take(sink, stream_map.transform(dict(record)), message)
                for _, sink in mapped:
                    self._target.drain_one(sink)
        return revisions[0].name, Published(inserted=rows)

    def _mapped(self, stream: Stream) -> list[tuple[Any, Any]]:
        """What flattens the stream's records, with the sink that gets them; the target makes it for a new schema."""
        with self._making:
            made = self._made.get(stream.name)
            if made is None or made[0] != stream:
                mapper = self._target.mapper
                mapper.register_raw_stream_schema(stream.name, json.loads(stream.json_schema), [*stream.key])
                maps = mapper.stream_maps[stream.name]
                made = stream, [(each, self._sink(each)) for each in maps]
                self._made[stream.name] = made
            return made[1]

    def _sink(self, stream_map: Any) -> Any:
        return self._target.get_sink(
            stream_map.stream_alias,
            schema=stream_map.transformed_schema,
            key_properties=stream_map.transformed_key_properties,
        )

    def _take(self, sink: Any, record: dict[str, Any], message: Mapping[str, Any]) -> None:
        """Do with a record what the SDK's own loop does, but for checking and parsing what is checked already."""
        context = sink._get_context(record)  # noqa: SLF001 that of the SDK's loop
        if sink.include_sdc_metadata_properties:
            sink._add_sdc_metadata_to_record(record, message, context)  # noqa: SLF001 as well
        else:
            sink._remove_sdc_metadata_from_record(record)  # noqa: SLF001 as well
        record = sink.preprocess_record(record, context)
        sink.tally_record_read()
        sink.process_record(record, context)
        if sink.is_full:
            self._target.drain_one(sink)

    def _discard(self) -> None:
        self._spool.clear()
        self._rows.clear()
        self._prepared.clear()


@contextmanager
def _failures(target: Any, stream: str) -> Iterator[None]:
    """Have what the target raises told as a DestinationError."""
    try:
        yield
    except TailraceError:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        raise DestinationError(f"{target.name} failed on stream {stream!r}: {words}") from error


def _records(stream: Stream, table: pa.Table) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row as the SDK's record, by field, and what its message said beside it."""
    fields = [(column.name, column.path[0], _restored(column)) for column in stream.columns if column.path]
    extracted, version = (stream.filled_with(fill) for fill in (Fill.EXTRACTED_AT, Fill.TABLE_VERSION))
    for batch in table.to_batches():
        for row in batch.to_pylist():
            at = row[extracted.name] if extracted else None
            message = {
                "time_extracted": at.isoformat() if at else None,
                "version": row[version.name] if version else None,
            }
            yield {field: restore(row[name]) for name, field, restore in fields}, message


def _restored(column: Column) -> Callable[[Any], Any]:
    """What makes a value of a column what the SDK has in its records: JSON parsed, bytes as they were encoded."""
    if column.kind is Kind.JSON:
        return lambda value: None if value is None else json.loads(value, parse_float=Decimal)
    if column.kind is Kind.BINARY:
        encode = base64.b16encode if column.encoding == "base16" else base64.b64encode
        return lambda value: None if value is None else encode(value).decode()
    return lambda value: value


def _target_of(name: str, config: Sequence[str]) -> Any:
    """The target of that name, as package.module:Class, with that config."""
    module, _, cls = name.partition(":")
    try:
        made = getattr(import_module(module), cls)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"there is no target {name}: {error}", key="TARGET", hint="as in target_csv.target:TargetCSV"
        ) from error
    files = [path for path in config if path != "ENV"]
    try:
        return made(config=files, parse_env_config="ENV" in config, validate_config=True)
    except Exception as error:
        raise ConfigError(str(error), key="--config") from error


def _run(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tailrace.compat.singer_sdk", description=__doc__)
    parser.add_argument("target", metavar="TARGET", help="package.module:Class")
    parser.add_argument("--config", "-c", action="append", default=[], help="a file of the target's settings, or ENV")
    parser.add_argument("--input", help="a file to read instead of stdin")
    parser.add_argument("--pipeline", help="the name under which checkpoints are remembered")
    parser.add_argument("--checkpoints", help="the folder that they are remembered in")
    parser.add_argument("--set", action="append", default=[], help="a setting of the run as key=value")
    given = parser.parse_args(words)
    show_log({})
    hosted = HostedTarget(_target_of(given.target, given.config), given.checkpoints)
    settings = hosted.settings | flag_values(given.set) | ({"pipeline": given.pipeline} if given.pipeline else {})
    load(given.input or sys.stdin.buffer, hosted, tell=StateWriter(sys.stdout.buffer).tell, **settings)


def main() -> NoReturn:
    """Run the command; errors go to stderr and become exit codes."""
    leave(exit_code_of(_run))


if __name__ == "__main__":
    main()
