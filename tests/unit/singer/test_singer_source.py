"""Sources: which bytes come, from where, decompressed or not; and the pump that reads them ahead."""

import gzip
import io
import os
import subprocess
import sys
import threading
import zlib

import pytest
import zstandard

from tailrace.errors import ConfigError
from tailrace.singer.source import ChunkPump, open_source

DATA = b"".join(b'{"type":"STATE","value":%d}\n' % number for number in range(5000))
ZSTD = zstandard.ZstdCompressor().compress
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
WAIT_S = 20


def pumped(stream):
    pump = ChunkPump(stream)
    chunks = list(iter(lambda: pump.next(WAIT_S), b""))
    pump.close()
    return b"".join(chunks)


def content(source):
    with open_source(source) as stream:
        return pumped(stream)


@pytest.fixture
def pipe():
    """A pipe as (stream to read, stream to write), neither with a buffer."""
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source, os.fdopen(write, "wb", buffering=0) as sink:
        yield source, sink


@pytest.mark.parametrize("as_text", [True, False])
def test_a_path_gives_its_bytes(tmp_path, as_text):
    path = tmp_path / "data.singer"
    path.write_bytes(DATA)
    assert content(str(path) if as_text else path) == DATA


COMPRESSED = {
    "gzip": gzip.compress(DATA, mtime=0),
    "gzip_of_two_members": gzip.compress(DATA[:1000], mtime=0) + gzip.compress(DATA[1000:], mtime=0),
    "zstandard": ZSTD(DATA),
    "zstandard_of_two_frames": ZSTD(DATA[:1000]) + ZSTD(DATA[1000:]),
    "zstandard_with_skippable_frames": SKIPPABLE + ZSTD(DATA) + SKIPPABLE,
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_files_are_decompressed_whatever_their_name(tmp_path, name):
    path = tmp_path / "data.singer"
    path.write_bytes(COMPRESSED[name])
    assert content(path) == DATA
    named = tmp_path / ("data.gz" if name.startswith("gzip") else "data.zst")
    named.write_bytes(COMPRESSED[name])
    assert content(named) == DATA


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_streams_are_decompressed_and_left_open(name):
    stream = io.BytesIO(COMPRESSED[name])
    assert content(stream) == DATA
    assert not stream.closed


def test_data_that_shrinks_a_thousandfold_comes_whole():
    data = b"\n" * 20_000_000
    assert content(io.BytesIO(gzip.compress(data))) == data
    assert content(io.BytesIO(ZSTD(data))) == data


def test_what_is_opened_can_be_read_like_any_stream(tmp_path):
    path = tmp_path / "data.gz"
    path.write_bytes(COMPRESSED["gzip"])
    with io.BufferedReader(open_source(path)) as stream:
        assert [stream.readline(), stream.read()] == [DATA[: DATA.index(b"\n") + 1], DATA[DATA.index(b"\n") + 1 :]]


class Trickle(io.RawIOBase):
    """A stream that gives one byte at a time, and now and then says that there is nothing yet."""

    def __init__(self, data, pipe):
        self._bytes = iter(data)
        self._pipe = pipe
        self._calls = 0

    def readable(self):
        return True

    def fileno(self):
        return self._pipe.fileno()

    def read(self, _size):
        self._calls += 1
        if self._calls % 3 == 0:
            return None
        return bytes([byte for byte in [next(self._bytes, None)] if byte is not None])


@pytest.mark.parametrize("data", [b'{"a":1}\n', gzip.compress(b"abc\n"), ZSTD(b"abc\n")], ids=["plain", "gzip", "zstd"])
def test_a_stream_may_come_byte_by_byte_and_have_nothing_yet(pipe, data):
    source, sink = pipe
    sink.write(b"ready")
    assert content(Trickle(data, source)) in {b'{"a":1}\n', b"abc\n"}


@pytest.mark.parametrize("name", ["gzip", "gzip_of_two_members", "zstandard", "zstandard_of_two_frames"])
@pytest.mark.parametrize("missing", [1, 9])
def test_a_compressed_file_that_is_cut_off_is_an_error_behind_its_data(tmp_path, name, missing):
    path = tmp_path / "data"
    path.write_bytes(COMPRESSED[name][:-missing])
    with open_source(path) as stream:
        pump = ChunkPump(stream)
        with pytest.raises(ConfigError, match=r"data is cut off: it ends in the middle of its (gzip|zstandard) data"):
            list(iter(lambda: pump.next(WAIT_S), b""))
        with pytest.raises(ConfigError, match="cut off"):
            pump.next(WAIT_S)
        pump.close()


@pytest.mark.parametrize(
    "damaged",
    [
        COMPRESSED["gzip"][:50] + b"\xff\xff\xff" + COMPRESSED["gzip"][53:],
        COMPRESSED["gzip"] + b"something else",
        COMPRESSED["zstandard"][:6] + b"\xff\xff\xff" + COMPRESSED["zstandard"][9:],
        COMPRESSED["zstandard"] + b"something else",
    ],
)
def test_damaged_data_is_an_error(damaged):
    with pytest.raises(ConfigError, match=r"holds damaged (gzip|zstandard) data") as raised:
        content(io.BytesIO(damaged))
    assert isinstance(raised.value.__cause__, zlib.error | zstandard.ZstdError)


@pytest.mark.parametrize(("suffix", "name"), [(".gz", "gzip"), (".zst", "zstandard")])
@pytest.mark.parametrize("data", [b"", b"\x1f", DATA])
def test_a_file_that_is_not_compressed_as_its_name_says_is_an_error(tmp_path, suffix, name, data):
    path = tmp_path / f"data{suffix}"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=f"isn't {name} data, which its name says it is"):
        content(path)


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=f"there is no file {tmp_path}/none.jsonl"):
        open_source(tmp_path / "none.jsonl")


def test_a_folder_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=f"{tmp_path} can't be read: Is a directory"):
        open_source(tmp_path)


def test_a_text_stream_is_an_error_that_says_how_to_open_it():
    with pytest.raises(ConfigError, match='open it with mode "rb"'):
        open_source(io.StringIO("{}"))


@pytest.mark.parametrize("source", ["-", None])
def test_stdin_may_be_replaced_by_a_stream_without_a_file(monkeypatch, source):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DATA)))
    assert content(source) == DATA
    assert not sys.stdin.buffer.closed


def test_no_stdin_at_all_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="there is no stdin"):
        open_source("-")


def test_a_chunk_comes_as_soon_as_there_is_something_in_a_pipe(pipe):
    source, sink = pipe
    with open_source(source) as stream:
        pump = ChunkPump(stream)
        sink.write(b'{"a":1}\n')
        assert pump.next(WAIT_S) == b'{"a":1}\n'
        sink.write(b"x")
        assert pump.next(WAIT_S) == b"x"
        sink.close()
        assert [pump.next(WAIT_S), pump.next(None)] == [b"", b""]
        pump.close()


def test_a_silent_source_gives_none_within_the_time_and_can_be_closed(pipe):
    source, sink = pipe
    with open_source(source) as stream:
        pump = ChunkPump(stream)
        assert pump.next(0.01) is None
        pump.close()
        with pytest.raises(ValueError, match="closed"):
            pump.next(None)
    sink.close()
    assert not source.closed


def test_a_pump_that_is_full_can_be_closed_and_its_thread_ends():
    before = set(threading.enumerate())
    pump = ChunkPump(io.BytesIO(b"x" * 30 * 2**20))
    assert pump.next(WAIT_S) == b"x" * 2**20
    pump.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT_S)
        assert not thread.is_alive()


class Broken(io.RawIOBase):
    """A stream that gives a chunk, and then fails in a way of its own."""

    def __init__(self, error):
        self._chunks = [b"data\n"]
        self._error = error

    def read(self, _size):
        if self._chunks:
            return self._chunks.pop()
        raise self._error


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), LookupError("gone"), EOFError()])
def test_a_stream_that_fails_is_an_error_with_its_cause_behind_its_data(error):
    pump = ChunkPump(Broken(error))
    assert pump.next(WAIT_S) == b"data\n"
    with pytest.raises(ConfigError, match="the input can't be read on") as raised:
        pump.next(WAIT_S)
    assert raised.value.__cause__ is error
    pump.close()


def test_a_process_whose_pump_waits_for_a_silent_stdin_can_end():
    script = (
        "import sys; from tailrace.singer.source import ChunkPump, open_source\n"
        "pump = ChunkPump(open_source('-')); print(pump.next(20)); print(pump.next(0.01), flush=True); pump.close()"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.stdout.read() == b"b'hello\\n'\nNone\n"
        assert process.wait(WAIT_S) == 0


def shares(pump):
    """The share of the input after each chunk."""
    return [pump.share for _ in iter(lambda: pump.next(WAIT_S), b"")]


@pytest.mark.parametrize("compress", [bytes, gzip.compress, ZSTD], ids=["plain", "gzip", "zstandard"])
def test_the_share_of_a_file_grows_with_its_bytes_as_they_are_stored(tmp_path, compress):
    path = tmp_path / "x"
    path.write_bytes(compress(os.urandom(3 * 2**20)))
    with open_source(path) as stream, ChunkPump(stream) as pump:
        assert pump.share is None
        found = shares(pump)
    assert found == sorted(found)
    assert 0 < found[0] < 0.5
    assert found[-1] == 1.0


def test_the_share_of_what_is_no_file_isnt_known(pipe):
    source, sink = pipe
    sink.write(b"x")
    sink.close()
    with open_source(source) as stream, ChunkPump(stream) as pump:
        assert shares(pump) == [None]


def test_the_share_of_a_stdin_that_is_a_file_is_known(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(DATA)
    with (tmp_path / "x").open("rb") as file:
        monkeypatch.setattr("sys.stdin", file)
        with open_source("-") as stream, ChunkPump(stream) as pump:
            assert shares(pump)[-1] == 1.0
