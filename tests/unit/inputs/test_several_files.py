"""Several files of rows for one stream: what a column is, the texts of all of them decide."""

import sqlite3
from contextlib import closing

import pytest

from tailrace import load
from tailrace.errors import ConfigError, RecordError

FILES = {"a.csv": "id,n\n1,7\n2,8\n", "b.csv": 'id,n\n3,2.5\n"4",\n', "c.csv": "n,id\n1,007\n", "d.jsonl": '{"id":"5"}'}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    return tmp_path


def rows(folder):
    with closing(sqlite3.connect(folder / "s.db")) as connection:
        return connection.execute("SELECT id, n, typeof(n) FROM s ORDER BY id").fetchall()


@pytest.mark.parametrize("as_names", [str, lambda path: path], ids=["texts", "paths"])
def test_a_list_of_names_is_loaded_in_the_types_that_all_csv_files_have(folder, as_names):
    named = [as_names(folder / name) for name in FILES]
    report = load(named, f"sqlite:///{folder}/s.db", stream="s", unknown_fields="evolve")
    assert report.total.loaded == 6
    reals = [("007", 1.0, "real"), ("1", 7.0, "real"), ("2", 8.0, "real"), ("3", 2.5, "real")]
    assert rows(folder) == [*reals, ("4", None, "null"), ("5", None, "null")]


def test_files_of_the_same_name_are_one_stream_and_a_row_of_one_is_refused_in_its_line(folder):
    for number, content in enumerate(["id,n\n1,2\n", "id,n\nx,1\n1\n"]):
        (folder / str(number)).mkdir()
        (folder / str(number) / "s.csv").write_text(content)
    with pytest.raises(RecordError, match="line 20000000003") as raised:
        load(str(folder / "?" / "s.csv"), f"sqlite:///{folder}/s.db")
    assert "is line 3 of" in str(raised.value.__notes__)
    aside = {"on_invalid": "quarantine", "quarantine": str(folder / "aside.jsonl")}
    assert load(str(folder / "?" / "s.csv"), f"sqlite:///{folder}/s.db", **aside).total.quarantined == 1
    assert rows(folder) == [("1", 2, "integer"), ("x", 1, "integer")]
    assert '"line":20000000003' in (folder / "aside.jsonl").read_text()


def test_no_file_is_loaded_where_a_later_one_of_its_stream_is_none(folder):
    (folder / "z.csv").write_text('id,n\n1,"x\n')
    with pytest.raises(ConfigError, match=r"z\.csv ends within quotes"):
        load(str(folder / "*.csv"), f"sqlite:///{folder}/s.db", stream="s")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        rows(folder)


def test_a_list_of_lines_is_messages_still(folder):
    with pytest.raises(ConfigError, match="there is no file x"):
        load(["x"], f"sqlite:///{folder}/s.db")
    schema = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":[]}'
    assert [*load([schema], f"sqlite:///{folder}/s.db").streams] == ["s"]
