"""An HTTP proxy on the loopback, in front of an S3 server, that makes trouble: errors, cut connections, delays."""

from __future__ import annotations

import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.processes import LIMIT_S

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_OF_ONE_CONNECTION = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
"""Headers that aren't passed on: the proxy has connections of its own, and knows how long a body is."""

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>{}</Message></Error>'
_ANSWERS = {
    "error": (500, "InternalError", "We encountered an internal error. Please try again."),
    "slow_down": (503, "SlowDown", "Please reduce your request rate."),
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Of how many requests each trouble is made, from 0 to 1; at most one is made of a request."""

    error: float = 0.0
    """Answered with 500 InternalError; the server hasn't seen it."""
    slow_down: float = 0.0
    """Answered with 503 SlowDown; the server hasn't seen it."""
    cut_before: float = 0.0
    """The connection is reset before the server has seen the request."""
    cut_after: float = 0.0
    """The connection is reset when the server has done the request, before its answer."""
    delay: float = 0.0
    """Passed on some time later."""
    delay_s: float = 0.1

    def drawn(self, chance: random.Random) -> str:
        """The trouble for a request; mostly none."""
        left = chance.random()
        for kind in ("error", "slow_down", "cut_before", "cut_after", "delay"):
            left -= getattr(self, kind)
            if left < 0:
                return kind
        return ""


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on to one server and makes trouble from the start; `faults` counts it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, rates: Rates, seed: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.server = (host, port)
        self.rates = rates
        self.faults: Counter[str] = Counter()
        self.port = self.server_port
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._chance = random.Random(seed)
        self._is_calm = False
        self._clients: dict[Any, Any] = {}
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="fault proxy", daemon=True)
        self._thread.start()

    def calm(self) -> None:
        """Make no more trouble."""
        self._is_calm = True

    def trouble(self) -> None:
        """Make trouble from now on."""
        self._is_calm = False

    def drawn(self) -> str:
        """The trouble for the next request; mostly none."""
        with self._changed:
            kind = "" if self._is_calm else self.rates.drawn(self._chance)
            if kind:
                self.faults[kind] += 1
            return kind

    def clients(self) -> int:
        """How many connections are open. One whose client has disconnected counts until its requests are done."""
        with socket.create_connection(self.server_address[:2]) as own, self._changed:
            # Connections are taken in the order in which they were made: before ours are all that count.
            name = own.getsockname()
            assert self._changed.wait_for(lambda: name in self._clients.values(), LIMIT_S)
            return len(self._clients) - 1

    def close(self) -> None:
        """End all connections; on return the server has done all requests passed on to it."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._changed:
            for client in self._clients:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            assert self._changed.wait_for(lambda: not self._clients, LIMIT_S), "requests don't end"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection."""
        with self._changed:
            self._clients[request] = client_address
            self._changed.notify_all()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget a closed connection."""
        self.close_request(request)
        with self._changed:
            self._clients.pop(request, None)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error, unless a client has disconnected."""
        if not isinstance(sys.exception(), OSError | EOFError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """The requests of one connection."""

    server: FaultProxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def pass_on(self) -> None:
        """Pass a request on, or make trouble of it."""
        trouble = self.server.drawn()
        if trouble == "cut_before":
            self._cut()
            return
        body = self._body()
        if trouble in _ANSWERS:
            code, name, text = _ANSWERS[trouble]
            self._answer(code, name, [("Content-Type", "application/xml")], _XML.format(name, text).encode())
            return
        if trouble == "delay":
            time.sleep(self.server.rates.delay_s)
        try:
            answer = self._asked(body)
        except (OSError, HTTPException):
            self._cut()
            return
        if trouble == "cut_after":
            self._cut()
        else:
            self._answer(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

    def _body(self) -> bytes:
        """The client's body; EOFError if it disconnects before the end."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self._read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self._line().partition(b";")[0], 16):
            chunks.append(self._read(size))
            self._line()
        while self._line().strip():
            pass
        return b"".join(chunks)

    def _line(self) -> bytes:
        if line := self.rfile.readline(65536):
            return line
        raise EOFError

    def _read(self, size: int) -> bytes:
        content = self.rfile.read(size)
        if len(content) < size:
            raise EOFError
        return content

    def _asked(self, body: bytes) -> tuple[int, str, list[tuple[str, str]], bytes]:
        """The server's answer."""
        with closing(HTTPConnection(*self.server.server, timeout=LIMIT_S)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _passed(self.headers.items()):
                connection.putheader(name, value)
            if body or self.command in ("PUT", "POST"):
                connection.putheader("Content-Length", str(len(body)))
            connection.putheader("Connection", "close")
            connection.endheaders(body or None)
            with connection.getresponse() as response:
                headers, content = response.getheaders(), response.read()
                # What HEAD would have given has a length, though nothing comes.
                sizes = [pair for pair in headers if pair[0].lower() == "content-length" and self.command == "HEAD"]
                return response.status, response.reason, [*_passed(headers), *sizes], content

    def _answer(self, code: int, reason: str, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(code, reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD" and code not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _cut(self) -> None:
        """End the connection with a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self.close_connection = True


def _passed(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that are passed on, without the length."""
    return [pair for pair in headers if pair[0].lower() not in {*_OF_ONE_CONNECTION, "content-length"}]


@contextmanager
def fault_proxy(host: str, port: int, rates: Rates, seed: int = 0) -> Iterator[FaultProxy]:
    """A proxy to that server, gone at the end."""
    made = FaultProxy(host, port, rates, seed)
    try:
        yield made
    finally:
        made.close()
