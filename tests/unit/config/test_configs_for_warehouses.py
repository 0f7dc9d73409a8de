"""Whole config.json files of other targets for warehouses, as their users have them: see the other destinations'."""

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
