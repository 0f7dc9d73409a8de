"""What a destination remembers of a pipeline can be seen, taken along, changed and taken away between runs."""

import json

import duckdb
import pytest
from commands import run, tailrace

from tailrace.testing.messages import INT, records, schema, state

ADDRESSES = {
    "duckdb": ["duckdb:///x.duckdb"],
    "sqlite": ["sqlite:///x.db"],
    "files": ["files:lake"],
    "delta": ["delta:lake"],
    "http": ["http://127.0.0.1:9/x", "--set", "checkpoints=kept"],
    "http in sqlite": ["http://127.0.0.1:9/x", "--set", "checkpoints=sqlite:///kept.db"],
}
STATE = '{"bookmarks":{"orders":{"replication_key_value":1.10},"people":{"id":7}}}'


@pytest.fixture(params=ADDRESSES.values(), ids=ADDRESSES)
def ask(request, tmp_path):
    """Runs the verb `state` on a pipeline of a destination; its exit code, and what it writes."""

    def asked(*words, stdin=b""):
        done = run("state", *words, "--to", *request.param, "--pipeline", "p", cwd=tmp_path, stdin=stdin)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return asked


def test_a_state_is_set_shown_exported_and_reset_wherever_it_is_kept(ask, tmp_path):
    assert ask("show") == (0, "No checkpoint.\n", "")
    assert ask("export")[0] == 2
    assert ask("reset") == (0, "There is no state.\n", "")
    assert ask("set", STATE) == (0, "Checkpoint 1 has that state, and no rows.\n", "")
    assert ask("export") == (0, f"{STATE}\n", "")
    assert ask("set", "-", stdin=f" {STATE}\n".encode()) == (0, "Nothing is changed: that is the state already.\n", "")
    code, out, err = ask("set", '{"n": 2}')
    assert (code, out) == (2, "")
    assert "--yes: `set` loses the present state" in err
    (tmp_path / "state.json").write_text('{\n  "n": 2\n}\n')
    assert ask("set", "state.json", "--yes") == (0, "Checkpoint 2 has that state, and no rows.\n", "")
    assert ask("show")[1].splitlines()[1:] == ["{", '  "n": 2', "}"]
    assert ask("reset", "--yes") == (0, "Checkpoint 3 has no state, and no rows.\n", "")
    assert ask("show")[1].startswith("Checkpoint 3, of ")
    assert ask("show")[1].endswith("UTC.\nNo state: the tap starts afresh.\n")
    assert ask("export")[2].startswith("error: --pipeline: the pipeline has no state")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "[1]"], "it isn't a JSON object"),
        (["set", '{"a": 1'], "it isn't JSON"),
        (["set", '{"type": "STATE", "value": {}}'], "it is a STATE message (give its `value` alone)"),
        (["set", '{"completed": {"singer_state": {}}}'], "it is Meltano's (give its `singer_state` alone)"),
        (["set", "no.json"], "no.json can't be read"),
        (["set"], "`set` takes a state"),
        (["reset", "{}"], "`set` takes a state"),
    ],
)
def test_what_is_no_state_is_refused_before_anything_is_connected(words, said, tmp_path):
    done = run("state", *words, "--to", "sqlite:///x.db", "--pipeline", "p", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert not (tmp_path / "x.db").exists()


TAP = """
import json, pathlib, sys
given = json.loads(pathlib.Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else None
pathlib.Path("given.json").write_text(json.dumps(given))
marks = (given or {}).get("bookmarks", {})
def send(**message): print(json.dumps(message), flush=True)
for name, last in (("orders", 3), ("people", 2)):
    fields = {"id": {"type": "integer"}}
    send(type="SCHEMA", stream=name, schema={"properties": fields}, key_properties=["id"] if name == "orders" else [])
    for number in range(marks.get(name, {}).get("id", 0) + 1, last + 1):
        send(type="RECORD", stream=name, record={"id": number})
    marks = {**marks, name: {"id": last}}
    send(type="STATE", value={"bookmarks": marks})
"""


@pytest.fixture
def sync(tmp_path):
    """Runs a tap of three orders and two people, in which each is sent but what its state has."""
    (tmp_path / "tap.py").write_text(TAP)

    def ran(*words, to="duckdb:///x.duckdb"):
        return run("run", "--tap", "python3 tap.py", "--to", to, "--pipeline", "p", *words, cwd=tmp_path)

    return ran


def given(tmp_path):
    return json.loads((tmp_path / "given.json").read_text())


def rows(tmp_path, table):
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        return [row[0] for row in connection.sql(f"SELECT id FROM {table} ORDER BY id").fetchall()]


def add_row(tmp_path):
    """Rows that the source doesn't have."""
    with duckdb.connect(tmp_path / "x.duckdb") as connection:
        connection.execute("INSERT INTO orders VALUES (99)")
        connection.execute("INSERT INTO people VALUES (99)")


def test_the_tap_starts_afresh_after_a_reset_and_from_a_state_that_was_set(sync, tmp_path):
    words = ("--to", "duckdb:///x.duckdb", "--pipeline", "p", "--yes")
    assert sync().returncode == 0
    assert run("state", "reset", *words, cwd=tmp_path).returncode == 0
    assert sync().returncode == 0
    assert given(tmp_path) is None
    assert (rows(tmp_path, "orders"), rows(tmp_path, "people")) == ([1, 2, 3], [1, 1, 2, 2])
    assert run("state", "set", '{"bookmarks":{"people":{"id":1}}}', *words, cwd=tmp_path).returncode == 0
    assert sync().returncode == 0
    assert given(tmp_path) == {"bookmarks": {"people": {"id": 1}}}
    assert rows(tmp_path, "people") == [1, 1, 2, 2, 2]


def test_a_stream_is_sent_anew_and_its_table_replaced_while_others_go_on(sync, tmp_path):
    assert sync().returncode == 0
    add_row(tmp_path)
    assert sync("--full-refresh", "peo*").returncode == 0
    assert given(tmp_path) == {"bookmarks": {"orders": {"id": 3}}}
    assert (rows(tmp_path, "people"), rows(tmp_path, "orders")) == ([1, 2], [1, 2, 3, 99])
    assert sync().returncode == 0
    assert given(tmp_path) == {"bookmarks": {"orders": {"id": 3}, "people": {"id": 2}}}
    assert rows(tmp_path, "people") == [1, 2]


def test_a_table_stays_where_its_method_is_set_or_nothing_says_that_all_of_it_comes(sync, tmp_path):
    assert sync().returncode == 0
    add_row(tmp_path)
    done = sync("--full-refresh", "people", "--full-refresh", "public-orders", "--set", "streams.people.method=append")
    assert done.returncode == 0
    said = done.stderr.decode()
    assert "no such stream has a bookmark" in said
    assert "full_refresh=public-orders" in said
    assert "the stream is sent anew, and its table stays" in said
    assert (rows(tmp_path, "people"), rows(tmp_path, "orders")) == ([1, 1, 2, 2, 99], [1, 2, 3, 99])


def test_tables_are_replaced_too_where_there_is_no_state(sync, tmp_path):
    assert sync().returncode == 0
    add_row(tmp_path)
    words = ("--to", "duckdb:///x.duckdb", "--pipeline", "p", "--yes")
    assert run("state", "reset", *words, cwd=tmp_path).returncode == 0
    assert sync("--full-refresh", "*").returncode == 0
    assert (rows(tmp_path, "people"), rows(tmp_path, "orders")) == ([1, 2], [1, 2, 3])


def test_a_state_of_another_shape_is_left_to_its_tap(sync, tmp_path):
    words = ("--to", "duckdb:///x.duckdb", "--pipeline", "p")
    assert run("state", "set", '{"orders": "2024-01-01"}', *words, cwd=tmp_path).returncode == 0
    done = sync("--full-refresh", "orders")
    assert done.returncode == 2
    assert "the tap's state has no `bookmarks` by stream (`tailrace state reset`" in done.stderr.decode()
    assert not (tmp_path / "given.json").exists()


def test_a_run_at_work_goes_on_when_its_state_is_shown_and_ends_when_another_is_set(tmp_path):
    to = ("--to", "files:lake", "--pipeline", "p")
    lines = [schema({"id": INT}), *records({"id": 1}), state({"n": 1})]
    sent = "".join(json.dumps(line) + "\n" for line in lines).encode()
    with tailrace("load", *to, "--set", "checkpoint_rows=1", cwd=tmp_path, stdin=True) as load:
        load.stdin.write(sent)
        assert load.stdout.readline() == b'{"n": 1}\n'
        assert run("state", "export", *to, cwd=tmp_path).stdout == b'{"n": 1}\n'
        assert run("state", "set", '{"n":9}', *to, "--yes", cwd=tmp_path).returncode == 0
        load.stdin.write(b'{"type":"STATE","value":{"n":2}}\n' + json.dumps(records({"id": 2})[0]).encode() + b"\n")
        load.communicate()
        assert load.returncode == 7
    assert run("state", "export", *to, cwd=tmp_path).stdout == b'{"n":9}\n'
