"""Servers are reached through an SSH server, whose key has to be known, and under their own names."""

import gc
import pickle
import threading
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from services.certificates import made_certificate
from services.mariadb import mariadb
from services.postgres import postgres
from services.ssh import PASSWORD, USER, ssh_server

import tailrace
from tailrace.destinations import open_destination
from tailrace.errors import ConfigError, DestinationError
from tailrace.runtime.retry import Retry
from tailrace.testing.messages import INT, records, schema, state
from tailrace.tunnels import SshSettings, Tunnel

SENT = [schema({"id": INT}, ["id"]), *records({"id": 1}, {"id": 2}), state({})]


@pytest.fixture(scope="module")
def ssh():
    with ssh_server() as server:
        yield server


def unreachable(url):
    """The address, and its host and port apart."""
    parts = urlsplit(url)
    return parts.hostname, parts.port


@pytest.mark.parametrize("name", ["postgres", "mariadb", "redshift"])
def test_rows_are_loaded_through_a_tunnel(ssh, request, name):
    url = request.getfixturevalue(f"{name}_url")
    given = {"tls": "disable"} if name == "redshift" else {}
    before = len(ssh.asked)
    for method in ("upsert", "replace"):
        report = tailrace.load(SENT, url, pipeline="p", ssh=ssh.login(), method=method, **given)
        assert report.total.loaded == 2
    assert {*ssh.asked[before:]} == {unreachable(url)}


def test_documents_are_loaded_through_a_tunnel(ssh, mongodb_url):
    host, port = unreachable(mongodb_url)
    parts = urlsplit(mongodb_url)
    given = {"host": host, "port": port, "database": parts.path[1:]}
    if parts.username:
        given |= {"user": parts.username, "password": parts.password}
    before = len(ssh.asked)
    assert tailrace.load(SENT, "mongodb", pipeline="p", ssh=ssh.login(), **given).total.loaded == 2
    assert {*ssh.asked[before:]} == {(host, port)}
    with pytest.raises(ConfigError, match="set `host` and `port`"):
        tailrace.load(SENT, mongodb_url, ssh=ssh.login())
    with pytest.raises(ConfigError, match="set no `tls`"):
        tailrace.load(SENT, "mongodb", ssh=ssh.login(), tls=True, **given)


@pytest.mark.parametrize("made", [postgres, mariadb], ids=["postgres", "mariadb"])
def test_the_servers_certificate_is_checked_for_its_own_name(ssh, made, tmp_path):
    with made(tls=True) as server:
        url, trusted = server.database(), {"tls": "verify-full", "ssh": ssh.login()}
        ours = {"tls_ca": str(server.certificate.certificate)}
        open_destination(url, trusted | ours).check()
        with pytest.raises(DestinationError, match="can't be reached"):
            open_destination(url, trusted | ours | {"host": "localhost"}).check()
        with pytest.raises(DestinationError, match="can't be reached"):
            open_destination(url, trusted | {"tls_ca": str(made_certificate(tmp_path).certificate)}).check()


@pytest.fixture
def opened(ssh):
    """Opens a tunnel to that SSH server itself; its settings are those of a login by password, but for the given."""

    def opened(**given):
        login = {name: value for name, value in (ssh.login() | given).items() if value is not None}
        return Tunnel(SshSettings(**login), "127.0.0.1", ssh.port, 10.0).port()

    return opened


def test_a_server_that_is_not_known_is_refused(ssh, opened, tmp_path):
    other = f"[127.0.0.1]:{ssh.port} {ssh.user_key.export_public_key().decode()}"
    for name, text in {"of another": ssh.known.replace("127.0.0.1", "127.0.0.2"), "other key": other}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(DestinationError, match=r"the SSH server 127\.0\.0\.1 isn't known: ask whoever runs it"):
            opened(host_key=None, known_hosts=str(tmp_path / name))
    with pytest.raises(DestinationError, match="isn't known"):
        opened(host_key=None, known_hosts=str(tmp_path / "nowhere"))
    with pytest.raises(DestinationError, match="isn't known"):
        opened(host_key=ssh.user_key.export_public_key().decode())
    (tmp_path / "known").write_text(ssh.known)
    assert opened(host_key=None, known_hosts=str(tmp_path / "known"))


def test_keys_log_in_too(ssh, opened, tmp_path):
    text = ssh.user_key.export_private_key().decode()
    locked = ssh.user_key.export_private_key(passphrase="open sesame").decode()
    (tmp_path / "key").write_text(text)
    assert opened(password=None, private_key=text)
    assert opened(password=None, private_key_file=str(tmp_path / "key"))
    assert opened(password=None, private_key=locked, private_key_password="open sesame")
    for given in ({"private_key": locked}, {"private_key": locked, "passphrase": "wrong"}, {"private_key": "x"}):
        with pytest.raises(ConfigError, match=r"ssh\.private_key: the key can't be read"):
            opened(password=None, **given)
    with pytest.raises(ConfigError, match=r"ssh\.private_key_file"):
        opened(private_key_file=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"ssh\.host_key"):
        opened(host_key="x")


def test_who_may_not_log_in_is_told_so_without_the_secret(opened):
    for given in ({"password": "s3cr3t"}, {"user": "nobody"}):
        with pytest.raises(DestinationError, match="doesn't let") as told:
            opened(**given)
        assert "s3cr3t" not in str(told.value)
        assert PASSWORD not in str(told.value)
    with pytest.raises(DestinationError, match=r"127\.0\.0\.1:1 can't be reached"):
        opened(port=1)


def test_a_tunnel_that_was_lost_is_opened_again(ssh, postgres_url):
    with closing(open_destination(postgres_url, {"ssh": ssh.login(), "connect_timeout_s": 2})) as destination:
        destination.recover("p")
        ssh.cut()
        assert Retry(destination, 30).call(destination.recover, "p") is None


def test_a_tunnel_ends_with_what_has_it(ssh, opened):
    tunnel = pickle.loads(pickle.dumps(Tunnel(SshSettings(**ssh.login()), "127.0.0.1", ssh.port, 10.0)))
    assert tunnel.port() == tunnel.port()
    threads = [thread for thread in threading.enumerate() if thread.name == "tailrace-ssh"]
    assert threads
    del tunnel
    gc.collect()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize(
    "given",
    [
        {"connection_method": "ssh_tunnel", "ssh_host": "127.0.0.1", "ssh_username": USER, "ssh_password": PASSWORD},
        {"ssh_tunnel": {"enable": True, "host": "127.0.0.1", "username": USER, "private_key": "the key's"}},
    ],
    ids=["mage", "meltano"],
)
def test_tunnels_of_others_configs_are_used(ssh, postgres_url, tmp_path, monkeypatch, given):
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "known_hosts").write_text(ssh.known)
    monkeypatch.setenv("HOME", str(tmp_path))
    if "ssh_tunnel" in given:
        key = ssh.user_key.export_private_key().decode()
        given = {"ssh_tunnel": given["ssh_tunnel"] | {"port": ssh.port, "private_key": key}}
    else:
        given = given | {"ssh_port": ssh.port}
    before = len(ssh.asked)
    assert tailrace.load(SENT, postgres_url, **given).total.loaded == 2
    assert len(ssh.asked) > before
    key_file = tmp_path / "key"
    key_file.write_bytes(ssh.user_key.export_private_key())
    mage = {"ssh_host": "127.0.0.1", "ssh_port": ssh.port, "ssh_username": USER, "ssh_pkey": str(key_file)}
    assert tailrace.load(SENT, postgres_url, **mage).total.updated == 2


def test_redshift_says_what_a_tunnel_can_not_have(ssh):
    given = {"database": "d", "user": "u", "password": "p", "ssh": ssh.login()}
    with pytest.raises(ConfigError, match="set `tls: verify-ca`"):
        open_destination("redshift", {"host": "h", **given})
    with pytest.raises(ConfigError, match="set `host` beside `ssh`"):
        open_destination("redshift", given)
