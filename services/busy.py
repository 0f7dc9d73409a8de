"""An HTTP proxy on the loopback, in front of a search engine, that is busy: for requests, and for items of bulks."""

from __future__ import annotations

import json
import random
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.processes import LIMIT_S

_REFUSED = {"type": "rejected_execution_exception", "reason": "the queue of writes is full"}
_PASSED_ON = ("content-type", "accept")

Answer = tuple[int, dict[str, str], bytes]
Meddler = Callable[[str, str, bytes], Answer | None]
"""Given method, path and body, answers in the server's place, or leaves it to the server."""


class BusyProxy(ThreadingHTTPServer):
    """Answers 429 to a share of requests, and to a share of the items of bulks, without the server having seen them.

    `heads` are the headers of all requests, in lower case, and `turned_away` counts what was answered 429.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        host: str,
        port: int,
        share: float = 0.0,
        meddler: Meddler | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.server = (host, port)
        self.share = share
        self.meddler = meddler
        self.port = self.server_port
        self.heads: list[dict[str, str]] = []
        self.turned_away: Counter[str] = Counter()
        self._chance = random.Random(1)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="busy proxy", daemon=True)
        self._thread.start()

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client may have thought better of it."""

    def is_busy(self, what: str) -> bool:
        """Whether it is busy for a request, or for an item."""
        with self._lock:
            is_busy = self._chance.random() < self.share
            self.turned_away[what] += is_busy
        return is_busy

    def end(self) -> None:
        """End its thread."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BusyProxy

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        proxy = self.server
        proxy.heads.append({name.lower(): value for name, value in self.headers.items()})
        answer = proxy.meddler(self.command, self.path, body) if proxy.meddler else None
        if answer is None and proxy.is_busy("requests"):
            answer = 429, {"Retry-After": "0"}, json.dumps({"error": _REFUSED, "status": 429}).encode()
        if answer is None and self.path.partition("?")[0].endswith("/_bulk"):
            answer = self._bulk(body)
        status, heads, content = answer or self._ask(body)
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **heads}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 as they are called

    def _bulk(self, body: bytes) -> Answer:
        """Pass on the items that it isn't busy for."""
        items = _items(body)
        is_busy = [self.server.is_busy("items") for _ in items]
        passed = b"".join(item for item, away in zip(items, is_busy, strict=True) if not away)
        status, heads, content = self._ask(passed) if passed else (200, {}, b'{"items": []}')
        if status != 200:  # noqa: PLR2004 nothing was done
            return status, heads, content
        done = iter(json.loads(content)["items"])
        every = [{"index": {"status": 429, "error": _REFUSED}} if away else next(done) for away in is_busy]
        return status, heads, json.dumps({"errors": True, "items": every}).encode()

    def _ask(self, body: bytes) -> Answer:
        connection = HTTPConnection(*self.server.server, timeout=LIMIT_S)
        try:
            named = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            connection.request(self.command, self.path, body or None, named)
            response = connection.getresponse()
            product = response.getheader("x-elastic-product")
            heads = {"Content-Type": response.getheader("content-type", "application/json")}
            heads |= {"X-elastic-product": product} if product else {}
            return response.status, heads, response.read()
        finally:
            connection.close()


def _items(body: bytes) -> list[bytes]:
    """The items of a bulk's body, each with all its lines."""
    lines = iter(body.splitlines(keepends=True))
    return [line if "delete" in json.loads(line) else line + next(lines) for line in lines]


@contextmanager
def busy_proxy(
    host: str, port: int, share: float = 0.0, meddler: Meddler | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[BusyProxy]:
    """A proxy in front of that server; it talks by TLS if it is given a certificate."""
    proxy = BusyProxy(host, port, share, meddler, tls)
    try:
        yield proxy
    finally:
        proxy.end()
