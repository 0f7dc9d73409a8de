"""Where settings come from, and which source is the stronger."""

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from tailrace.config import Settings
from tailrace.config.sources import environment_values, file_values, flag_values, known_variables, merged, split
from tailrace.errors import ConfigError


class Place(BaseModel):
    """Settings of some destination."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field("x", validation_alias=AliasChoices("path", "filepath"))
    password: str | None = None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.json", '{"batch_rows": 10, "streams": {"a*": {"method": "append"}}}'),
        ("c.yaml", "batch_rows: 10\nstreams:\n  a*: {method: append}\n"),
        ("c.yml", "batch_rows: 10\nstreams:\n  a*:\n    method: append\n"),
        ("c.toml", 'batch_rows = 10\n[streams."a*"]\nmethod = "append"\n'),
    ],
)
def test_a_file_is_read_by_the_format_in_its_name(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert file_values(path) == {"batch_rows": 10, "streams": {"a*": {"method": "append"}}}


def test_variables_in_a_file_come_from_the_environment(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("password: ${SECRET}\npath: ${T}-$$5\nstreams: {a: {table: '${T}'}}\n")
    values = file_values(path, {"SECRET": "s$$3${T}", "T": "t"})
    assert values == {"password": "s$$3${T}", "path": "t-$5", "streams": {"a": {"table": "t"}}}


@pytest.mark.parametrize("name", ["password", "private_key_file_pwd", "aws_secret_access_key", "TOKEN"])
def test_a_secret_stays_as_it_is_unless_it_is_a_variable(tmp_path, name):
    path = tmp_path / "c.yaml"
    path.write_text(f"{name}: a$$b${{T}}\nin: {{{name}: $$}}\n")
    assert file_values(path, {"T": "t"}) == {name: "a$$b${T}", "in": {name: "$$"}}


def test_json_stays_as_the_runner_has_written_it(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"table": "$$${NOT_THERE}", "streams": {"a": {"table": "${T}"}}}')
    assert file_values(path, {"T": "t"}) == {"table": "$$${NOT_THERE}", "streams": {"a": {"table": "${T}"}}}


def test_a_missing_variable_is_refused_with_its_key(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("streams: {a: {table: '${NOT_THERE}'}}\n")
    with pytest.raises(ConfigError, match=r"streams\.a\.table: the environment has no NOT_THERE"):
        file_values(path, {})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.json", "{", "can't be understood"),
        ("c.yaml", "a: [", "can't be understood"),
        ("c.toml", "=", "can't be understood"),
        ("c.json", "[1]", "must hold settings by name"),
        ("c.ini", "a=1", "use .json, .yaml, .yml or .toml"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        file_values(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        file_values(tmp_path / "c.yaml")


def test_the_environment_sets_by_prefixed_names():
    environ = {"TAILRACE_BATCH_ROWS": "5", "TAILRACE_STREAMS__A__METHOD": "append", "TAILRACE_CONFIG": "x", "HOME": "/"}
    assert environment_values(environ) == {"batch_rows": "5", "streams": {"a": {"method": "append"}}}


def test_a_variable_that_is_no_setting_is_named_in_a_warning(caplog):
    given = {"batch_rows": "5", "filepath": "y", "batch_rosw": "6", "home": "/opt"}
    assert known_variables(given, Settings, Place) == {"batch_rows": "5", "filepath": "y"}
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert (
        "TAILRACE_BATCH_ROSW is no setting, and counts for nothing (did you mean TAILRACE_BATCH_ROWS?)" in caplog.text
    )
    assert "TAILRACE_HOME is no setting" in caplog.text


def test_flags_set_by_dotted_names_and_may_hold_json():
    values = flag_values(['streams.a.key_properties=["id"]', "batch_rows=7", "table=x=y"])
    assert values == {"streams": {"a": {"key_properties": ["id"]}}, "batch_rows": "7", "table": "x=y"}


@pytest.mark.parametrize("flag", ["nothing", "=1"])
def test_a_flag_without_a_key_or_value_is_refused(flag):
    with pytest.raises(ConfigError, match="write --set key=value"):
        flag_values([flag])


def test_a_flag_below_a_value_is_refused():
    with pytest.raises(ConfigError, match=r"table\.x: is given both"):
        flag_values(["table=a", "table.x=b"])


def test_later_sources_are_stronger_level_by_level():
    weak, strong = {"a": {"x": 1, "y": 1}, "b": 1}, {"a": {"y": 2}, "c": 3}
    assert merged(weak, strong) == {"a": {"x": 1, "y": 2}, "b": 1, "c": 3}


def test_settings_of_the_run_and_of_the_destination_are_told_apart():
    settings, own = split({"batch_rows": "5", "filepath": "my.db", "schema": "raw"}, Place)
    assert (settings.batch_rows, settings.schema_name, own) == (5, "raw", {"path": "my.db"})


def test_an_unknown_setting_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"batch_row: there is no such setting \(did you mean batch_rows\?\)"):
        split({"batch_row": 5}, Place)
    with pytest.raises(ConfigError, match=r"did you mean filepath\?"):
        split({"filepaths": 5}, Place)


def test_an_unknown_setting_of_a_stream_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"streams\.a\.metod: there is no such setting \(did you mean method\?\)"):
        split({"streams": {"a": {"metod": "append"}}}, Place)


def test_a_wrong_value_is_refused_with_its_key():
    with pytest.raises(ConfigError, match=r"batch_rows: it must be greater than 0"):
        split({"batch_rows": 0}, Place)


def test_streams_are_overridden_by_each_match_in_order():
    streams = {"a*": {"method": "append", "table": "x"}, "ab": {"table": "y"}, "c": {"table": "z"}}
    settings = Settings(naming="preserve", streams=streams)
    made = settings.for_stream("ab")
    assert (made.method, made.table, made.naming) == ("append", "y", "preserve")
    assert settings.for_stream("d").table == "{stream}"
