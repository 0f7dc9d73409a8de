"""What reaches a terminal: no secret, nothing that it would obey, and no more names than a reader can take in."""

import json
import re

import pytest
from commands import run

from tailrace.cli.options import setup
from tailrace.errors import ConfigError

OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = "s\x1b[2J\r\nerror: forged\u202e\x9b"


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def schema(stream=HOSTILE, **properties):
    fields = {"id": {"type": "integer"}} | properties
    return {"type": "SCHEMA", "stream": stream, "schema": {"properties": fields}, "key_properties": ["id"]}


def record(stream=HOSTILE, **fields):
    return {"type": "RECORD", "stream": stream, "record": fields}


LOG = {"type": "LOG", "level": "info", "message": f"the tap says {HOSTILE}"}
HOSTILE_INPUTS = {
    "a log line and a stream": lines(schema(), LOG, record(id=1), {"type": "STATE", "value": 1}),
    "an unknown field": lines(schema(), record(id=1, **{HOSTILE: 1})),
    "a value that is refused": lines(schema(), record(id=HOSTILE)),
    "a line that can't be read": lines(schema()) + b"\x1b[2J\xc2\x9b no message \xe2\x80\xae\n",
    "a type that isn't known": lines({"type": HOSTILE}),
    "a stream without schema": lines(record(id=1)),
    "a field's name": lines(schema(**{HOSTILE: {"type": "integer"}}), record(id=1)),
    "a path in a state": lines({"type": "STATE", "value": {HOSTILE: 1}}).replace(b": 1}", b": NaN}"),
}


@pytest.mark.parametrize("data", HOSTILE_INPUTS.values(), ids=HOSTILE_INPUTS)
def test_text_from_outside_reaches_the_terminal_escaped(tmp_path, data):
    done = run("load", "--to", "duckdb:///s.duckdb", stdin=data, cwd=tmp_path)
    said = done.stderr.decode()
    assert re.search(r"\\(x|u00)1b\[2J", said)
    assert OBEYED.findall(said) == []
    assert not [line for line in said.splitlines() if line.startswith("error: forged")]
    assert "Traceback" not in said


def test_logs_in_json_are_json_and_hold_nothing_that_a_terminal_obeys(tmp_path):
    data = lines(schema(), LOG, record(id=1))
    done = run("load", "--to", "duckdb:///s.duckdb", "--log-format", "json", stdin=data, cwd=tmp_path)
    said = done.stderr.decode()
    logged = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert logged[0]["event"] == LOG["message"]
    assert OBEYED.findall(said) == []


def test_a_plan_escapes_the_names_in_it(tmp_path):
    done = run("plan", "--to", "duckdb:///s.duckdb", stdin=lines(schema()), cwd=tmp_path)
    said = done.stdout.decode()
    assert OBEYED.findall(said) == []
    assert said.startswith("-- s\\x1b[2J\\r\\nerror: forged")


def test_a_hundred_unknown_fields_are_told_by_name_and_the_others_are_counted(tmp_path):
    data = lines(
        schema("s"), *(record("s", id=1, **{f"n{number}-{at}": 1 for at in range(50)}) for number in range(50))
    )
    done = run("load", "--to", "duckdb:///s.duckdb", "--report", "r.json", stdin=data, cwd=tmp_path)
    said = done.stderr.decode()
    assert done.returncode == 0
    assert said.count("a field isn't in the schema and is dropped") == 100
    assert "more than a hundred fields aren't in the schema" in said
    assert "values=2400" in said
    found = json.loads((tmp_path / "r.json").read_text())["streams"]["s"]
    assert (len(found["unknown_fields"]), found["other_unknown_fields"]) == (100, 2400)


SECRET = "s3cr3t"
FILES = {
    "c.yaml": f"to: postgres\npassword: {SECRET}: x\n",
    "tab.yaml": f"to: postgres\n\tpassword: {SECRET}\n",
    "alias.yaml": f"to: postgres\npassword: *{SECRET}\n",
    "tag.yaml": f"to: postgres\npassword: !{SECRET} x\n",
    "quote.yaml": f"to: postgres\npassword: '{SECRET}\n",
    "control.yaml": f"to: postgres\npassword: {SECRET}\x01\n",
    "date.yaml": f"to: postgres\npassword: {SECRET}\nx: 2024-13-45\n",
    "list.yaml": f"- {SECRET}\n",
    "c.json": f'{{"to": "postgres", "password": "{SECRET}',
    "escape.json": f'{{"to": "postgres", "password": "{SECRET}\\q"}}',
    "text.json": f'"{SECRET}"',
    "c.toml": f'to = "postgres"\npassword = {SECRET}\n',
    "quote.toml": f'to = "postgres"\npassword = "{SECRET}\n',
    "latin.yaml": f"to: postgres\npassword: {SECRET}\xff\n".encode("latin-1"),
    "wrong.yaml": f"to: postgres\npassword: [{SECRET}]\n",
    "below.yaml": f"to: postgres\npassword: {{{SECRET}: 1}}\n",
    "number.yaml": f"to: postgres\nhost: h\nport: {SECRET}\n",
    "twice.yaml": f"to: postgres\ntls: {SECRET}\nsslmode: {SECRET}2\n",
    "run.yaml": f"to: duckdb:///x.duckdb\nbatch_rows: {SECRET}\n",
    "stream.yaml": f"to: duckdb:///x.duckdb\nstreams: {{a: {{method: {SECRET}}}}}\n",
    "addresses.yaml": f"to: memory:x\nsqlalchemy_url: postgresql://u:{SECRET}@h/d\n",
    "variable.yaml": f"to: postgres\npassword: {SECRET}${{NOT_THERE}}\n",
}


def told(error):
    """All that an error and its causes have to say, and what they hold."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error), repr(vars(error)), *getattr(error, "__notes__", ())]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("name", FILES)
def test_a_config_that_is_wrong_is_told_by_its_place_and_never_by_its_text(tmp_path, name):
    text = FILES[name]
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as raised:
        setup(None, [tmp_path / name], []).open()
    assert SECRET not in told(raised.value)


@pytest.mark.parametrize(
    ("name", "place"),
    [("c.yaml", "line 2, column 17"), ("c.json", "line 1, column 32"), ("c.toml", "line 2, column 12")],
)
def test_a_config_that_cant_be_read_on_is_told_with_line_and_column(tmp_path, name, place):
    (tmp_path / name).write_text(FILES[name])
    said = run("load", "--config", name, "--log-level", "debug", cwd=tmp_path).stderr.decode()
    assert said.startswith(f"error: --config: {name} can't be understood, {place}")
    assert SECRET not in said


def test_what_a_command_comes_to_is_shown_without_its_secrets():
    made = setup(f"postgres://u:{SECRET}@h/d", None, [f"password={SECRET}"])
    assert SECRET not in f"{made} {made.settings!r} {made.open()!r}"


COMMANDS = {
    "a tap that fails": ("run", "--tap", f"sh -c 'exit 3' --password {SECRET}", "--pipeline", "p", "--to", "memory:x"),
    "a tap that isn't there": ("run", "--tap", f"TOKEN={SECRET} tap-x", "--pipeline", "p", "--to", "memory:x"),
    "a tap with an open quote": ("run", "--tap", f"tap-x '{SECRET}", "--pipeline", "p", "--to", "memory:x"),
    "no setting": ("load", "--to", "memory:x", "--set", SECRET),
    "no key": ("load", "--to", "memory:x", "--set", f"={SECRET}"),
    "a wrong setting": (
        "load",
        "--to",
        "postgres://h/d",
        "--set",
        f"password=[1, {SECRET!r}]",
        "--set",
        f"port={SECRET}",
    ),
    "a list": ("load", "--to", "postgres://h/d", "--set", f'password=["{SECRET}"]'),
    "a setting below a value": (
        "load",
        "--to",
        "postgres://h/d",
        "--set",
        f"password={SECRET}",
        "--set",
        "password.x=1",
    ),
    "a password with a slash": ("load", "--to", f"postgres://u:12/{SECRET}@127.0.0.1/d"),
    "a password with a question mark": ("load", "--to", f"postgres://u:12?{SECRET}@127.0.0.1/d"),
    "a port that is none": ("load", "--to", f"postgres://u:{SECRET}"),
    "no scheme": ("load", "--to", f"//u:{SECRET}@h/d"),
    "an unknown scheme": ("load", "--to", f"nosuch://u:{SECRET}@h/d"),
    "a file with a host": ("load", "--to", f"duckdb://u:{SECRET}@h/d"),
    "nobody there": ("load", "--to", f"postgres://u:{SECRET}@127.0.0.1:1/d", "--set", "retry_s=0"),
    "nobody there, MySQL": ("load", "--to", f"mysql://u:{SECRET}@127.0.0.1:1/d", "--set", "retry_s=0"),
    "an unknown parameter": ("load", "--to", f"postgres://h/d?nosuch={SECRET}"),
    "an S3 key": ("load", "--to", f"s3://b/p?secret_access_key={SECRET}&nosuch=1"),
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_is_wrong_is_told_without_its_secrets(tmp_path, words):
    done = run(*words, "--log-level", "debug", "--report", "r.json", cwd=tmp_path)
    written = [path.read_text() for path in tmp_path.glob("r.json")]
    assert done.returncode != 0
    assert b"error: " in done.stderr
    assert SECRET not in done.stderr.decode() + done.stdout.decode() + "".join(written)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("PASSWORD", f'["{SECRET}"]'), ("PORT", SECRET), ("TO", f"x://u:{SECRET}@h")]
)
def test_an_environment_that_is_wrong_is_told_without_its_secrets(tmp_path, name, value):
    environment = {"TAILRACE_TO": "postgres://h/d"} | {f"TAILRACE_{name}": value}
    done = run("load", **environment, cwd=tmp_path)
    assert done.returncode == 2
    assert SECRET not in done.stderr.decode()
