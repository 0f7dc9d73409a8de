"""Destinations by name and address: found, set up, and refused with what to do next."""

import sys
import types
from importlib.metadata import EntryPoint

import pytest

from tailrace import destinations
from tailrace.destinations import open_destination, scheme_of, settings_model
from tailrace.errors import ConfigError
from tailrace.sql.url import file_settings
from tailrace.testing.parts import commit_rows, stream


@pytest.mark.parametrize(
    ("to", "name"), [("duckdb:///x.duckdb", "duckdb"), ("SQLite:x.db", "sqlite"), ("memory", "memory")]
)
def test_the_scheme_of_an_address_or_name_is_the_destination(to, name):
    assert scheme_of(to) == name


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("sqlite:///x.db", {"path": "x.db"}),
        ("sqlite:////data/x.db", {"path": "/data/x.db"}),
        ("sqlite:///./x.db", {"path": "./x.db"}),
        ("sqlite:x.db", {"path": "x.db"}),
        ("sqlite:/data/x.db", {"path": "/data/x.db"}),
        ("sqlite:///:memory:", {"path": ":memory:"}),
        ("sqlite:///a%20b%3F.db", {"path": "a b?.db"}),
        ("sqlite:///a#1.db", {"path": "a#1.db"}),
        ("duckdb:///x.duckdb?threads=4&schema=raw", {"path": "x.duckdb", "threads": "4", "schema": "raw"}),
        ("duckdb://", {}),
    ],
)
def test_addresses_of_files_are_read_as_sqlalchemy_does(url, settings):
    assert file_settings(url) == settings


def test_an_address_with_two_slashes_is_refused_with_the_right_one():
    with pytest.raises(ConfigError, match=r"sqlite:///x\.db"):
        file_settings("sqlite://x.db")


@pytest.mark.parametrize("alias", ["path", "filepath", "database", "path_to_database"])
def test_a_bare_name_takes_the_path_from_settings(alias, tmp_path):
    for name in ("duckdb", "sqlite"):
        path = tmp_path / f"{name}.file"
        destination = open_destination(name, {alias: str(path)})
        assert not path.exists()
        assert str(path) in destination.check()[0]


@pytest.mark.parametrize("name", ["duckdb", "sqlite", "memory"])
def test_every_setting_is_described(name):
    fields = settings_model(name).model_fields
    assert all(field.description for field in fields.values())


def test_an_unknown_destination_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"there is no destination 'duckbd' \(did you mean duckdb\?\)"):
        open_destination("duckbd:///x", {})


def test_an_unknown_setting_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"^pathh: there is no such setting \(did you mean path\?\)"):
        open_destination("sqlite", {"path": "x.db", "pathh": "x.db"})


def test_a_missing_setting_is_refused_by_its_name():
    with pytest.raises(ConfigError, match=r"^path: it isn\'t set \(as in --to sqlite:///my\.db\)"):
        open_destination("sqlite", {})


def test_a_wrong_setting_is_told_without_its_value():
    with pytest.raises(ConfigError) as refused:
        open_destination("duckdb:///x?threads=secret", {})
    assert "secret" not in str(refused.value)


def test_a_missing_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.delitem(sys.modules, "tailrace.destinations.duckdb", raising=False)
    with pytest.raises(ConfigError, match=r"pip install .*\[duckdb\]'"):
        open_destination("duckdb:///x", {})


def test_another_package_brings_a_destination_by_an_entry_point(monkeypatch, tmp_path):
    sqlite = destinations._module("sqlite")
    brought = types.ModuleType("brought_destination")
    brought.__dict__.update(
        SETTINGS=sqlite.SETTINGS, TRAITS=sqlite.TRAITS, build=sqlite.build, from_url=sqlite.from_url
    )
    monkeypatch.setitem(sys.modules, "brought_destination", brought)
    entry = EntryPoint("brought", "brought_destination", "tailrace.destinations")
    monkeypatch.setattr(destinations, "entry_points", lambda group: [entry] if group == entry.group else [])
    destination = open_destination(f"brought:///{tmp_path}/x.db", {})
    commit_rows(destination, stream(), (1, "a"))
    destination.close()
    assert (tmp_path / "x.db").exists()
