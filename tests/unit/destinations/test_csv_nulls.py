"""CSV of one column: null keeps its line, and is told from an empty text."""

import csv
import io
import re

import duckdb
import pyarrow.csv as pacsv
import pytest

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError
from tailrace.testing.messages import record, schema
from tailrace.testing.parts import stream

TEXTS = ["x", None, "", " ", "a\nb", 'say "a"', "NULL", "\n", "\\N", "y"]
TELLING = pacsv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
LINES = pacsv.ParseOptions(newlines_in_values=True)


def sent(values, kind="string", name="a", more=()):
    columns = {name: {"type": ["null", kind]}} | {other: {"type": ["null", "string"]} for other in more}
    return [schema(columns), *(record({name: value} | dict.fromkeys(more)) for value in values)]


def loaded(tmp_path, messages, **settings):
    """The content of the one file that a load leaves."""
    load(messages, f"files:{tmp_path}/lake", **({"format": "csv"} | settings))
    destination = open_destination(f"files:{tmp_path}/lake", {"format": settings.get("format", "csv")})
    (path,) = destination.files(stream(name="things").table)
    with open(path, "rb") as file:  # noqa: PTH123 as it is
        return path, file.read()


def test_null_among_texts_is_told_from_every_text_by_readers_that_can(tmp_path):
    path, content = loaded(tmp_path, sent(TEXTS))
    read = pacsv.read_csv(path, parse_options=LINES, convert_options=TELLING)
    assert read["a"].to_pylist() == TEXTS
    how = "header=true, nullstr=['', 'NULL'], allow_quoted_nulls=false, columns={'a': 'VARCHAR'}"
    asked = f"SELECT a FROM read_csv(?, {how})"
    assert [row[0] for row in duckdb.execute(asked, [path]).fetchall()] == TEXTS
    rows = [*csv.reader(io.StringIO(content.decode(), newline=""))]
    assert rows == [["a"], *([value if value is not None else "NULL"] for value in TEXTS)]


@pytest.mark.parametrize(
    ("kind", "values"),
    [("integer", [1, None, 2]), ("number", [None, 0.5]), ("boolean", [True, None]), ("integer", [None, None])],
)
def test_null_among_other_values_keeps_its_line_and_is_null_by_default(tmp_path, kind, values):
    path, content = loaded(tmp_path, sent(values, kind))
    assert pacsv.read_csv(path).num_rows == len(values)
    assert content.splitlines().count(b'""') == values.count(None)
    assert [row[0] for row in duckdb.execute("SELECT * FROM read_csv(?, header=true)", [path]).fetchall()] == values


@pytest.mark.parametrize("name", ["a", "odd, name", 'quo"ted', "Two\nlines"])
@pytest.mark.parametrize("header", ["lower", "upper"])
def test_the_header_of_one_column_is_a_line_of_its_own(tmp_path, name, header):
    _, content = loaded(tmp_path, sent(["x", None], name=name), column_header_format=header)
    rows = [*csv.reader(io.StringIO(content.decode(), newline=""))]
    assert rows == [[getattr(re.sub(r"\W+", "_", name), header)()], ["x"], ["NULL"]]


def test_rows_of_nulls_in_several_columns_keep_their_lines(tmp_path):
    path, content = loaded(tmp_path, sent([None, "", None], more=["b"]))
    assert content == b'"a","b"\n,\n"",\n,\n'
    read = pacsv.read_csv(path, convert_options=TELLING).to_pydict()
    assert read["a"] == [None, "", None]


def test_a_column_that_partitions_leave_alone_keeps_its_nulls(tmp_path):
    _, content = loaded(tmp_path, sent([None, "x"], name="a", more=["day"]), partition_keys=["day"])
    assert content == b'"a"\nNULL\n"x"\n'


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_partitions_by_all_columns_are_refused(tmp_path, form):
    with pytest.raises(ConfigError, match="partition_keys: the columns 'a' are all that a table has"):
        load(sent(["x"]), f"files:{tmp_path}/lake", format=form, partition_keys=["a"])
    with pytest.raises(ConfigError, match="leave one out"):
        load(sent(["x"]), f"delta:{tmp_path}/delta", partition_keys=["a"])


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_null_keeps_its_line_in_compressed_files(tmp_path, compression):
    path, _ = loaded(tmp_path, sent(["x", None, "y"]), compression=compression)
    assert pacsv.read_csv(path).num_rows == 3
