"""The state that a destination remembers of a pipeline: asked for, put in place by hand, and without some bookmarks."""

from __future__ import annotations

import fnmatch
import uuid
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from tailrace.config import Settings
from tailrace.destination import Destination, Remembering
from tailrace.errors import ConfigError, DestinationError
from tailrace.log import get_logger
from tailrace.model import Checkpoint
from tailrace.runtime.checkpoint import committed
from tailrace.runtime.invalid import Invalid
from tailrace.runtime.report import Tally
from tailrace.runtime.retry import Retry

_log = get_logger("state")
_PRESENT = ("currently_syncing", "current_stream")
"""Members that name the stream at which an interrupted tap goes on."""


def remembered(destination: Destination, retry: Retry, pipeline: str) -> Checkpoint | None:
    """The pipeline's last checkpoint; a run at work goes on, unless the destination can only be asked by recover()."""
    if isinstance(destination, Remembering):
        return retry.call(destination.remembered, pipeline)
    return retry.call(destination.recover, pipeline)


def remember(
    destination: Destination, settings: Settings, state: bytes | None, last: Checkpoint | None, at: datetime
) -> Checkpoint:
    """Commit an empty checkpoint of the settings' pipeline with that state, where `last` is still the one before.

    A run of the pipeline that is at work is fenced. Raises DestinationError, with nothing changed, where another
    checkpoint was committed meanwhile.
    """
    name = settings.pipeline or ""
    retry = Retry(destination, settings.retry_s)
    found = retry.call(destination.recover, name)
    number = found.number if found else 0
    if number != (last.number if last else 0):
        raise DestinationError(f"checkpoint {number} was committed meanwhile; look at its state, and try again")
    aside = Invalid(settings, Tally(), name, uuid.uuid4().hex)
    aside.begin()
    try:
        aside.recover(number)
        checkpoint = Checkpoint(name, number + 1, state, at)
        committed(destination, retry, checkpoint)
    finally:
        aside.close()
    return checkpoint


def given_state(text: bytes) -> bytes:
    """A state that somebody gives, on one line and else as it is; raises ConfigError unless it is one."""
    try:
        value = msgspec.json.decode(text)
        line = msgspec.json.format(text, indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ConfigError("it isn't JSON", key="STATE", hint="give one JSON object, as `--state` takes it") from None
    if not isinstance(value, dict):
        raise ConfigError("it isn't a JSON object", key="STATE", hint="`tailrace state reset` makes a tap start afresh")
    if value.get("type") == "STATE" and "value" in value:
        raise ConfigError("it is a STATE message", key="STATE", hint="give its `value` alone")
    if isinstance(value.get("completed"), dict) and "singer_state" in value["completed"]:
        raise ConfigError("it is Meltano's", key="STATE", hint="give its `singer_state` alone")
    return line


class Refresh(Struct, frozen=True):
    """What a tap gets so that it sends streams anew: `state`, and the names of those that lost their bookmarks.

    `is_fresh` says that no stream has a bookmark, so that a tap sends all of every one.
    """

    state: bytes | None
    streams: tuple[str, ...]
    is_fresh: bool


def refresh(state: bytes | None, patterns: Sequence[str]) -> Refresh:
    """Remove the bookmarks of the streams of these names or globs from a state, in Singer's shape and the SDK's.

    Raises ConfigError for a state without `bookmarks` by stream, in which nobody but the tap knows its way.
    """
    members, bookmarks = _parted(state)
    gone = tuple(name for name in bookmarks if _is_meant(name, patterns))
    for pattern in patterns if bookmarks else ():
        if not any(_is_meant(name, (pattern,)) for name in gone):
            _log.warning("no such stream has a bookmark; the tap sends it as it would anyway", full_refresh=pattern)
    if not gone:
        return Refresh(state, (), is_fresh=not bookmarks)
    kept = {name: bookmark for name, bookmark in bookmarks.items() if name not in gone}
    left = {
        name: member
        for name, member in members.items()
        if name not in _PRESENT or msgspec.json.decode(member) not in gone
    }
    return Refresh(msgspec.json.encode({**left, "bookmarks": kept}), gone, is_fresh=False)


def _parted(state: bytes | None) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    """A state's members, and those of its `bookmarks`, each as it is written."""
    try:
        members = msgspec.json.decode(state or b"{}", type=dict[str, msgspec.Raw])
        if not members:
            return {}, {}
        return members, msgspec.json.decode(members.get("bookmarks", b"null"), type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        raise ConfigError(
            "the tap's state has no `bookmarks` by stream",
            key="--full-refresh",
            hint="`tailrace state reset` has the tap send all streams anew, and `tailrace state set` takes a state "
            "that you changed",
        ) from None


def _is_meant(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
