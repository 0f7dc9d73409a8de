"""A store on the loopback that gives every request the same answer, and counts them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{}</Code><Message>Raw words of {}.</Message></Error>'


class RefusingStore(ThreadingHTTPServer):
    """Answers with one status and one code of S3; `asked` counts the requests."""

    daemon_threads = True

    def __init__(self, status: int, code: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.status, self.code, self.asked = status, code, 0
        self.endpoint = f"http://127.0.0.1:{self.server_port}"


class _Request(BaseHTTPRequestHandler):
    """The requests of one connection."""

    server: RefusingStore
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def refuse(self) -> None:
        """Give the answer."""
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked += 1
        body = _XML.format(self.server.code, self.server.code).encode()
        if b"Action=AssumeRole" in asked:
            body = body.replace(b"<Error>", b"<ErrorResponse><Error>") + b"</ErrorResponse>"
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = refuse  # noqa: N815


@contextmanager
def refusing(status: int, code: str) -> Iterator[RefusingStore]:
    """A store that gives that answer, gone at the end."""
    made = RefusingStore(status, code)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
