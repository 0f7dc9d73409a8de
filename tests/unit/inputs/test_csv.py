"""CSV files as they are found: how their headers are told, where rows end, and what is refused."""

import gzip
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.errors import ConfigError
from tailrace.inputs import csv_blocks
from tailrace.inputs.csv import csv_tables, csv_tables_as, look_at
from tailrace.inputs.places import LocalFile


@pytest.fixture(params=["native", "arrow"])
def read(request, tmp_path, monkeypatch):
    """The rows of a CSV file of that content, as lists by columns."""
    if request.param == "arrow":
        monkeypatch.setitem(sys.modules, "tailrace_native", None)

    def rows(content, name="a.csv", refuse=None):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        tables = [*csv_tables(LocalFile.at(path), refuse or pytest.fail)]
        return pa.concat_tables(tables).to_pydict() if tables else None

    return rows


def test_a_quote_within_a_cell_is_text(read):
    assert read('a,b\n1,5" disk\n2,x\n') == {"a": [1, 2], "b": ['5" disk', "x"]}


@pytest.mark.parametrize("text", ['a,b\n1,"x\n2,3\n', 'a,b\n1,5" disk\n1,"x\n2,3\n', 'a,b\n1,"x'])
def test_a_file_that_ends_within_quotes_is_refused(read, text):
    with pytest.raises(ConfigError, match=r"a\.csv ends within quotes"):
        read(text)


def test_a_header_whose_quotes_never_end_is_refused(read):
    with pytest.raises(ConfigError, match="its first row is no header"):
        read('a,"b\n1,x\n2,3\n')


@pytest.mark.parametrize("text", ["a,b\r1,x\r2,y\r", "a,b\r\n1,x\r\n2,y", "\ufeff\n\r\na,b\n1,x\n\n2,y\n"])
def test_lines_end_as_any_system_ends_them(read, text):
    assert read(text) == {"a": [1, 2], "b": ["x", "y"]}


def test_a_header_of_several_lines_and_bytes_is_left_whole(read):
    assert read('\ufeff"é\nb",c\n1,x\n') == {"é\nb": [1], "c": ["x"]}


def test_tabs_part_the_cells_of_a_file_that_is_named_so(read):
    assert read("last, first, middle\tage\nx, y\t3\n", "a.tsv") == {"last, first, middle": ["x, y"], "age": [3]}
    compressed = gzip.compress(b"last, first, middle\tage\nx, y\t3\n")
    assert read(compressed, "a.tsv.gz") == {"last, first, middle": ["x, y"], "age": [3]}
    assert read("a,b\n1,x\n", "a.tsv") == {"a": [1], "b": ["x"]}


@pytest.mark.parametrize("text", ["", "\ufeff", "\n\n"])
def test_an_empty_file_has_no_rows(read, text):
    assert read(text) is None


@pytest.mark.parametrize(
    ("content", "encoding"), [("é,b\n1,2\n".encode("latin-1"), "latin1"), ("é,b\n1,2\n".encode("utf-16"), "utf-16")]
)
def test_a_header_in_another_encoding_is_refused(read, content, encoding):
    with pytest.raises(ConfigError, match=f"isn't UTF-8 text .*iconv -f {encoding} -t utf-8"):
        read(content)


def test_a_binary_file_is_no_csv(read):
    with pytest.raises(ConfigError, match="isn't CSV, but binary"):
        read(b"PK\x03\x04[Content_Types].xml")


def test_a_ragged_row_knows_its_line_and_its_cells(read):
    refused = []
    read('a,b\r\n1,"x\r\ny"\r\n\r\n3\r\n"4,5",6,7\r\n', refuse=refused.append)
    assert [(row.number, row.line(), row.cells) for row in refused] == [(2, 5, ["3"]), (3, 6, ["4,5", "6", "7"])]


def test_a_ragged_row_may_have_long_cells(read):
    refused = []
    read(f"a,b\n{'x' * 200_000}\n", refuse=refused.append)
    assert refused[0].cells == ["x" * 200_000]


@pytest.mark.parametrize(
    "texts",
    [
        ["1e-400", "2.5"],
        ["1.23456789012345e-310", "2.5"],
        ["1e400", "2"],
        ["9999-12-31T23:59:59-02:00", "2024-01-01T00:00:00Z"],
        ["2024-01-01T00:00:00+24:00"],
        ["24:00:00"],
        [*map(str, range(300)), "0xFFFFFFFFF"],
        [*map(str, range(300)), "0x7FFFFFFFFFFFFFFF", "07"],
        [*map(str, range(300)), "0XFFFFFFFFF"],
        [*map(str, range(300)), " 1"],
        ["-0"],
        ["-9223372036854775808", "007"],
    ],
)
def test_what_no_number_or_time_is_stays_text(read, texts):
    assert read("a\n" + "\n".join(texts))["a"] == texts


def test_integers_go_to_the_ends_of_64_bits(read):
    assert read("a\n-9223372036854775808\n9223372036854775807\n")["a"] == [-(2**63), 2**63 - 1]


def test_floats_of_powers_are_exact(read):
    assert read("a\n1e-300\n0e-400\n1.5E3\n")["a"] == [1e-300, 0.0, 1500.0]


def test_a_column_without_values_is_null_and_one_whose_values_come_late_is_what_they_are(read):
    assert read("a,b\n1,\n2,\n") == {"a": [1, 2], "b": [None, None]}
    found = read("a,b,c\n" + "1,,\n" * 1_200_000 + "2,7,007\n")
    assert (found["b"][-2:], found["c"][-2:]) == ([None, 7], [None, "007"])


def test_the_type_of_a_column_without_values_is_that_of_nulls(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1,\n")
    tables = [*csv_tables(LocalFile.at(tmp_path / "a.csv"), pytest.fail)]
    assert {table.schema.field("b").type for table in tables} == {pa.null()}


CELLS = ["1", "-20", "007", "1.5", "x", "é", '"a,b"', '"\n"', '5"', ""]
ROWS = st.lists(st.sampled_from([*CELLS, ",", ",", "\n", "\n", "\r\n", "\r"]))


@given(ROWS.map("".join), st.integers(1, 20))
def test_what_is_read_natively_piece_by_piece_is_what_arrow_reads(tmp_path_factory, text, piece_bytes):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_text("a,b\n" + text, newline="")

    def found():
        refused = []
        try:
            tables = [*csv_tables(LocalFile.at(path), lambda row: refused.append((row.number, row.cells)))]
        except ConfigError as error:
            return str(error)
        return tables[0].schema, pa.concat_tables(tables).to_pydict(), refused

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tailrace_native", None)
        by_arrow = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "_READ_BYTES", 1 + piece_bytes // 4)
        patch.setattr(csv_blocks, "_PIECE_BYTES", piece_bytes)
        assert found() == by_arrow


def test_a_line_that_is_longer_than_any_should_be_is_read_all_the_same(read, monkeypatch):
    monkeypatch.setattr(csv_blocks, "_READ_BYTES", 8)
    monkeypatch.setattr(csv_blocks, "_PIECE_BYTES", 8)
    monkeypatch.setattr(csv_blocks, "_LONGEST_LINE_BYTES", 16)
    assert read(f"a,b\n1,{'x' * 50}\n2,y\n") == {"a": [1, 2], "b": ["x" * 50, "y"]}


def test_columns_that_have_looked_at_several_files_say_what_all_texts_are(tmp_path):
    contents = ["id,n,x\n1,2,a\n", "id,n,z\n2,2.5,\n3\n", "x,id\n7,007\n"]
    files = []
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.csv").write_text(content)
        files.append(LocalFile.at(tmp_path / f"{number}.csv"))
    columns, refused = {}, []
    for file in files:
        look_at(file, columns)
    tables = [pa.concat_tables(csv_tables_as(file, refused.append, columns)).to_pydict() for file in files]
    assert tables[0] == {"id": ["1"], "n": [2.0], "x": ["a"]}
    assert tables[1:] == [{"id": ["2"], "n": [2.5], "z": [None]}, {"x": ["7"], "id": ["007"]}]
    assert [row.cells for row in refused] == [["3"]]
