"""Pictures of terminals: the live view and the end report, of one, 45 and 2,000 streams, as a real terminal has them.

`make pictures` writes those in `pictures/` anew.
"""

import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PICTURES = Path(__file__).parent / "pictures"
SIZES = ((80, 24), (50, 20), (200, 60))
OPTIONS = "set -g status off\nset -g default-terminal screen-256color\n"


@contextmanager
def terminal(folder, *command):
    """A terminal that runs the command; gives what has tmux do something to it."""
    (folder / "tmux.conf").write_text(OPTIONS)
    start = ["tmux", "-u", "-S", str(folder / "socket"), "-f", str(folder / "tmux.conf")]
    environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "TMUX"}}

    def tmux(*words):
        done = subprocess.run(
            [*start, *words], env={**environment, "LC_ALL": "C.UTF-8"}, capture_output=True, check=True, text=True
        )
        return done.stdout

    tmux("new-session", "-d", "-x", "80", "-y", "24", shlex.join(map(str, command)))
    try:
        yield tmux
    finally:
        with suppress(subprocess.CalledProcessError):  # it ends by itself with what it runs
            tmux("kill-server")


def pictures_of(folder, streams):
    """The text of the terminal at each size, of the view and then of the report."""
    drawn = folder / "drawn"
    os.mkfifo(drawn)
    script = 'exec "$0" "$1" "$2" > "$3"'
    drawing = ("sh", "-c", script, sys.executable, Path(__file__).with_name("drawing.py"), streams, drawn)
    with terminal(folder, *drawing) as tmux, drawn.open() as told:
        assert told.readline() == "ready\n"
        for kind in ("view", "report"):
            for width, height in SIZES:
                tmux("resize-window", "-x", str(width), "-y", str(height))
                tmux("send-keys", f"{width} {height}", "Enter")
                assert told.readline() == "drawn\n"
                lines = [line.rstrip() for line in tmux("capture-pane", "-p").splitlines()]
                yield f"{kind}-{streams}-{width}x{height}", "\n".join(lines).rstrip() + "\n"
            tmux("send-keys", "Enter")
        assert told.readline() == ""


@pytest.mark.parametrize("streams", [1, 45, 2000])
def test_a_terminal_shows_what_its_picture_has(tmp_path, streams):
    if shutil.which("tmux") is None and not os.environ.get("SERVICES_REQUIRED"):
        pytest.skip("there is no tmux")
    for name, text in pictures_of(tmp_path, streams):
        picture = PICTURES / f"{name}.txt"
        if os.environ.get("TAILRACE_PICTURES") == "write":
            picture.write_text(text)
        assert text == picture.read_text(), name
