"""On a terminal a load shows its streams while it goes on, and the report's table at the end."""

import os
import pty
import re
import sys
from pathlib import Path

ORDERS = Path(__file__).parents[2] / "examples" / "orders.singer"
TAILRACE = Path(sys.executable).with_name("tailrace")


def shown_on_a_terminal(folder, *words):
    """What a terminal of 100 columns is sent, without its control sequences, and the exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        os.execv(TAILRACE, ["tailrace", *map(str, words)])
    sent = b""
    while True:
        try:
            some = os.read(terminal, 65536)
        except OSError:
            break
        if not some:
            break
        sent += some
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", sent.decode()), os.waitstatus_to_exitcode(status)


def test_a_terminal_shows_a_live_view_of_each_stream_and_no_log_lines(tmp_path):
    text, code = shown_on_a_terminal(tmp_path, "load", ORDERS, "--to", "duckdb:///shop.duckdb", "--pipeline", "shop")
    assert code == 0
    assert re.search(r"stream +records +records/s +bytes +staged +loaded", text)
    assert re.search(r"orders +3 ", text)
    assert "DuckDB · pipeline shop" in text
    assert re.search(r"100% · [0-9.]+ s · checkpoint 1 · .* in memory", text)
    assert re.search(r"stream +read +loaded +deduplicated", text)
    assert re.search(r"[0-9.]+ s, [0-9]+ records/s", text)
    assert "[info" not in text
