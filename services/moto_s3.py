"""Serves moto's S3, by `python moto_s3.py HOST PORT` with the Python that has moto.

moto's own program compares every request with what all services are named, starts a thread for it, closes its
connection and logs it, which takes longer than what S3 does.
"""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any
from urllib.parse import unquote_to_bytes

os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"  # what browsers alone ask for; moto reads it when imported

from cheroot.wsgi import Server
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    create_backend_app,
)

_IDLE_S = 3600
"""How long a connection may be idle: longer than a test."""

_CLIENTS = 32
"""How many may send a request at a time; whoever is between two is none of them."""


class _OneByOne:
    """The application, which does a request when all of it has come, and no other meanwhile.

    So a request's conditions hold until it is done: moto checks them first, and locks nothing.
    """

    def __init__(self) -> None:
        dispatcher = DomainDispatcherApplication(create_backend_app)
        dispatcher.get_backend_for_host = cache(dispatcher.get_backend_for_host)
        dispatcher.get_application({})  # S3, since nothing else is named; others are loaded when first asked for
        self._app = dispatcher
        self._free = Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        body = _body(environ)
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body)), "RAW_URI": environ["REQUEST_URI"]}
        # In keys an encoded slash isn't a slash: moto takes them from what was sent, and expects this wholly decoded.
        environ["PATH_INFO"] = unquote_to_bytes(environ["REQUEST_URI"].partition("?")[0]).decode("latin-1")
        with self._free:
            return list(self._app(environ, start))


def _body(environ: dict[str, Any]) -> bytes:
    """All that the client sends; ConnectionError if it disconnects before the end."""
    if environ["wsgi.input_terminated"]:
        body: bytes = environ["wsgi.input"].read()
        list(environ["wsgi.input"].read_trailer_lines())
        del environ["HTTP_TRANSFER_ENCODING"]
        return body
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(size)
    if len(body) < size:
        raise ConnectionError(f"{len(body)} bytes of {size} came")
    return body


def main(host: str, port: str) -> None:
    """Serve until the process ends."""
    server = Server((host, int(port)), _OneByOne(), numthreads=_CLIENTS, request_queue_size=128, timeout=_IDLE_S)
    server.keep_alive_conn_limit = 1000
    gc.collect()
    gc.freeze()
    server.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
