"""A state in a file: whole, or the one before it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from tailrace.disk import sync
from tailrace.errors import ConfigError, advice_on_space


class StateFile:
    """A file of one line, which is the newest state. A link stays a link, and the file's rights stay.

    To be called from one thread at a time.
    """

    def __init__(self, path: Path, option: str) -> None:
        self._path = path
        self._option = option

    def tell(self, value: bytes) -> None:
        """Put a state in the place of the one before, durably. Raises ConfigError when it can't be written.

        What the state covers is loaded all the same.
        """
        target = self._path.resolve()
        waiting = target.with_name(f".{target.name}.{os.getpid()}.new")
        try:
            number = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            with os.fdopen(number, "wb") as file:
                with suppress(FileNotFoundError):
                    waiting.chmod(target.stat().st_mode & 0o777)
                file.write(value + b"\n")
                file.flush()
                os.fsync(number)
            waiting.replace(target)
            with suppress(PermissionError):  # Windows opens no folders, and writes names by itself
                sync(target.parent)
        except OSError as error:
            with suppress(OSError):
                waiting.unlink()
            wrong = self._wrong(error)
            wrong.add_note("what the state covers is loaded")
            raise wrong from error

    def check(self) -> None:
        """Raise ConfigError if a state couldn't be written beside what is there."""
        folder = self._path.resolve().parent
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"nothing can be written to {folder}", key=self._option, hint="name another file")

    def _wrong(self, error: OSError) -> ConfigError:
        hint = advice_on_space(error, self._path) or "name another file"
        return ConfigError(f"{self._path} can't be written: {error.strerror}", key=self._option, hint=hint)
