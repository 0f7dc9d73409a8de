"""Servers of the tests: killed and started again, dead by themselves, and in nobody's way."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import mysql.connector
import psycopg
import pytest
from needs import had
from services.bigquery import bigquery
from services.mariadb import mariadb
from services.mysql import mysql as newest_mysql
from services.postgres import postgres
from services.processes import free_port, processes_in, wait_until
from services.redshift import redshift
from services.s3 import s3
from services.snowflake import snowflake

from tailrace.destinations import open_destination

DATABASES = {"postgres": postgres, "mariadb": mariadb, "mysql": newest_mysql, "redshift": redshift}
MYSQL = pytest.param("mysql", marks=pytest.mark.newest)
STARTS = 10
ROOT = Path(__file__).parents[2]


@pytest.fixture
def server(request):
    """A server of one's own."""
    with had(DATABASES[request.param], always=request.param != "mysql") as server:
        yield server
        server.kill()
    forget_deaths(server)


def forget_deaths(server):
    """Leave out of what the run tells that which was wanted."""
    for one in (server, *getattr(server, "parts", ())):
        one.deaths.clear()


def in_use(server, url):
    """A session that waits for the end of a query."""
    if url.startswith("mysql"):
        login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
        connection = mysql.connector.connect(**login, use_pure=True)
        connection._socket.send(b"\3SELECT sleep(3600)")
        return connection._socket.close_connection
    connection = psycopg.connect(server.behind(url) if url.startswith("redshift") else url)
    connection.pgconn.send_query(b"SELECT pg_sleep(3600)")
    return connection.close


def takes_connections(url):
    with closing(open_destination(url, {})) as destination:
        return destination.recover("p") is None


def die(server):
    """Let a server end as if by itself."""
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize("server", ["postgres", "mariadb", MYSQL], indirect=True)
def test_a_killed_server_is_started_again_when_all_its_processes_are_gone(server):
    url = server.database()
    for _ in range(STARTS):
        with ExitStack() as sessions:
            for _ in range(10):
                sessions.callback(in_use(server, url))
            assert processes_in(server.folder)
            server.kill()
            assert processes_in(server.folder) == []
        server.start()
    assert takes_connections(url)
    assert server.deaths == []


@pytest.mark.parametrize("server", ["postgres", "mariadb", "redshift", MYSQL], indirect=True)
def test_a_server_that_dies_by_itself_is_started_again_with_what_it_had_but_only_once(server):
    url = server.database()
    die(server)
    server.database()
    assert takes_connections(url)
    assert len(server.deaths) == 1
    assert "died by itself (SIGKILL, seen in tests/servers/test_services.py::" in server.deaths[0]
    assert "was started again" in server.deaths[0]
    die(server)
    with pytest.raises(RuntimeError, match="died again"):
        server.database()


def test_a_store_that_dies_by_itself_is_started_again():
    with had(s3) as server:
        die(server)
        assert server.names(server.bucket()) == []
        assert len(server.deaths) == 1
        forget_deaths(server)


def test_what_stands_in_for_snowflake_that_dies_by_itself_is_started_again_with_what_it_had():
    with had(snowflake) as server:
        database = urlsplit(server.database()).path.split("/")[1]
        server.run(f"CREATE TABLE {database}.PUBLIC.kept (n INT)", f"CREATE STAGE {database}.PUBLIC.kept_too")
        die(server)
        other = urlsplit(server.database()).path.split("/")[1]
        server.run(f"INSERT INTO {database}.PUBLIC.kept VALUES (1)", f"LIST @{database}.PUBLIC.kept_too")
        with pytest.raises(RuntimeError, match="does not exist"):
            server.run(f"INSERT INTO {other}.PUBLIC.kept VALUES (1)")
        assert len(server.deaths) == 1
        forget_deaths(server)


def test_what_stands_in_for_snowflake_rolls_back_what_a_closed_session_had_open(
    snowflake_server,
):
    table = "{}.{}.t".format(*urlsplit(snowflake_server.database()).path.split("/")[1:])
    snowflake_server.run(f"CREATE TABLE {table} (n INT NOT NULL)", f"INSERT INTO {table} VALUES (1)")
    snowflake_server.run("BEGIN", f"UPDATE {table} SET n = 2")
    with pytest.raises(RuntimeError, match="NOT NULL"):
        snowflake_server.run("BEGIN", f"UPDATE {table} SET n = 3", f"INSERT INTO {table} VALUES (NULL)")
    snowflake_server.run("BEGIN", f"UPDATE {table} SET n = 4", "COMMIT")


def test_what_stands_in_for_bigquery_that_dies_by_itself_is_started_again_with_what_it_had():
    with had(bigquery) as server:
        dataset = server.dataset()
        server.rows(f"CREATE TABLE {dataset}.t (a STRING)")
        server.rows(f"INSERT INTO {dataset}.t VALUES ('€')")
        die(server)
        server.revive()
        assert server.rows(f"SELECT a FROM {dataset}.t") == [("€",)]
        assert len(server.deaths) == 1
        server.drop(dataset)
        with pytest.raises(RuntimeError, match="Not found"):
            server.rows(f"SELECT a FROM {dataset}.t")
        forget_deaths(server)
    assert processes_in(server.folder) == []


def test_what_stands_in_for_bigquery_ends_when_the_process_that_started_it_is_killed(bigquery_server, tmp_path):
    start = "BigQueryServer(Path(sys.argv[1])); print(flush=True); input()"
    code = f"import sys; from pathlib import Path; from services.bigquery import BigQueryServer; {start}"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=-1, stdout=-1, cwd=ROOT) as owner:
        assert owner.stdout.readline() == b"\n"
        assert processes_in(tmp_path)
        owner.kill()
    wait_until(lambda: not processes_in(tmp_path), lambda: f"{processes_in(tmp_path)} are left")


DYING = """
import os, signal


def test_that_kills(s3_server):
    os.kill(s3_server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, s3_server.pid, os.WEXITED | os.WNOWAIT)


def test_that_goes_on(s3_server):
    assert s3_server.names(s3_server.bucket()) == []
"""


def test_a_run_of_tests_says_at_its_end_which_server_died_in_which_test(tmp_path):
    (tmp_path / "test_dying.py").write_text(DYING)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-n", "1", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "S3 died by itself (SIGKILL, seen in test_dying.py::test_that_kills (call)) and was started again"
        in done.stdout
    )


def test_the_temporary_files_of_a_server_of_mysqls_kind_are_in_its_own_folder(any_mysql_server):
    server = any_mysql_server
    login = {"host": server.host, "port": server.port, "user": server.user, "password": server.password}
    with closing(mysql.connector.connect(**login, use_pure=True)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SELECT @@tmpdir")
        assert cursor.fetchall() == [(str(server.folder),)]


def test_no_two_servers_are_given_one_port_though_neither_listens_yet():
    ask = "from services.processes import free_port; print(free_port(), flush=True); input()"
    asking = partial(subprocess.Popen, [sys.executable, "-c", ask], stdin=-1, stdout=-1, cwd=ROOT)
    with asking() as one, asking() as other:
        ports = [int(process.stdout.readline()) for process in (one, other)]
        ports += [free_port() for _ in range(1000)]
        one.communicate(b"\n")
        other.communicate(b"\n")
    assert len({*ports}) == len(ports)
