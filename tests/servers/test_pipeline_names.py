"""Odd names of pipelines are remembered by servers as they are."""

import pytest

from tailrace import load
from tailrace.testing.messages import INT, record, schema

NAMES = ["'; DROP TABLE things; --", 'quo"ted', "a/../b", "漢字 é", "E", "é", "%s", "\\", "p" * 255, "数" * 255, "😀"]


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url", "mysql_url", "redshift_url"])
def test_a_pipeline_of_any_name_is_remembered(server, request):
    url = request.getfixturevalue(server)
    for value in (1, 2):
        for name in NAMES:
            sent = [schema({"id": INT}), record({"id": value}), {"type": "STATE", "value": {"of": name, "n": value}}]
            report = load(sent, url, pipeline=name)
            assert report.checkpoint == value
