"""Standard streams that are closed, full or read by nobody: an exit code and a sentence, and never silence."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from commands import run, tailrace

BIN = Path(sys.executable).parent
DUCKDB = ("--to", "duckdb:///s.duckdb")
SENT = b"".join(
    json.dumps(message).encode() + b"\n"
    for message in (
        {"type": "SCHEMA", "stream": "s", "schema": {"properties": {"id": {"type": "integer"}}}},
        {"type": "RECORD", "stream": "s", "record": {"id": 1}},
        {"type": "STATE", "value": {"n": 1}},
        {"type": "RECORD", "stream": "s", "record": {"id": 2}},
        {"type": "STATE", "value": {"n": 2}},
    )
)


def filled(folder):
    """The folder, with `s.singer` and `c.json` in it."""
    folder.mkdir(exist_ok=True)
    (folder / "s.singer").write_bytes(SENT)
    (folder / "c.json").write_text(json.dumps({"to": DUCKDB[1]}))
    return folder


def redirected(redirections):
    """What a shell makes of them: for each number of a stream a file, or None for a closed one."""
    found = re.findall(r"([12]?)([<>])(\S+)", redirections)
    return {int(number or "<>".index(sign)): None if file == "&-" else file for number, sign, file in found}


@pytest.fixture
def shell(tmp_path):
    """Runs a command with redirections as a shell writes them in a folder that has `s.singer` and `c.json`."""
    filled(tmp_path)

    def run_there(redirections, program, *words, stdin=b""):
        return run(*words, program=program, cwd=tmp_path, stdin=stdin, redirected=redirected(redirections))

    return run_there


def rows(folder):
    if not (folder / "s.duckdb").exists():
        return None
    with duckdb.connect(str(folder / "s.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT count(*) FROM s").fetchall()[0][0]


LOADING = {
    "load": ("tailrace", "load", "s.singer", *DUCKDB),
    "load of stdin": ("tailrace", "load", *DUCKDB),
    "run": ("tailrace", "run", "--tap", "cat s.singer", "--pipeline", "p", *DUCKDB),
    "target-tailrace": ("target-tailrace", "--config", "c.json"),
}


@pytest.mark.parametrize(
    "redirections", ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full", ">/dev/full 2>&-"]
)
def test_a_command_that_a_real_shell_starts_ends_as_those_of_these_tests_do(tmp_path, redirections):
    program, *words = LOADING["load of stdin"]
    line = f"exec {shlex.join([str(BIN / program), *words])} {redirections}"
    theirs, ours = filled(tmp_path / "theirs"), filled(tmp_path / "ours")
    real = subprocess.run(["sh", "-c", line], cwd=theirs, input=SENT, capture_output=True, check=False)
    done = run(*words, cwd=ours, stdin=SENT, redirected=redirected(redirections))
    assert (real.returncode, real.stdout) == (done.returncode, done.stdout)
    assert said_last(real) == said_last(done)


def said_last(done):
    """The last line of stderr, without the time that it has taken."""
    return re.sub(rb"[\d.,]+ (s|records/s)", rb"\1", b"".join(done.stderr.splitlines()[-1:]))


@pytest.mark.parametrize("words", LOADING.values(), ids=LOADING)
def test_nothing_is_loaded_where_stdout_is_closed_and_no_state_could_be_told(shell, tmp_path, words):
    done = shell(">&-", *words, stdin=SENT)
    assert (done.returncode, rows(tmp_path)) == (2, None)
    (said,) = done.stderr.decode().splitlines()
    assert said.startswith("error: stdout: it is closed, so no state can be printed")


def test_all_streams_closed_is_an_exit_code(shell, tmp_path):
    assert shell("<&- >&- 2>&-", *LOADING["load"]).returncode == 2
    assert rows(tmp_path) is None


@pytest.mark.parametrize("words", LOADING.values(), ids=LOADING)
@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full"])
def test_a_run_that_cant_say_anything_on_stderr_loads_and_tells_its_state(shell, tmp_path, words, redirections):
    done = shell(redirections, *words, stdin=SENT)
    assert (done.returncode, rows(tmp_path)) == (0, 2)
    assert done.stdout.splitlines()[-1] == b'{"n": 2}'


@pytest.mark.parametrize("words", [LOADING["load"], LOADING["run"]], ids=["load", "run"])
@pytest.mark.parametrize("redirections", ["<&-", "<&- 2>&-", "<&- 2>/dev/full"])
def test_a_run_that_reads_no_stdin_needs_none(shell, tmp_path, words, redirections):
    done = shell(redirections, *words)
    assert (done.returncode, rows(tmp_path), done.stdout.splitlines()[-1]) == (0, 2, b'{"n": 2}')


@pytest.mark.parametrize("words", [LOADING["load of stdin"], LOADING["target-tailrace"]], ids=["load", "target"])
def test_a_closed_stdin_that_is_to_be_read_is_an_error(shell, words):
    done = shell("<&-", *words)
    assert done.returncode == 2
    assert "error: INPUT: there is no stdin (name a file)" in done.stderr.decode()


@pytest.mark.parametrize("words", LOADING.values(), ids=LOADING)
def test_a_state_that_cant_be_told_is_an_error_and_what_it_covers_is_loaded(shell, tmp_path, words):
    done = shell(">/dev/full", *words, stdin=SENT)
    said = done.stderr.decode().splitlines()
    assert (done.returncode, rows(tmp_path)) == (2, 2)
    assert said[-2].startswith("error: stdout: it can't be written to: No space left on device")
    assert said[-1].startswith("  what the state covers is loaded")


def test_an_error_that_nobody_hears_has_its_exit_code_all_the_same(shell):
    assert shell("2>/dev/full", "tailrace", "load", *DUCKDB, stdin=b"no message\n").returncode == 3
    assert shell("2>&-", "tailrace", "load", "--to", "nowhere").returncode == 2
    assert shell(">/dev/full 2>/dev/full", *LOADING["load"]).returncode == 2


def test_a_reader_of_states_that_goes_after_the_first_is_an_error_and_what_was_told_is_loaded(tmp_path):
    words = ("load", *DUCKDB, "--set", "checkpoint_rows=1")
    with tailrace(*words, cwd=tmp_path, stdin=True) as process:
        process.stdin.write(b"".join(SENT.splitlines(keepends=True)[:4]))
        assert process.stdout.readline() == b'{"n": 1}\n'
        process.stdout.close()
        process.stdin.write(SENT.splitlines(keepends=True)[4])
        process.stdin.close()
        said = process.stderr.read().decode()
        assert process.wait() == 2
    assert "error: stdout: it can't be written to: nobody reads it any more" in said
    assert "Traceback" not in said
    assert rows(tmp_path) == 2


LOOKING = ["--version", "about", "check --to sqlite:x"]


@pytest.mark.parametrize("words", LOOKING)
def test_an_answer_that_cant_be_written_is_an_error(shell, words):
    full, closed = (shell(where, "tailrace", *words.split()) for where in (">/dev/full", ">&-"))
    assert (full.returncode, closed.returncode) == (2, 2)
    assert full.stderr.decode().splitlines() == [
        "error: stdout: it can't be written to: No space left on device (run again with one that takes everything)"
    ]
    assert len(closed.stderr.decode().splitlines()) == 1


def test_an_answer_that_nobody_reads_is_an_error():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([BIN / "target-tailrace", "--about"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 2
    assert done.stderr.decode().startswith("error: stdout: it can't be written to: nobody reads it any more")


def test_ctrl_c_on_a_terminal_stops_a_run_whose_tap_has_a_session_of_its_own(tmp_path):
    (tmp_path / "s.singer").write_bytes(SENT)
    tap = tmp_path / "tap.sh"
    tap.write_text("echo $$ > pid\ncat s.singer\nexec sleep 1000\n")
    words = [BIN / "tailrace", "run", "--tap", "sh tap.sh", "--pipeline", "p", *DUCKDB, "--set", "checkpoint_rows=1"]
    ours, theirs = os.openpty()
    script = "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        try:
            os.close(theirs)
            assert process.stdout.readline() == b'{"n": 1}\n'
            os.write(ours, b"\x03")
            told = process.stdout.read()
            assert process.wait(600) == 130
        finally:
            process.send_signal(signal.SIGKILL)
            os.close(ours)
    assert told in {b"", b'{"n": 2}\n'}
    assert rows(tmp_path) == (2 if told else 1)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
