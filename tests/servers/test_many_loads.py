"""Many small loads into lakes on S3: with maintenance now and then, late ones make no more requests than early ones."""

from statistics import mean

import pytest
from services.s3 import S3Server

import tailrace
from tailrace.destinations import open_destination
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, records, schema, state

LOADS, EVERY, FEW = 16, 4, 3
MOST_OF_FIRST, MOST_OF_SECOND = 1.5, 1.1
"""A round of loads ends with maintenance: the first one grows to what is usual, and those after it grow no more."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of S3, and a look at how many requests came since the last look."""
    folder = tmp_path_factory.mktemp("s3")
    found = S3Server(folder)
    log = (folder / "log").open("rb")
    try:
        yield found, lambda: sum(b'HTTP/1.1"' in line for line in log.read().splitlines())
    finally:
        log.close()
        found.stop()


@pytest.mark.parametrize(
    ("kind", "key"),
    [("files", []), ("delta", []), ("delta", ["id"]), ("iceberg", []), ("iceberg", ["id"])],
    ids=["files", "delta-appended", "delta-upserted", "iceberg-appended", "iceberg-upserted"],
)
def test_late_loads_cost_what_early_ones_did(server, tmp_path, kind, key):
    s3, requests = server
    bucket = s3.bucket()
    given = {"region": s3.region, "endpoint": s3.endpoint, "access_key_id": s3.key, "secret_access_key": s3.secret}
    to = {
        "files": f"s3://{bucket}/lake",
        "delta": f"delta+s3://{bucket}/lake",
        "iceberg": f"iceberg+sqlite:///{tmp_path}/catalog.db?warehouse=s3://{bucket}/lake",
    }[kind]
    counts = []
    for number in range(LOADS):
        new = [{"id": 5 * number + n, "name": f"{number}"} for n in range(10)]
        requests()
        tailrace.load([schema({"id": INT, "name": TEXT}, key), *records(*new), state({})], to, pipeline="p", **given)
        counts.append(requests())
        if number % EVERY == EVERY - 1:
            tailrace.maintain(to, **given)
    first, second, *_, last = (mean(counts[end - FEW : end]) for end in range(EVERY, LOADS + 1, EVERY))
    assert last <= MOST_OF_FIRST * first, counts
    assert last <= MOST_OF_SECOND * second, counts
    assert len(listed(to, given)) < EVERY


def listed(to, given):
    destination = open_destination(to, given)
    try:
        return destination.files(TableName("things"))
    finally:
        destination.close()
