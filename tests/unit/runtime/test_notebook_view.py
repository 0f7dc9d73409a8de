"""What a notebook shows, where there is none: a kernel itself is in tests/cli."""

import time

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from tailrace import load
from tailrace.runtime.notebook import notebook_view
from tailrace.testing.messages import INT, record, schema


class Standing:
    """A run that stands still."""

    title = "memory"

    def __init__(self):
        from tailrace.runtime.budget import Budget  # noqa: PLC0415 it is needed here alone
        from tailrace.runtime.report import Tally  # noqa: PLC0415 as above

        self.tally, self.budget = Tally(), Budget(1000)
        self.tally.add("<b>", read=5)

    def staged(self):
        return {}


@pytest.fixture
def shell(tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    yield InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    InteractiveShell.clear_instance()


@pytest.mark.usefixtures("shell")
def test_a_view_is_drawn_anew_until_the_run_is_over(capsys):
    said = ""
    with notebook_view(Standing()):
        until_s = time.monotonic() + 30
        while "<b>" not in said and time.monotonic() < until_s:
            said += capsys.readouterr().out
    assert "memory" in said
    assert "<b>" in said


def test_a_report_is_a_table_whose_names_are_no_html():
    sent = [schema({"id": INT}, stream="<b>"), record({"id": 1}, stream="<b>"), schema({"id": INT}, stream="c")]
    html = load(sent, "memory:")._repr_html_()
    assert "<tr><td>&lt;b&gt;</td><td>1</td><td>1</td></tr>" in html
    assert "<td>total</td>" in html
