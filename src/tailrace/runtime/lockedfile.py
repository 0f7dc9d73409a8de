"""A file that one run at a time has: locked, added to at its end, never replaced."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from tailrace.disk import sync, try_lock
from tailrace.errors import ConfigError, advice_on_space
from tailrace.log import get_logger

_UNLOCKABLE = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_READ_BYTES = 2**16

_log = get_logger("quarantine")


class LockedFile:
    """A file of lines that this run alone adds to, until it is closed. To be used by one thread at a time.

    A new one may be read by its owner alone. A link stays a link. A last line that a crash has cut off is taken away
    before the first line is added.
    Raises ConfigError, which names the setting, when another run has it, or it can't be written.
    """

    def __init__(self, path: Path, setting: str) -> None:
        self._path = path
        self._setting = setting
        try:
            self._is_new = not path.exists()
            missing = [folder for folder in path.resolve().parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            self._number = self._opened()
        except OSError as error:
            raise self._wrong(error) from error
        self._end: int | None = None
        made = [path.resolve(), *missing] if self._is_new else []
        self._unlisted = [each.parent for each in made]

    def append(self, data: bytes) -> None:
        """Add whole lines. When they can't be written, none of them is left, and ConfigError is raised."""
        try:
            end = self._end = self._mended_end() if self._end is None else self._end
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except OSError as error:
            if self._end is not None:
                with suppress(OSError):
                    os.ftruncate(self._number, self._end)
            raise self._wrong(error) from error
        self._end = end + len(data)

    def sync(self) -> None:
        """Make what was added durable, and the names of what is new: the file, and folders that were made for it."""
        try:
            os.fsync(self._number)
            while self._unlisted:
                with suppress(PermissionError):  # Windows opens no folders, and writes names by itself
                    sync(self._unlisted[-1])
                self._unlisted.pop()
        except OSError as error:
            raise self._wrong(error) from error

    def close(self) -> None:
        """Let others have the file; a new one that nothing was added to is removed."""
        if self._is_new and not os.fstat(self._number).st_size:
            with suppress(OSError):
                self._path.resolve().unlink()
        os.close(self._number)

    def _opened(self) -> int:
        """The file, locked, and still the one of that name: another run may have removed it before it let go."""
        while True:
            number = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with ExitStack() as unless_ours:
                unless_ours.callback(os.close, number)
                self._take(number)
                with suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(number), self._path.stat()):
                        unless_ours.pop_all()
                        return number

    def _take(self, number: int) -> None:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise ConfigError(f"{self._path} isn't a regular file", key=self._setting, hint="name another")
        if not lock(number, self._path, shared=False):
            raise ConfigError(
                f"{self._path} is in use by another run",
                key=self._setting,
                hint="wait until that has ended, or name a file for each pipeline",
            )

    def _mended_end(self) -> int:
        """The length of the file once its last line is whole."""
        end = os.fstat(self._number).st_size
        tail = b""
        start = end
        while start and b"\n" not in tail:
            size = min(_READ_BYTES, start)
            start -= size
            tail = os.pread(self._number, size, start) + tail
        last = tail.rpartition(b"\n")[2]
        if not last:
            return end
        if last.rstrip().endswith(b"}"):  # somebody has edited the file, whose editor ends no last line
            os.write(self._number, b"\n")
            return end + 1
        os.ftruncate(self._number, end - len(last))
        return end - len(last)

    def _wrong(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"{self._path} can't be written: {error.strerror}",
            key=self._setting,
            hint=advice_on_space(error, self._path) or "name another file",
        )


def lock(number: int, path: Path, *, shared: bool) -> bool:
    """Whether the open file is ours now, alone or with other readers; where none can be locked the log says so."""
    try:
        is_ours = try_lock(number, shared=shared)
    except OSError as error:
        if error.errno not in _UNLOCKABLE:
            raise
        _log.warning("the file can't be locked where it is; see that no two runs use it", file=str(path))
        return True
    if is_ours is None:
        _log.warning("files can't be locked here; see that no two runs use one", file=str(path))
        return True
    return is_ours
