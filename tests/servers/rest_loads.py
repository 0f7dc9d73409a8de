"""Loads into an endpoint of tests that take little time, whole or by the contract's own calls."""

import tailrace
from tailrace.destinations import open_destination
from tailrace.testing.messages import INT, TEXT, records, schema, state
from tailrace.testing.parts import ID, NAME, batch, checkpoint, stream

QUICK = {"max_wait_s": 0.01, "timeout_s": 5, "concurrency": 1, "max_rows": 2, "retry_s": 5}
ROWS = [{"id": number, "name": f"n{number}"} for number in range(10)]
PLAIN = [schema({"id": INT, "name": TEXT}), *records(*ROWS), state({"at": 10})]
RESULTS = {"list": "/results", "status": "/status", "message": "/error/message"}
THINGS = "things"


def load(server, messages=PLAIN, **settings):
    where = {"url": f"{server.url}/{{stream}}"} if "url" not in settings else {}
    return tailrace.load(messages, "http", **QUICK | where | settings)


def staged(destination, rows=ROWS, number=1, key=(), first_line=2):
    of = stream(ID, NAME, key=key)
    destination.prepare(of)
    numbered = enumerate(rows, start=first_line)
    receipts = [
        destination.stage(batch(of, tuple(row.values()), first_line=line, checkpoint=number)) for line, row in numbered
    ]
    return checkpoint(*receipts, number=number)


def opened(server, path, **settings):
    given = {name: value for name, value in QUICK.items() if name != "retry_s"} | {"url": f"{server.url}/{{stream}}"}
    return open_destination("http", given | {"checkpoints": str(path), **settings})
