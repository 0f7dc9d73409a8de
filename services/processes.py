"""Server processes that end with the process that started them, and the conditions that starting them waits for."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

LIMIT_S = 300.0
"""A hundred times what an idle machine needs for a step: reached by what hangs alone, however busy the machine is."""

_PORTS = range(20_000, 32_000)
"""Below those that systems give to connections by themselves."""


class MissingServiceError(Exception):
    """A service isn't available here; says what to install."""


def free_port() -> int:
    """A port of the loopback on which nobody listens; no other caller is given it while this process lives.

    A server that was killed can be started on it again: the system gives it to no connection.
    """
    for _ in range(1000):
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        # A name that the system forgets when the processes that have it are gone; nothing is left in a folder.
        with socket.socket(socket.AF_UNIX) as claim, socket.socket() as listening, suppress(OSError):
            claim.bind(f"\0tailrace-port-{port}")
            listening.bind(("127.0.0.1", port))
            claim.detach()
            return port
    raise RuntimeError(f"no port from {_PORTS.start} to {_PORTS.stop} is free")


def owner_of_servers(user: str) -> list[str]:
    """The prefix of a command that runs as that user; empty unless we are root."""
    return ["--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []


def give(folder: Path, user: str) -> None:
    """Give the folder to the user that servers run as."""
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)


class Server(ABC):
    """A server on a port and in a folder of its own, where all its processes work; by that they are found.

    One that dies by itself is started again with what it had in its folder, once, before it is next used.
    """

    name: str
    host = "127.0.0.1"
    system_user: str | None = None
    """The system's user that it runs as, where we are root; None is our own."""
    death_signal = "KILL"
    """What it gets when this process is gone."""
    ending = signal.SIGTERM
    """How it likes to be ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.port = free_port()
        self.deaths: list[str] = []
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        if self.system_user:
            give(self.folder, self.system_user)

    @abstractmethod
    def command(self) -> list[str]:
        """What starts the server."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server takes connections."""

    @property
    def pid(self) -> int:
        """The number of the server's first process."""
        assert self._process is not None, "the server doesn't run"
        return self._process.pid

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        owner = owner_of_servers(self.system_user) if self.system_user else []
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", self.death_signal, *owner, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End the server as a crash does: none of its processes gets to write anything more, or is left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._end_what_is_left()

    def stop(self) -> None:
        """End the server as it likes to be ended, and if need be at once."""
        if self._process is not None:
            if self._process.poll() is not None:
                self.deaths.append(self._death("ended"))
            with suppress(subprocess.TimeoutExpired):
                self._process.send_signal(self.ending)
                self._process.wait(LIMIT_S)
        self.kill()

    def revive(self) -> None:
        """Start the server again if it has died by itself; RuntimeError if it did so before."""
        if self._process is None or self._process.poll() is None:
            return
        if self.deaths:
            raise RuntimeError(f"{self._death('died again')}; it isn't started any more. {self.deaths[0]}")
        self.deaths.append(self._death("was started again"))
        self._end_what_is_left()
        self.start()

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        wait_until(lambda: process.poll() is not None or self.is_ready(), self._logged)
        if process.poll() is not None:
            raise RuntimeError(f"{self.name} doesn't start (exit code {process.returncode}):\n{self._logged()}")

    def _death(self, what_then: str) -> str:
        """How the server ended, in which test that was seen, and what it had logged."""
        code = self._process.returncode if self._process else 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        seen = os.environ.get("PYTEST_CURRENT_TEST", "no test")
        return f"{self.name} died by itself ({how}, seen in {seen}) and {what_then}; it had logged:\n{self._logged()}"

    def _logged(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-4000:]

    def _end_what_is_left(self) -> None:
        """End the processes that the server has started; they hold its memory and its ports until they are gone."""

        def is_empty() -> bool:
            left = processes_in(self.folder)
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            return not left

        wait_until(is_empty, lambda: f"{self.name} doesn't end: {processes_in(self.folder)}")


def processes_in(folder: Path) -> list[int]:
    """The processes that work in the folder or below."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone, or somebody else's
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def wait_until(condition: Callable[[], object], told: Callable[[], str]) -> None:
    """Wait for a condition; a TimeoutError with what is told when it never comes."""
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {LIMIT_S:.0f} s: {told()}")
        time.sleep(0.01)
