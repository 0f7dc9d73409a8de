"""What is newer than Debian's release is had where it can be, and else that is said, soon, and nothing is left."""

import pytest
from services import debian
from services.processes import MissingServiceError


@pytest.fixture
def programs(monkeypatch, tmp_path):
    monkeypatch.setattr(debian, "HOME", tmp_path)
    return debian.Programs("tree", ("tree",), folders=("usr/bin",))


def test_where_there_is_no_network_nothing_is_had_and_that_is_said(programs, monkeypatch, tmp_path, free_port, capsys):
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    assert debian.had(programs, newest=False) is False
    assert "can't be had" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MissingServiceError, match="make services"):
        programs.path("tree")


def test_a_download_that_fails_leaves_what_was_had_before(programs, monkeypatch, tmp_path, free_port):
    program = programs.root / "usr" / "bin" / "tree"
    program.parent.mkdir(parents=True)
    program.touch()
    (tmp_path / "tree" / ".made-from").write_text("older")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")
    assert debian.had(programs, newest=True) is True
    assert programs.path("tree") == program
