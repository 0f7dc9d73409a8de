"""A run over files that is killed at any call, with what its workers do: the next run comes to each row once."""

import json
import threading
from pathlib import Path

import pytest
from loads import a_place
from places import SEAMS, database
from test_checkpoints import SERVERS

from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.inputs.feed import InputFeed
from tailrace.inputs.loaded import LoadedFiles
from tailrace.inputs.places import files_of
from tailrace.runtime.target import Target
from tailrace.testing.forked import context
from tailrace.testing.messages import INT, record, schema, state
from tailrace.testing.seams import MOMENTS, Crash, Watch

FILES, ROWS = 3, 4
EVERY = {"sqlite": 3, "delta": 5, "postgres": 7}
"""At every how many calls a run is killed."""


def write_files(folder):
    for number in range(FILES):
        rows = [record({"id": number * ROWS + n}) for n in range(ROWS)]
        keyed = [record({"id": n, "file": number}, stream="keyed") for n in range(2)]
        schemas = [schema({"id": INT}), schema({"id": INT, "file": INT}, ["id"], stream="keyed")]
        messages = [*schemas, *rows, *keyed, state({"file": number})]
        (folder / f"{number}.singer").write_text("".join(json.dumps(message) + "\n" for message in messages))


def load_new(url, folder, crash=None):
    """Load what isn't loaded yet, by two workers, or die; the calls that change something are counted in a file."""
    watch = Watch(crash)
    if crash is not None:
        watch.over(SEAMS)
    settings = Settings(
        pipeline="p", batch_rows=2, checkpoint_rows=1, retry_s=5, parallel={"backend": "threading", "workers": 2}
    )
    target = Target(open_destination(url, {}), settings, tell=lambda _state: None)
    try:
        last = target.begin()
        loaded = LoadedFiles.of(last.state if last else None)
        inputs = files_of([f"{folder}/*.singer"], {})
        InputFeed(target, settings, inputs, stopping=threading.Event(), loaded=loaded).run()
    finally:
        target.close()
    Path(folder, "calls").write_text(str(len(watch.calls)))


def crash_at(url, folder, crash):
    """Load in a process that crashes there; whether it did."""
    process = context().Process(target=load_new, args=(url, str(folder), crash))
    process.start()
    process.join(120)
    assert process.exitcode in {0, -9}
    return process.exitcode != 0


def assert_exact(place):
    assert sorted(row["id"] for row in place.rows("things")) == [*range(FILES * ROWS)]
    assert sorted((row["id"], row["file"]) for row in place.rows("keyed")) == [(0, FILES - 1), (1, FILES - 1)]
    if place.server is not None:
        left = database(place.server, place.address).subject.leftovers(["things", "keyed"])
        assert not left, "tables of workers go with the run, or with the next one"


@pytest.mark.parametrize("kind", EVERY)
def test_files_are_loaded_once_whatever_call_of_theirs_a_run_is_killed_at(kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in SERVERS else None
    with a_place(kind, server) as place:
        write_files(place.folder)
        assert not crash_at(place.url, place.folder, Crash(10**9, "before"))
        calls = int((place.folder / "calls").read_text())
        assert_exact(place)
    killed = 0
    for nth in range(1, calls + 1, EVERY[kind]):
        for moment in MOMENTS:
            with a_place(kind, server) as place:
                write_files(place.folder)
                killed += crash_at(place.url, place.folder, Crash(nth, moment))
                load_new(place.url, place.folder)
                assert_exact(place)
    assert killed > calls // EVERY[kind], "most of the crashes didn't come about"
