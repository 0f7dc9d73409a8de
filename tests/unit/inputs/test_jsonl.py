"""JSON Lines as they are found: told from Singer messages, and refused line by line."""

import pytest

from tailrace.errors import MessageError
from tailrace.inputs.formats import Format, format_of
from tailrace.inputs.jsonl import record_blocks
from tailrace.inputs.places import LocalFile


@pytest.fixture
def file(tmp_path):
    def written(content, name="a.jsonl"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return LocalFile.at(path)

    return written


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a":1}\n', Format.JSONL),
        ('{"type":"state","value":"CA"}\n', Format.JSONL),
        ('{"type":"RECORD","id":1}\n', Format.JSONL),
        ('{"type":"user","stream":"x"}\n', Format.JSONL),
        ('{"a":NaN}\n', Format.JSONL),
        ('{"type":"SCH', Format.SINGER),
        ('{"a":"é"}\n'.encode("latin-1"), Format.JSONL),
        ('{"a":"' + "x" * 100_000 + '"}\n', Format.JSONL),
        ('{"type":"STATE","value":"CA"}\n', Format.SINGER),
        ('{"type":"state","value":{"bookmarks":{}}}\n', Format.SINGER),
        ('{"type":"RECORD","stream":"s","record":{"a":NaN}}\n', Format.SINGER),
        ('{"type":"SCHEMA","stream":"s","schema":{"description":"' + "x" * 100_000 + '"}}\n', Format.SINGER),
        ('{\n  "a": 1\n}\n', Format.SINGER),
        ("", Format.SINGER),
    ],
)
def test_a_record_is_told_from_a_message(file, content, expected):
    assert format_of(file(content)) is expected


def test_a_line_that_is_too_long_is_refused_with_its_number(file):
    given = file('{"a":1}\n{"a":"' + "x" * 3_000_000 + '"}\n{"a":2}\n')
    assert len([*record_blocks(given, "a", 0, 4_000_000)]) > 0
    with pytest.raises(MessageError, match=r"line 2: the line is longer than 2000000 bytes"):
        [*record_blocks(given, "a", 0, 2_000_000)]
