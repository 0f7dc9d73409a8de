"""Whole config.json files of other targets for warehouses, as their users have them: see the other destinations'."""

import json

import pytest

from tailrace.errors import ConfigError


def secret(settings):
    return settings.password.get_secret_value()


MAGE_SNOWFLAKE = {
    "account": "abc1234.us-east-1",
    "database": "DEMO_DB",
    "disable_double_quotes": False,
    "password": "abc123",
    "role": "ROLE",
    "schema": "PUBLIC",
    "table": "dim_users_v1",
    "username": "guest",
    "warehouse": "COMPUTE_WH",
    "use_batch_load": False,
    "skip_schema_creation": True,
    "lower_case": True,
    "disable_update_column_types": True,
}


def test_mages_config_for_snowflake(loaded):
    run, own = loaded(MAGE_SNOWFLAKE, "snowflake")
    assert (own.account, own.user, secret(own), own.role) == ("abc1234.us-east-1", "guest", "abc123", "ROLE")
    assert (own.database, own.schema_there, own.warehouse) == ("DEMO_DB", "PUBLIC", "COMPUTE_WH")
    assert (run.table, run.naming, own.disable_double_quotes) == ("dim_users_v1", "snake", False)
    _, own = loaded({**MAGE_SNOWFLAKE, "schema": "raw", "disable_double_quotes": True}, "snowflake")
    assert own.schema_there == "RAW"


MELTANO_SNOWFLAKE = {
    "account": "my_org-my_account",
    "add_record_metadata": True,
    "batch_size_rows": 10000,
    "clean_up_batch_files": True,
    "database": "WAREHOUSE_DB",
    "default_target_schema": "tap_github",
    "faker_config": {"locale": None},
    "flattening_enabled": False,
    "hard_delete": True,
    "load_method": "upsert",
    "private_key_passphrase": "hush",
    "private_key_path": "/keys/loader.p8",
    "process_activate_version_messages": True,
    "role": "LOADER",
    "schema": "PUBLIC",
    "stream_maps": {},
    "use_browser_authentication": False,
    "user": "loader",
    "validate_records": True,
    "warehouse": "LOADING",
}


def test_meltanos_config_for_snowflake(loaded):
    run, own = loaded(MELTANO_SNOWFLAKE, "snowflake")
    assert (own.account, own.user, own.role, own.warehouse) == ("my_org-my_account", "loader", "LOADER", "LOADING")
    assert (str(own.private_key_file), own.private_key_file_pwd.get_secret_value()) == ("/keys/loader.p8", "hush")
    assert (own.database, own.schema_name) == ("WAREHOUSE_DB", "tap_github")
    assert (run.batch_rows, run.metadata, run.method, run.hard_delete) == (10000, "singer", None, True)
    without_key = {**MELTANO_SNOWFLAKE, "private_key_path": None, "private_key_passphrase": None}
    _, own = loaded({**without_key, "oauth_access_token": "t"}, "snowflake")
    assert own.token.get_secret_value() == "t"
    _, own = loaded({**without_key, "private_key": "-----BEGIN", "default_target_schema": ""}, "snowflake")
    assert (own.private_key.get_secret_value(), own.schema_name) == ("-----BEGIN", "PUBLIC")
    with pytest.raises(ConfigError, match=r"^use_browser_authentication: .*no browser"):
        loaded({**without_key, "use_browser_authentication": True}, "snowflake")


PIPELINEWISE_SNOWFLAKE = {
    "account": "rtxxxxx.eu-central-1",
    "dbname": "database_name",
    "user": "my_user",
    "password": "password",
    "warehouse": "my_virtual_warehouse",
    "role": "ppw_target_snowflake",
    "file_format": "my_schema.my_file_format",
    "default_target_schema": "my_target_schema",
    "default_target_schema_select_permission": ["grp_stats"],
    "schema_mapping": {"public": {"target_schema": "repl"}},
    "batch_size_rows": 100000,
    "batch_wait_limit_seconds": 60,
    "flush_all_streams": False,
    "parallelism": 0,
    "parallelism_max": 16,
    "disable_table_cache": False,
    "add_metadata_columns": True,
    "hard_delete": True,
    "data_flattening_max_level": 0,
    "primary_key_required": True,
    "validate_records": False,
    "temp_dir": "/tmp",
    "no_compression": False,
    "query_tag": "{{database}}.{{schema}}",
    "archive_load_files": False,
    "archive_load_files_s3_prefix": "archive",
}
THROUGH_S3 = {
    "s3_bucket": "bucket",
    "s3_key_prefix": "snowflake/",
    "s3_acl": "private",
    "aws_access_key_id": "key",
    "aws_secret_access_key": "hush",
    "client_side_encryption_master_key": "hush",
}


def test_pipelinewises_config_for_snowflake(loaded):
    run, own = loaded(PIPELINEWISE_SNOWFLAKE, "snowflake")
    assert (own.account, own.user, secret(own)) == ("rtxxxxx.eu-central-1", "my_user", "password")
    assert (own.database, own.schema_name, own.warehouse) == (
        "database_name",
        "my_target_schema",
        "my_virtual_warehouse",
    )
    assert (run.batch_rows, run.batch_age_s, run.max_parallelism) == (100000, 60, 16)
    assert (run.metadata, run.hard_delete, run.nested, run.validation) == ("singer", True, "json", "off")
    assert run.for_stream("public-orders").schema_name == "repl"
    _, own = loaded({**PIPELINEWISE_SNOWFLAKE, **THROUGH_S3, "stage": "my_schema.my_stage"}, "snowflake")
    assert own.database == "database_name"
    with pytest.raises(ConfigError, match=r"^archive_load_files: "):
        loaded({**PIPELINEWISE_SNOWFLAKE, "archive_load_files": True}, "snowflake")


def test_a_bucket_that_no_stage_is_on_is_not_ignored(loaded):
    with pytest.raises(ConfigError, match=r"^s3_bucket: it can't be had here") as refused:
        loaded({**PIPELINEWISE_SNOWFLAKE, **THROUGH_S3}, "snowflake")
    assert "hush" not in str(refused.value)


KEY = {"type": "service_account", "project_id": "my-project", "private_key": "hush", "client_email": "a@b"}
MAGE_BIGQUERY = {
    "path_to_credentials_json_file": "/keys/loader.json",
    "project_id": "my-project",
    "dataset": "raw",
    "location": "",
    "table": "dim_users_v1",
    "disable_update_column_types": False,
    "use_batch_load": True,
    "lower_case": True,
    "skip_schema_creation": True,
    "unique_constraints": ["id"],
    "unique_conflict_method": "UPDATE",
}


def test_mages_config_for_bigquery(loaded):
    run, own = loaded(MAGE_BIGQUERY, "bigquery")
    assert (own.project_id, own.dataset, own.location) == ("my-project", "raw", None)
    assert (str(own.path_to_credentials_json_file), own.credentials_info) == ("/keys/loader.json", None)
    assert (own.disable_update_column_types, own.use_storage_write_api) == (False, False)
    assert (run.table, run.key_properties, run.method, run.naming) == ("dim_users_v1", ("id",), "upsert", "snake")
    by_info = {**MAGE_BIGQUERY, "path_to_credentials_json_file": None, "credentials_info": KEY, "use_batch_load": False}
    _, own = loaded({**by_info, "disable_update_column_types": True}, "bigquery")
    assert (json.loads(own.credentials_info.get_secret_value()), own.disable_update_column_types) == (KEY, True)
    _, own = loaded({**MAGE_BIGQUERY, "credentials_info": {}}, "bigquery")
    assert own.credentials_info is None
    older = {"database": "my-project", "path_to_credentials_json_file": "k.json", "schema": "raw", "table": "users"}
    _, own = loaded(older, "bigquery")
    assert (own.project_id, own.dataset) == ("my-project", "raw")


MELTANO_BIGQUERY = {
    "project": "my-project",
    "dataset": "tap_github",
    "location": "US",
    "credentials_path": "/keys/loader.json",
    "batch_size": 500,
    "fail_fast": True,
    "timeout": 600,
    "denormalized": True,
    "method": "storage_write_api",
    "generate_view": False,
    "partition_granularity": "month",
    "cluster_on_key_properties": False,
    "column_name_transforms": {"lower": False, "quote": False, "snake_case": False},
    "options": {"storage_write_batch_mode": False, "process_pool": False, "max_workers": 4},
    "upsert": False,
    "overwrite": False,
    "dedupe_before_upsert": False,
    "schema_resolver_version": 2,
    "stream_maps": {},
    "flattening_enabled": False,
}


def test_meltanos_config_for_bigquery(loaded):
    run, own = loaded(MELTANO_BIGQUERY, "bigquery")
    assert (own.project_id, own.dataset, own.location) == ("my-project", "tap_github", "US")
    assert (str(own.path_to_credentials_json_file), own.use_storage_write_api) == ("/keys/loader.json", True)
    assert (run.method, run.on_invalid, run.batch_rows, run.max_parallelism) == (None, "fail", 50_000, 4)
    by_json = {**MELTANO_BIGQUERY, "credentials_path": None, "credentials_json": json.dumps(KEY)}
    run, own = loaded({**by_json, "fail_fast": False}, "bigquery")
    assert (json.loads(own.credentials_info.get_secret_value()), run.on_invalid) == (KEY, "quarantine")


@pytest.mark.parametrize("way", ["batch_job", "gcs_stage", "streaming_insert"])
def test_the_ways_into_bigquery_of_meltanos_target_are_load_jobs_but_for_one(loaded, way):
    run, own = loaded({**MELTANO_BIGQUERY, "method": way, "bucket": "stage"}, "bigquery")
    assert (run.method, own.use_storage_write_api) == (None, False)
    run, own = loaded({**MELTANO_BIGQUERY, "method": way}, "bigquery", "method=append", "use_storage_write_api=true")
    assert (run.method, own.use_storage_write_api) == ("append", True)


def test_what_meltanos_target_appends_upserts_and_overwrites(loaded):
    def methods(**given):
        run, _ = loaded({**MELTANO_BIGQUERY, **given}, "bigquery")
        return [run.for_stream(name).method for name in ("orders", "orders_old", "prices")]

    assert methods(upsert=True) == [None, None, None]
    assert methods(upsert=True, overwrite=True) == [None, None, None]
    assert methods(overwrite="true") == ["replace", "replace", "replace"]
    assert methods(upsert=["orders*", "!*_old"]) == [None, "append", "append"]
    assert methods(overwrite=["prices", "orders"], upsert=["orders"]) == [None, "append", "replace"]
    assert methods(overwrite=["pr*"], upsert=True) == [None, None, None]
    assert methods(overwrite=True, upsert=["!orders", "orders"]) == [None, "replace", "replace"]
    with pytest.raises(ConfigError, match=r"^(upsert|overwrite): set `method` under `streams:`"):
        methods(overwrite=["*"], upsert=["*", "!orders"])


def test_tables_of_one_column_and_other_names_of_columns_are_not_made_silently(loaded):
    with pytest.raises(ConfigError, match=r"^denormalized: .*set it to true"):
        loaded({**MELTANO_BIGQUERY, "denormalized": False}, "bigquery")
    with pytest.raises(ConfigError, match=r"^column_name_transforms: .*`columns:`"):
        loaded({**MELTANO_BIGQUERY, "column_name_transforms": {"snake_case": True}}, "bigquery")


def test_what_meltanos_target_says_of_layouts_is_left_to_design(loaded, caplog):
    loaded({**MELTANO_BIGQUERY, "cluster_on_key_properties": True}, "bigquery")
    warned = [record.getMessage() for record in caplog.records if "`design:`" in record.getMessage()]
    assert [line.split("`")[1] for line in warned] == ["partition_granularity", "cluster_on_key_properties"]


def test_a_bucket_that_is_no_way_into_bigquery_is_not_ignored(loaded):
    for name, value in {"bucket": "stage", "timeout": 5}.items():
        with pytest.raises(ConfigError, match=rf"^{name}: it can't be had here"):
            loaded({"project_id": "p", "dataset": "raw", name: value}, "bigquery")
    with pytest.raises(ConfigError, match=r"^method: it means `use_storage_write_api`, which can't be set here"):
        loaded({"user": "u", "method": "batch_job"}, "postgres")


PIPELINEWISE_BIGQUERY = {
    "project_id": "my-project",
    "dataset_id": "source",
    "default_target_schema": "raw",
    "temp_schema": "landing",
    "location": "EU",
    "schema_mapping": {"public": {"target_schema": "repl"}},
    "batch_size_rows": 100000,
    "flush_all_streams": False,
    "parallelism": 0,
    "max_parallelism": 16,
    "add_metadata_columns": True,
    "hard_delete": True,
    "data_flattening_max_level": 0,
    "primary_key_required": True,
    "validate_records": False,
}


def test_pipelinewises_config_for_bigquery(loaded):
    run, own = loaded(PIPELINEWISE_BIGQUERY, "bigquery")
    assert (own.project_id, own.dataset, own.staging_schema, own.location) == ("my-project", "raw", "landing", "EU")
    assert (run.batch_rows, run.max_parallelism, run.metadata) == (100000, 16, "singer")
    assert (run.hard_delete, run.nested, run.validation) == (True, "json", "off")
    assert run.for_stream("public-orders").schema_name == "repl"
    run, _ = loaded({**PIPELINEWISE_BIGQUERY, "parallelism": 4}, "bigquery")
    assert run.max_parallelism == 16


ADSWERVE_BIGQUERY = {
    "project_id": "my-project",
    "dataset_id": "raw",
    "location": "EU",
    "replication_method": "append",
    "table_prefix": "src_",
    "table_suffix": "_v1",
    "max_cache": 50,
    "validate_records": True,
    "add_metadata_columns": True,
    "force_alphanumeric_table_names": False,
    "merge_state_messages": False,
    "stream_data": True,
    "disable_collection": True,
}


def test_adswerves_config_for_bigquery(loaded):
    run, own = loaded(ADSWERVE_BIGQUERY, "bigquery")
    assert (own.project_id, own.dataset, own.location) == ("my-project", "raw", "EU")
    assert (run.table, run.method, run.metadata, run.validation) == ("src_{stream}_v1", None, "singer", "types")
    run, _ = loaded({**ADSWERVE_BIGQUERY, "replication_method": "truncate", "table_suffix": None}, "bigquery")
    assert (run.table, run.method) == ("src_{stream}", "replace")
    with pytest.raises(ConfigError, match=r"^table_config: .*`partition_by`"):
        loaded({**ADSWERVE_BIGQUERY, "table_config": "tables.json"}, "bigquery")
