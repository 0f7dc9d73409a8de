# What tailrace-native gives to Python; src/python.rs says more of it.
from collections.abc import Sequence

__version__: str

class Columns:
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

# Answers with the columns, the lines in doubt as (line, piece, start, end), the fields that were dropped with how often
# they were there, and columns with inexact floats, how many, and the line of the first.
class Decoder:
    def __init__(self, plan: str) -> None: ...
    def decode(
        self, pieces: Sequence[bytes], spans: Sequence[tuple[int, int]]
    ) -> tuple[Columns, list[tuple[int, int, int, int]], list[tuple[str, int]], list[tuple[str, int, int]]]: ...

def split(block: bytes) -> list[tuple[int, int, int, int | None]]: ...
