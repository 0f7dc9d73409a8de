"""Lakes on an S3 server: where keys come from, roles, large objects, and what fails now and then."""

import io

import pytest
from deltalake import DeltaTable
from pyiceberg.catalog import load_catalog
from services.faults import Rates, fault_proxy

from tailrace import load
from tailrace.destinations import open_destination
from tailrace.errors import DestinationError
from tailrace.objects import Folder, StoreSettings
from tailrace.testing.messages import INT, TEXT, record, records, schema
from tailrace.testing.parts import PIPELINE, batch, checkpoint, stream

ROW = {"id": INT, "name": TEXT}
ODD_NAMES = ("a+b 50%25", "é列", "😀", "'a\"b`")


@pytest.fixture
def bucket(s3_server):
    return s3_server.bucket()


@pytest.fixture(params=["", "delta+"], ids=["files", "delta"])
def lake(request, bucket):
    """The address of an empty lake, without what it needs to say of the server."""
    return f"{request.param}s3://{bucket}/lake"


def given(server, **more):
    """The settings by which the server is reached."""
    keys = {"region": server.region, "endpoint": server.endpoint, "access_key_id": server.key}
    return keys | {"secret_access_key": server.secret} | more


def listed(address, server, table="things"):
    destination = open_destination(address, given(server))
    try:
        return destination.files(stream(name=table).table)
    finally:
        destination.close()


def test_keys_come_from_where_awss_own_tools_find_them(lake, s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    load([schema(ROW), record({"id": 1})], lake, region=s3_server.region, endpoint=s3_server.endpoint)
    assert len(listed(lake, s3_server)) == 1


def test_without_any_keys_it_is_said_that_there_are_none(lake, s3_server, monkeypatch, tmp_path):
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DestinationError, match="no keys were found: set `access_key_id`"):
        load([schema(ROW), record({"id": 1})], lake, region=s3_server.region, endpoint=s3_server.endpoint)


def test_a_role_is_taken_on(lake, s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3_server.endpoint)
    role = {"role_arn": "arn:aws:iam::111111111111:role/loader", "role_session_name": "tests"}
    load([schema(ROW), record({"id": 1})], lake, **given(s3_server, **role))
    assert len(listed(lake, s3_server)) == 1


def test_a_bucket_that_is_not_there_is_named(s3_server):
    for scheme in ("s3", "delta+s3"):
        with pytest.raises(DestinationError, match=r"no such bucket"):
            load([schema(ROW), record({"id": 1})], f"{scheme}://nowhere/lake", **given(s3_server))


def test_a_secret_is_in_no_error_and_no_pickle(lake, s3_server):
    destination = open_destination(lake, given(s3_server))
    assert s3_server.secret not in repr(destination) + repr(vars(destination._tables))


def test_a_file_of_many_parts_is_uploaded_and_read_whole(bucket, s3_server):
    folder = Folder(StoreSettings(**given(s3_server)), f"s3://{bucket}/lake")
    content = bytes(range(256)) * 100_000
    folder.put_file("large", io.BytesIO(content))
    with folder.open("large") as file:
        file.seek(-300, 2)
        assert file.read() == content[-300:]
        file.seek(256 * 50_000)
        assert file.read(256) == bytes(range(256))
    assert folder.get("large") == content


def test_an_object_is_put_once(bucket, s3_server):
    folder = Folder(StoreSettings(**given(s3_server)), f"s3://{bucket}/lake")
    assert folder.put_new("a", b"one")
    assert folder.put_new("a", b"one")
    assert not folder.put_new("a", b"two")
    assert folder.get("a") == b"one"


def test_removing_what_is_not_there_is_no_error(bucket, s3_server):
    folder = Folder(StoreSettings(**given(s3_server)), f"s3://{bucket}/lake")
    folder.put("a", b"")
    folder.remove(["a", "b"])
    assert list(folder.names()) == []


@pytest.mark.parametrize("key", [[], ["id"]], ids=["appended", "upserted"])
def test_a_store_that_fails_now_and_then_is_asked_again(bucket, s3_server, key):
    rates = Rates(error=0.05, slow_down=0.05, cut_before=0.05, cut_after=0.05)
    with fault_proxy(s3_server.host, s3_server.port, rates, seed=3) as between:
        settings = given(s3_server, endpoint=f"http://127.0.0.1:{between.port}")
        for first in (0, 500):
            sent = [record({"id": n, "name": "a"}) for n in range(first, first + 1000)]
            load([schema(ROW, key), *sent], f"delta+s3://{bucket}/lake", checkpoint_rows=200, pipeline="p", **settings)
        assert sum(between.faults.values())
    found = DeltaTable(f"s3://{bucket}/lake/things", storage_options=s3_server.delta_options).to_pyarrow_table()
    assert found.num_rows == (1500 if key else 2000)


def test_a_commit_that_another_writer_has_overtaken_is_done_anew(bucket, s3_server):
    address, path = f"delta+s3://{bucket}/lake", f"s3://{bucket}/lake/things"
    one = stream()
    destination = open_destination(address, given(s3_server))
    destination.recover(PIPELINE)
    destination.prepare(one)
    looked = destination._tables.table(one.table)
    load(
        [schema(ROW, ["id"]), *records({"id": 1, "name": "other"}, {"id": 2, "name": "other"})],
        address,
        **given(s3_server),
    )
    tables = destination._tables
    views = iter([looked])
    fresh = tables.table
    tables.table = lambda table: next(views, None) or fresh(table)
    destination.commit(checkpoint(destination.stage(batch(one, (1, "ours")))))
    found = DeltaTable(path, storage_options=s3_server.delta_options).to_pyarrow_table().to_pylist()
    assert sorted((row["id"], row["name"]) for row in found) == [(1, "ours"), (2, "other")]
    destination.close()


def under_odd_names(number):
    """A row of that number for each of the names."""
    for name in ODD_NAMES:
        yield schema(ROW, ["id"], name)
        yield record({"id": 1, "name": str(number)}, name)


@pytest.mark.parametrize("method", ["append", "upsert", "replace"])
def test_names_of_any_letters_and_signs_are_in_keys(lake, s3_server, method):
    if method == "upsert" and lake.startswith("s3"):
        pytest.skip("files can't be upserted into")
    for n in (1, 2):
        load(under_odd_names(n), lake, naming="preserve", method=method, **given(s3_server))
    files = {name: len(listed(lake, s3_server, name)) for name in ODD_NAMES}
    assert files == dict.fromkeys(ODD_NAMES, 2 if method == "append" else 1)


def test_names_of_any_letters_and_signs_are_in_keys_of_iceberg(bucket, s3_server, tmp_path):
    catalog = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"s3://{bucket}/lake"}
    for n in (1, 2):
        address = f"iceberg+{catalog['uri']}?warehouse={catalog['warehouse']}&namespace=main"
        load(under_odd_names(n), address, naming="preserve", method="upsert", **given(s3_server))
    with load_catalog("default", type="sql", **catalog, **s3_server.iceberg_properties) as lake:
        rows = {name: lake.load_table(("main", name)).scan().to_arrow().to_pylist() for name in ODD_NAMES}
    assert rows == {name: [{"id": 1, "name": "2"}] for name in ODD_NAMES}


def test_buckets_of_others_are_not_touched(s3_server, bucket, lake):
    other = s3_server.bucket()
    load([schema(ROW), record({"id": 1})], lake, **given(s3_server))
    assert s3_server.names(other) == []
    assert all(name.startswith("lake/") for name in s3_server.names(bucket))
