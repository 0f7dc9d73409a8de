"""Real servers for tests, each started when first asked for, one for each of the processes that tests run in."""

import gc
import os
from functools import partial

import hypothesis
import pytest
from needs import had, revive_servers
from reading_search import Place, client_of
from services.bigquery import bigquery
from services.elasticsearch import elasticsearch
from services.mariadb import mariadb
from services.mongodb import mongodb
from services.mysql import mysql
from services.opensearch import opensearch
from services.postgres import postgres
from services.processes import free_port as any_free_port
from services.redshift import redshift
from services.s3 import s3
from services.snowflake import snowflake
from telling import hear_deaths, said_of_deaths, said_of_mysql, tell_deaths
from trusting import trust_one_authority

gc.disable()  # until everything is collected: next to nothing of it is garbage
gc.set_threshold(10_000)  # at Python's own 700, looking for garbage takes a thirtieth of the tests' time

# Machines that run tests are busy, and no law is about time. Examples are the same in every run unless more are wanted.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    derandomize="TAILRACE_EXAMPLES" not in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")


def pytest_configure(config):
    """Let the tests' processes trust one authority: to read all that a machine trusts takes longer than most tests.

    Tests that encrypt have authorities of their own.
    """
    config.add_cleanup(trust_one_authority())
    # Clients look through the whole environment for a proxy, with every request.
    os.environ["NO_PROXY"] = ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1"]))


def pytest_collection_finish():
    """Let what was collected not be looked through for garbage while tests run: there is a lot of it, and it stays."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """Let every test begin with servers that run."""
    revive_servers()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown():
    """See which test a server has died in, and let what the test had there be dropped."""
    revive_servers()


def pytest_sessionfinish(session):
    """Let the run know which servers died."""
    gc.unfreeze()
    tell_deaths(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Take what a process that has run tests knows."""
    hear_deaths(node)


def pytest_terminal_summary(terminalreporter):
    """Say which servers died, and whether the one that can't be had everywhere was."""
    if said := [*said_of_deaths(), *filter(None, [said_of_mysql(terminalreporter.stats)])]:
        terminalreporter.section("servers")
        terminalreporter.write_line("\n".join(said))


@pytest.fixture(scope="session")
def postgres_server():
    """A PostgreSQL server."""
    with had(postgres) as server:
        yield server


@pytest.fixture(scope="session")
def newest_postgres_server():
    """A server of PostgreSQL's newest release, wherever it can be had."""
    with had(partial(postgres, newest=True), always=False) as server:
        yield server


@pytest.fixture
def newest_postgres_url(newest_postgres_server):
    """The address of a new, empty database of PostgreSQL's newest release."""
    url = newest_postgres_server.database()
    yield url
    newest_postgres_server.drop(url)


@pytest.fixture
def postgres_url(postgres_server):
    """The address of a new, empty database of PostgreSQL."""
    url = postgres_server.database()
    yield url
    postgres_server.drop(url)


@pytest.fixture
def free_port():
    """A port on which nobody listens."""
    return any_free_port()


@pytest.fixture(scope="session")
def mariadb_server():
    """A MariaDB server."""
    with had(mariadb) as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server):
    """The address of a new, empty database of MariaDB."""
    url = mariadb_server.database()
    yield url
    mariadb_server.drop(url)


@pytest.fixture(scope="session")
def mysql_server():
    """A server of MySQL itself, wherever it can be had."""
    with had(mysql, always=False) as server:
        yield server


@pytest.fixture
def mysql_url(mysql_server):
    """The address of a new, empty database of MySQL itself."""
    url = mysql_server.database()
    yield url
    mysql_server.drop(url)


@pytest.fixture(params=["mariadb", "mysql"])
def any_mysql(request):
    """Each of the kinds of server that MySQL's destination loads into."""
    return request.param


@pytest.fixture
def any_mysql_server(request, any_mysql):
    """A server of MariaDB, and one of MySQL itself."""
    return request.getfixturevalue(f"{any_mysql}_server")


@pytest.fixture
def any_mysql_url(request, any_mysql):
    """The address of a new, empty database of MariaDB, and of one of MySQL itself."""
    return request.getfixturevalue(f"{any_mysql}_url")


@pytest.fixture(scope="session")
def redshift_server():
    """What stands in for Redshift."""
    with had(redshift) as server:
        yield server


@pytest.fixture
def redshift_url(redshift_server):
    """The address of a new, empty database of what stands in for Redshift, with a bucket."""
    url = redshift_server.database()
    yield url
    redshift_server.drop(url)


@pytest.fixture(scope="session")
def s3_server():
    """An S3 server."""
    with had(s3) as server:
        yield server


@pytest.fixture(scope="session")
def bigquery_server():
    """What stands in for BigQuery."""
    with had(bigquery) as server:
        yield server


@pytest.fixture(scope="session")
def snowflake_server():
    """What stands in for Snowflake."""
    with had(snowflake) as server:
        yield server


@pytest.fixture(scope="session")
def mongodb_server():
    """What stands in for MongoDB."""
    with had(mongodb) as server:
        yield server


@pytest.fixture
def mongodb_url(mongodb_server):
    """The address of a new, empty database of what stands in for MongoDB."""
    url = mongodb_server.database()
    yield url
    mongodb_server.drop(url)


@pytest.fixture(scope="session")
def opensearch_server():
    """An OpenSearch server."""
    with had(opensearch) as server:
        yield server


@pytest.fixture
def opensearch_place(opensearch_server):
    """The address of an OpenSearch server, and what the names of the test's indices there begin with."""
    prefix = opensearch_server.prefix()
    yield opensearch_server.url, prefix
    opensearch_server.drop(prefix)


@pytest.fixture(scope="session")
def elasticsearch_server():
    """An Elasticsearch server."""
    with had(elasticsearch) as server:
        yield server


@pytest.fixture
def elasticsearch_place(elasticsearch_server):
    """The address of an Elasticsearch server, and what the names of the test's indices there begin with."""
    prefix = elasticsearch_server.prefix()
    yield elasticsearch_server.url, prefix
    elasticsearch_server.drop(prefix)


@pytest.fixture(params=["opensearch", pytest.param("elasticsearch", marks=pytest.mark.newest)])
def search_place(request):
    """Where indices are in each of the search engines, with the engine's own client."""
    url, prefix = request.getfixturevalue(f"{request.param}_place")
    with client_of(request.param, url) as client:
        yield Place(request.param, int(url.rpartition(":")[2]), prefix, client)
