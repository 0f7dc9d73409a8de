"""The file of the end report, which is tried before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.errors import ConfigError, advice_on_space

if TYPE_CHECKING:
    from tailrace.runtime.report import Report


def require_writable(file: Path | None) -> None:
    """Raise ConfigError if the report can't be written."""
    if file is None:
        return
    try:
        with file.open("ab"):
            pass
    except OSError as error:
        raise _unwritten(file, error) from error


def write_report(report: Report, file: Path) -> None:
    """Write the report; raises ConfigError if that fails."""
    try:
        report.write(file)
    except OSError as error:
        raise _unwritten(file, error) from error


def _unwritten(file: Path, error: OSError) -> ConfigError:
    hint = advice_on_space(error, file) or "name another file"
    return ConfigError(f"{file} can't be written: {error.strerror}", key="--report", hint=hint)
