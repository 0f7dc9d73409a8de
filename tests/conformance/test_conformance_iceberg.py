"""Iceberg does what every destination does, on this machine and on S3; tables are read by pyiceberg alone."""

from datetime import UTC, datetime

import pytest
from pyiceberg.avro import file
from pyiceberg.avro.file import AvroFileHeader
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchTableError

from tailrace.destinations import open_destination
from tailrace.testing import Subject, behaviours

VARIES = {
    "local": None,
    # How objects are read, put and removed; the catalog, and what is in objects, is the same.
    "s3": frozenset({"refusals", "checkpoints", "contract"}),
}
CASES = [(subject, behaviour) for subject, varies in VARIES.items() for behaviour in behaviours(varies)]


def addressed(request, tmp_path):
    """A catalog's address, and the properties by which pyiceberg reaches it."""
    uri = f"sqlite:///{tmp_path}/catalog.db"
    if request.param == "local":
        warehouse = f"{tmp_path}/lake"
        return f"iceberg+{uri}?warehouse={warehouse}&namespace=main", {"uri": uri, "warehouse": warehouse}
    server = request.getfixturevalue("s3_server")
    warehouse = f"s3://{server.bucket()}/lake"
    return (
        f"iceberg+{uri}?warehouse={warehouse}&namespace=main&{server.query}",
        {"uri": uri, **server.iceberg_properties},
    )


@pytest.fixture(scope="module", autouse=True)
def kept_readers():
    """Keep what pyiceberg reads manifests by: to make it takes longer than to read, and it is made for each file."""
    schemas, readers = {}, {}
    schema_of, resolve = AvroFileHeader.get_schema, file.resolve_reader

    def get_schema(header):
        text = header.meta["avro.schema"]
        if text not in schemas:
            schemas[text] = schema_of(header)
        return schemas[text]

    def resolve_reader(written, read, types, enums):
        key = (id(written), id(read), *types.items(), *enums.items())
        if key not in readers:
            readers[key] = resolve(written, read, types, enums), written, read  # kept, for an id is given anew
        return readers[key][0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AvroFileHeader, "get_schema", get_schema)
        patch.setattr(file, "resolve_reader", resolve_reader)
        yield


@pytest.fixture
def subject(request, tmp_path):
    url, properties = addressed(request, tmp_path)

    def rows(table, schema="main"):
        with load_catalog("default", type="sql", **properties) as catalog:
            try:
                found = catalog.load_table((schema or "main", table))
            except NoSuchTableError:
                return []
            return [{name: plain(v) for name, v in row.items()} for row in found.scan().to_arrow().to_pylist()]

    return Subject(open=lambda: open_destination(url, {}), rows=rows, varies=VARIES[request.param])


def plain(value):
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo else value


@pytest.mark.parametrize(("subject", "behaviour"), CASES, indirect=["subject"])
def test_iceberg(subject, behaviour):
    behaviour(subject)
