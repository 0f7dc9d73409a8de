"""Laws of the reader: the messages are the same however the bytes are cut, and no line is lost."""

import json
from itertools import chain, pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from reading import messages_of

from tailrace.model import RecordBlock
from tailrace.singer.lines import NativeSplitter, PythonSplitter
from tailrace.singer.messages import ActivateVersionMessage, BatchMessage, LogLine, StateMessage
from tailrace.singer.reader import Reader

TEXTS = st.text('ab"\\\n\r\t:{}é語\0\u2028', max_size=5) | st.sampled_from(
    ['"record":', '\\"', "\n", "\r\n", "a\\", '{"type": "STATE"']
)
VALUES = TEXTS | st.integers() | st.sampled_from([None, True, [], [{"record": {}}], {"type": "STATE", "stream": "b"}])
SPACES = st.sampled_from([b"", b"", b"", b" ", b"\t", b"\r "])
STREAMS = st.sampled_from(["a", "b", 'a"b', "record", "größe", "RECORD"])
LINE_ENDS = st.sampled_from([b"\n", b"\n", b"\r\n"])


@st.composite
def spaced_objects(draw, members):
    """The JSON text of an object with its members in any order and white space between all tokens."""
    ordered = draw(st.sampled_from([members, draw(st.permutations(members))]))
    spaces = draw(st.lists(SPACES, min_size=3, max_size=3))
    ascii_only = draw(st.booleans())
    texts = [
        spaces[0].join((json.dumps(key).encode(), b":", json.dumps(value, ensure_ascii=ascii_only).encode()))
        for key, value in ordered
    ]
    return spaces[1] + b"{" + (b"," + spaces[2]).join(texts) + b"}" + spaces[0]


@st.composite
def records(draw):
    stream = draw(STREAMS)
    members = [("type", "RECORD"), ("stream", stream), ("record", draw(st.dictionaries(TEXTS, VALUES, max_size=3)))]
    if draw(st.booleans()):
        members.append(("time_extracted", "2024-01-01T00:00:00Z"))
    return stream, draw(spaced_objects(members))


@st.composite
def others(draw):
    members, expected = draw(
        st.sampled_from(
            [
                ([("type", "STATE"), ("value", "x")], StateMessage(0, b'"x"')),
                ([("type", "ACTIVATE_VERSION"), ("stream", "a"), ("version", -5)], ActivateVersionMessage(0, "a", -5)),
                (
                    [
                        ("type", "BATCH"),
                        ("stream", "a"),
                        ("encoding", {"format": "jsonl"}),
                        ("manifest", ["file:///x"]),
                    ],
                    BatchMessage(0, "a", "jsonl", "none", ("file:///x",)),
                ),
                ([("level", "INFO"), ("message", "RECORD")], LogLine(0, "INFO", "RECORD")),
            ]
        )
    )
    return expected, draw(spaced_objects(members))


BLANK = st.sampled_from([b"", b" ", b"\t\r "]).map(lambda line: (None, line))
LINES = st.lists(st.tuples(records() | records() | others() | BLANK, LINE_ENDS), max_size=12)


def pieces(data, cuts):
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


def facts(blocks):
    """What blocks say, line by line, which no cutting of the input may change."""
    found = []
    for message in chain.from_iterable(map(messages_of, blocks)):
        if isinstance(message, RecordBlock):
            lines = message.data.split(b"\n")
            assert lines.pop() == b""
            assert len(lines) == message.count
            found += zip(message.lines(), [message.stream] * len(lines), lines, strict=True)
        else:
            found.append((message.line, message))
    return [fact[-1] if len(fact) == 2 else fact for fact in sorted(found, key=lambda fact: fact[0])]


def expected_facts(lines):
    found = []
    for number, ((meaning, text), _) in enumerate(lines, start=1):
        if isinstance(meaning, str):
            found.append((number, meaning, text))
        elif meaning is not None:
            fields = {name: getattr(meaning, name) for name in meaning.__slots__}
            found.append(type(meaning)(**(fields | {"line": number})))
    return found


@given(
    lines=LINES,
    cuts=st.lists(st.integers(min_value=0), max_size=6),
    has_mark=st.booleans(),
    is_ended=st.booleans(),
    max_block_bytes=st.sampled_from([1, 7, 64, 2**20]),
)
@example(
    lines=[(("a", b'{"type":"RECORD","stream":"a","record":{}}'), b"\r\n")] * 2,
    cuts=[43],
    has_mark=True,
    is_ended=False,
    max_block_bytes=2**20,
)
def test_every_line_is_in_one_message_with_its_number_however_the_input_is_cut(
    lines, cuts, has_mark, is_ended, max_block_bytes
):
    data = b"".join(text + end for (_, text), end in lines)
    if not is_ended:
        data = data.removesuffix(b"\n").removesuffix(b"\r")
    if has_mark:
        data = b"\xef\xbb\xbf" + data
    reader = Reader(max_line_bytes=2**20, max_block_bytes=max_block_bytes)
    blocks = []
    for piece in pieces(data, cuts):
        blocks += reader.feed(piece)
    blocks += reader.finish()
    assert facts(blocks) == expected_facts(lines)
    assert reader.bytes_read == len(data)


@given(lines=LINES, cuts=st.lists(st.integers(min_value=0), max_size=6), max_line_bytes=st.integers(20, 120))
def test_the_first_line_that_is_too_long_is_the_one_that_is_named(lines, cuts, max_line_bytes):
    data = b"".join(text + end for (_, text), end in lines)
    lengths = [len(text + end) - 1 for (_, text), end in lines]
    too_long = next((number for number, length in enumerate(lengths, start=1) if length > max_line_bytes), None)
    reader = Reader(max_line_bytes=max_line_bytes)
    blocks = []
    line = None
    try:
        for piece in pieces(data, cuts):
            blocks.extend(reader.feed(piece))
    except Exception as error:  # noqa: BLE001 any other error than the expected one fails below
        line = error.line
    assert line == too_long
    assert facts(blocks) == expected_facts(lines[: None if too_long is None else too_long - 1])


@given(lines=LINES, damage=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=3))
def test_both_splitters_say_the_same_of_any_bytes(lines, damage):
    data = bytearray(b"".join(text + b"\n" for (_, text), _ in lines) + b"\n")
    for at, byte in damage:
        data[at % len(data)] = byte
    if not data.endswith(b"\n"):
        data += b"\n"
    native, python = (made().split(bytes(data), 7) for made in (NativeSplitter, PythonSplitter))
    assert facts([native.block]) == facts([python.block])
    assert list(native.block.states) == list(python.block.states)
    assert (str(native.error), native.error or native.lines) == (str(python.error), native.error or python.lines)
