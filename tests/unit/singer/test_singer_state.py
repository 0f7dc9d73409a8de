"""States on an output: one flushed line each, or an error that says so."""

import contextlib
import io
import os
from pathlib import Path

import pytest

from tailrace.errors import ConfigError
from tailrace.singer.reader import Reader
from tailrace.singer.state import StateWriter

VALUE = '{"bookmarks": {"größe": 1.50}}'.encode()
LINE = VALUE + b"\n"


def test_a_state_is_one_line_which_is_its_value_as_it_was_sent():
    out = io.BytesIO()
    StateWriter(out).tell(VALUE)
    assert out.getvalue() == LINE


@pytest.mark.parametrize(
    "value", ['{"a" : 1.50,  "b":"\\u00e9\\/\\n"}', "null", "[]", '"é"', "-0.0e+1", "123456789012345678901234567890"]
)
def test_a_state_is_told_byte_for_byte_as_the_tap_sent_it(value):
    sent = b'{"type": "STATE", "value": ' + value.encode() + b' , "other": 1}\n'
    (block,) = Reader(max_line_bytes=1000).feed(sent)
    (state,) = block.states
    out = io.BytesIO()
    StateWriter(out).tell(state.value)
    assert out.getvalue() == value.encode() + b"\n"


def test_a_state_may_go_to_a_text_output():
    out = io.StringIO()
    StateWriter(out).tell(VALUE)
    assert out.getvalue() == LINE.decode()


def test_a_state_is_flushed(tmp_path):
    with (tmp_path / "out").open("wb") as out:
        StateWriter(out).tell(VALUE)
        assert (tmp_path / "out").read_bytes() == LINE


class Narrow(io.RawIOBase):
    """An output without a buffer that takes seven bytes at once."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        self.taken += bytes(data[:7])
        return min(7, len(data))


def test_an_output_that_takes_but_a_part_gets_the_rest():
    out = Narrow()
    StateWriter(out).tell(VALUE)
    assert out.taken == LINE


@pytest.mark.parametrize("buffering", [0, -1])
def test_an_output_whose_reader_has_gone_is_an_error_that_says_so(buffering):
    read, write = os.pipe()
    os.close(read)
    with contextlib.suppress(BrokenPipeError), os.fdopen(write, "wb", buffering=buffering) as out:
        with pytest.raises(ConfigError, match="a state can't be told: nobody reads it any more") as raised:
            StateWriter(out).tell(VALUE)
        assert isinstance(raised.value.__cause__, BrokenPipeError)


def test_an_output_that_is_full_is_an_error_that_says_so():
    with (
        Path("/dev/full").open("wb", buffering=0) as out,
        pytest.raises(ConfigError, match="a state can't be told: No space left"),
    ):
        StateWriter(out).tell(VALUE)
