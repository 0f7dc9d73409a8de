"""The reader: how lines become messages and blocks, whatever the chunks, the white space and the order of keys."""

from itertools import chain

import pytest
from reading import messages_of

from tailrace.errors import MessageError
from tailrace.model import RecordBlock
from tailrace.singer.messages import ActivateVersionMessage, LogLine, SchemaMessage, StateMessage
from tailrace.singer.reader import Reader

ONE = b'{"type": "RECORD", "stream": "a", "record": {"id": 1}}\n'
TWO = b'{"type": "RECORD", "stream": "a", "record": {"id": 2}}\n'
OTHER = b'{"type": "RECORD", "stream": "b", "record": {"id": 3}}\n'
STATE = b'{"type": "STATE", "value": {"a": 1}}\n'
SCHEMA_OF_B = b'{"type": "SCHEMA", "stream": "b", "schema": {}, "key_properties": []}\n'
PREFIX = b'{"type": "RECORD", "stream": "a", "record":'


def messages(chunks, limits):
    reader = Reader(**({"max_line_bytes": 2**20} | limits))
    for chunk in chunks:
        yield from chain.from_iterable(map(messages_of, reader.feed(chunk)))
    yield from chain.from_iterable(map(messages_of, reader.finish()))


def read(*chunks, **limits):
    return list(messages(chunks, limits))


def read_until_error(*chunks, **limits):
    found = []
    with pytest.raises(MessageError) as raised:
        found.extend(messages(chunks, limits))
    return found, raised.value


def block(stream, data, *spans):
    return RecordBlock.of(stream, data, *spans)


def test_records_of_one_stream_are_one_block():
    assert read(ONE + TWO) == [block("a", ONE + TWO, (1, 2))]


def test_records_of_two_streams_that_take_turns_are_one_block_each():
    assert read(ONE + OTHER + TWO) == [block("a", ONE + TWO, (1, 1), (3, 1)), block("b", OTHER, (2, 1))]


@pytest.mark.parametrize("other", [STATE, b'{"type": "LOG", "level": "INFO", "message": "x"}\n', b"\n", SCHEMA_OF_B])
def test_what_means_nothing_for_a_stream_does_not_part_its_records(other):
    assert block("a", ONE + TWO, (1, 1), (3, 1)) in read(ONE + other + TWO)


@pytest.mark.parametrize(
    "own", [b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 1}\n', SCHEMA_OF_B.replace(b'"b"', b'"a"')]
)
def test_a_message_of_its_own_parts_a_streams_records_and_no_others(own):
    found = read(ONE + OTHER + own + TWO + OTHER)
    assert [m for m in found if isinstance(m, RecordBlock)] == [
        block("a", ONE, (1, 1)),
        block("b", OTHER * 2, (2, 1), (5, 1)),
        block("a", TWO, (4, 1)),
    ]


def test_a_schema_that_says_the_same_again_is_told_once():
    other = SCHEMA_OF_B.replace(b"{}", b'{"properties": {}}')
    lines = [SCHEMA_OF_B, OTHER, SCHEMA_OF_B, OTHER, other, SCHEMA_OF_B]
    assert [m.line for m in read(b"".join(lines)) if isinstance(m, SchemaMessage)] == [1, 5, 6]


def test_whole_lines_are_handed_on_at_the_end_of_every_chunk():
    reader = Reader(max_line_bytes=100)
    assert [b.messages for b in reader.feed(ONE + TWO[:10])] == [[block("a", ONE, (1, 1))]]
    assert [b.messages for b in reader.feed(TWO[10:])] == [[block("a", TWO, (2, 1))]]


def test_a_line_that_comes_byte_by_byte_is_whole_in_the_end():
    assert read(*(bytes([byte]) for byte in ONE)) == [block("a", ONE, (1, 1))]


def test_a_last_line_without_a_line_feed_is_read_and_gets_one():
    assert read(ONE + TWO[:-1]) == [block("a", ONE, (1, 1)), block("a", TWO, (2, 1))]


def test_an_input_that_ends_in_the_middle_of_a_line_is_said_to_be_cut_off():
    messages, error = read_until_error(ONE + TWO[:-3])
    assert messages == [block("a", ONE, (1, 1))]
    assert error.line == 2
    assert "cut off" in str(error)


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t", b"\xef\xbb\xbf"])
def test_an_input_of_white_space_has_no_messages(data):
    assert read(data) == []


def test_blank_lines_are_skipped_and_counted():
    assert read(ONE + b"\n \t\r\n" + TWO) == [block("a", ONE + TWO, (1, 1), (4, 1))]


def test_white_space_that_json_does_not_know_is_no_blank_line():
    assert read_until_error(ONE + b"\x0b\x0c\n")[1].line == 2


def test_windows_line_ends_become_line_feeds():
    assert read((ONE + TWO).replace(b"\n", b"\r\n")) == [block("a", ONE + TWO, (1, 2))]


def test_a_windows_line_end_may_be_split_between_chunks():
    assert read(ONE[:-1] + b"\r", b"\n" + TWO) == [block("a", ONE + TWO, (1, 2))]


def test_a_byte_order_mark_at_the_start_is_dropped_even_in_pieces():
    assert read(b"\xef", b"\xbb\xbf" + ONE[:5], ONE[5:]) == [block("a", ONE, (1, 1))]


def test_a_byte_order_mark_elsewhere_is_an_error():
    assert read_until_error(ONE + b"\xef\xbb\xbf" + TWO)[1].line == 2


@pytest.mark.parametrize(
    "prefix",
    [
        b'{"type":"RECORD","stream":"a","record":',
        b'{"stream": "a", "type": "RECORD", "record":',
        b' {\t"type" : "RECORD" ,"stream":"a", "record"\t:',
        b'{"type":"RECORD","stream":"\\u0061","record":',
    ],
)
def test_records_may_begin_however_the_tap_writes_them(prefix):
    lines = prefix + b'{"id": 1}}\n' + prefix + b' {"id": 2}, "version": 3}\n'
    assert read(lines) == [block("a", lines, (1, 2))]


def test_records_of_one_stream_that_begin_differently_are_one_run():
    compact = b'{"type":"RECORD","stream":"a","record":{"id":1}}\n'
    assert read(ONE + TWO + compact) == [block("a", ONE + TWO + compact, (1, 3))]


def test_a_stream_name_with_quotes_in_it_is_told_right():
    line = b'{"type":"RECORD","stream":"a\\",\\"record\\":","record":{}}\n'
    assert read(line + line) == [block('a","record":', line * 2, (1, 2))]


def test_streams_whose_names_begin_alike_are_told_apart():
    lines = [b'{"type":"RECORD","stream":"%b","record":{}}\n' % name for name in (b"a", b"ab", b"a")]
    assert [(m.stream, [*m.lines()]) for m in read(b"".join(lines))] == [("a", [1, 3]), ("ab", [2])]


@pytest.mark.parametrize(
    "line",
    [
        b'{"record": {"stream": "x", "type": "STATE"}, "stream": "a", "type": "RECORD"}\n',
        b'{"type": "RECORD", "version": 1, "stream": "a", "record": {"id": 1}}\n',
        b'{"type": "RECORD", "stream": "a", "version": 1, "record": {"id": 1}}\n',
    ],
)
def test_records_with_their_keys_in_another_order_are_records_too(line):
    assert read(line + line) == [block("a", line * 2, (1, 2))]


def test_a_record_whose_members_are_spelled_with_escapes_is_one_by_itself():
    line = b'{"t\\u0079pe": "RECORD", "stream": "a", "record": {"id": 1}}\n'
    assert read(line + line) == [block("a", line, (1, 1)), block("a", line, (2, 1))]


@pytest.mark.parametrize(
    "line",
    [
        PREFIX + b'{"id": }}\n',
        PREFIX + b'{"id": "\xff"}}\n',
        PREFIX + b"[" * 10_000 + b"]" * 10_000 + b"}\n",
        PREFIX + b'{"id": "\\ud800"}}\n',
        PREFIX + b'{"id": ' + b"1" * 400 + b"}}\n",
        PREFIX + b'{}, "type": "STATE", "stream": "b"}\n',
    ],
    ids=["not_json", "not_utf8", "deep", "surrogate", "long_integer", "repeated_keys"],
)
def test_a_broken_record_is_handed_on_for_the_decoder_to_refuse(line):
    assert read(line) == [block("a", line, (1, 1))]
    assert read(ONE + line + TWO) == [block("a", ONE + line + TWO, (1, 3))]


@pytest.mark.parametrize(
    "line",
    [
        b'{"type": "RECORD", "stream": "a", "version": }\n',
        b'{"type": "RECORD", "stream": "a"}\n',
        b'{"type": "RECORD", "stream": "a" "record": {}}\n',
        b'{"type": "RECORD", "stream": "a", "version": 1, "record": ' + b"[" * 10_000 + b"\n",
    ],
)
def test_a_broken_record_that_begins_otherwise_is_handed_on_when_its_stream_can_be_told(line):
    assert read(line) == [block("a", line, (1, 1))]


def test_a_broken_record_whose_stream_can_not_be_told_is_an_error():
    _, error = read_until_error(b'{"record": {"id": }, "type": "RECORD", "stream": "a"}\n')
    assert error.line == 1


@pytest.mark.parametrize("name", [b"", b"\\ud800", b"\xff", b"\\q", b"\t"])
@pytest.mark.parametrize("rest", [b'"record": {}}\n', b'"version": 1, "record": {}}\n'])
def test_a_stream_without_a_proper_name_is_an_error(name, rest):
    messages, error = read_until_error(ONE + b'{"type": "RECORD", "stream": "' + name + b'", ' + rest)
    assert messages == [block("a", ONE, (1, 1))]
    assert error.line == 2


def test_an_error_comes_behind_the_messages_before_its_line():
    messages, error = read_until_error(ONE + STATE + TWO + b"oops\n" + ONE)
    assert messages == [block("a", ONE + TWO, (1, 1), (3, 1)), StateMessage(2, b'{"a": 1}')]
    assert error.line == 4


def test_an_error_of_a_streams_own_message_comes_behind_what_other_streams_have_before_its_line():
    messages, error = read_until_error(ONE + b'{"type": "SCHEMA", "stream": "b"}\n' + STATE + TWO + OTHER)
    assert (messages, error.line) == ([block("a", ONE, (1, 1))], 2)


def test_a_state_knows_how_many_records_its_block_has_before_it():
    reader = Reader(max_line_bytes=100)
    (found,) = reader.feed(ONE + STATE.replace(b"STATE", b"\\u0053TATE") + OTHER + STATE)
    assert [(s.line, s.records, s.record_bytes) for s in found.states] == [
        (2, 1, len(ONE)),
        (4, 2, len(ONE + OTHER)),
    ]


def test_a_line_of_the_greatest_length_is_read_and_a_longer_one_is_an_error():
    assert read(ONE, max_line_bytes=len(ONE) - 1) == [block("a", ONE, (1, 1))]
    messages, error = read_until_error(STATE + STATE + ONE + STATE, max_line_bytes=len(ONE) - 2)
    assert messages == [StateMessage(1, b'{"a": 1}'), StateMessage(2, b'{"a": 1}')]
    assert str(error) == "line 3: the line is longer than 53 bytes; raise max_line_bytes if it is meant to be"


def test_a_line_that_gets_too_long_is_an_error_before_it_ends():
    reader = Reader(max_line_bytes=100)
    assert [list(b.states) for b in reader.feed(STATE + b"x" * 60)] == [[(1, b'{"a": 1}', 0, 0)]]
    with pytest.raises(MessageError, match="line 2: the line is longer than 100 bytes"):
        list(reader.feed(b"x" * 60))


def test_a_large_chunk_comes_as_blocks_of_limited_size():
    assert read(ONE * 10, max_block_bytes=3 * len(ONE)) == [
        block("a", ONE * count, (first, count)) for first, count in ((1, 3), (4, 3), (7, 3), (10, 1))
    ]


def test_bytes_and_lines_are_counted():
    reader = Reader(max_line_bytes=100)
    list(reader.feed(ONE + b"\n" + STATE + TWO[:5]))
    assert (reader.bytes_read, reader.line) == (len(ONE) + 1 + len(STATE) + 5, 3)
    list(reader.feed(TWO[5:]))
    assert (reader.bytes_read, reader.line) == (len(ONE) + 1 + len(STATE) + len(TWO), 4)


def test_a_thousand_streams_line_by_line_are_each_told_right():
    names = [f"stream {number % 1000}" for number in range(3000)]
    lines = [b'{"type":"RECORD","stream":"%b","record":{}}\n' % name.encode() for name in names]
    assert read(b"".join(lines)) == [
        block(name, line * 3, (number, 1), (number + 1000, 1), (number + 2000, 1))
        for number, (name, line) in enumerate(zip(names[:1000], lines, strict=False), start=1)
    ]


def test_more_beginnings_than_are_remembered_are_read_all_the_same():
    lines = [b'{"type":"RECORD","stream":"s%d","record":{}}\n' % number for number in range(10_050)]
    assert [r.stream for r in read(b"".join(lines))] == [f"s{number}" for number in range(10_050)]


def test_other_messages_are_read_among_records():
    version = b'{"type": "ACTIVATE_VERSION", "stream": "a", "version": 7}\n'
    log = b'{"level": "INFO", "message": "half way"}\n'
    assert read(ONE + version + log + TWO) == [
        block("a", ONE, (1, 1)),
        ActivateVersionMessage(2, "a", 7),
        LogLine(3, "INFO", "half way"),
        block("a", TWO, (4, 1)),
    ]
