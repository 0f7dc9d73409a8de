"""What a file is, by how it begins, and which stream it is by its name."""

import gzip
from pathlib import Path

import pytest

from tailrace.errors import ConfigError
from tailrace.inputs.formats import Format, format_of, name_of
from tailrace.inputs.places import LocalFile

LONG = '{"text":"' + "x" * 100_000 + '"}\n'


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.csv", "id,name\n1,a\n", Format.CSV),
        ("a.csv", "id\n1\n", Format.CSV),
        ("a.dat", '"id";"a b"\n1;2\n', Format.CSV),
        ("a.txt", "Starting, please wait\n", Format.SINGER),
        ("a.csv", '{"type":"SCHEMA","stream":"s","schema":{}}\n', Format.SINGER),
        ("a.jsonl", '\n{"type":"state","value":{}}\n', Format.SINGER),
        ("a.jsonl", '{"type":"STATE"}\n', Format.JSONL),
        ("a.singer", '{"id":1}\n', Format.JSONL),
        ("a.jsonl", '\ufeff{"type":"cat"}\n', Format.JSONL),
        ("a.jsonl", LONG, Format.JSONL),
        ("a", '{"type":"RECORD","stream":"s","record":' + LONG, Format.SINGER),
        ("a.json", '{\n"id":1}\n', Format.SINGER),
        ("a.json", '[{"id":1}]', Format.SINGER),
        ("a", "PAR1....", Format.PARQUET),
        ("a", "ARROW1..", Format.ARROW),
        ("a.csv", "", Format.SINGER),
    ],
)
@pytest.mark.parametrize("is_packed", [False, True])
def test_how_a_file_begins_says_what_it_is(tmp_path, name, content, wanted, is_packed):
    path = tmp_path / f"{name}.gz" if is_packed else tmp_path / name
    path.write_bytes(gzip.compress(content.encode()) if is_packed else content.encode())
    assert format_of(LocalFile.at(path)) is wanted


@pytest.mark.parametrize(
    ("name", "stream"),
    [("a/people.csv", "people"), ("b.2024.csv.gz", "b.2024"), ("s3://x/y/z.jsonl.zst", "z"), ("q", "q")],
)
def test_a_stream_has_the_name_of_its_file(name, stream):
    assert name_of(LocalFile(name, 0, "")) == stream


def test_a_file_without_a_name_needs_one():
    with pytest.raises(ConfigError, match="--stream: / has no name"):
        name_of(LocalFile("/", 0, ""))


def test_the_start_of_a_file_is_all_that_is_read_of_it(tmp_path):
    path = Path(tmp_path / "a.csv")
    path.write_bytes(b"id,x\n" + b"\xff" * 200_000)
    assert format_of(LocalFile.at(path)) is Format.CSV
