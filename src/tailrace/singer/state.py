"""The states on stdout: a line for each state that has become true, which is the STATE's value and nothing else."""

from __future__ import annotations

import io
from typing import BinaryIO, TextIO, cast

from tailrace.errors import ConfigError

_LOADED = "what the state covers is loaded; keep stdout open until the run has ended"


class StateWriter:
    """Writes states to an output, which is left open. To be called from one thread at a time.

    Whoever runs a target keeps its last line and gives it back to the tap as the state that it is.
    """

    def __init__(self, out: TextIO | BinaryIO) -> None:
        self._out = out

    def tell(self, value: bytes) -> None:
        """Write the JSON text of a STATE's value as a line, and flush it.

        Raises ConfigError when it can't be written, as when the reader of a pipe has gone; what the state covers is
        loaded all the same.
        """
        try:
            self._write(value + b"\n")
            self._out.flush()
        except ConfigError as error:
            error.add_note(_LOADED)
            raise
        except OSError as error:
            reason = "nobody reads it any more" if isinstance(error, BrokenPipeError) else error.strerror or str(error)
            raise ConfigError(
                f"a state can't be told: {reason}",
                key="stdout",
                hint=_LOADED,
            ) from error

    def _write(self, line: bytes) -> None:
        if isinstance(self._out, io.TextIOBase):
            self._out.write(line.decode())
            return
        out = cast(BinaryIO, self._out)
        rest = memoryview(line)
        while rest:
            # An output without a buffer, as stdout is under `python -u`, may take but a part.
            rest = rest[out.write(rest) :]
