"""Connections with a deadline over all that a request does, so that no server can hold it up byte by byte."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpcore
import httpx

from tailrace.destinations.http.settings import Settings

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class Deadline(threading.local):
    """When the request of this thread must have ended."""

    at_s: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let what is read and written in the block end within that time, by httpcore's errors of timeouts."""
        self.at_s = time.monotonic() + seconds
        try:
            yield
        finally:
            self.at_s = None

    def left_s(self, error: type[Exception]) -> float | None:
        """The seconds that are left."""
        if self.at_s is None:
            return None
        left = self.at_s - time.monotonic()
        if left <= 0:
            raise error("the request takes longer than `timeout_s`")
        return left


class _Stream(httpcore.NetworkStream):
    """A connection whose every step ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        del timeout
        return self._stream.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        del timeout
        for start in range(0, len(buffer), 2**16):  # so that each step of a slow reader's counts
            self._stream.write(buffer[start : start + 2**16], self._deadline.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        del timeout
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left_s), self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Opens such connections."""

    def __init__(self, deadline: Deadline) -> None:
        self._inner = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        del timeout
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        return _Stream(self._inner.connect_tcp(host, port, left_s, local_address, socket_options), self._deadline)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


class Transport(httpx.BaseTransport):
    """httpx's way to the wire, by a pool of such connections; errors are httpcore's own."""

    def __init__(self, settings: Settings, deadline: Deadline) -> None:
        backend, context = _Backend(deadline), ssl_context(settings) if _is_encrypted(settings) else None
        most = settings.concurrency + 1
        self._pool: httpcore.ConnectionPool
        if settings.proxy is None:
            self._pool = httpcore.ConnectionPool(ssl_context=context, max_connections=most, network_backend=backend)
        else:
            proxy = httpx.Proxy(settings.proxy.get_secret_value())
            self._pool = httpcore.HTTPProxy(
                proxy_url=_core_url(proxy.url),
                proxy_auth=proxy.raw_auth,
                ssl_context=context,
                max_connections=most,
                network_backend=backend,
            )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request as it is; see httpx."""
        assert isinstance(request.stream, httpx.SyncByteStream)  # noqa: S101 the client is a synchronous one
        sent = httpcore.Request(
            request.method, _core_url(request.url), headers=request.headers.raw, content=request.stream
        )
        answer = self._pool.handle_request(sent)
        assert isinstance(answer.stream, Iterable)  # noqa: S101 as above
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer.stream))

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()


def _is_encrypted(settings: Settings) -> bool:
    urls = (settings.url, settings.delete_url, settings.token_url)
    return any(url.startswith("https:") for url in urls if url)


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Whom connections trust, and as whom they show themselves; raises OSError for files that can't be used."""
    context = ssl.create_default_context(cafile=settings.ca_file)
    if not settings.verify_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_cert is not None:
        context.load_cert_chain(settings.client_cert, settings.client_key)
    return context


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
