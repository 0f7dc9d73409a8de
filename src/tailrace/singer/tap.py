"""A tap as a child process: started with the remembered state, read through a pipe, ended with all it has started."""

from __future__ import annotations

import codecs
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tailrace.alone import environ_of_others
from tailrace.errors import ConfigError, advice_on_space
from tailrace.scratch import ScratchFolder
from tailrace.singer.processes import Group

_BLOCK_BYTES = 2**16
_RELAY_WAIT_S = 10.0
_HIDDEN = "***"
_OPTION = re.compile(r"(?P<name>--?[A-Za-z][\w.-]*)(?P<value>=.*)?", re.DOTALL)
_OF_SHELLS = re.compile(r"(?P<joint>\|\|?|&&?|;)|(?P<redirection>\d?[<>]{1,2})\S*")
"""Words by which a shell joins commands and redirects them, where they aren't in quotes."""
_QUOTED = re.compile(r"\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_ASSIGNMENT = re.compile(r"(?P<name>[A-Za-z_]\w*)=.*", re.DOTALL)


class Tap:
    """A running tap. Use as a context manager: leaving the block ends the tap if it still runs.

    A state is given to the tap as `--state FILE` at the end of its command; without one it starts afresh. The tap's
    stderr goes to ours, as it is. `command` is split as a shell would, and no shell is started. The tap leads a
    session of its own: a signal from the terminal reaches us alone, and all that it has started ends with it.
    """

    def __init__(self, command: str, state: bytes | None) -> None:
        self.shown = shown_command(command)
        words = _split(command)
        _refuse_shells_words(command, words)
        self._kept = ExitStack()
        if state is not None:
            words += ["--state", str(self._kept.enter_context(_file_of(state)))]
        started = _started(words)
        if isinstance(started, OSError):
            self._kept.close()
            # The system's error has the word that could not be started in it, which may be `KEY=secret`.
            raise ConfigError(
                f"{_shown(words[:1])!r} can't be started: {started.strerror}",
                key="--tap",
                hint="give the tap's command as you would type it, with its --config",
            )
        self._process = started
        self._group = Group(started.pid)
        self._relay = threading.Thread(target=self._relay_stderr, daemon=True)
        self._relay.start()
        threading.Thread(target=self._end_what_a_failed_tap_leaves, daemon=True).start()

    @property
    def stdout(self) -> IO[bytes]:
        """What the tap sends."""
        assert self._process.stdout is not None  # noqa: S101 it is a pipe
        return self._process.stdout

    def exit_code(self) -> int:
        """How the tap ended; waits for it. To be asked after its output has ended."""
        code = self._process.wait()
        self._end_group()
        return code

    def end(self) -> None:
        """End the tap, and what it has started, if any of it runs: ask it to, then kill it. Repeatable."""
        if self._process.poll() is None:
            self._group.ask()
        self._end_group()
        self._process.wait()
        self.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        self._kept.close()

    def _end_group(self) -> None:
        self._group.end(self._process.poll)
        self._relay.join(_RELAY_WAIT_S)

    def _end_what_a_failed_tap_leaves(self) -> None:
        """End the children of a tap that failed, which may hold its stdout open and have nothing to say."""
        if self._process.wait() != 0:
            self._group.end(self._process.poll)

    def _relay_stderr(self) -> None:
        """Pass on what the tap says, in whole lines where it says some, so that our own lines don't part them."""
        assert self._process.stderr is not None  # noqa: S101 it is a pipe
        decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        waiting = ""
        with self._process.stderr as said:
            while block := os.read(said.fileno(), _BLOCK_BYTES):
                waiting += decode(block)
                whole = max(waiting.rfind("\n"), waiting.rfind("\r")) + 1
                if len(waiting) > _BLOCK_BYTES:
                    whole = len(waiting)
                _say(waiting[:whole])
                waiting = waiting[whole:]
            _say(waiting + decode(b"", final=True))


def _refuse_shells_words(command: str, words: list[str]) -> None:
    """Raise ConfigError for what only a shell understands, which the tap would be given as words."""
    for found in filter(None, map(_OF_SHELLS.fullmatch, _QUOTED.sub("_", command).split())):
        raise ConfigError(
            f"there is no shell here, which {found['joint'] or found['redirection']} is for",
            key="--tap",
            hint="start one, as in --tap \"sh -c 'tap-x | head'\"",
        )
    if assigned := _ASSIGNMENT.fullmatch(words[0]):
        raise ConfigError(
            f"there is no shell here, which would set {assigned['name']}",
            key="--tap",
            hint=f"write `env {assigned['name']}=...` before the tap's command, or `sh -c '...'`",
        )


def shown_command(command: str) -> str:
    """A command as it may be told: its program and the names of its options; all else may be a secret."""
    return _shown(_split(command))


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(
            f"the command can't be read: {str(error).lower()}", key="--tap", hint="quote it as a shell wants it"
        ) from None
    if not words:
        raise ConfigError("the command is empty", key="--tap", hint="as in --tap 'tap-name --config tap.json'")
    return words


def _shown(words: list[str]) -> str:
    program, *others = words
    assigned = _ASSIGNMENT.fullmatch(program)
    return " ".join([f"{assigned['name']}={_HIDDEN}" if assigned else program, *map(_shown_word, others)])


def _shown_word(word: str) -> str:
    option = _OPTION.fullmatch(word)
    if option is None:
        return _HIDDEN
    name = option["name"]
    is_short_with_value = not name.startswith("--") and len(name) > len("-x")
    return f"{name[:2]}{_HIDDEN}" if is_short_with_value else f"{name}={_HIDDEN}" if option["value"] else name


def _started(words: list[str]) -> subprocess.Popen[bytes] | OSError:
    try:
        return subprocess.Popen(  # noqa: S603 the operator's own command
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=environ_of_others(),
        )
    except OSError as error:
        return error


def _say(text: str) -> None:
    if text:
        sys.stderr.write(text)
        sys.stderr.flush()


@contextmanager
def _file_of(state: bytes) -> Iterator[Path]:
    """A file with the state that its owner alone can read, gone at the end."""
    with ExitStack() as kept:
        try:
            folder = kept.enter_context(ScratchFolder("tap"))
            path = folder.path / "state.json"
            path.touch(mode=0o600)
            path.write_bytes(state)
        except OSError as error:
            raise ConfigError(
                f"the tap's state can't be written to a temporary file: {error.strerror}",
                key="TMPDIR",
                hint=advice_on_space(error, "temporary files") or "name a folder that can be written to",
            ) from error
        yield path
