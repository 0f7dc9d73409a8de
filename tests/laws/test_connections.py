"""Connections that are cut at any byte, and servers that die, lose no row, load none twice, and tell no false state."""

import random
import time
from functools import partial

import pytest
from crashing import Runs, first_positions, positions
from needs import had
from places import databases, through
from services.bigquery import bigquery
from services.mariadb import mariadb
from services.mongodb import mongodb
from services.mysql import mysql
from services.opensearch import opensearch
from services.postgres import postgres
from services.proxy import proxy
from services.redshift import redshift
from services.snowflake import snowflake

from tailrace.testing.replay import Replay

SOURCE = Replay(seed=11, rows=2000, state_every=40, people=60)
CUTS, SERVER_KILLS = 12, 4

SERVERS = {
    "postgres": postgres,
    "mariadb": mariadb,
    "mysql": mysql,
    "redshift": redshift,
    "snowflake": snowflake,
    "bigquery": bigquery,
    "mongodb": mongodb,
    "opensearch": opensearch,
}

IN_THE_CLEAR = {"mysql": ("tls=disable",)}
"""Settings that let the proxy see a COMMIT: MySQL itself encrypts unless it is told not to."""

COMMITS = {"mongodb": b'"number":', "opensearch": rb"\"number\":"}
"""What is to be seen of a commit, where that isn't the word."""

WAYS = {
    "postgres-transaction": ("postgres", ("append_through=transaction",)),
    "postgres-staging": ("postgres", ("append_through=staging",)),
    "mariadb": ("mariadb", ()),
    "mysql": ("mysql", ()),
    "redshift": ("redshift", ()),
    "snowflake": ("snowflake", ()),
    "bigquery": ("bigquery", ()),
    "mongodb": ("mongodb", ()),
    "opensearch": ("opensearch", ()),
}
"""Where rows are loaded, and how append-only rows wait there."""


def each_way(*without, newest=()):
    marks = dict.fromkeys(("mysql", *newest), pytest.mark.newest)
    ways = [pytest.param(*way, id=name, marks=marks.get(name, ())) for name, way in WAYS.items() if name not in without]
    return pytest.mark.parametrize(("kind", "more"), ways)


def loaded_under(cutting, runs, trouble=lambda: False):
    """Load the source, with `trouble` before each run until one ends well; the truth holds after each.

    A connection that was cut can't drop its staging tables: what the next run begins with must leave none.
    """
    told, code = [], None
    while code != 0:
        is_troubled = trouble()
        ended = runs.run()
        code = ended.code
        assert code == 0 or (code == 6 and is_troubled), ended.stderr
        told += ended.told
        runs.require_truth(told)
    cutting.disarm()
    runs.recover()
    runs.require_truth(told)
    runs.require_whole()


def cut_soon(cutting, runs, chance, size, most):
    """Arm the proxy to cut somewhere in the first half of a load, unless there is nothing left to load or to cut."""
    cutting.disarm()
    if runs.position() == SOURCE.rows or cutting.cuts >= most:
        return False
    cutting.cut_after(chance.randrange(size // 2))
    return True


@each_way(newest=("bigquery", "snowflake"))
def test_connections_cut_at_random_bytes(request, kind, more, tmp_path):
    server = request.getfixturevalue(f"{kind}_server")
    chance, most = random.Random(kind), 4 if kind in {"redshift", "snowflake", "bigquery"} else CUTS
    with proxy(server.host, server.port) as cutting:
        runs = Runs(through(server, cutting.port), SOURCE, tmp_path, *more)
        loaded_under(cutting, runs)
        size = cutting.passed
        while cutting.cuts < most:
            runs = Runs(through(server, cutting.port), SOURCE, tmp_path, *more)
            loaded_under(cutting, runs, partial(cut_soon, cutting, runs, chance, size, most))
        # Another run finds nothing new.
        loaded_under(cutting, runs)


# The driver of Snowflake compresses what it sends, so that no COMMIT is to be seen.
@each_way("snowflake", newest=("bigquery",))
@pytest.mark.parametrize("passes", [False, True], ids=["before the server has it", "before its answer"])
def test_connections_cut_at_a_commit(request, kind, more, passes, tmp_path):
    server = request.getfixturevalue(f"{kind}_server")
    with proxy(server.host, server.port) as cutting:
        runs = Runs(through(server, cutting.port), SOURCE, tmp_path, *more, *IN_THE_CLEAR.get(kind, ()))

        def trouble():
            if cutting.cuts >= 8 or runs.position() == SOURCE.rows:
                cutting.disarm()
                return False
            cutting.cut_at(COMMITS.get(kind, b"COMMIT"), passes=passes)
            return True

        loaded_under(cutting, runs, trouble)
        loaded_under(cutting, runs)
        assert cutting.cuts


@each_way(newest=("opensearch", "mongodb", "bigquery", "snowflake"))
def test_a_server_that_is_killed_and_started_again(kind, more, tmp_path):
    chance = random.Random(kind)
    with had(SERVERS[kind], always=kind != "mysql") as server:
        kills = 0
        while kills < SERVER_KILLS:
            runs, told = Runs(databases(server)(), SOURCE, tmp_path, *more), []
            while runs.position() < SOURCE.rows:
                with runs.started() as command:
                    told += first_positions(command, chance.randrange(3))
                    time.sleep(chance.uniform(0, 0.1))
                    is_killed = command.poll() is None
                    server.kill()
                    server.start()
                    out, err = command.communicate()
                assert command.returncode in (0, 6), err.decode()
                told += positions(out.splitlines())
                runs.require_truth(told)
                kills += is_killed
            runs.complete()
