"""What the terminal says about what goes wrong: what it is, and what to do, in no library's words."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from commands import run, tailrace

TAILRACE = Path(sys.executable).with_name("tailrace")
LIBRARIES = re.compile(
    r"Input should|Field required|Extra inputs|validation error|pydantic|Traceback|\[Errno|os error|Generic LocalFile|"
    r"JSON is malformed"
)
DUCKDB = ("--to", "duckdb:///s.duckdb")
SCHEMA = {
    "type": "SCHEMA",
    "stream": "s",
    "schema": {"properties": {"id": {"type": "integer"}, "x": {"type": "number"}}},
    "key_properties": [],
}


def lines(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


def record(**fields):
    return {"type": "RECORD", "stream": "s", "record": fields}


GOOD = lines(SCHEMA, record(id=1, x=1.5), {"type": "STATE", "value": {"n": 1}})
STATELESS = lines(SCHEMA, record(id=1))
BROKEN = lines(SCHEMA, record(id="no number"))
FILES = {
    "array.json": b'[{"id":1}]',
    "array-of-lines.json": b'[\n{"id":1}\n]\n',
    "document.json": b'{\n"id":1\n}\n',
    "elf": b"\x7fELF\x02\x01\x01\x00\x00\x00",
    "x.parquet": b"PAR1\x15\x04\x15\x00\x00",
    "utf16.txt": '{"type":"SCHEMA"}'.encode("utf-16"),
    "a.csv": b"id,first name\n1,a\n",
    "semicolons.csv": b'"id";"name"\r\n1;a\r\n',
    "log.txt": b"Starting the tap, please wait\n",
    "cut.singer": b'{"type":"SCH',
    "good.singer": GOOD,
    "stateless.singer": STATELESS,
    "broken.singer": BROKEN,
    "nan.singer": STATELESS + b'{"type":"RECORD","stream":"s","record":{"x":NaN}}\n',
    "keyed.singer": lines(SCHEMA | {"key_properties": ["id"]}, record(id=1)),
    "wrong.yaml": b"to: duckdb:///s.duckdb\nstreams:\n  orders:\n    metod: append\n",
    "text.json": json.dumps({"to": DUCKDB[1], "streams": '{"s": {"key_properties": "id", "table": "t"}}'}).encode(),
}


@pytest.fixture
def command(tmp_path):
    """Runs a command in a folder that has these files; its exit code and what it says, in no library's words."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)

    def run_there(*words, **more):
        done = run(*words, cwd=tmp_path, **more)
        said = done.stderr.decode()
        assert not LIBRARIES.search(said), said
        return done.returncode, said

    return run_there


def tap(command):
    return ("run", "--tap", command, "--pipeline", "p", *DUCKDB)


def setting(text, *to):
    return ("load", "good.singer", *(to or DUCKDB), "--set", text)


ERRORS = {
    "a JSON array": (("load", "array.json", *DUCKDB), 3, "line 1: the input is a JSON array, and not Singer messages"),
    "a JSON array of many lines": (("load", "array-of-lines.json", *DUCKDB), 3, "the input is a JSON array"),
    "a JSON document": (("load", "document.json", *DUCKDB), 3, "the input is a JSON document of many lines"),
    "a binary file": (("load", "elf", *DUCKDB), 3, "line 1: the input is a binary file, and not Singer messages"),
    "Parquet": (("load", "x.parquet", *DUCKDB), 2, "INPUT: x.parquet isn't a sound Parquet file (get it again)\n"),
    "Parquet from a tap": (tap("cat x.parquet"), 3, "the input is a Parquet file, and not Singer messages"),
    "UTF-16": (("load", "utf16.txt", *DUCKDB), 3, "the input is text in UTF-16"),
    "CSV": (
        tap("cat a.csv"),
        3,
        "files are loaded by their names, as in `tailrace load FILE`, and from stdin with --format csv\n",
    ),
    "CSV with semicolons": (tap("cat semicolons.csv"), 3, "the input looks like CSV"),
    "a tap's log on stdout": (
        ("load", "log.txt", *DUCKDB),
        3,
        "line 1: the line isn't JSON; it begins Starting the tap",
    ),
    "half a message": (("load", "cut.singer", *DUCKDB), 3, "line 1: the input ends in the middle of this line"),
    "a tap without STATE that fails": (
        tap("sh -c 'cat stateless.singer; exit 3'"),
        8,
        "ended with exit code 3; nothing is loaded, since no STATE message came\n",
    ),
    "a tap with a STATE that fails": (
        tap("sh -c 'cat good.singer; exit 3'"),
        8,
        "ended with exit code 3; what came up to its last STATE message is loaded\n",
    ),
    "a path": (
        ("load", "good.singer", "--to", "/x/Aa.duckdb"),
        2,
        "to: it is a path, and not an address (write duckdb:////x/Aa.duckdb)\n",
    ),
    "a file's name": (("load", "good.singer", "--to", "a.db"), 2, "(write sqlite:///a.db)\n"),
    "a folder": (("load", "good.singer", "--to", "data/lake"), 2, "(write files:data/lake)\n"),
    "no such table": (("files", "nosuch", "--to", "files:lake"), 2, "TABLE: there is no table 'nosuch'"),
    "a pipe in --tap": (tap("cat a.csv | head"), 2, "--tap: there is no shell here, which | is for (start one, as in"),
    "a redirection in --tap": (tap("tap-x > out"), 2, "--tap: there is no shell here, which > is for"),
    "a variable in --tap": (tap("X=1 tap"), 2, "--tap: there is no shell here, which would set X (write `env X=...`"),
    "NaN": (("load", "nan.singer", *DUCKDB), 4, "line 3: $.x: expected a number, got NaN, which JSON doesn't have"),
    "a choice": (
        setting("on_invalid=quarentine"),
        2,
        "on_invalid: it must be fail or quarantine (did you mean quarantine?)",
    ),
    "a stream's setting": (
        setting("streams.orders.metod=x"),
        2,
        "streams.orders.metod: there is no such setting (did you mean method?)",
    ),
    "a stream's setting in a file": (("load", "--config", "wrong.yaml"), 2, "streams.orders.metod: there is no such"),
    "a stream's choice": (
        setting("streams.orders.method=apend"),
        2,
        "streams.orders.method: it must be append, upsert",
    ),
    "a column's setting": (
        setting("streams.o.columns.a.knd=x"),
        2,
        "streams.o.columns.a.knd: there is no such setting (did you mean kind?)",
    ),
    "a run's setting of a stream": (
        setting("streams.o.batch_rows=1"),
        2,
        "streams.o.batch_rows: there is no such setting (it is set for all",
    ),
    "a number": (setting("batch_rows=many"), 2, "batch_rows: it must be a whole number"),
    "a number that is too small": (setting("batch_rows=0"), 2, "batch_rows: it must be greater than 0"),
    "a list that is none": (setting("key_properties={}"), 2, "key_properties: it must be a list"),
    "a union": (setting("constants.a=[1]"), 2, "constants.a: it must be a text or a whole number or a number or true"),
    "streams that are no JSON": (setting("streams=x"), 2, "streams: its text isn't JSON"),
    "a path that is missing": (
        setting("threads=1", "--to", "duckdb"),
        2,
        "path: it isn't set (as in --to duckdb:///my.duckdb)",
    ),
    "a path of SQLite": (
        setting("lock_timeout_s=1", "--to", "sqlite"),
        2,
        "path: it isn't set (as in --to sqlite:///my.db)",
    ),
    "a user that is missing": (
        setting("host=h", "--to", "postgres"),
        2,
        "user: it isn't set (as in --to postgres://user:",
    ),
    "batch_config": (
        setting("batch_config.encoding=x"),
        2,
        "batch_config: there is no such setting (it is a tap's; name the folders of its files in batch_roots",
    ),
    "another kind of files": (setting("file_type=delta", "--to", "s3://b/p"), 2, "as in `--to delta`"),
    "a kind of files that isn't there": (
        setting("format=orc", "--to", "files:x"),
        2,
        "format: it must be parquet, csv or jsonl",
    ),
    "a report that can't be written": (
        ("load", "broken.singer", *DUCKDB, "--report", "/nodir/r.json"),
        2,
        "--report: /nodir/r.json can't be written: No such file or directory (name another file)\n",
    ),
}


@pytest.mark.parametrize(("words", "code", "sentence"), ERRORS.values(), ids=ERRORS)
def test_an_error_says_what_is_wrong_and_what_to_do_once(command, words, code, sentence):
    found, said = command(*words)
    assert found == code, said
    (error,) = [line for line in said.splitlines(keepends=True) if line.startswith("error: ")]
    assert sentence in error
    assert said.endswith(error)


WARNINGS = {
    "an empty file": (("load", "/dev/null", *DUCKDB), "no message came; did the tap start?"),
    "an empty pipe": (("load", *DUCKDB), "no message came; did the tap start?"),
    "a tap that says nothing": (tap("true"), "no message came; did the tap start?"),
    "an override of no stream": (
        setting("streams.ss.method=append"),
        "no stream matches `streams.ss`, so it changes nothing (did you mean s?)",
    ),
    "keys and files": (
        ("load", "keyed.singer", "--to", "files:lake"),
        "rows of streams with keys are appended, since files",
    ),
}


@pytest.mark.parametrize(("words", "sentence"), WARNINGS.values(), ids=WARNINGS)
def test_a_warning_is_one_line_and_no_error(command, words, sentence):
    code, said = command(*words)
    assert code == 0, said
    (warning,) = [line for line in said.splitlines() if "[warning" in line]
    assert sentence in warning


SILENT = {
    "an override that is for a stream": setting("streams.s*.method=append"),
    "a key in words": setting("key_properties=id"),
    "keys in words": setting("key_properties=id, x"),
    "streams as text in a file": ("load", "good.singer", "--config", "text.json"),
    "append that is meant": ("load", "keyed.singer", "--to", "files:lake", "--set", "method=append"),
    "partitions in words": setting("partition_keys=id", "--to", "files:lake"),
}


@pytest.mark.parametrize("words", SILENT.values(), ids=SILENT)
def test_what_is_right_is_no_warning(command, words):
    code, said = command(*words)
    assert (code, "[warning" in said) == (0, False), said


def test_a_variable_that_is_no_setting_is_a_warning_that_names_it(command):
    code, said = command(
        "load", "good.singer", *DUCKDB, TAILRACE_VERSION="1", TAILRACE_BATCH_ROW="1", TAILRACE_BATCH_BYTES="1000"
    )
    warnings = [line for line in said.splitlines() if "[warning" in line]
    assert code == 0
    assert [re.search("TAILRACE_[A-Z_]+ is no setting.*?(?= part)", line)[0] for line in warnings] == [
        "TAILRACE_VERSION is no setting, and counts for nothing",
        "TAILRACE_BATCH_ROW is no setting, and counts for nothing (did you mean TAILRACE_BATCH_ROWS?)",
    ]


def test_an_input_that_is_a_terminal_is_told_of(command):
    ours, theirs = os.openpty()
    os.write(ours, b"\x04")
    try:
        code, said = command("load", *DUCKDB, redirected={0: os.ttyname(theirs)})
    finally:
        os.close(ours)
        os.close(theirs)
    assert code == 0
    assert said.startswith("reading from the terminal: pipe a tap into it, as in `tap-x | tailrace load ...`")


@pytest.mark.parametrize(
    ("sent", "loaded"),
    [
        (GOOD, "what came up to its last STATE message is loaded"),
        (STATELESS, "nothing is loaded, since no STATE message came"),
    ],
)
def test_a_run_that_is_stopped_says_what_is_loaded_and_how_to_go_on(tmp_path, sent, loaded):
    with tailrace("load", *DUCKDB, "--set", "checkpoint_rows=1", cwd=tmp_path, stdin=True) as process:
        process.stdin.write(b'{"type":"LOG","level":"info","message":"it runs"}\n' + sent)
        said = process.stderr.readline()
        while sent is GOOD and not process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        said += process.stderr.read()
        assert process.wait() == 130
    assert said.decode().splitlines()[-1] == f"stopped by SIGINT: {loaded}; run again to go on"


def test_a_report_that_fails_at_last_never_hides_the_error(command):
    code, said = command("load", "broken.singer", *DUCKDB, "--report", "/dev/full")
    assert code == 4
    error, note = said.splitlines()[-2:]
    assert error.startswith("error: stream 's', line 2: $.id: expected an integer")
    assert note.startswith("  --report: /dev/full can't be written: No space left on device (free some space")


def test_a_closed_stderr_is_no_matter_and_a_closed_stdout_ends_before_anything_is_loaded(command, tmp_path):
    assert command("load", "good.singer", *DUCKDB, redirected={2: None})[0] == 0
    assert (tmp_path / "s.duckdb").exists()
    code, said = command("load", "good.singer", "--to", "duckdb:///other.duckdb", redirected={1: None})
    assert (code, (tmp_path / "other.duckdb").exists()) == (2, False)
    assert said.startswith("error: stdout: it is closed, so no state can be printed")


@pytest.mark.parametrize("to", ["duckdb:///{}/x.duckdb", "sqlite:///{}/x.db"])
def test_a_full_disk_says_to_free_some_space(command, tmp_path, to):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        code, said = command(
            "load", "--to", to.format(small), stdin=lines(SCHEMA, *(record(id=n) for n in range(99_999)))
        )
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)
    assert code == 6
    (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert error.count("free some space") == 1
    assert error.endswith("run again")


@pytest.mark.parametrize("to", ["files:locked/lake", "delta:locked/new", "duckdb:///locked/x.duckdb"])
def test_a_folder_that_may_not_be_written_to_is_told_by_its_name(tmp_path, to):
    (tmp_path / "locked" / "lake").mkdir(parents=True)
    (tmp_path / "good.singer").write_bytes(GOOD)
    for folder in ("locked/lake", "locked"):
        (tmp_path / folder).chmod(0o555)
    as_others = ["setpriv", "--bounding-set=-dac_override"] if os.getuid() == 0 else []
    words = [*as_others, TAILRACE, "load", "good.singer", "--to", to]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, check=False, text=True)
    assert done.returncode == 6, done.stderr
    assert f"{tmp_path}/locked" in done.stderr or "'locked/" in done.stderr
    assert "writ" in done.stderr
    assert not LIBRARIES.search(done.stderr), done.stderr


def test_a_password_that_is_refused_says_how_an_at_is_written(command, postgres_url):
    url = urlsplit(postgres_url)
    code, said = command(
        "load", "good.singer", "--to", f"postgres://tailrace:se@cret@{url.hostname}:{url.port}{url.path}"
    )
    assert code == 6
    assert "password authentication failed" in said
    assert "set `user` and `password`; in an address, @ in a password is written %40" in said
    assert "cret" not in said


def test_a_role_without_rights_is_told_the_grant_as_check_tells_it(command, postgres_url):
    url = urlsplit(postgres_url)
    with closing(psycopg.connect(postgres_url, autocommit=True)) as session:
        session.execute("DROP ROLE IF EXISTS guest")
        session.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    guest = f"postgres://guest:guest@{url.hostname}:{url.port}{url.path}"
    grant = 'run `GRANT USAGE, CREATE ON SCHEMA "public" TO "guest"`'
    loaded, checked = (command(*words, "--to", guest) for words in (("load", "good.singer"), ("check",)))
    assert (loaded[0], checked[0]) == (6, 6)
    assert loaded[1].count(grant) == checked[1].count(grant) == 1
    assert command("load", "good.singer", "--to", postgres_url)[0] == 0
    code, said = command("load", "good.singer", "--to", guest)
    assert code == 6
    assert 'run `GRANT SELECT, INSERT, UPDATE, DELETE ON "_tailrace_checkpoints" TO "guest"`' in said
