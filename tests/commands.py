"""The command line of tailrace in processes of their own, forked from one that has imported what is needed.

Each is a process as a shell starts it: with its own standard streams, folder of temporary files and group, and its own
end.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import BinaryIO

from tailrace.cli import main
from tailrace.testing.forked import LIMIT_S, context


class Command:
    """A process of the command line, with pipes for its output; like subprocess.Popen, as far as tests ask it."""

    def __init__(self, process: BaseProcess, stdout: BinaryIO, stderr: BinaryIO) -> None:
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

    def wait(self, timeout: float) -> int | None:
        """Wait so long until it has ended; its exit code."""
        self._process.join(timeout)
        return self._process.exitcode

    def communicate(self) -> tuple[bytes, bytes]:
        """Wait until it has ended; its output that wasn't read."""
        read: list[bytes] = [b"", b""]

        def collect(number: int, pipe: BinaryIO) -> None:
            read[number] += pipe.read()

        threads = [
            threading.Thread(target=collect, args=(number, pipe), daemon=True)
            for number, pipe in enumerate((self.stdout, self.stderr))
        ]
        for thread in threads:
            thread.start()
        if self.wait(LIMIT_S) is None:
            self.kill()
            raise TimeoutError(f"the command did not end within {LIMIT_S:.0f} s")
        for thread in threads:
            thread.join()
        return read[0], read[1]


@contextmanager
def tailrace(*arguments: object) -> Iterator[Command]:
    """A process of the command line without input; it, its group, and its temporary files don't outlive the block."""
    forking = context()
    out, said = forking.Pipe(duplex=False)
    err, complained = forking.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder, _file(out) as stdout, _file(err) as stderr:
        process = forking.Process(target=_run, args=([*map(str, arguments)], folder, said, complained))
        process.start()
        said.close()
        complained.close()
        limit = threading.Timer(LIMIT_S, process.kill)
        limit.start()
        try:
            yield Command(process, stdout, stderr)
        finally:
            limit.cancel()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.join()


def _file(connection: Connection) -> BinaryIO:
    """The end of a pipe as a file without a buffer, so that what isn't read line by line is left to be read."""
    with connection:
        return os.fdopen(os.dup(connection.fileno()), "rb", buffering=0)  # type: ignore[return-value]


def _run(arguments: Sequence[str], folder: str, *outputs: Connection) -> None:
    """Become the command, in the process that was forked for it."""
    os.setsid()
    os.dup2(sys.stdin.fileno(), 0)  # which multiprocessing has opened on nothing
    for number, output in enumerate(outputs, start=1):
        os.dup2(output.fileno(), number)
        output.close()
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, "wb", closefd=False), "utf-8", errors, line_buffering=number == 2)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    os.environ["TMPDIR"], tempfile.tempdir = folder, None
    sys.argv = ["tailrace", *arguments]
    main()
