"""A REST endpoint for tests, on this machine, that keeps tables in memory and misbehaves when it is told to.

`POST /TABLE` adds a JSON list, JSON Lines or a form to a table, or updates by the table's key; `POST /results/TABLE` is
the same and answers with a result for each row; `PUT /TABLE/KEY` is one row, `DELETE /TABLE/KEY` deletes it. A request
whose `Idempotency-Key` was seen gets the answer that the first one got. `POST /token` gives tokens of OAuth, and
`POST /indexes/NAME/docs/index` is a search service's.
"""

from __future__ import annotations

import base64
import gzip
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from services.certificates import Certificate

Raws = dict[str, msgspec.Raw]
BOMB = gzip.compress(bytes(2**24))
CLIENT = ("client", "cl13nt-s3cret")


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at_s: float


@dataclass(slots=True)
class Rest:
    """The endpoint: what it holds, what it was sent, and how it is to misbehave.

    `trouble` are the names of what goes wrong with the next requests, one each; None is a request that goes well.
    `refuses` gives the reason why a row isn't taken, `puts_off` whether a row is to come again.
    """

    port: int = 0
    scheme: str = "http"
    tables: dict[str, dict[object, Raws]] = field(default_factory=dict)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kept: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    trouble: deque[str | None] = field(default_factory=deque)
    refuses: Callable[[dict[str, Any]], str | None] = lambda _: None
    puts_off: Callable[[dict[str, Any]], bool] = lambda _: False
    honours_keys: bool = True
    tokens: list[str] = field(default_factory=list)
    wants: str | None = None
    elsewhere: str = ""
    lasts_s: int = 3600
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, as plain JSON."""
        return [
            {name: json.loads(bytes(value)) for name, value in row.items()}
            for row in self.tables.get(table, {}).values()
        ]

    def answer(self, request: Received) -> tuple[int, bytes]:
        """Take the request; the status and the body of the answer."""
        with self.lock:
            key = request.headers.get("idempotency-key") if self.honours_keys else None
            if key in self.kept:
                return self.kept[key]
            answer = self._taken(request)
            if key:
                self.kept[key] = answer
            return answer

    def _taken(self, request: Received) -> tuple[int, bytes]:
        steps = [unquote(step) for step in urlsplit(request.target).path.split("/")[1:]]
        if request.method == "HEAD":
            return 200, b""
        if steps == ["token"]:
            return self._token(request)
        if request.method == "DELETE":
            return self._deleted(*steps)
        if steps[0] == "indexes":
            return self._indexed(steps[1], request)
        return self._loaded(steps, request)

    def _loaded(self, steps: list[str], request: Received) -> tuple[int, bytes]:
        says_each = steps[0] == "results"
        name = steps[1] if says_each else steps[0]
        rows = parsed(request)
        decoded = [{n: json.loads(bytes(v)) for n, v in row.items()} for row in rows]
        reasons = [self.refuses(row) for row in decoded]
        if not says_each:
            if any(reasons):
                return 422, json.dumps({"message": next(filter(None, reasons))}).encode()
            for row in rows:
                self._put(name, row)
            return 201, b"{}"
        results = []
        for row, plain, reason in zip(rows, decoded, reasons, strict=True):
            is_busy = self.puts_off(plain)
            status = 422 if reason else 429 if is_busy else self._put(name, row)
            results.append({"status": status, "error": {"message": reason}})
        return 200, json.dumps({"results": results}).encode()

    def _indexed(self, name: str, request: Received) -> tuple[int, bytes]:
        """As Azure AI Search answers to `POST /indexes/NAME/docs/index`: 207 where a document isn't taken."""
        documents = msgspec.json.decode(request.body, type=dict[str, list[Raws]])["value"]
        results = []
        for document in documents:
            plain = {field: json.loads(bytes(value)) for field, value in document.items()}
            reason = self.refuses(plain) or ("try again later" if self.puts_off(plain) else None)
            refused = 400 if self.refuses(plain) else 503
            status = refused if reason else self._put(name, document)
            results.append(
                {"key": str(plain["id"]), "status": not reason, "errorMessage": reason, "statusCode": status}
            )
        is_whole = all(result["status"] for result in results)
        return 200 if is_whole else 207, json.dumps({"value": results}).encode()

    def _put(self, table: str, row: Raws) -> int:
        rows, key = self.tables.setdefault(table, {}), self.keys.get(table)
        if key and 0 in rows:  # it had none when they came
            rows = self.tables[table] = {_place(row, key): row for row in rows.values()}
        place = _place(row, key) if key else len(rows)
        if place in rows:
            rows[place] |= row
            return 200
        rows[place] = dict(row)
        return 201

    def _deleted(self, table: str, key: str) -> tuple[int, bytes]:
        rows = self.tables.get(table, {})
        found = [place for place in rows if ",".join(str(json.loads(part)) for part in place) == key]
        for place in found:
            del rows[place]
        return (204 if found else 404), b""

    def _token(self, request: Received) -> tuple[int, bytes]:
        given = base64.b64decode(request.headers.get("authorization", " ").split(" ")[1]).decode()
        form = parse_qs(request.body.decode())
        if given != ":".join(CLIENT) and (form.get("client_id"), form.get("client_secret")) != tuple(
            [c] for c in CLIENT
        ):
            return 401, b'{"error":"invalid_client"}'
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        self.wants = f"Bearer {self.tokens[-1]}"
        return 200, json.dumps({"access_token": self.tokens[-1], "expires_in": self.lasts_s}).encode()


def _place(row: Raws, key: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(bytes(row[name]) for name in key)


def parsed(request: Received) -> list[Raws]:
    """The rows in a request's body; in an object they stand under `records`, or it is the one row."""
    kind = request.headers.get("content-type")
    if kind == "application/x-www-form-urlencoded":
        form = parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)
        return [{name: msgspec.Raw(json.dumps(values[0]).encode()) for name, values in form.items()}]
    if kind == "application/x-ndjson":
        return [msgspec.json.decode(line, type=Raws) for line in request.body.split(b"\n")[:-1]]
    if request.body.startswith(b"["):
        return msgspec.json.decode(request.body, type=list[Raws])
    body = msgspec.json.decode(request.body, type=Raws)
    return msgspec.json.decode(body["records"], type=list[Raws]) if "records" in body else [body]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rest: Rest

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.command, self.path, headers, body, time.monotonic())
        rest = self.rest
        with rest.lock:
            rest.received.append(request)
            rest.at_once += 1
            rest.most_at_once = max(rest.most_at_once, rest.at_once)
            is_token = self.path == "/token"
            trouble = rest.trouble.popleft() if rest.trouble and not is_token else None
            is_wrong = rest.wants is not None and not is_token and headers.get("authorization") != rest.wants
        try:
            if is_wrong:
                self.say(401, b"{}")
            else:
                getattr(self, f"do_{trouble}" if trouble else "do_well")(request)
        finally:
            with rest.lock:
                rest.at_once -= 1

    do_PUT = do_PATCH = do_DELETE = do_HEAD = do_POST  # noqa: N815 http.server's names

    def say(self, status: int, body: bytes, **headers: str) -> None:
        """Answer in full."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_well(self, request: Received) -> None:
        """Take it and say so."""
        self.say(*self.rest.answer(request))

    def do_slow(self, request: Received) -> None:
        """Take it, in a while."""
        time.sleep(0.1)
        self.do_well(request)

    def do_busy(self, _: Received) -> None:
        """Have it come again in a second."""
        self.say(429, b"", Retry_After="1")

    def do_busy_until(self, _: Received) -> None:
        """Have it come again at a time of day."""
        self.say(503, b"", Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True))

    def do_fail(self, _: Received) -> None:
        """Fail, and take nothing."""
        self.say(500, b"oh no")

    def do_take_and_fail(self, request: Received) -> None:
        """Take it, and say that it failed."""
        self.rest.answer(request)
        self.say(500, b"oh no")

    def do_take_and_cut(self, request: Received) -> None:
        """Take it, and end in the middle of the answer."""
        status, body = self.rest.answer(request)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + 100))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_cut(self, _: Received) -> None:
        """End without an answer."""
        self.close_connection = True

    def do_drip(self, request: Received) -> None:
        """Take it, and answer one byte at a time."""
        self.rest.answer(request)
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self._drip()

    def do_drip_headers(self, request: Received) -> None:
        """Take it, and say the headers one byte at a time."""
        self.rest.answer(request)
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        self._drip()

    def _drip(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.05)

    def do_redirect(self, request: Received) -> None:
        """Send it elsewhere."""
        self.say(307, b"", Location=f"{self.rest.elsewhere}{request.target}")

    def do_expire(self, _: Received) -> None:
        """Take no token any more but a new one."""
        self.rest.wants = "Bearer a new one"
        self.say(401, b"{}")

    def do_garbage(self, request: Received) -> None:
        """Take it, and answer in chunks that aren't any."""
        self.rest.answer(request)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"zz\r\nnothing\r\n")
        self.close_connection = True

    def do_huge(self, request: Received) -> None:
        """Take it, and answer without an end."""
        self.rest.answer(request)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b"10000\r\n" + b"x" * 2**16 + b"\r\n")

    def do_bomb(self, request: Received) -> None:
        """Take it, and answer with 16 MiB that are packed."""
        self.rest.answer(request)
        self.say(200, BOMB, Content_Encoding="gzip")

    def do_pack(self, request: Received) -> None:
        """Take it, and answer packed though nobody has asked."""
        status, body = self.rest.answer(request)
        self.say(status, gzip.compress(body), Content_Encoding="gzip")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients go away."""


@contextmanager
def rest(certificate: Certificate | None = None, authority: Path | None = None) -> Iterator[Rest]:
    """The endpoint, until the block ends; with a certificate it is encrypted, and with an authority asks for theirs."""
    made = Rest()
    handler = type("Handler", (_Handler,), {"rest": made})
    with _Server(("127.0.0.1", 0), handler) as server:
        if certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
            context.load_cert_chain(certificate.certificate, certificate.key)
            context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            made.scheme = "https"
        made.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
