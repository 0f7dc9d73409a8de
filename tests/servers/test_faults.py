"""The proxy that makes trouble: clients that retry see none of it, and what it counts is what it made."""

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import obstore
import pytest
from obstore.exceptions import BaseError
from obstore.store import S3Store
from services.faults import Rates, fault_proxy
from services.processes import LIMIT_S, wait_until

QUICK = {"init_backoff": timedelta(milliseconds=1), "max_backoff": timedelta(milliseconds=5), "base": 2}
MORE_RETRIES = {"max_retries": 20, "retry_timeout": timedelta(seconds=LIMIT_S), "backoff": QUICK}
NO_RETRIES = {"max_retries": 0, "retry_timeout": timedelta(seconds=LIMIT_S)}


def store(server, proxy, retries):
    """A new bucket, reached through the proxy."""
    return S3Store(
        server.bucket(),
        region=server.region,
        endpoint=proxy.endpoint,
        access_key_id=server.key,
        secret_access_key=server.secret,
        client_options={"allow_http": True},
        retry_config=retries,
    )


def asked(port, method, path, body=None, headers=(), **more):
    """The status and the content of an answer, on a connection of its own."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)) as connection:
        connection.request(method, path, body, dict(headers), **more)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_puts_and_gets_that_are_retried_succeed_under_faults(s3_server):
    rates = Rates(error=0.1, slow_down=0.1, cut_before=0.1, cut_after=0.1, delay=0.1, delay_s=0.01)
    with fault_proxy(s3_server.host, s3_server.port, rates, seed=1) as proxy:
        objects = store(s3_server, proxy, MORE_RETRIES)
        contents = {f"folder/{number}": bytes([number]) * number * 3000 for number in range(60)}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: obstore.put(objects, name, contents[name]), contents))
            got = list(pool.map(lambda name: obstore.get(objects, name).bytes().to_bytes(), contents))
        assert got == [*contents.values()]
        assert {found["path"] for found in obstore.list(objects).collect()} == {*contents}
        assert {*proxy.faults} == {"error", "slow_down", "cut_before", "cut_after", "delay"}


@pytest.mark.parametrize(
    ("kind", "is_done"), [("error", False), ("slow_down", False), ("cut_before", False), ("cut_after", True)]
)
def test_each_fault_is_counted_and_comes_before_or_after_the_server_has_done_the_request(s3_server, kind, is_done):
    with fault_proxy(s3_server.host, s3_server.port, Rates(**{kind: 1.0})) as proxy:
        objects = store(s3_server, proxy, NO_RETRIES)
        with pytest.raises(BaseError):
            obstore.put(objects, "name", b"content", mode="create")
        assert proxy.faults == {kind: 1}
        proxy.calm()
        assert [found["path"] for found in obstore.list(objects).collect()] == ["name"] * is_done
        proxy.trouble()
        with pytest.raises(BaseError):
            obstore.head(objects, "name")
        assert proxy.faults == {kind: 2}


def test_the_answers_are_those_of_s3(s3_server):
    for kind, status, code in [("error", 500, b"<Code>InternalError<"), ("slow_down", 503, b"<Code>SlowDown<")]:
        with fault_proxy(s3_server.host, s3_server.port, Rates(**{kind: 1.0})) as proxy:
            found, content = asked(proxy.port, "PUT", "/bucket/name", b"x" * 100_000)
            assert (found, code in content) == (status, True)


def test_the_same_seed_draws_the_same_faults(s3_server):
    def drawn(seed):
        with fault_proxy(s3_server.host, s3_server.port, Rates(error=0.3, delay=0.3), seed) as proxy:
            return [proxy.drawn() for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_bodies_come_in_chunks_or_with_a_length_or_when_they_are_asked_for(s3_server):
    with fault_proxy(s3_server.host, s3_server.port, Rates()) as proxy:
        bucket, large = s3_server.bucket(), b"0123456789abcdef" * 1_000_000
        assert asked(proxy.port, "PUT", f"/{bucket}/length", large)[0] == 200
        halves = iter([large[:7], large[7:]])
        assert asked(proxy.port, "PUT", f"/{bucket}/chunks", halves, encode_chunked=True)[0] == 200
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=LIMIT_S) as connection:
            head = f"PUT /{bucket}/asked HTTP/1.1\r\nHost: x\r\nContent-Length: {len(large)}\r\n"
            connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                assert answer.readline() == b"HTTP/1.1 100 Continue\r\n"
                answer.readline()
                connection.sendall(large)
                assert answer.readline().startswith(b"HTTP/1.1 200 ")
        for name in ("length", "chunks", "asked"):
            assert s3_server.read(f"s3://{bucket}/{name}") == large


def test_a_connection_is_kept_for_the_next_request(s3_server):
    with (
        fault_proxy(s3_server.host, s3_server.port, Rates(error=0.5), seed=1) as proxy,
        closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=LIMIT_S)) as connection,
    ):
        connection.connect()
        first = connection.sock
        for _ in range(10):
            connection.request("GET", "/")
            connection.getresponse().read()
        assert connection.sock is first
        assert proxy.faults["error"]
        assert proxy.clients() == 1


def test_a_request_whose_client_is_gone_in_the_middle_of_it_isnt_passed_on(s3_server):
    with fault_proxy(s3_server.host, s3_server.port, Rates()) as proxy:
        bucket = s3_server.bucket()
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(f"PUT /{bucket}/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf".encode())
        wait_until(lambda: not proxy.clients(), lambda: "the proxy still serves a client that is gone")
        assert s3_server.names(bucket) == []


def test_the_end_of_the_proxy_is_the_end_of_its_threads_and_connections(s3_server):
    before = {*threading.enumerate()}
    with fault_proxy(s3_server.host, s3_server.port, Rates()) as proxy:
        connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=LIMIT_S)
        assert proxy.clients() == 1
    with connection:
        assert connection.recv(1) == b""
    for thread in {*threading.enumerate()} - before:
        thread.join(LIMIT_S)
    assert {*threading.enumerate()} <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port))
