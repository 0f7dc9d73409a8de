"""Where MySQL and MariaDB differ in what they keep, each does what its page says."""

import json

import mysqls
import pytest

from tailrace.errors import DestinationError, RecordError
from tailrace.testing.messages import ANY, FLOAT, INT, TEXT, record, schema


def test_json_is_as_deep_as_the_page_says(any_mysql, any_mysql_url):
    deepest = 100 if any_mysql == "mysql" else 31
    sent = [schema({"id": INT, "v": ANY}, ["id"])]
    sent += [record({"id": n, "v": json.loads("[" * n + "]" * n)}) for n in (deepest, deepest + 1)]
    with pytest.raises(RecordError, match=r"line 3"):
        mysqls.load(any_mysql_url, *sent)
    assert mysqls.load(any_mysql_url, *sent[:2]).total.loaded == 1


def test_a_negative_zero_is_what_the_page_says(any_mysql, any_mysql_url):
    mysqls.load(any_mysql_url, schema({"id": INT, "v": FLOAT}, ["id"]), record({"id": 1, "v": -0.0}))
    kept = "-0" if any_mysql == "mysql" else "0"
    assert mysqls.query(any_mysql_url, "SELECT cast(v AS char) FROM things") == [(kept,)]


def test_a_check_of_mysql_survives_when_its_column_is_altered(mysql_url):
    mysqls.query(mysql_url, "CREATE TABLE things (id bigint PRIMARY KEY, v int NOT NULL CHECK (v <> 3))")
    mysqls.load(mysql_url, schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 1, "v": None}))
    with pytest.raises(DestinationError, match="Check constraint"):
        mysqls.load(mysql_url, schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 2, "v": "3"}))
