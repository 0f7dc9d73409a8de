"""An entry applied to its tables: errors are collected by table, and rows that a table can't take can be saved."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from msgspec import Struct, field

from tailrace import compute as pc
from tailrace.errors import CommitUnknownError, ConfigError, DestinationError, SchemaError, TailraceError
from tailrace.lake.entries import Change, Entry, Part, folder_of
from tailrace.lake.partitions import folder_of_partition
from tailrace.lake.tables import Store, Tables
from tailrace.model import LINE, Published, TableName
from tailrace.pipelines import is_unnamed

_PIECE_BYTES = 8 * 2**20


class Followed(Struct):
    """What applying an entry did, by stream, and the errors of the tables that it couldn't be applied to."""

    entry: Entry
    published: dict[str, Published] = field(default_factory=dict)
    errors: dict[TableName, TailraceError] = field(default_factory=dict)

    def raise_for_errors(self, is_transient: Callable[[TailraceError], bool]) -> None:
        """Raise CommitUnknownError if a table lacks the entry. Its cause is an error that may pass, if there is one."""
        if not self.errors:
            return
        passing = [error for error in self.errors.values() if is_transient(error)]
        cause = next(iter(passing or self.errors.values()))
        entry = self.entry
        which = "; ".join(f"the table {table} lacks it: {error}" for table, error in self.errors.items())
        text = f"checkpoint {entry.number} is decided, but {which}; "
        if is_unnamed(entry.pipeline):
            text += "a run without --pipeline can't be recovered, so load again what the checkpoint covers"
        elif passing:
            text += "run again, which applies it"
        else:
            options = " ".join(f"--give-up {shlex.quote(str(table))}" for table in self.errors)
            text += (
                "mend the table and run again, which applies it, or go on without these rows: "
                f"`tailrace recover --pipeline {shlex.quote(entry.pipeline)} {options}`, with the `--to` of the run, "
                "saves them to files"
            )
        raise CommitUnknownError(text) from cause


def follow(entry: Entry, changes: Sequence[Change], apply: Callable[[Entry, Change], Published]) -> Followed:
    """Apply the entry to each of its tables, even if another table fails."""
    done = Followed(entry)
    for change in changes:
        try:
            done.published[change.stream] = apply(entry, change)
        except (DestinationError, SchemaError) as error:
            done.errors[change.name] = error
    return done


class Lacking(Struct, frozen=True):
    """What a table lacks once its part of an entry is given up.

    `lines` are the first and the last input line of the rows, if the files hold them. `files` are the saved rows.
    """

    change: Change
    number: int
    lines: tuple[int, int] | None
    files: tuple[Path, ...]

    def __str__(self) -> str:
        change = self.change
        text = f"The table {change.name} lacks {change.rows:,} rows of the stream {change.stream!r}"
        text += f" of checkpoint {self.number}"
        if self.lines:
            text += f", from the input lines {self.lines[0]} to {self.lines[1]}"
        if change.replace:
            text += "; they were to replace all rows of the table"
        elif change.staged:
            method = change.staged[-1].stream.method.value
            text += f", which were to be merged by {method}"
        versions = ", ".join(str(activation.version) for activation in change.activate)
        if versions:
            text += f"; the version {versions} isn't activated"
        if not change.rows:
            return f"{text}."
        where = f"saved in {self.files[0].parent}" if self.files else "not saved"
        return f"{text}; the rows are {where}."


def given_up(tables: Tables, entry: Entry, wanted: Collection[TableName]) -> list[Change]:
    """The entry's changes to these tables; raises ConfigError for a table that doesn't lack the entry."""
    changes = {change.name: change for change in entry.tables}
    for table in wanted:
        if table not in changes or _is_applied(tables, entry, table):
            raise ConfigError(
                f"the table {table} lacks nothing of checkpoint {entry.number} of the pipeline {entry.pipeline!r}",
                key="--give-up",
                hint="`tailrace recover` without it says which table lacks the checkpoint",
            )
    return [changes[table] for table in wanted]


def saved(tables: Tables, entry: Entry, change: Change, folder: Path | None) -> Lacking:
    """What the table lacks without the change. Its rows are copied to Parquet files in the folder, if one is given.

    Raises DestinationError if they can't be read, and ConfigError if they can't be written.
    """
    staging, _ = tables.staging(entry.pipeline)
    waiting = [part for each in change.staged for part in each.files]
    lines = [line for part in waiting for line in _lines(staging, part)]
    files: list[Path] = []
    if folder:
        target = folder / folder_of(str(change.name))
        files += [_copied(staging, part, target) for part in waiting]
        if change.files:
            own = tables.table(change.name).layout().store
            files += [_copied(own, part, target) for part in change.files]
    return Lacking(change, entry.number, (min(lines), max(lines)) if lines else None, tuple(files))


def _is_applied(tables: Tables, entry: Entry, table: TableName) -> bool:
    """Whether the table has applied the entry; no, if it can't be read."""
    if not tables.rewrites:
        return True
    try:
        return tables.table(table).applied(entry.pipeline) >= entry.sequence
    except (DestinationError, SchemaError):
        return False


def _lines(store: Store, part: Part) -> tuple[int, int]:
    """The first and the last input line of a staged file's rows."""
    with store.open(part.path) as file:
        lines = pa.parquet.read_table(file, columns=[LINE])[LINE]
    ends: Mapping[str, int] = pc.min_max(lines).as_py()
    return ends["min"], ends["max"]


def _copied(store: Store, part: Part, folder: Path) -> Path:
    """Copy a file of rows into the local folder, below the folders of its partition; its path."""
    partition = folder_of_partition(tuple(part.partition.items()))
    target = folder / partition / part.path.rpartition("/")[2]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.open(part.path) as source, target.open("wb") as file:
            while piece := source.read(_PIECE_BYTES):
                file.write(piece)
    except OSError as error:
        raise ConfigError(
            f"{target} can't be written: {error.strerror}", key="--save-to", hint="name another folder, or --no-save"
        ) from error
    return target
