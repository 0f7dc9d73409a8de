"""A password for MySQL never travels in the clear, and connections are encrypted as asked for, in MySQL's words too."""

import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import mysqls
import pytest
from mysql.connector.utils import get_platform
from needs import had
from services.certificates import made_certificate
from services.mariadb import mariadb
from services.mysql import mysql
from services.postgres import postgres
from services.proxy import proxy

from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, DestinationError
from tailrace.testing.messages import INT, record, schema

SENT = [schema({"id": INT}, ["id"]), record({"id": 1})]


def said(url, **settings):
    """What is said of the connection."""
    return open_destination(url, settings).check()[0]


@contextmanager
def without_tls(url):
    """The address of somebody between, who takes the server's offer of TLS away."""
    parts = urlsplit(url)
    with proxy(parts.hostname, parts.port) as between:
        between.strip_tls()
        yield url.replace(f":{parts.port}/", f":{between.port}/"), between


@pytest.fixture(params=["caching_sha2_password", "sha256_password"])
def user(request, mysql_url):
    """A user whose password the server doesn't know by heart: the next login has to give it."""
    mysqls.query(mysql_url, f"CREATE USER careful IDENTIFIED WITH {request.param} BY 'never in the clear'")
    mysqls.query(mysql_url, "GRANT ALL ON *.* TO careful")
    yield {"user": "careful", "password": "never in the clear"}
    mysqls.query(mysql_url, "DROP USER careful")


def test_a_password_is_never_sent_in_the_clear(mysql_url, user):
    with pytest.raises(DestinationError, match="this user needs TLS"):
        said(mysql_url, tls="disable", **user)
    parts = urlsplit(mysql_url)
    with proxy(parts.hostname, parts.port) as between:
        url = mysql_url.replace(f":{parts.port}/", f":{between.port}/")
        with pytest.raises(DestinationError, match="this user needs TLS"):
            said(url, tls="disable", **user)
        assert b"never in the clear" not in between.seen


@pytest.mark.parametrize("tls", ["prefer", "require", "verify-ca"])
def test_whoever_takes_tls_away_gets_no_password(mysql_url, user, tls):
    with without_tls(mysql_url) as (url, between):
        with pytest.raises(DestinationError, match=r"needs TLS|offers no TLS|SSL is required"):
            said(url, tls=tls, **user)
        assert bool(between.seen) is (tls == "prefer")
        assert b"never in the clear" not in between.seen


@pytest.mark.parametrize("user", ["caching_sha2_password"], indirect=True)
def test_a_user_whose_password_is_known_by_heart_needs_no_tls(mysql_url, user):
    assert "the connection is encrypted" in said(mysql_url, **user)
    assert "not encrypted" in said(mysql_url, tls="disable", **user)


def test_mysqls_own_words_for_encryption_are_understood(mysql_url):
    for words in ({"ssl_mode": "REQUIRED"}, {"ssl_mode": "preferred"}, {"tls": "require"}, {"ssl": True}):
        assert "the connection is encrypted" in said(mysql_url, **words)
    for words in ({"ssl_mode": "VERIFY_CA"}, {"ssl_mode": "VERIFY_IDENTITY"}, {"sslmode": "verify-full"}):
        with pytest.raises(DestinationError, match="certificate verify failed"):
            said(mysql_url, **words)
    assert "not encrypted" in said(mysql_url, ssl_mode="DISABLED")
    with pytest.raises(ConfigError, match="tls: it must be disable, prefer, require, verify-ca or verify-full"):
        said(mysql_url, ssl_mode="perhaps")


def test_encryption_that_is_required_is_refused_where_the_server_has_none():
    with mariadb() as server, pytest.raises(DestinationError, match="the server offers no TLS; give the server TLS"):
        said(server.database(), tls="require")


@pytest.fixture(scope="module", params=[mysql, mariadb, postgres], ids=["mysql", "mariadb", "postgres"])
def verified(request):
    """The address of a server with a certificate of ours, and that certificate."""
    with had(lambda: request.param(tls=True), always=request.param is not mysql) as server:
        yield server.database(), str(server.certificate.certificate)


def test_require_checks_the_certificate_where_one_is_given(verified, tmp_path):
    url, certificate = verified
    said(url, tls="require", tls_ca=certificate)
    with pytest.raises(DestinationError, match="certificate verify failed"):
        said(url, tls="require", tls_ca=str(made_certificate(tmp_path).certificate))


@pytest.mark.parametrize("tls", ["verify-ca", "verify-full"])
def test_a_certificate_that_isnt_trusted_ends_a_run_at_once(verified, tls, tmp_path):
    url, certificate = verified
    began = time.monotonic()
    other = str(made_certificate(tmp_path).certificate)
    by_name = [{"tls_ca": certificate, "host": "localhost"}] if tls == "verify-full" else []
    for settings in ({"tls_ca": other}, *by_name):
        destination = open_destination(url, {"tls": tls} | settings)
        with pytest.raises(DestinationError, match=r"`tls_ca`|`host`") as failed:
            destination.recover("p")
        assert not destination.is_transient(failed.value)
        assert "_ssl.c" not in str(failed.value)
        with pytest.raises(DestinationError, match=r"`tls_ca`|`host`"):
            mysqls.load(url, *SENT, tls=tls, retry_s=300, **settings)
    assert time.monotonic() - began < 100


def test_a_file_of_certificates_that_isnt_there_is_named(any_mysql_url):
    for name in ("tls_ca", "tls_cert", "tls_key"):
        with pytest.raises(ConfigError, match=f"{name}: there is no file '/nowhere'"):
            mysqls.load(any_mysql_url, *SENT, **{name: "/nowhere"})


def test_a_server_is_told_who_connects_and_no_program_is_started_for_that(mariadb_url):
    parts = urlsplit(mariadb_url)
    get_platform.cache_clear()
    with proxy(parts.hostname, parts.port) as between:
        said(mariadb_url.replace(f":{parts.port}/", f":{between.port}/"), tls="disable")
        assert b"program_name\x08tailrace" in between.seen
    assert get_platform.cache_info().currsize == 0
