"""Secrets are planted in every place that takes one, and no output has them: logs, reports, errors, what repr says."""

import json
import os
import pickle
import shlex
import sys
import traceback

import pytest

import tailrace
from tailrace.cli import command_line
from tailrace.cli.exit_codes import exit_code_of
from tailrace.destinations import open_destination
from tailrace.testing.messages import INT, record, schema, state

SECRET = "s3cr3t-Kx9/+%40"
"""What isn't to be seen; the address has its special characters as percent codes."""
PLAIN = "Kx9"
"""The part of it that no way of writing changes."""
ENCODED = "s3cr3t-Kx9%2F%2B%2540"
MESSAGES = b"".join(
    json.dumps(message).encode() + b"\n"
    for message in (schema({"id": INT}, ["id"]), record({"id": "no number"}), record({"id": 1}), state({"at": 1}))
)
NOBODY = "127.0.0.1:1"

ADDRESSES = {
    "postgres": f"postgresql://user:{ENCODED}@{NOBODY}/db",
    "mysql": f"mysql://user:{ENCODED}@{NOBODY}/db",
    "redshift": f"redshift://user:{ENCODED}@{NOBODY}/db?bucket=b&secret_access_key={ENCODED}&access_key_id={ENCODED}",
    "s3": f"s3://bucket/x?access_key_id=a&secret_access_key={ENCODED}&endpoint=http://{NOBODY}&region=eu-west-1",
    "delta": f"delta+s3://b/x?access_key_id=a&secret_access_key={ENCODED}&endpoint=http://{NOBODY}&region=eu-west-1",
    "iceberg": f"iceberg+postgresql+psycopg2://user:{ENCODED}@{NOBODY}/db?warehouse=s3://b/x&secret_access_key={ENCODED}",
    "http": f"http://user:{ENCODED}@{NOBODY}/x?token={ENCODED}",
    "a port that isn't one": f"postgresql://user:{ENCODED}@127.0.0.1:x/db",
    "a password that isn't escaped": "postgresql://user:s3cr3t-Kx9/+@@[127.0.0.1:1/db",
    "a file with a host": f"duckdb://user:{ENCODED}@host/x",
    "an unknown scheme": f"nothing://user:{ENCODED}@host/x",
    "an unknown setting": f"postgresql://user:{ENCODED}@{NOBODY}/db?nothing=1",
}
SETTINGS = {
    "postgres": {"host": "127.0.0.1", "port": 1, "user": "u", "database": "d", "password": SECRET},
    "mysql": {"host": "127.0.0.1", "port": 1, "user": "u", "database": "d", "password": SECRET},
    "redshift": {
        "host": "127.0.0.1",
        "port": 1,
        "user": "u",
        "database": "d",
        "password": SECRET,
        "bucket": "b",
        "access_key_id": "a",
        "secret_access_key": SECRET,
        "session_token": SECRET,
    },
    "http": {
        "url": f"http://{NOBODY}/",
        "auth": "oauth2",
        "token_url": f"http://{NOBODY}/",
        "client_id": "a",
        "client_secret": SECRET,
        "headers": {"X": SECRET},
        "checkpoints": f"postgresql://u:{ENCODED}@{NOBODY}/d",
    },
    "delta": {"url": "s3://b/x", "access_key_id": "a", "secret_access_key": SECRET, "session_token": SECRET},
}


@pytest.fixture
def run(monkeypatch, capfd, tmp_path):
    """Runs a command in this process, in a folder of its own; all that it writes."""
    for name in [name for name in os.environ if name.startswith(("PG", "AWS", "TAILRACE"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "messages").write_bytes(MESSAGES)

    def ran(*words, **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["tailrace", *words, *(["messages"] if words[0] == "load" else [])])
        exit_code_of(command_line(words))
        told = capfd.readouterr()
        return told.out + told.err

    return ran


def require_none(*outputs):
    for output in outputs:
        text = output if isinstance(output, bytes) else str(output).encode("utf8", "replace")
        assert PLAIN.encode() not in text


@pytest.mark.parametrize("kind", ADDRESSES)
def test_a_secret_of_an_address_is_in_no_error_of_the_library(kind):
    with pytest.raises(tailrace.TailraceError) as raised:
        tailrace.load(iter(MESSAGES.splitlines()), ADDRESSES[kind], retry_s=0.1)
    error = raised.value
    require_none(error, repr(error), *getattr(error, "__notes__", ()), error.__cause__, error.__context__)
    require_none("".join(traceback.format_exception(error)))


@pytest.mark.parametrize("kind", [kind for kind in ADDRESSES if " " not in kind and kind != "iceberg"])
def test_a_secret_of_an_address_is_in_nothing_that_a_destination_says_of_itself(kind):
    destination = open_destination(ADDRESSES[kind], {})
    require_none(repr(destination), str(destination), repr(vars(destination)))
    again = pickle.loads(pickle.dumps(destination))
    require_none(repr(again), repr(vars(again)))


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_secret_of_a_setting_is_in_nothing_that_is_said(kind):
    destination = open_destination(kind, SETTINGS[kind])
    require_none(repr(destination), repr(vars(destination)))
    with pytest.raises(tailrace.TailraceError) as raised:
        open_destination(kind, SETTINGS[kind] | {"port": "x" + SECRET, "nothing": SECRET})
    require_none("".join(traceback.format_exception(raised.value)))


@pytest.mark.parametrize("words", [("load",), ("load", "--log-format", "json"), ("check",)])
@pytest.mark.parametrize("kind", ["postgres", "redshift", "a password that isn't escaped"])
def test_a_secret_of_an_address_is_in_no_output(run, tmp_path, kind, words):
    more = ["--report", "report.json"] if words[0] == "load" else []
    level = ["--log-level", "debug"] if words[0] == "load" else []
    settings = ["--set", "retry_s=0.1"]
    require_none(run(*words, "--to", ADDRESSES[kind], *level, *more, *settings))
    require_none(*(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()))


CONFIGS = {
    "config.json": json.dumps(SETTINGS["postgres"] | {"retry_s": 0.1, "to": "postgres"}),
    "broken.json": f'{{"to": "postgres", "password": "{SECRET}" oops}}',
    "broken.yaml": f"to: postgres\npassword: '{SECRET}\nport: [1\n",
    "tabs.yaml": f"to: postgres\n\tpassword: {SECRET}\n",
    "broken.toml": f"to = 'postgres'\npassword = '{SECRET}\n",
    "wrong.yaml": f"to: postgres\npassword:\n  - {SECRET}\nport: {SECRET}\n",
    "unknown.yaml": f"to: postgres\npasword: {SECRET}\nhost: h\n",
    "environment.yaml": "to: postgres\npassword: ${PLANTED}\nhost: 127.0.0.1\nport: ${PLANTED}\nuser: u\ndatabase: d\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_secret_of_a_config_is_in_no_output(run, tmp_path, name):
    (tmp_path / name).write_text(CONFIGS[name], encoding="utf-8")
    planted = {"PLANTED": SECRET}
    require_none(run("load", "--config", name, "--log-level", "debug", **planted))


def test_a_secret_of_the_environment_is_in_no_output(run):
    planted = {
        "PGPASSWORD": SECRET,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_SESSION_TOKEN": SECRET,
        "TAILRACE_PASSWORD": SECRET,
        "TAILRACE_RETRY_S": "0.1",
        "TAILRACE_USER": "u",
        "TAILRACE_DATABASE": "d",
        "TAILRACE_HOST": "127.0.0.1",
        "TAILRACE_PORT": "1",
    }
    require_none(run("load", "--to", "postgres", "--log-level", "debug", **planted))
    require_none(run("load", "--to", "postgres", **(planted | {"TAILRACE_PORT": SECRET})))


@pytest.mark.parametrize("ending", ["exit 3", "echo broken; exit 0", "sleep 0"])
def test_a_secret_of_a_taps_command_is_in_no_output(run, tmp_path, ending):
    tap = tmp_path / "tap"
    tap.write_text(f"#!/bin/sh\n{ending}\n", encoding="utf-8")
    tap.chmod(0o755)
    command = [str(tap), "--password", SECRET, f"--token={SECRET}", f"https://user:{ENCODED}@host/x"]
    words = ["run", "--to", "duckdb:///x.duckdb", "--log-level", "debug", "--pipeline", "p"]
    require_none(run(*words, "--tap", shlex.join(command)))


def test_a_secret_in_a_quarantined_runs_address_is_in_no_file(run, tmp_path):
    words = ["--set", "on_invalid=quarantine", "--set", "quarantine=aside.jsonl", "--report", "r.json"]
    run("load", "--to", f"duckdb:///x.duckdb?config.unknown={ENCODED}", *words)
    require_none(run("load", "--to", ADDRESSES["s3"], *words, "--set", "retry_s=0.1"))
    require_none(*(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()))
