"""What Snowflake's destination alone does, on what stands in for it."""

import json
from urllib.parse import urlsplit

from tailrace import load
from tailrace.testing.messages import INT, TEXT, record, schema, state

PIPELINE = """p'"; DROP TABLE x -- 表"""


def loaded(url, *messages, **settings):
    return load((json.dumps(message).encode() for message in messages), url, **settings)


def test_each_statement_is_tagged_with_its_pipeline_and_checkpoint(snowflake_server):
    url = snowflake_server.database()
    for number in (1, 2):
        sent = [schema({"id": INT, "name": TEXT}, ["id"]), record({"id": number, "name": "a"}), state({"n": number})]
        loaded(url, *sent, pipeline=PIPELINE)
    schemas_made = f"CREATE SCHEMA {urlsplit(url).path.split('/')[1]}.PUBLIC"
    history = snowflake_server.history()
    ours = history[[sql for sql, _ in history].index(schemas_made) + 1 :]
    # The driver asks a second time where to send a file, without what the first time had with it.
    tags = [(sql, json.loads(tag)) for sql, tag in ours if tag or not sql.startswith("PUT")]
    assert {tag["app"] for _, tag in tags} == {"tailrace"}
    assert {tag["pipeline"] for _, tag in tags} == {PIPELINE}
    for verb in ("PUT", "COPY INTO", "INSERT INTO", "COMMIT"):
        assert {tag["checkpoint"] for sql, tag in tags if sql.startswith(verb)} - {None} == {1, 2}
    assert not any("DROP TABLE x" in sql for sql, _ in ours)
