# What tailrace-native gives to Python; src/python.rs says more of it.
from collections.abc import Sequence
from typing import TypeAlias

__version__: str

Note: TypeAlias = tuple[str, int, int, tuple[int, int]]
Doubtful: TypeAlias = list[tuple[int, int, int, int]]
Growth: TypeAlias = tuple[int, list[tuple[str, int, int]]]
Dropped: TypeAlias = list[tuple[str, int]]

class Columns:
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]: ...

# Refused records, in the order of their lines. A place is (line, piece, start, end, which of the reasons); reasons are
# violations as (code, path, expected, got). Entries are JSON Lines from `first` on, with
# which one comes next; `stream` is JSON, and so is `rest` behind a brace.
class Refusals:
    def __len__(self) -> int: ...
    def place(self, at: int) -> tuple[int, int, int, int, int]: ...
    def reasons(self) -> list[list[tuple[str, str, str, str]]]: ...
    def entries(self, pieces: Sequence[bytes], stream: str, rest: str, first: int) -> tuple[bytes, int]: ...

# Spans are (first line, count), packed as native 64-bit integers. Answers with the columns; the lines in doubt as
# (line, piece, start, end); refused records; the first line with a version for which the stream has no column (or 0),
# and new fields as (name, bits of forms, first line); the fields that were dropped with how often they were there; and
# notes on inexact floats, coerced values and odd members of messages: how many there are, the line of the first, and
# how many digits they have before the point and behind it.
class Decoder:
    def __init__(self, layout: str) -> None: ...
    def decode(
        self, pieces: Sequence[bytes], spans: bytes, is_bare: bool = False
    ) -> tuple[Columns, Doubtful, Refusals, Growth, Dropped, list[Note], list[Note], list[Note]]: ...

# Answers with the parts of a block, its states, and how many lines it has. A part is records, as (stream, lines,
# packed spans, how many), or another line, as (None, line, b"LOG" or b"", its number). States are their values, one
# behind the other, and a packed (line, end of the value, records before, bytes of records before) of each.
class Splitter:
    def __init__(self) -> None: ...
    def split(
        self, block: bytes, first_line: int
    ) -> tuple[list[tuple[str | None, bytes, bytes, int]], tuple[bytes, bytes], int]: ...

# Rows of what knows Arrow's C data interface: in PostgreSQL's binary COPY format without its header, for columns of
# types with these OIDs, or as lines of delimited text; None where that isn't for native code to write.
def pg_copy(rows: object, types: Sequence[int]) -> bytes | None: ...
def delimited_lines(rows: object) -> bytes | None: ...

# Rows of a CSV file without quotes, in columns of these names. A letter says which form all cells of a column have: i
# integers, d days, t times without a zone, z in UTC, s texts; a column with another cell is one of texts. None where
# that isn't for native code to read.
def csv_columns(block: bytes, delimiter: int, names: Sequence[str], forms: bytes) -> Columns | None: ...

# Whether a text of these columns has an escape of a surrogate.
def has_surrogates(rows: object) -> bool: ...
