"""What tailrace-native gives to Python; see src/python.rs."""

from collections.abc import Sequence

__version__: str

class Columns:
    """Columns of one length, to be taken through Arrow's C data interface, by `pyarrow.record_batch` for one."""

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

class Decoder:
    """Decodes the runs of one stream; threads may share it."""

    def __init__(self, plan: str) -> None: ...
    def decode(
        self, data: bytes, spans: Sequence[tuple[int, int]]
    ) -> tuple[Columns, list[tuple[int, int, int]], list[tuple[str, int]], list[tuple[str, int, int]]]:
        """The columns of a run; the lines that are in doubt, as (line, start, end); what was dropped; what was inexact."""

def split(block: bytes) -> list[tuple[int, int, int, int | None]]:
    """The stretches of a block of whole lines, as (start, end, lines, where the first record starts or None)."""
