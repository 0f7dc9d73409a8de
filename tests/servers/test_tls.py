"""Connections are encrypted when asked for, and only to servers whose certificate is trusted."""

import pytest
from needs import had
from services.certificates import made_certificate
from services.mariadb import mariadb
from services.mysql import mysql
from services.postgres import postgres

from tailrace.destinations import open_destination
from tailrace.errors import DestinationError


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
