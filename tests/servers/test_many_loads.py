"""Many small loads into lakes on S3: with maintenance now and then, late ones make no more requests than early ones."""

from statistics import mean

import pytest
from services.s3 import S3Server

import tailrace
from tailrace.destinations import open_destination
from tailrace.model import TableName
from tailrace.testing.messages import INT, TEXT, records, schema, state

LOADS, EVERY, FEW = 36, 9, 6
MOST = 1.5


@pytest.fixture
def server(tmp_path):
    """A server of S3, and a look at how many requests came since the last look."""
    found = S3Server(tmp_path)
    log = (tmp_path / "log").open("rb")
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
    assert mean(counts[-FEW:]) <= MOST * mean(counts[EVERY - FEW : EVERY]), counts
    assert len(listed(to, given)) < EVERY


def listed(to, given):
    destination = open_destination(to, given)
    try:
        return destination.files(TableName("things"))
    finally:
        destination.close()
