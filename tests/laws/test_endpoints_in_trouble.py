"""Runs that are killed over an endpoint in trouble come to exactly the source, though a checkpoint is many requests."""

import random
import time

from endpoints import endpoint
from services.rest import rest

from tailrace.testing.forked import LIMIT_S, Order, load_here, loading
from tailrace.testing.replay import Replay, in_order

SOURCE = Replay(seed=3, rows=600, state_every=20, people=40)
QUICK = {"max_rows": 7, "concurrency": 4, "max_wait_s": 0.01, "timeout_s": 5}
KINDS = ("fail", "take_and_fail", "take_and_cut", "cut", "garbage", "busy")
KILLS = 4


class Trouble:
    """One request in five goes wrong in some way."""

    def __init__(self, seed):
        self._chance = random.Random(seed)

    def popleft(self):
        """What happens to the next request."""
        return self._chance.choice(KINDS) if self._chance.random() < 0.2 else None


def wait_until_received(server, requests, load):
    """Wait until the endpoint has got so many requests, or the load has ended."""
    deadline = time.monotonic() + LIMIT_S
    while len(server.received) < requests and load._process.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_killed_runs_over_an_endpoint_in_trouble_come_to_exactly_the_source(tmp_path):
    chance, told, kills = random.Random(SOURCE.seed + 2), [], 0
    with rest() as server:
        place = endpoint(server, tmp_path, **QUICK)
        server.trouble = Trouble(SOURCE.seed + 4)
        settings = {"checkpoint_rows": 150, "batch_rows": 40, "retry_s": 60}
        for _ in range(KILLS):
            sent = len(server.received)
            with loading(Order(place.subject.open(), SOURCE, settings)) as load:
                wait_until_received(server, sent + chance.randrange(3, 25), load)
                ended = load.kill_after(0)
            assert not ended.error, ended.error
            told += ended.told
            kills += ended.was_killed
        told += load_here(Order(place.subject.open(), SOURCE, settings))
        assert told == sorted(told)
        assert kills > 1
        shown = {name: in_order([tuple(row.values()) for row in server.rows(name)]) for name in SOURCE.names()}
    assert shown == SOURCE.tables(SOURCE.rows)
    assert place.subject.leftovers(SOURCE.names()) == []
