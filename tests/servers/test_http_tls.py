"""An endpoint is trusted by its certificate, and trusts a client by theirs."""

import pytest
from services.certificates import made_certificate
from services.rest import rest

import tailrace
from tailrace.errors import ConfigError, DestinationError
from tailrace.testing.messages import INT, record, schema

SENT = [schema({"id": INT}), record({"id": 1})]
QUICK = {"attempts": 1, "retry_s": 0.1, "timeout_s": 5}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return made_certificate(tmp_path_factory.mktemp("tls"))


def load(server, **settings):
    return tailrace.load(SENT, "http", url=f"{server.url}/{{stream}}", **QUICK, **settings)


def test_a_certificate_is_checked_by_the_authorities_that_are_set_or_not_at_all(made):
    with rest(made) as server:
        with pytest.raises(DestinationError, match="its certificate isn't trusted"):
            load(server)
        assert server.received == []
        load(server, ca_file=made.certificate)
        load(server, verify_certs=False)
        assert len(server.received) == 2


def test_a_client_shows_its_certificate(made):
    with rest(made, authority=made.certificate) as server:
        with pytest.raises(DestinationError):
            load(server, ca_file=made.certificate)
        load(server, ca_file=made.certificate, client_cert=made.certificate, client_key=made.key)
        assert server.rows("things") == [{"id": 1}]


def test_files_that_are_no_certificates_are_said(made, tmp_path):
    (tmp_path / "empty.pem").touch()
    for name in ("empty.pem", "nothing.pem"):
        with rest(made) as server, pytest.raises(ConfigError, match="a certificate's file can't be used"):
            load(server, ca_file=tmp_path / name)
