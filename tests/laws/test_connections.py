"""Connections that are cut at any byte, and servers that die, lose no row, load none twice, and tell no false state."""

import random
import time
from functools import partial

import pytest
from crashing import TAILRACE, Source, command, positions, require_truth, run, running
from needs import had
from places import PIPELINE, databases, through
from services.mariadb import mariadb
from services.mysql import mysql
from services.postgres import postgres
from services.proxy import proxy
from services.redshift import redshift

from tailrace.destinations import open_destination

ROWS, CUTS, SERVER_KILLS = 3000, 12, 4
QUICK = ("checkpoint_rows=500", "batch_rows=200", "retry_s=300")

SERVERS = {"postgres": postgres, "mariadb": mariadb, "mysql": mysql, "redshift": redshift}

IN_THE_CLEAR = {"mysql": ("tls=disable",)}
"""Settings that let the proxy see a COMMIT: MySQL itself encrypts unless it is told not to."""

each_way = pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("postgres", ("append_through=transaction",)),
        ("postgres", ("append_through=staging",)),
        ("mariadb", ()),
        pytest.param("mysql", (), marks=pytest.mark.newest),
        ("redshift", ()),
    ],
    ids=["postgres-transaction", "postgres-staging", "mariadb", "mysql", "redshift"],
)
"""Where rows are loaded, and how append-only rows wait there."""


@pytest.fixture
def replayed():
    return Source(seed=11, rows=ROWS)


def loaded_under(cutting, database, replayed, settings, trouble=lambda: False):
    """Load the source, with `trouble` before each run until one ends well; the truth holds after each.

    A connection that was cut can't drop its staging tables: what the next run begins with must leave none.
    """
    told, code = [], None
    while code != 0:
        is_troubled = trouble()
        ended = run(command(database, replayed, settings=settings))
        code = ended.code
        assert code == 0 or (code == 6 and is_troubled), ended.stderr
        told += ended.told
        require_truth(database, replayed, told)
    cutting.disarm()
    recover(database)
    require_truth(database, replayed, told)
    assert database.position() == replayed.rows
    assert database.leftovers() == []


def recover(database):
    """Do what a run begins with."""
    destination = open_destination(database.url, {})
    try:
        destination.recover(PIPELINE)
    finally:
        destination.close()


def cut_soon(cutting, database, chance, size, most):
    """Arm the proxy to cut somewhere in the first half of a load, unless there is nothing left to load or to cut."""
    cutting.disarm()
    if database.position() == ROWS or cutting.cuts >= most:
        return False
    cutting.cut_after(chance.randrange(size // 2))
    return True


@each_way
def test_connections_cut_at_random_bytes(request, replayed, kind, more):
    server = request.getfixturevalue(f"{kind}_server")
    settings = (*QUICK, *more)
    chance, most = random.Random(kind), 4 if kind == "redshift" else CUTS
    with proxy(server.host, server.port) as cutting:
        database = through(server, cutting.port)
        loaded_under(cutting, database, replayed, settings)
        size = cutting.passed
        while cutting.cuts < most:
            database = through(server, cutting.port)
            trouble = partial(cut_soon, cutting, database, chance, size, most)
            loaded_under(cutting, database, replayed, settings, trouble)
        # Another run finds nothing new.
        loaded_under(cutting, database, replayed, settings)


@each_way
@pytest.mark.parametrize("passes", [False, True], ids=["before the server has it", "before its answer"])
def test_connections_cut_at_a_commit(request, replayed, kind, more, passes):
    server = request.getfixturevalue(f"{kind}_server")
    settings = (*QUICK, *more, *IN_THE_CLEAR.get(kind, ()))
    with proxy(server.host, server.port) as cutting:
        database = through(server, cutting.port)

        def trouble():
            if cutting.cuts >= 8 or database.position() == replayed.rows:
                cutting.disarm()
                return False
            cutting.cut_at(b"COMMIT", passes=passes)
            return True

        loaded_under(cutting, database, replayed, settings, trouble)
        loaded_under(cutting, database, replayed, settings)
        assert cutting.cuts


@each_way
def test_a_server_that_is_killed_and_started_again(replayed, kind, more):
    settings = (*QUICK, *more)
    chance = random.Random(kind)
    with had(SERVERS[kind], always=kind != "mysql") as server:
        kills = 0
        while kills < SERVER_KILLS:
            database, told = databases(server)(), []
            while database.position() < replayed.rows:
                with running([TAILRACE, *command(database, replayed, settings=settings)]) as process:
                    told += positions([process.stdout.readline() for _ in range(chance.randrange(3))])
                    time.sleep(chance.uniform(0, 0.3))
                    is_killed = process.poll() is None
                    server.kill()
                    server.start()
                    out, err = process.communicate()
                assert process.returncode in (0, 6), err.decode()
                told += positions(out.splitlines())
                require_truth(database, replayed, told)
                kills += is_killed
            ended = run(command(database, replayed, settings=settings))
            assert ended.code == 0, ended.stderr
            assert database.leftovers() == []
