"""Delta Lake does what every destination does, on this machine and on S3; tables are read by deltalake alone."""

import datetime as dt
from uuid import UUID

import pytest
from deltalake import DeltaTable

from tailrace.destinations import open_destination
from tailrace.testing import Subject, behaviours

VARIES = {
    "local": None,
    # How objects are listed, read, put if absent and removed; what is in them is the same.
    "s3": frozenset({"refusals", "checkpoints", "contract"}),
}
CASES = [(subject, behaviour) for subject, varies in VARIES.items() for behaviour in behaviours(varies)]


@pytest.fixture
def subject(request, tmp_path):
    options = {}
    if request.param == "local":
        url, root = f"delta://{tmp_path}/lake", f"{tmp_path}/lake"
    else:
        server = request.getfixturevalue("s3_server")
        bucket = server.bucket()
        url, root = f"delta+s3://{bucket}/lake?{server.query}", f"s3://{bucket}/lake"
        options = server.delta_options

    def rows(table, schema=None):
        folders = [folder(name) for name in (schema, table) if name]
        address = "/".join([root, *folders])
        if not DeltaTable.is_deltatable(address, options):
            return []
        found = DeltaTable(address, storage_options=options)
        kinds = {f.name: f.metadata.get("tailrace.kind") for f in found.schema().fields}
        return [{n: plain(v, kinds[n]) for n, v in row.items()} for row in found.to_pyarrow_table().to_pylist()]

    return Subject(open=lambda: open_destination(url, {}), rows=rows, varies=VARIES[request.param])


def folder(name):
    """A table's name as the folder that it is in: letters, digits and a few signs are themselves."""
    plain = "".join(c if c.isalnum() or c in "_-=," or (c == "." and n) else f"~{ord(c):x}" for n, c in enumerate(name))
    assert len(plain.encode()) <= 200
    return plain


def plain(value, kind):
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC)
    if value is not None and kind == "TIME":
        return dt.time.fromisoformat(value)
    return str(value) if isinstance(value, UUID) else value


@pytest.mark.parametrize(("subject", "behaviour"), CASES, indirect=["subject"])
def test_delta(subject, behaviour):
    behaviour(subject)
