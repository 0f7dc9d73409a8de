"""Server processes that end with the process that started them, and the conditions that starting them waits for."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

START_LIMIT_S = 60.0


class MissingServiceError(Exception):
    """A service isn't available here; says what to install."""


def free_port() -> int:
    """A free port of the loopback."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def owner_of_servers(user: str) -> list[str]:
    """The prefix of a command that runs as that user; empty unless we are root."""
    return ["--reuid", user, "--regid", user, "--clear-groups"] if os.geteuid() == 0 else []


def give(folder: Path, user: str) -> None:
    """Give the folder to the user that servers run as."""
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)


def start(words: Sequence[str], user: str | None, log: Path, *, death_signal: str) -> subprocess.Popen[bytes]:
    """A server that runs as that user (None is our own), and gets the signal when this process is gone."""
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", death_signal, *(owner_of_servers(user) if user else ()), *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
        )


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server's condition; raises with its log if it ends before that, or takes too long."""
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            told = log.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise RuntimeError(f"{process.args} doesn't answer (exit code {process.returncode}):\n{told}")
        time.sleep(0.02)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a server and its children at once, as a crash does."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def stop(process: subprocess.Popen[bytes], ending: signal.Signals) -> None:
    """End a server gracefully, or by force if that takes too long."""
    if process.poll() is None:
        process.send_signal(ending)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        kill(process)
