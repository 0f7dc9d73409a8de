"""A tap and all that it has started: how it is shown, what it says on stderr, and that nothing of it is left."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tailrace.errors import ConfigError
from tailrace.singer import processes
from tailrace.singer.tap import Tap, shown_command

CHILD = "child = subprocess.Popen(['sleep', '1000'], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)\n"


def command(script):
    return shlex.join([sys.executable, "-c", f"import os, signal, subprocess, sys, time\n{script}"])


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def pids_of(tap, count):
    return [int(word) for word in tap.stdout.read(9 * count).split()]


SAY_PIDS = "os.write(1, b'%8d %8d ' % (os.getpid(), child.pid))\n"


def test_what_a_tap_has_started_ends_with_it():
    with Tap(command(CHILD + SAY_PIDS + "time.sleep(1000)"), None) as tap:
        pids = pids_of(tap, 2)
        assert [is_running(pid) for pid in pids] == [True, True]
    assert [is_running(pid) for pid in pids] == [False, False]


def test_what_a_tap_leaves_running_when_it_ends_well_is_ended_too():
    with Tap(command(CHILD + SAY_PIDS), None) as tap:
        pids = pids_of(tap, 2)
        assert tap.exit_code() == 0
        assert [is_running(pid) for pid in pids] == [False, False]


def test_a_tap_and_its_child_that_ignore_being_asked_are_killed(monkeypatch):
    monkeypatch.setattr(processes, "END_WAIT_S", 0.3)
    ignored = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with Tap(command(ignored + CHILD + SAY_PIDS + "time.sleep(1000)"), None) as tap:
        pids = pids_of(tap, 2)
    assert [is_running(pid) for pid in pids] == [False, False]


def test_a_tap_that_is_asked_to_end_may_tidy_up_first(tmp_path):
    tidy = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(tmp_path / 'tidy')!r}, 'w').close(), os._exit(0)))\n"
    with Tap(command(tidy + CHILD + SAY_PIDS + "time.sleep(1000)"), None) as tap:
        pids_of(tap, 2)
    assert (tmp_path / "tidy").exists()


def test_nothing_of_a_tap_is_left_when_its_run_is_killed():
    script = (
        "import os, sys\nfrom tailrace.singer.tap import Tap\n"
        f"tap = Tap({command(CHILD + SAY_PIDS + 'time.sleep(1000)')!r}, None)\n"
        "sys.stdout.buffer.write(tap.stdout.read(18))\nsys.stdout.flush()\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == -9
    pids = [int(word) for word in done.stdout.split()]
    deadline_s = time.monotonic() + 20
    while any(map(is_running, pids)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert [is_running(pid) for pid in pids] == [False, False]


@pytest.mark.parametrize("line", ["x" * 79 + "\n", "x" * 80, "é" * 40])
def test_a_tap_that_says_ten_megabytes_on_stderr_is_read_in_blocks(monkeypatch, capfd, line):
    reads, read = [], os.read

    def counted(number, size):
        reads.append(size)
        return read(number, size)

    monkeypatch.setattr(os, "read", counted)
    said = f"sys.stderr.reconfigure(encoding='utf-8')\nfor _ in range(131072): sys.stderr.write({line!r})\n"
    with Tap(command(said), None) as tap:
        assert tap.exit_code() == 0
    assert capfd.readouterr().err == line * 131072
    assert min(reads) >= 4096


def test_lines_of_stderr_are_passed_on_whole_and_the_rest_at_the_end(capfd):
    with Tap(
        command("os.write(2, b'a\\nb'); time.sleep(0.05); os.write(2, b'c\\n\\xff'); os.write(2, b'd')"), None
    ) as tap:
        assert tap.exit_code() == 0
    assert capfd.readouterr().err == "a\nbc\n\ufffdd"


def test_a_child_that_holds_stderr_open_does_not_hold_up_the_end():
    started_s = time.monotonic()
    with Tap(command("subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL)"), None) as tap:
        assert tap.exit_code() == 0
    assert time.monotonic() - started_s < 8


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("tap-x --password s3cret --config c.json", "tap-x --password *** --config ***"),
        ("tap-x --password=s3cret -p s3cret -ps3cret -v", "tap-x --password=*** -p *** -p*** -v"),
        ("/opt/tap-x postgresql://u:s3cret@h/d", "/opt/tap-x ***"),
        ("sh -c 'tap-x --token s3cret'", "sh -c ***"),
        ("TOKEN=s3cret tap-x", "TOKEN=*** ***"),
    ],
)
def test_a_command_is_told_without_the_values_of_its_options(given, shown):
    assert shown_command(given) == shown


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("TOKEN=s3cret tap-x", "there is no shell here, which would set TOKEN (write `env TOKEN=...` before"),
        ("tap-x --password s3cret | head", "there is no shell here, which | is for"),
        ("tap-x 2>s3cret", "there is no shell here, which 2> is for"),
        ("no-such-tap --password s3cret", "'no-such-tap' can't be started: No such file or directory"),
        ("tap-x --password 's3cret", "the command can't be read: no closing quotation"),
        ("  ", "the command is empty"),
        ("/", "'/' can't be started: Permission denied"),
    ],
)
def test_a_command_that_cant_be_started_is_an_error_without_secrets_in_it_or_in_its_causes(given, said):
    with pytest.raises(ConfigError) as raised:
        Tap(given, None)
    assert said in str(raised.value)
    told, error = [], raised.value
    while error is not None:
        told.append(f"{error!r} {error} {getattr(error, 'filename', '')}")
        error = error.__cause__ or error.__context__
    assert not [text for text in told if "s3cret" in text]


@pytest.mark.parametrize("word", ["'|'", '--where="a | b"', r"\>", "a>b", "x=y", "'a' ';'"])
def test_what_a_shell_would_leave_to_a_tap_is_left_to_it(word):
    with Tap(f"true {word}", None) as running:
        assert running.exit_code() == 0
