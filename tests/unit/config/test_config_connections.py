"""Connections have names of one's own, and variables of files come from the environment, then from `.env`."""

import pytest

from tailrace.cli.options import setup
from tailrace.config.connections import Variables, dotenv_values
from tailrace.config.sources import file_values
from tailrace.errors import ConfigError

CONNECTIONS = """
pipeline: never read without --config
connections:
  warehouse: {to: postgres, host: "${HOST}", user: loader, password: "${PW}", database: raw, batch_rows: 5}
  other: {to: "duckdb:///other.duckdb", password: "${UNSET}"}
  lake: {to: "files:lake", file_type: csv}
  nowhere: {host: x}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working directory, with connections and what they need."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tailrace.yaml").write_text(CONNECTIONS)
    (tmp_path / ".env").write_text("HOST=db.example.com\nPW='a$b'\n")
    return tmp_path


def test_a_connection_is_named_by_to():
    made = setup("warehouse", None, None)
    assert made.to == "postgres"
    assert made.destination == {"host": "db.example.com", "user": "loader", "password": "a$b", "database": "raw"}
    assert (made.settings.batch_rows, made.settings.pipeline) == (5, None)


def test_its_settings_are_weaker_than_all_others(here, monkeypatch):
    (here / "c.yaml").write_text("to: warehouse\nhost: of the file\nuser: of the file\nbatch_rows: 6\n")
    monkeypatch.setenv("TAILRACE_USER", "of the environment")
    monkeypatch.setenv("TAILRACE_HOST", "of the environment")
    made = setup(None, [here / "c.yaml"], ["host=of a flag"])
    assert made.destination["host"] == "of a flag"
    assert made.destination["user"] == "of the environment"
    assert (made.destination["database"], made.settings.batch_rows) == ("raw", 6)
    monkeypatch.setenv("TAILRACE_TO", "lake")
    assert setup(None, None, ["host="]).to == "files:lake"


def test_a_file_that_is_named_has_connections_too_and_the_stronger_ones(here):
    (here / "c.yaml").write_text("connections: {lake: {to: 'files:elsewhere'}}\n")
    (here / "d.json").write_text('{"connections": {"lake": {"to": "files:$HOME"}}}')
    assert setup("lake", [here / "c.yaml"], None).to == "files:elsewhere"
    assert setup("lake", [here / "c.yaml", here / "d.json"], None).to == "files:$HOME"
    assert setup("warehouse", [here / "c.yaml"], None).to == "postgres"
    assert setup("lake", [here / "tailrace.yaml"], None).settings.pipeline == "never read without --config"


def test_a_destination_is_found_without_a_look_into_files(here):
    (here / "tailrace.yaml").write_text("connections: {duckdb: {to: 'files:x'}}\n]")
    assert setup("duckdb", None, ["path=x"]).to == "duckdb"
    assert setup("duckdb:///x", None, None).to == "duckdb:///x"


def test_a_name_that_nothing_has_is_told_with_those_that_there_are():
    with pytest.raises(ConfigError, match="there is no destination 'wharehouse'") as told:
        setup("wharehouse", None, None)
    assert told.value.__notes__ == ["there are the connections lake, nowhere, other, warehouse"]


@pytest.mark.parametrize(
    ("name", "key", "said"),
    [
        ("nowhere", "connections.nowhere", "it doesn't say where to load"),
        ("other", "password", "the environment has no UNSET"),
    ],
)
def test_what_a_connection_lacks_is_told_once_it_is_wanted(name, key, said):
    with pytest.raises(ConfigError, match=said) as told:
        setup(name, None, None)
    assert told.value.key == key


@pytest.mark.parametrize("text", ["connections: [a]", "connections: {a: b}", "connections: x"])
def test_connections_are_settings_by_names(here, text):
    (here / "tailrace.yaml").write_text(text)
    with pytest.raises(ConfigError, match="it must hold settings by the names of connections"):
        setup("a", None, None)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A = b c  # said", "b c"),
        ("A=b#c", "b#c"),
        ("A=", ""),
        ("A= # said", ""),
        ("A='b # \"c\" $D \\n'", 'b # "c" $D \\n'),
        (r'A="b \"c\" \\ $D \n e" # said', 'b "c" \\ $D \n e'),
        ("A=${D}$E", "${D}$E"),
        ("\ufeffA=it's", "it's"),
    ],
)
def test_a_variable_of_a_file_is_what_shells_would_take_it_for_but_for_dollar_signs(here, line, value):
    (here / ".env").write_text(f"# said\n\n{line}\n", encoding="utf-8")
    if line.startswith("\ufeff"):
        (here / ".env").write_text(line, encoding="utf-8")
    assert dotenv_values(here / ".env") == {"A": value}


@pytest.mark.parametrize("line", ["s3cr3t", "A='s3cr3t", 'A="s3cr3t" more', "1A=s3cr3t", "A B=s3cr3t", "A=#s3cr3t"])
def test_a_line_that_is_no_variable_is_told_by_its_number(here, line):
    (here / ".env").write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigError, match=r"line 2 of .*\.env can't be read") as told:
        dotenv_values(here / ".env")
    assert "s3cr3t" not in str(told.value)


def test_the_environment_is_stronger_than_the_file_which_is_read_only_for_what_is_lacking(here):
    variables = Variables({"PW": "of the environment"})
    assert (variables["PW"], variables["HOST"]) == ("of the environment", "db.example.com")
    assert dict(variables) == {"PW": "of the environment", "HOST": "db.example.com"}
    (here / ".env").write_text("no variable")
    assert Variables({"PW": "x"})["PW"] == "x"
    (here / ".env").unlink()
    assert "HOST" not in Variables({})


def test_the_file_sets_no_settings_and_nothing_in_json(here):
    (here / ".env").write_text("TAILRACE_BATCH_ROWS=7\nA=1\n")
    (here / "c.json").write_text('{"table": "${A}"}')
    assert setup("lake", None, None).settings.batch_rows == 50_000
    assert file_values(here / "c.json", Variables()) == {"table": "${A}"}
