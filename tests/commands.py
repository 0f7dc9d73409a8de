"""The command line of tailrace in processes of their own, forked from one that has imported what is needed.

Each is a process as a shell starts it: with its own standard streams, environment, folder and group, and its own end.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, BinaryIO

from tailrace.testing.forked import context

LIMIT_S = 300.0
"""After which a process that doesn't end is killed, so that a test fails instead of waiting for ever."""


class Command:
    """A process of the command line, with pipes for its output; like subprocess.Popen, as far as tests ask it."""

    def __init__(self, process: BaseProcess, stdin: BinaryIO | None, stdout: BinaryIO, stderr: BinaryIO) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._process = process

    @property
    def pid(self) -> int:
        """The process's number, which is its group's too."""
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode` is."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()

    def wait(self, timeout: float = LIMIT_S) -> int | None:
        """Wait until it has ended; its exit code."""
        self._process.join(timeout)
        return self._process.exitcode

    def communicate(self, sent: bytes | None = None, timeout: float = LIMIT_S) -> tuple[bytes, bytes]:
        """Send it its input, and wait until it has ended; its output. Raises TimeoutError where it takes longer."""
        read: list[bytes] = [b"", b""]

        def collect(number: int, pipe: BinaryIO) -> None:
            read[number] += pipe.read()

        threads = [
            threading.Thread(target=collect, args=(number, pipe), daemon=True)
            for number, pipe in enumerate((self.stdout, self.stderr))
        ]
        for thread in threads:
            thread.start()
        if self.stdin is not None:
            with suppress(BrokenPipeError):
                self.stdin.write(sent or b"")
            with suppress(BrokenPipeError):
                self.stdin.close()
        if self.wait(timeout) is None:
            self.kill()
            raise TimeoutError(f"the command did not end within {timeout:.0f} s")
        for thread in threads:
            thread.join()
        return read[0], read[1]


@contextmanager
def tailrace(
    *arguments: object,
    stdin: Any = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    program: str = "tailrace.cli:main",
) -> Iterator[Command]:
    """A process of the command line; it, its group, and its temporary files don't outlive the block.

    `stdin` is an open file; without one there is a pipe.
    """
    forking = context()
    given, ours = (Connection(os.dup(stdin.fileno())), None) if stdin else forking.Pipe(duplex=False)
    out, said = forking.Pipe(duplex=False)
    err, complained = forking.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**(os.environ if env is None else env), "TMPDIR": folder}
        words = [*map(str, arguments)]
        streams = (given, said, complained)
        process = forking.Process(target=_run, args=(program, words, environment, str(cwd or Path.cwd()), *streams))
        process.start()
        for stream in streams:
            stream.close()
        pipes = [_file(out, "rb"), _file(err, "rb")]
        stdin_pipe = _file(ours, "wb") if ours else None
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield Command(process, stdin_pipe, *pipes)
        finally:
            limit.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()
            for pipe in (*pipes, *([stdin_pipe] if stdin_pipe else ())):
                with suppress(BrokenPipeError):
                    pipe.close()


def _file(connection: Connection, mode: str) -> BinaryIO:
    """The end of a pipe as a file without a buffer, so that what isn't read line by line is left to be read."""
    with connection:
        return os.fdopen(os.dup(connection.fileno()), mode, buffering=0)  # type: ignore[return-value]


def _run(
    program: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: str,
    *streams: Connection,
) -> None:
    """Become the command, in the process that was forked for it."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, mode, closefd=False), "utf-8", errors, line_buffering=number == 2)
        for number, mode, errors in ((0, "rb", "strict"), (1, "wb", "strict"), (2, "wb", "backslashreplace"))
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    module, _, function = program.partition(":")
    sys.argv = [function if function != "main" else "tailrace", *arguments]
    getattr(import_module(module), function)()
