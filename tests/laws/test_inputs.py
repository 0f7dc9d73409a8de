"""One input or several, whoever stages them in whichever order: they come to the tables of a run over all in a row.

Messages are the same each time; with TAILRACE_EXAMPLES so many times as many others are tried instead.
"""

import json
import os
import threading
import time
from random import Random

import pytest
from changing_streams import expected, random_messages, shown
from loads import a_place
from random_workers import RandomWorkers
from test_checkpoints import SERVERS, WIDENS_KEYS

from tailrace.config import Settings
from tailrace.destinations import open_destination
from tailrace.inputs.feed import InputFeed
from tailrace.inputs.places import files_of
from tailrace.runtime.target import Target

MORE = int(os.environ.get("TAILRACE_EXAMPLES", "0"))
EXAMPLES = {"memory": 60, "sqlite": 25, "duckdb": 10, "postgres": 6, "mysql": 3, "delta": 6, "iceberg": 2}


def parts_of(lines, chance):
    """The lines in several inputs, each of which begins with the last SCHEMA of every stream, as a tap's do."""
    cuts = sorted(chance.sample(range(1, len(lines)), min(len(lines) - 1, chance.randint(1, 4))))
    parts = []
    for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True):
        before = [json.loads(line) for line in lines[:start]]
        schemas = {message["stream"]: message for message in before if message["type"] == "SCHEMA"}
        parts.append([*map(json.dumps, schemas.values()), *lines[start:end]])
    return parts


def load_parts(place, messages, seed):
    """Load the messages in parts, by workers in random order; the report, and how many parts these have staged."""
    chance = Random(seed)
    for number, part in enumerate(parts_of(messages.lines(is_cut=True), chance)):
        (place.folder / f"{number}.singer").write_text("\n".join(part) + "\n")
    destination, workers = open_destination(place.url, {}), RandomWorkers(chance)
    target = Target(destination, Settings(pipeline="p", **messages.settings), tell=place.told.append)
    try:
        target.begin()
        inputs = files_of([str(place.folder / "*.singer")], {})
        settings = Settings(pipeline="p", **messages.settings)
        feed = InputFeed(target, settings, inputs, stopping=threading.Event(), executor=workers)
        return feed.run(), workers.staged
    finally:
        target.close()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_inputs_that_are_staged_in_any_order_come_to_the_tables_of_one_run(kind, request):
    server = request.getfixturevalue(f"{kind}_server") if kind in SERVERS else None
    first, staged = time.time_ns() if MORE else 0, 0
    for seed in range(first, first + EXAMPLES[kind] * max(1, MORE)):
        messages = random_messages(seed, widens_keys=kind in WIDENS_KEYS)
        with a_place(kind, server) as place:
            report, by_workers = load_parts(place, messages, seed)
            tables = {plan.name: place.rows(plan.name) for plan in messages.plans}
        told = "\n".join([f"seed {seed}", *messages.lines(is_cut=True)])
        assert {name: shown(rows) for name, rows in tables.items()} == expected(messages), told
        assert report.total.uncommitted == 0, told
        staged += by_workers
    assert staged >= EXAMPLES[kind] // 2, "workers have staged some, and left the others"
