"""Real taps under `tailrace run`: what they say, and that they end with the run, whole."""

import signal
from pathlib import Path

import pytest
from commands import run, tailrace
from services.processes import wait_until

LINES = (
    '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}}}\n'
    '{"type":"RECORD","stream":"s","record":{"id":1}}\n'
    '{"type":"STATE","value":{"n":1}}\n'
)
WORDS = ("--pipeline", "p", "--to", "duckdb:///s.duckdb", "--set", "checkpoint_rows=1")


@pytest.fixture
def tap(tmp_path):
    """The command of a tap that sends a STATE, and then does what it is told to in shell."""

    def made(rest):
        (tmp_path / "lines").write_text(LINES)
        (tmp_path / "tap.sh").write_text(f"cat lines\n{rest}")
        return ("run", "--tap", "sh tap.sh --password s3cr3t", *WORDS)

    return made


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(("ending", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_nothing_of_a_tap_outlives_its_run(tap, tmp_path, ending, code):
    words = tap("sleep 1000 &\necho $$ $! > said\nmv said pids\nwait\n")
    with tailrace(*words, cwd=tmp_path) as process:
        assert process.stdout.readline() == b'{"n":1}\n'
        wait_until((tmp_path / "pids").exists, lambda: "the tap says no pids")
        pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
        process.send_signal(ending)
        assert process.wait() == code
        if ending is signal.SIGKILL:
            wait_until(lambda: not any(map(is_running, pids)), lambda: f"of {pids} one still runs")
        assert [is_running(pid) for pid in pids] == [False, False]


def test_a_tap_that_fails_is_told_without_its_secrets_and_leaves_nothing_running(tap, tmp_path):
    words = tap("sleep 1000 &\necho $! > pids\nexit 5\n")
    with tailrace(*words, cwd=tmp_path) as process:
        said = process.communicate()[1].decode()
        assert process.returncode == 8
        assert not is_running(int((tmp_path / "pids").read_text()))
    assert "the tap `sh *** --password ***` ended with exit code 5" in said
    assert "s3cr3t" not in said


def test_what_a_tap_says_on_stderr_is_passed_on_as_it_is(tap, tmp_path):
    words = tap("printf 'a word\\n\\033[31mred\\nno end' >&2\n")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0
    assert b"a word\n\x1b[31mred\nno end" in done.stderr
