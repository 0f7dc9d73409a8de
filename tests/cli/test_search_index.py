"""The worked example of an endpoint loads into a search service that puts documents off and refuses some."""

import json
from pathlib import Path

import pytest
from commands import run
from services.rest import rest

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "examples" / "search-index.yaml"
PAGE = ROOT / "docs" / "destinations" / "http.md"


@pytest.fixture
def server():
    with rest() as made:
        made.keys = {"orders": ("id",)}
        yield made


def test_the_worked_example_loads_every_document_once_though_some_are_put_off(server, tmp_path):
    seen = set()

    def puts_off(document):
        is_new = document["id"] not in seen
        seen.add(document["id"])
        return is_new and document["id"] % 2 == 1

    server.puts_off = puts_off
    url = f"{server.url}/indexes/{{stream}}/docs/index?api-version=2024-07-01"
    source = ROOT / "examples" / "orders.singer"
    words = [source, "--config", CONFIG, "--pipeline", "shop", "--set", f"url={url}"]
    for _ in range(2):
        done = run("load", *words, "--report", "report.json", cwd=tmp_path, SEARCH_KEY="a-key")
        assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(server.rows("orders")) == len(seen) == 2
    assert report["total"]["updated"] == len(seen)
    assert {request.headers["api-key"] for request in server.received} == {"a-key"}
    assert {request.target for request in server.received} == {url.removeprefix(server.url).format(stream="orders")}
    first = json.loads(server.received[0].body)
    assert list(first) == ["value"]


def test_the_page_has_the_worked_example_as_it_is():
    assert f"```yaml\n{CONFIG.read_text(encoding='utf-8')}```" in PAGE.read_text(encoding="utf-8")
