"""A TCP proxy on the loopback that cuts connections: after so many bytes, or at a text in what the client sends."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from services.processes import LIMIT_S

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False, slots=True)
class _Link:
    """A client's connection and the one made to the server for it."""

    client: socket.socket
    server: socket.socket
    sent: bytearray = field(default_factory=bytearray)
    is_greeted: bool = False

    def cut(self) -> None:
        """End both at once, with a reset."""
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
                end.close()


class Proxy:
    """Passes bytes on between clients and one server, from a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.passed = 0
        self.cuts = 0
        self._left: int | None = None
        self._text: tuple[bytes, bool] | None = None
        self.seen = bytearray()
        self._strips_tls = False
        self._links: set[_Link] = set()
        self._waking, self._wake = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(self._waking, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._work, name="proxy")
        self._thread.start()

    def cut_after(self, count: int) -> None:
        """Cut all connections once that many more bytes have passed; then go on."""
        self._left = count

    def cut_at(self, text: bytes, *, passes: bool) -> None:
        """Cut all connections once a client sends the text: before the server sees it or, if it passes, its answer."""
        self._text = (text, passes)

    def strip_tls(self) -> None:
        """Take MySQL's offer of TLS out of what servers greet with, as somebody may who wants to read along."""
        self._strips_tls = True

    @property
    def is_armed(self) -> bool:
        """Whether a cut is still to come."""
        return self._left is not None or self._text is not None

    def disarm(self) -> None:
        """Forget a cut that was to come."""
        self._left = self._text = None

    def close(self) -> None:
        """Cut what is left and end the thread."""
        self._wake.send(b".")
        self._thread.join()
        for link in self._links:
            link.cut()
        for end in (self._listening, self._waking, self._wake):
            end.close()
        self._selector.close()

    def _work(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._waking:
                    return
                if key.fileobj is self._listening:
                    self._accept()
                elif key.data in self._links:
                    self._pass(key.data, is_up=key.fileobj is key.data.client)

    def _accept(self) -> None:
        client, _ = self._listening.accept()
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        link = _Link(client, server)
        self._links.add(link)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, link)

    def _pass(self, link: _Link, *, is_up: bool) -> None:
        source, target = (link.client, link.server) if is_up else (link.server, link.client)
        try:
            data = source.recv(65536)
            if not data:
                self._drop(link)
                return
            if is_up:
                self.seen += data
            elif self._strips_tls and not link.is_greeted:
                link.is_greeted, data = True, _without_tls(data)
            if self._left is not None and len(data) > self._left:
                target.sendall(data[: self._left])
                self.passed += self._left
                self._cut_all()
                return
            if is_up and self._text is not None and self._text[0] in link.sent[-len(self._text[0]) :] + data:
                if self._text[1]:
                    target.sendall(data)
                    self._wait_for_answer(link)
                self._cut_all()
                return
            target.sendall(data)
        except OSError:
            self._drop(link)
            return
        link.sent = bytearray(data[-64:]) if is_up else link.sent
        self.passed += len(data)
        if self._left is not None:
            self._left -= len(data)

    @staticmethod
    def _wait_for_answer(link: _Link) -> None:
        """Wait until the server has answered, so that it has done what it was sent."""
        link.server.settimeout(LIMIT_S)
        link.server.recv(65536)

    def _cut_all(self) -> None:
        self.disarm()
        self.cuts += 1
        for link in [*self._links]:
            self._drop(link, cut=True)

    def _drop(self, link: _Link, *, cut: bool = False) -> None:
        self._links.discard(link)
        for end in (link.client, link.server):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
            if not cut:
                end.close()
        if cut:
            link.cut()


def _without_tls(greeting: bytes) -> bytes:
    """A greeting of MySQL's protocol without CLIENT_SSL, the fourth bit of the second byte of what the server can."""
    place = greeting.index(b"\0", 5) + 1 + 4 + 8 + 1 + 1
    return greeting[:place] + bytes([greeting[place] & ~0x08]) + greeting[place + 1 :]


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    """A proxy to that server, gone at the end."""
    made = Proxy(host, port)
    try:
        yield made
    finally:
        made.close()
