"""Connections are encrypted when asked for, and only to servers whose certificate is trusted."""

import mysqls
import pytest
from needs import had
from services.certificates import client_certificate, made_certificate
from services.mariadb import MariaDBServer, mariadb
from services.mysql import mysql
from services.postgres import postgres

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, DestinationError
from tailrace.testing.messages import INT, records, schema


@pytest.fixture(scope="module", params=[postgres, mariadb, mysql], ids=["postgres", "mariadb", "mysql"])
def server(request):
    """A server with a certificate."""
    with had(lambda: request.param(tls=True), always=request.param is not mysql) as made:
        yield made


@pytest.fixture
def url(server):
    address = server.database()
    yield address
    server.drop(address)


def test_a_trusted_certificate_lets_in(server, url):
    for tls in ("verify-ca", "verify-full"):
        told = open_destination(url, {"tls": tls, "tls_ca": str(server.certificate.certificate)}).check()
        if url.startswith("postgresql"):
            assert "the connection is encrypted" in told[0]


def test_a_certificate_of_somebody_else_doesnt(url, tmp_path):
    other = made_certificate(tmp_path)
    with pytest.raises(DestinationError, match="can't be reached"):
        open_destination(url, {"tls": "verify-ca", "tls_ca": str(other.certificate)}).check()


def test_a_name_that_the_certificate_doesnt_have_is_refused_where_names_are_checked(server, url):
    settings = {"tls_ca": str(server.certificate.certificate), "host": "localhost"}
    open_destination(url, settings | {"tls": "verify-ca"}).check()
    with pytest.raises(DestinationError, match="can't be reached"):
        open_destination(url, settings | {"tls": "verify-full"}).check()


def test_a_connection_isnt_encrypted_where_that_is_switched_off(url):
    told = open_destination(url, {"tls": "disable"}).check()
    if url.startswith("postgresql"):
        assert "not encrypted" in told[0]


@pytest.fixture
def certified(server, url):
    """The address of a user who has to show a certificate."""
    if not url.startswith("mysql") or not isinstance(server, MariaDBServer):
        pytest.skip("only MariaDB is set up to ask for certificates here")
    mysqls.query(url, "CREATE USER certified IDENTIFIED BY 'x' REQUIRE X509")
    mysqls.query(url, "GRANT ALL ON *.* TO certified")
    yield url
    mysqls.query(url, "DROP USER certified")


def test_a_client_shows_its_certificate(server, certified, tmp_path):
    login = {"user": "certified", "password": "x", "tls": "verify-ca", "tls_ca": str(server.certificate.certificate)}
    ours = client_certificate(server.certificate, tmp_path)
    shown = {"tls_cert": str(ours.certificate), "tls_key": str(ours.key)}
    assert "the connection is encrypted" in open_destination(certified, login | shown).check()[0]
    with pytest.raises(DestinationError, match="can't be reached: Access denied"):
        open_destination(certified, login).check()
    (tmp_path / "other").mkdir()
    other = made_certificate(tmp_path / "other")
    shown = {"tls_cert": str(other.certificate), "tls_key": str(other.key)}
    with pytest.raises(DestinationError, match="can't be reached"):
        open_destination(certified, login | shown).check()


def test_options_of_the_driver_are_passed_on_and_others_refused(url):
    good, bad = {"compress": True, "read_timeout": 60}, {"unix_socket": "/nowhere"}
    if url.startswith("postgresql"):
        good, bad = {"target_session_attrs": "read-write"}, {"target_session_attrs": "read-only"}
    sent = [schema({"id": INT}, ["id"]), *records({"id": 1}, {"id": 2})]
    assert tailrace.load(sent, url, driver_options=good).total.loaded == 2
    with pytest.raises(DestinationError, match="can't be reached"):
        open_destination(url, {"driver_options": bad}).check()
    for name in ("host", "options", "init_command", "client_flags", "no_such"):
        with pytest.raises(ConfigError, match=f"'{name}' isn't passed on; these are: c"):
            open_destination(url, {"driver_options": {name: "x"}})


def test_an_option_that_the_driver_does_not_take_is_told_as_a_setting(any_mysql_url):
    with pytest.raises(ConfigError, match="driver_options: the driver doesn't take them"):
        open_destination(any_mysql_url, {"driver_options": {"tls_versions": ["TLSv0.9"]}}).check()
