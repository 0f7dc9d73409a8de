"""Files and Delta Lake on S3 in the place of Mage's destinations: where rows go, and what partitions them."""

import datetime as dt

import pytest
from deltalake import DeltaTable
from mage_runs import USERS, record, schema, state, upserted

from tailrace.objects import Folder, StoreSettings


@pytest.fixture
def store(s3_server, mage):
    """The settings of a server that runs load into, and a bucket there."""
    keys = {"aws_access_key_id": s3_server.key, "aws_secret_access_key": s3_server.secret}
    where = {"aws_region": s3_server.region, "bucket": s3_server.bucket(), "object_key_path": "users/ds"}
    mage.config = {**keys, **where, "table": "dim_users_v1", "aws_endpoint": s3_server.endpoint}
    return StoreSettings.model_validate({**keys, "region": s3_server.region, "endpoint": s3_server.endpoint})


def test_files_are_where_mage_puts_them_and_have_its_columns(store, mage):
    config = {"file_type": "csv", "date_partition_format": "%Y%m%d", "column_header_format": "upper"}
    for number in (1, 2):  # appended, whatever the SCHEMA says of conflicts
        assert mage(upserted(), record(id=number), state(id=number), config=config, destination="amazon_s3") == 0
    folder = Folder(store, f"s3://{mage.config['bucket']}/users/ds")
    names = [name for name in folder.names("dim_users_v1") if name.endswith(".csv")]
    days = {f"dim_users_v1/{(dt.datetime.now(dt.UTC) - dt.timedelta(days=age)).strftime('%Y%m%d')}" for age in (0, 1)}
    assert {name.rpartition("/")[0] for name in names} <= days
    headers = {folder.get(name).split(b"\n")[0].strip() for name in names}
    assert (len(names), len(headers)) == (2, 1)
    assert headers.pop().decode().replace('"', "").split(",") == [
        *map(str.upper, USERS),
        "_MAGE_CREATED_AT",
        "_MAGE_UPDATED_AT",
    ]


@pytest.mark.parametrize(("mode", "rows"), [("append", ["1", "2"]), ("overwrite", ["2"])])
def test_a_delta_table_is_partitioned_as_the_schema_says_and_appended_to_or_replaced(store, mage, mode, rows):
    for number in (1, 2):
        sent = schema(partition_keys=["first_name"])
        assert mage(sent, record(id=number), state(id=number), config={"mode": mode}, destination="delta_lake_s3") == 0
    url = f"s3://{mage.config['bucket']}/users/ds/dim_users_v1"
    table = DeltaTable(url, storage_options=store.delta_options(url))
    assert table.metadata().partition_columns == ["first_name"]
    assert sorted(table.to_pyarrow_table()["id"].to_pylist()) == rows


def test_a_connection_to_s3_is_tested(store, mage):
    assert mage(destination="amazon_s3", options=["--test_connection"]) == 0
    mage.config["bucket"] = "no-such-bucket"
    assert mage(destination="amazon_s3", options=["--test_connection"]) == 6
