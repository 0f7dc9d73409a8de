"""A tap as a child process: started with the remembered state, read through a pipe, ended cleanly."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tailrace.errors import ConfigError

END_WAIT_S = 10.0
"""How long a tap may take to end when asked, before it is killed."""


class Tap:
    """A running tap. Use as a context manager: leaving the block ends the tap if it still runs.

    A state is given to the tap as `--state FILE` at the end of its command; without one it starts afresh. The tap's
    stderr goes to ours, line by line. `command` is split as a shell would, and no shell is started.
    """

    def __init__(self, command: str, state: bytes | None) -> None:
        self.command = command
        self._folder = tempfile.TemporaryDirectory(prefix="tailrace-tap-")
        words = _words(command, state, Path(self._folder.name) / "state.json")
        try:
            self._process = subprocess.Popen(  # noqa: S603 the operator's own command
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            self._folder.cleanup()
            raise ConfigError(
                f"{words[0]!r} can't be started: {error.strerror}",
                key="--tap",
                hint="give the tap's command as you would type it, with its --config",
            ) from error
        self._relay = threading.Thread(target=self._relay_stderr, daemon=True)
        self._relay.start()

    @property
    def stdout(self) -> IO[bytes]:
        """What the tap sends."""
        assert self._process.stdout is not None  # noqa: S101 it is a pipe
        return self._process.stdout

    def exit_code(self) -> int:
        """How the tap ended; waits for it. To be asked after its output has ended."""
        code = self._process.wait()
        self._relay.join()
        return code

    def end(self) -> None:
        """End the tap if it runs: ask it to, then kill it. Repeatable."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(END_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._relay.join(END_WAIT_S)
        self.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
        self._folder.cleanup()

    def _relay_stderr(self) -> None:
        assert self._process.stderr is not None  # noqa: S101 it is a pipe
        with self._process.stderr as lines:
            for line in lines:
                sys.stderr.write(line.decode(errors="replace"))
                sys.stderr.flush()


def _words(command: str, state: bytes | None, path: Path) -> list[str]:
    words = shlex.split(command)
    if not words:
        raise ConfigError("the command is empty", key="--tap", hint="as in --tap 'tap-name --config tap.json'")
    if state is None:
        return words
    path.touch(mode=0o600)
    path.write_bytes(state)
    return [*words, "--state", str(path)]
