"""A real kernel of a notebook shows a run while it goes on, and its report as a table."""

import json
from contextlib import contextmanager

import pytest
from jupyter_client import KernelManager

from tailrace.testing.messages import INT, record, schema

LOADING = """
import itertools, json, time, tailrace
from pathlib import Path

def lines():
    for number, line in enumerate(Path("many.singer").read_bytes().splitlines(keepends=True)):
        if number == 2000:
            time.sleep(2.5)
        yield line

tailrace.load(lines(), "sqlite:///many.db", batch_rows=100)
"""


@contextmanager
def kernel_in(folder):
    manager = KernelManager()
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def outputs_of(client, code):
    """The messages that a cell comes to."""
    client.execute(code)
    messages = []
    while not messages or messages[-1]["content"].get("execution_state") != "idle":
        messages.append(client.get_iopub_msg(timeout=60))
    return messages


@pytest.fixture
def messages(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    sent = [schema({"id": INT}, stream="<b>many</b>"), *(record({"id": n}, stream="<b>many</b>") for n in range(4000))]
    (tmp_path / "many.singer").write_text("".join(json.dumps(message) + "\n" for message in sent))
    with kernel_in(tmp_path) as client:
        return outputs_of(client, LOADING)


def test_a_notebook_shows_progress_in_one_place_and_the_report_as_a_table(messages):
    kinds = [message["msg_type"] for message in messages]
    assert "error" not in kinds, messages
    assert kinds.count("display_data") == 1
    shown = [message["content"]["data"] for message in messages if message["msg_type"] == "update_display_data"]
    assert any("many" in data["text/plain"] for data in shown)
    assert all("<b>" not in data.get("text/html", "") for data in shown)
    assert shown[-1]["text/plain"] == "", "it is gone when the run is over"
    (result,) = (message["content"]["data"] for message in messages if message["msg_type"] == "execute_result")
    assert "<table><thead><tr><th>stream</th><th>read</th><th>loaded</th></tr>" in result["text/html"]
    assert "<td>&lt;b&gt;many&lt;/b&gt;</td><td>4,000</td><td>4,000</td>" in result["text/html"]
