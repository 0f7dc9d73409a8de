"""Cutting blocks into stretches: in Python and natively, and both the same."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.singer.lines import Splitter, splitter

A = b'{"type": "RECORD", "stream": "a", "record": {"id": 1}}\n'
B = b'{"stream":"b","type":"RECORD","record":{}}\n'
STATE = b'{"type": "STATE", "value": {}}\n'
LOWER = A.replace(b"RECORD", b"record")
PIECES = [
    *(b"{", b"}", b'"', b"\\", b":", b",", b" ", b"\t", b"\r", b"\n", b"\xff", b"\0", b"x"),
    *(b'"type"', b'"RECORD"', b'"stream"', b'"record"', b'"a"', b'""', b'"\\"', b"\\\n", b'"\\ud800"', b'"a\tb"'),
    *(A, B, STATE, A[:-12], B[:25], A[:34] + b" :{}}\n"),
    *(LOWER, B.replace(b"RECORD", b"Record"), b'"rEcOrD"', b'"records"', b'"recor', b'"\xc5\xbf'),
]


@pytest.mark.parametrize("split", [Splitter().split, splitter()], ids=["python", "of this installation"])
def test_lines_that_begin_alike_are_one_stretch(split):
    block, ends = A + A + B + STATE + STATE + A, list(accumulate(map(len, (A + A, B, STATE, STATE, A))))
    assert list(split(block)) == [
        (0, ends[0], 2, len(A) - 12),
        (ends[0], ends[1], 1, ends[1] - 4),
        (ends[1], ends[2], 1, None),
        (ends[2], ends[3], 1, None),
        (ends[3], ends[4], 1, ends[4] - 12),
    ]


@pytest.mark.parametrize("split", [Splitter().split, splitter()], ids=["python", "of this installation"])
def test_records_whose_type_is_in_small_letters_are_stretches_too(split):
    size = len(LOWER)
    assert list(split(LOWER + LOWER + A)) == [(0, 2 * size, 2, size - 12), (2 * size, 3 * size, 1, 3 * size - 12)]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.integers(0, 300), st.integers(0, 255))
def test_all_splitters_cut_alike(pieces, at, byte):
    block = bytearray(b"".join(pieces) + b"\n")
    block[at % len(block)] = byte
    if not block.endswith(b"\n"):
        block += b"\n"
    assert list(splitter()(bytes(block))) == list(Splitter().split(bytes(block)))
