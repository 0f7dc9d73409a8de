"""The files that arguments name on this machine; those of object stores are in tests/servers."""

import os
import pickle

import pytest

from tailrace.errors import ConfigError
from tailrace.inputs.loaded import LoadedFiles, is_of_files, told_of
from tailrace.inputs.places import LocalFile, files_of


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("b.csv", "a.csv", "deep/c.csv", "deep/er/d.csv", "what?.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        (["a.csv"], ["a.csv"]),
        (["*.csv"], ["a.csv", "b.csv", "what?.csv"]),
        (["b.csv", "*.csv"], ["b.csv", "a.csv", "what?.csv"]),
        (["what?.csv"], ["what?.csv"]),
        (["[ab].csv", "deep/*.csv"], ["a.csv", "b.csv", "deep/c.csv"]),
        (["deep/**/*.csv"], ["deep/c.csv", "deep/er/d.csv"]),
    ],
)
def test_arguments_name_files_each_once_in_their_order(sources, names):
    assert [file.name for file in files_of(sources, {})] == names


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none.csv", r"INPUT: there is no file none.csv \(check the path; - is stdin\)"),
        ("*.parquet", r"INPUT: no file matches \*.parquet"),
        ("deep", r"INPUT: deep is a folder \(name its files, as in 'deep/\*'\)"),
        ("deep/*er", "INPUT: no file matches"),
    ],
)
def test_what_names_no_file_is_an_error(source, said):
    with pytest.raises(ConfigError, match=said):
        files_of([source], {})


def test_an_address_needs_settings_that_stores_have():
    with pytest.raises(ConfigError, match="input_store: it can't have endpont so"):
        files_of(["s3://bucket/*"], {"endpont": "x"})


def test_a_file_is_known_by_name_size_and_time(folder):
    file = LocalFile.at(folder / "a.csv")
    assert pickle.loads(pickle.dumps(file)) == file
    with file.open() as opened:
        assert opened.read() == b"a.csv"
    loaded = LoadedFiles({})
    state = loaded.add(file, b'{"at":1}')
    assert LoadedFiles.of(state).has(file)
    os.utime(folder / "a.csv", ns=(1, 1))
    assert not LoadedFiles.of(state).has(LocalFile.at(folder / "a.csv"))


def test_of_a_state_of_files_the_taps_own_is_told():
    assert told_of(LoadedFiles({}).add(LocalFile("a", 1, "2"), b'{"at":1}')) == b'{"at":1}'
    assert told_of(LoadedFiles({}).add(LocalFile("a", 1, "2"), None)) is None
    assert told_of(b'{"bookmarks":{}}') == b'{"bookmarks":{}}'
    assert not is_of_files(None)


def test_the_state_of_a_tap_is_no_list_of_files():
    with pytest.raises(ConfigError, match="--new-only: the pipeline remembers the state of a tap"):
        LoadedFiles.of(b'{"bookmarks":{}}')
