"""What can't be loaded undoes nothing: the run commits just what the last STATE before the first such line covers.

The examples are the same each time; TAILRACE_EXAMPLES is how many times as many others are tried instead.
"""

import io
import json
import sqlite3
import tempfile
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psycopg
import pytest
from deltalake import DeltaTable
from examples import law
from hypothesis import given
from hypothesis import strategies as st

from tailrace import Target, load
from tailrace.config import Settings
from tailrace.destinations.memory import MemoryDestination
from tailrace.errors import MessageError, RecordError, RowsRefusedError, SchemaError
from tailrace.runtime import checkpoint, parting, sink
from tailrace.runtime.feed import feed_lines
from tailrace.singer.reader import Reader

EXAMPLES = {"memory": 400, "sqlite": 120, "duckdb": 50, "delta": 20, "postgres": 30}
STREAMS = ("a", "b", "c")
KEYS = {"a": [], "b": ["n"], "c": []}
REFUSED = 13
"""The value that the tables have a constraint against."""


def schema_of(stream, **changes):
    properties = {"n": {"type": "integer"}, "t": {"type": "string"}}
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"properties": properties},
        "key_properties": KEYS[stream],
    } | changes


def record(stream, n, **more):
    return {"type": "RECORD", "stream": stream, "record": {"n": n, "t": f"row {n}", **more}}


BAD = {
    "a value of another type": {"type": "RECORD", "record": {"n": "x"}},
    "a null key": {"type": "RECORD", "stream": "b", "record": {"n": None}},
    "no JSON": "{",
    "a record without its schema": {"type": "RECORD", "stream": "elsewhere", "record": {"n": 1}},
    "a broken schema": {"type": "SCHEMA", "schema": {"properties": {"n": {"type": "date"}}}},
    "a schema without columns": {"type": "SCHEMA", "schema": {"properties": {}}, "key_properties": []},
    "a key that isn't there": {"type": "SCHEMA", "schema": {"properties": {"n": {}}}, "key_properties": ["missing"]},
    "a row that the destination refuses": {"type": "RECORD", "record": {"n": REFUSED, "t": "row"}},
}
REFUSED_ROW = "a row that the destination refuses"


@dataclass
class Case:
    """Lines with bad ones among them, and what must be committed and told."""

    lines: list
    states: list
    bad: list

    def expected(self):
        """The rows of each table, and the last state, before the first bad line."""
        first_bad = self.bad[0] if self.bad else len(self.lines)
        covered = max((at for at in self.states if at < first_bad), default=-1) if self.bad else len(self.lines)
        messages = [m for m in self.lines[: covered + 1] if not isinstance(m, str)]
        rows = {
            s: sorted(m["record"]["n"] for m in messages if m["type"] == "RECORD" and m["stream"] == s) for s in STREAMS
        }
        told = [m["value"] for m in messages if m["type"] == "STATE"]
        return rows, told[-1:]

    def sent(self):
        """The lines as bytes."""
        return [(m if isinstance(m, str) else json.dumps(m)).encode() + b"\n" for m in self.lines]


@st.composite
def cases(draw, refusing=STREAMS):
    """Records of three streams with STATEs between them, each of which is good but for some."""
    names = STREAMS[: draw(st.integers(1, 3))]
    lines = [schema_of(name) for name in names]
    states, bad = [], []
    for number in range(draw(st.integers(1, 40))):
        match draw(st.integers(0, 9)):
            case 0 | 1 | 2:
                states.append(len(lines))
                lines.append({"type": "STATE", "value": {"at": number}})
            case 3 if draw(st.booleans()):
                bad.append(len(lines))
                stream = draw(st.sampled_from(names))
                line = BAD[draw(st.sampled_from([kind for kind in BAD if kind != REFUSED_ROW or stream in refusing]))]
                lines.append(line if isinstance(line, str) else {"stream": stream} | line)
            case 4:
                lines.append(schema_of(draw(st.sampled_from(names))))
            case _:
                lines.append(record(draw(st.sampled_from(names)), 100 + number))
    return Case(lines, states, bad)


SIZES = st.fixed_dictionaries(
    {
        "batch_rows": st.sampled_from([1, 2, 3, 7, 1000]),
        "checkpoint_rows": st.sampled_from([1, 2, 5, 11, 1000]),
        "max_parallelism": st.sampled_from([1, 3]),
    }
)


@dataclass
class Place:
    """Tables that refuse a value by a constraint of their own."""

    kind: str
    url: str

    def make(self):
        """Make the tables."""
        if self.kind not in ("sqlite", "duckdb", "postgres"):
            return
        for stream, key in KEYS.items():
            constraint = f"{'PRIMARY KEY' if key else ''} CHECK (n <> {REFUSED})"
            self.run(
                f"CREATE TABLE {stream} (n bigint {constraint}, t {'VARCHAR' if self.kind == 'duckdb' else 'text'})"
            )

    def run(self, statement):
        """The rows of a statement."""
        path = self.url.partition("///")[2]
        match self.kind:
            case "sqlite":
                with closing(sqlite3.connect(path)) as connection:
                    found = connection.execute(statement).fetchall()
                    connection.commit()
                    return found
            case "duckdb":
                with duckdb.connect(path) as connection:
                    return connection.execute(statement).fetchall()
            case _:
                with psycopg.connect(self.url, autocommit=True) as connection:
                    cursor = connection.execute(statement)
                    return cursor.fetchall() if cursor.description else []

    def rows(self, stream):
        """The values of a table, sorted."""
        match self.kind:
            case "memory":
                return sorted(row["n"] for row in MemoryDestination(self.url).tables().get(stream, []))
            case "delta":
                path = f"{self.url.partition('://')[2]}/{stream}"
                found = DeltaTable(path).to_pyarrow_table()["n"].to_pylist() if DeltaTable.is_deltatable(path) else []
                return sorted(found)
        return sorted(n for (n,) in self.run(f"SELECT n FROM {stream}"))

    def load(self, case, sizes, *, at_once):
        """The states that a run tells, which fails where there is a bad line."""
        told = []
        with pytest.raises((MessageError, RecordError, RowsRefusedError, SchemaError)) if case.bad else nullcontext():
            self._load(b"".join(case.sent()) if at_once else case.sent(), sizes, told.append)
        return [json.loads(state) for state in told]

    def _load(self, sent, sizes, tell):
        if self.kind != "memory":
            load(io.BytesIO(sent) if isinstance(sent, bytes) else sent, self.url, tell=tell, **sizes)
            return
        destination = MemoryDestination(self.url, refuses=lambda row: "13" if row["n"] == REFUSED else None)
        target = Target(destination, Settings(**sizes), tell=tell)
        try:
            target.begin()
            feed_lines(target, Reader(max_line_bytes=2**20), [sent] if isinstance(sent, bytes) else sent)
        finally:
            target.close()


@pytest.fixture(autouse=True)
def _little_is_much(monkeypatch):
    """A few records are decoded together, so that what is read ahead crosses states and bad lines."""
    monkeypatch.setattr(sink, "DECODE_BYTES", 200)


def assert_commits_what_the_last_state_covers(place, case, sizes, *, at_once):
    place.make()
    told = place.load(case, sizes, at_once=at_once)
    rows, state = case.expected()
    sent = {message["stream"] for message in case.lines if not isinstance(message, str) and "stream" in message}
    assert {s: place.rows(s) for s in STREAMS if s in sent} == {s: rows[s] for s in STREAMS if s in sent}
    assert told[-1:] == state


@pytest.mark.parametrize("kind", ["memory", "sqlite", "duckdb"])
def test_a_run_that_fails_commits_what_the_last_state_before_the_line_covers(kind):
    @law(EXAMPLES[kind])
    @given(case=cases(), sizes=SIZES, at_once=st.booleans())
    def holds(case, sizes, at_once):
        with tempfile.TemporaryDirectory() as folder:
            url = Path(folder).name if kind == "memory" else f"{kind}:///{folder}/db"
            assert_commits_what_the_last_state_covers(Place(kind, url), case, sizes, at_once=at_once)

    holds()


def test_so_it_does_in_a_lake():
    @law(EXAMPLES["delta"])
    @given(case=cases(refusing=()), sizes=SIZES)
    def holds(case, sizes):
        with tempfile.TemporaryDirectory() as folder:
            assert_commits_what_the_last_state_covers(Place("delta", f"delta://{folder}"), case, sizes, at_once=True)

    holds()


def test_so_it_does_on_a_server(postgres_server):
    @law(EXAMPLES["postgres"])
    @given(case=cases(), sizes=SIZES)
    def holds(case, sizes):
        url = postgres_server.database()
        try:
            assert_commits_what_the_last_state_covers(Place("postgres", url), case, sizes, at_once=True)
        finally:
            postgres_server.drop(url)

    holds()


def test_states_that_are_too_many_to_remember_are_superseded_by_decoded_rows(monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_STATE_BYTES", 500)

    @law(EXAMPLES["memory"])
    @given(case=cases(refusing=()), sizes=SIZES)
    def holds(case, sizes):
        with tempfile.TemporaryDirectory() as folder:
            assert_commits_what_the_last_state_covers(Place("memory", Path(folder).name), case, sizes, at_once=True)

    holds()


def test_rows_that_are_staged_beyond_a_state_and_too_many_to_keep_are_left_for_the_next_run(monkeypatch, tmp_path):
    monkeypatch.setattr(parting, "COPIES_SHARE", 2**20)
    place = Place("sqlite", f"sqlite:///{tmp_path}/db")
    place.make()
    state = {"type": "STATE", "value": 1}
    lines = [schema_of("a"), schema_of("c"), record("a", 1), state, record("a", 2), record("c", REFUSED), state]
    assert place.load(Case(lines, [3, 6], [5]), {"batch_rows": 1000}, at_once=True) == []
    assert (place.rows("a"), place.rows("c")) == ([], [])
