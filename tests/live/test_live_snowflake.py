"""What nothing that stands in for Snowflake can tell: grants on a table that is replaced, and tags in the history."""

import json
import os
from contextlib import closing
from dataclasses import replace

import of_snowflake
import pytest

from tailrace.destinations import open_destination
from tailrace.destinations.snowflake import Settings
from tailrace.destinations.snowflake.account import Account
from tailrace.testing.messages import INT, loaded, record, schema

pytestmark = pytest.mark.live
SCHEMA = f"TAILRACE_LIVE_{os.getpid()}"


@pytest.fixture
def subject():
    """A schema of its own."""
    if not (given := os.environ.get(of_snowflake.VARIABLE)):
        pytest.skip(f"there is no account of Snowflake: {of_snowflake.VARIABLE} isn't set")
    with of_snowflake.empty_schema(given, SCHEMA) as subject:
        yield subject


@pytest.fixture
def ask():
    """What asks the account."""
    account = Account(Settings.model_validate(of_snowflake.settings_of(os.environ[of_snowflake.VARIABLE])))
    with closing(account.open()) as session:
        yield session.query


def test_what_is_granted_on_a_table_stays_when_it_is_replaced_and_so_does_its_clustering(subject, ask):
    sent = schema({"id": INT}, ["id"])
    given = of_snowflake.settings_of(os.environ[of_snowflake.VARIABLE])
    designed = given | {"schema": SCHEMA, "design": {"things": {"cluster_by": ["id"]}}}
    clustered = replace(subject, open=lambda: open_destination("snowflake", designed))
    loaded(subject, sent, record({"id": 1}), method="replace", pipeline="p")
    ask(f'GRANT SELECT ON TABLE "{SCHEMA}"."things" TO ROLE PUBLIC')
    loaded(clustered, sent, record({"id": 2}), method="replace", pipeline="p")
    granted = [" ".join(map(str, row)) for row in ask(f'SHOW GRANTS ON TABLE "{SCHEMA}"."things"')]
    assert any("SELECT" in row and "PUBLIC" in row for row in granted)
    asked = "SELECT auto_clustering_on FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
    assert ask(asked, (SCHEMA, "things")) == [("YES",)]


def test_the_history_of_queries_has_the_tags(subject, ask):
    loaded(subject, schema({"id": INT}, ["id"]), record({"id": 1}), pipeline=f"p of {SCHEMA}")
    asked = "SELECT query_tag FROM TABLE(information_schema.query_history_by_user(result_limit => 1000))"
    tags = [json.loads(tag) for (tag,) in ask(asked) if SCHEMA in str(tag)]
    assert {tag["checkpoint"] for tag in tags} >= {1}
