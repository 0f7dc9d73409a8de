"""The command line of tailrace in processes of their own, forked from one that has imported what is needed.

Each is a process as a shell starts it: with its own standard streams, folder of temporary files and group, and its own
end.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import BinaryIO

from tailrace import cli
from tailrace.cli import singer_target
from tailrace.destinations import NAMES
from tailrace.testing.forked import LIMIT_S, context

for _name in (*NAMES.values(), *(f"tailrace.cli.{_module}" for _module, _ in cli.VERBS.values()), "tailrace.cli.about"):
    with suppress(ModuleNotFoundError):  # of a driver that isn't installed
        import_module(_name)

PROGRAMS = {"tailrace": cli.main, "target-tailrace": singer_target.main}


class Command:
    """A process of the command line, with pipes as its streams; like subprocess.Popen, as far as tests ask it."""

    def __init__(self, process: BaseProcess, stdin: BinaryIO, stdout: BinaryIO, stderr: BinaryIO) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self._process = process

    @property
    def returncode(self) -> int | None:
        """Its exit code, minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """As `returncode` is."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        assert self._process.pid
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._process.kill()

    def wait(self, timeout: float = LIMIT_S) -> int | None:
        """Wait so long until it has ended; its exit code."""
        self._process.join(timeout)
        return self._process.exitcode

    def communicate(self, sent: bytes = b"") -> tuple[bytes, bytes]:
        """Send it the last of its input, and wait until it has ended; its output that wasn't read."""
        read: list[bytes] = [b"", b""]

        def send() -> None:
            left = memoryview(sent)
            with self.stdin, suppress(BrokenPipeError):
                while left:
                    left = left[self.stdin.write(left) :]

        def collect(number: int, pipe: BinaryIO) -> None:
            read[number] += pipe.read()

        threads = [
            threading.Thread(target=collect, args=(number, pipe), daemon=True)
            for number, pipe in enumerate((self.stdout, self.stderr))
        ]
        if not self.stdin.closed:
            threads.append(threading.Thread(target=send, daemon=True))
        for thread in threads:
            thread.start()
        if self.wait(LIMIT_S) is None:
            self.kill()
            raise TimeoutError(f"the command did not end within {LIMIT_S:.0f} s")
        for thread in threads:
            thread.join()
        return read[0], read[1]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a process is to become."""

    program: str
    arguments: Sequence[str]
    cwd: str
    environ: Mapping[str, str]
    redirected: Mapping[int, str | None]


@contextmanager
def tailrace(
    *arguments: object,
    program: str = "tailrace",
    cwd: Path | str | None = None,
    environ: Mapping[str, str] = {},
    stdin: bool = False,
    redirected: Mapping[int, str | None] = {},
) -> Iterator[Command]:
    """A process of the command line; it, its group, and its temporary files don't outlive the block.

    It has the environment of this process without tailrace's own variables, and `environ` besides. It has an input if
    `stdin` says so. `redirected` are the numbers of its streams that are a file instead of a pipe, or None for closed.
    """
    forking = context()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ours = {key: value for key, value in os.environ.items() if not key.startswith("TAILRACE_")}
        environment = {**ours, "TMPDIR": folder, **environ}
        order = _Order(program, [*map(str, arguments)], str(cwd or Path.cwd()), environment, redirected)
        (read, fed), (out, said), (err, complained) = (forking.Pipe(duplex=False) for _ in range(3))
        streams = [stack.enter_context(_file(pipe, mode)) for pipe, mode in ((fed, "wb"), (out, "rb"), (err, "rb"))]
        process = forking.Process(target=_run, args=(order, read, said, complained))
        process.start()
        for pipe in (read, said, complained):
            pipe.close()
        if not stdin:
            streams[0].close()
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield Command(process, *streams)
        finally:
            limit.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()


def run(
    *arguments: object,
    program: str = "tailrace",
    cwd: Path | str | None = None,
    stdin: bytes = b"",
    redirected: Mapping[int, str | None] = {},
    **environ: str,
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line to its end, as subprocess.run does with that input and more variables of the environment."""
    with tailrace(*arguments, program=program, cwd=cwd, environ=environ, stdin=True, redirected=redirected) as command:
        stdout, stderr = command.communicate(stdin)
        assert command.returncode is not None
        return subprocess.CompletedProcess([program, *map(str, arguments)], command.returncode, stdout, stderr)


def _file(connection: Connection, mode: str) -> BinaryIO:
    """The end of a pipe as a file without a buffer, so that what isn't read line by line is left to be read."""
    with connection:
        return os.fdopen(os.dup(connection.fileno()), mode, buffering=0)  # type: ignore[return-value]


def _run(order: _Order, *pipes: Connection) -> None:
    """Become the command, in the process that was forked for it."""
    os.setsid()
    os.chdir(order.cwd)
    os.environ.clear()
    os.environ.update(order.environ)
    tempfile.tempdir = None
    sys.argv = [order.program, *order.arguments]
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    for number, path in order.redirected.items():
        if path is not None:
            file = os.open(path, os.O_RDWR)
            os.dup2(file, number)
            os.close(file)
    for number, path in order.redirected.items():
        if path is None:
            os.close(number)
    sys.stdin, sys.stdout, sys.stderr = (_text(number, order.redirected) for number in range(3))
    PROGRAMS[order.program]()


def _text(number: int, redirected: Mapping[int, str | None]) -> io.TextIOWrapper | None:
    """A standard stream, as Python opens it where the locale has UTF-8; None if it is closed, as Python has it too."""
    if redirected.get(number, "") is None:
        return None
    file = os.fdopen(number, "wb" if number else "rb", closefd=False)
    return io.TextIOWrapper(file, "utf-8", "backslashreplace" if number == 2 else "strict", line_buffering=number == 2)
