"""Whole config.json files of other targets, as their users have them: unchanged, they set what they are meant to."""

import pytest

from tailrace.destinations import open_destination, scheme_of
from tailrace.errors import ConfigError


def secret(settings):
    return settings.password.get_secret_value()


MAGE_POSTGRES = {
    "database": "shop",
    "host": "db.example.com",
    "password": "p@ss",
    "port": 5433,
    "schema": "raw",
    "table": "dim_users_v1",
    "username": "guest",
    "lower_case": True,
    "allow_reserved_words": False,
    "skip_schema_creation": False,
    "truncate_full_table": False,
    "unique_conflict_method": "UPDATE",
    "unique_constraints": ["id"],
    "maximum_batch_size_mb": 100,
    "connection_method": "direct",
    "ssh_host": None,
    "ssh_port": 22,
    "ssh_username": None,
    "ssh_password": None,
    "ssh_pkey": None,
}


def test_mages_config_for_postgresql(loaded):
    run, own = loaded(MAGE_POSTGRES, "postgres")
    assert (own.host, own.port, own.user, secret(own)) == ("db.example.com", 5433, "guest", "p@ss")
    assert (own.database, own.schema_name) == ("shop", "raw")
    assert (run.table, run.schema_name, run.naming) == ("dim_users_v1", "raw", "snake")
    assert (run.method, run.key_properties, run.batch_bytes) == ("upsert", ("id",), 100 * 2**20)


def test_mages_config_for_mysql_and_the_schema_is_where_tables_stand(loaded):
    config = {
        "database": "demo",
        "host": "mage.abc.us-west-2.rds.amazonaws.com",
        "password": "abc123",
        "port": 3306,
        "table": "dim_users_v1",
        "username": "root",
        "use_lowercase": False,
        "connection_method": "direct",
        "ssh_host": "",
        "ssh_port": 22,
        "conn_kwargs": None,
    }
    run, own = loaded(config, "mysql")
    assert (own.database, own.user, own.port, secret(own)) == ("demo", "root", 3306, "abc123")
    assert (run.naming, run.table, run.schema_name) == ("preserve", "dim_users_v1", None)
    run, own = loaded({**config, "schema": "raw"}, "mysql")
    assert (own.database, run.schema_name) == ("raw", "raw")
    assert loaded({**config, "schema": ""}, "mysql")[1].database == "demo"
    assert loaded({**config, "schema": "{schema}"}, "mysql")[1].database == "demo"


MAGE_REDSHIFT = {
    "database": "dev",
    "host": "mage.3.us-west-2.redshift.amazonaws.com",
    "port": 5439,
    "region": "us-west-2",
    "schema": "public",
    "table": "dim_users_v1",
    "use_merge_load": False,
    "use_s3_copy": False,
    "lower_case": True,
}


def test_mages_config_for_redshift_by_password_and_by_iam(loaded):
    run, own = loaded({**MAGE_REDSHIFT, "user": "awsuser", "password": "abc123"}, "redshift")
    assert (own.user, secret(own), own.region, own.schema_name) == ("awsuser", "abc123", "us-west-2", "public")
    assert (run.table, run.naming) == ("dim_users_v1", "snake")
    iam = {"user": "", "db_user": "admin", "cluster_identifier": "mage", "access_key_id": "A", "secret_access_key": "S"}
    _, own = loaded({**MAGE_REDSHIFT, **iam}, "redshift")
    assert (own.user, own.cluster_identifier, own.access_key_id) == ("admin", "mage", "A")


MAGE_S3 = {
    "aws_access_key_id": "AKIA1",
    "aws_secret_access_key": "xyz456",
    "aws_region": "us-west-2",
    "aws_endpoint": "https://play.min.io",
    "role_arn": "arn:aws:iam::111111:role/example-role",
    "role_session_name": "mage",
    "bucket": "user_generated_content",
    "object_key_path": "users/ds/20221225",
    "table": "dim_users_v1",
    "file_type": "csv",
    "column_header_format": "lower",
    "date_partition_format": "%Y%m%d",
}


def test_mages_config_for_s3(loaded):
    run, own = loaded(MAGE_S3, "files")
    assert (own.root, own.region) == ("s3://user_generated_content/users/ds/20221225", "us-west-2")
    assert (own.access_key_id, own.secret_access_key.get_secret_value()) == ("AKIA1", "xyz456")
    assert (own.endpoint, own.role_arn) == (MAGE_S3["aws_endpoint"], MAGE_S3["role_arn"])
    assert (own.role_session_name, run.table) == ("mage", "dim_users_v1")
    assert (own.format, own.column_header_format, own.date_partition_format) == ("csv", "lower", "%Y%m%d")
    _, own = loaded({**MAGE_S3, "file_type": "parquet", "column_header_format": None, "role_arn": ""}, "s3://other/x")
    assert (own.root, own.format, own.column_header_format, own.role_arn) == ("s3://other/x", "parquet", None, None)


def test_mages_config_for_delta_lake(loaded):
    keys = ("aws_access_key_id", "aws_region", "aws_secret_access_key", "bucket", "object_key_path", "table")
    config = {name: MAGE_S3[name] for name in keys} | {"mode": "overwrite"}
    run, own = loaded({**config, "_streams": {"columns": {"x": 1}, "partition_keys": ["day"]}}, "delta")
    assert (own.root, own.region) == ("s3://user_generated_content/users/ds/20221225", "us-west-2")
    assert (run.method, run.table, run.constants) == ("replace", "dim_users_v1", {"x": 1})
    assert own.partitions("any") == ("day",)
    run, _ = loaded({**config, "mode": "append"}, "delta")
    assert run.method == "append"


def test_mages_config_for_delta_lake_on_azure(loaded):
    uri = "abfss://lake@account.dfs.core.windows.net/delta/users"
    config = {"account_name": "account", "access_key": "k$$", "table_uri": uri, "table": "Users", "mode": "append"}
    run, own = loaded(config, "delta")
    assert (own.root, run.table, run.method) == (uri.removesuffix("/users"), "users", "append")
    options = {"azure_storage_account_name": "account", "azure_storage_account_key": "k$$"}
    assert options.items() <= own.delta_options(own.root).items()


@pytest.mark.parametrize(
    ("to", "root"),
    [("gs", "gs://b/x"), ("az", "az://b/x"), ("abfss", "az://b/x"), ("s3", "s3://b/x"), ("files", "s3://b/x")],
)
def test_a_bucket_is_in_the_store_that_the_name_of_the_destination_says(loaded, to, root):
    assert loaded({"bucket": "b", "object_key_path": "x"}, to)[1].root == root


def test_a_bucket_of_delta_lake_is_in_the_store_that_the_name_says(loaded):
    assert loaded({"bucket": "b"}, "delta+gs")[1].root == "gs://b/"
    assert loaded({"bucket": "b", "store": "az"}, "delta")[1].root == "az://b/"
    assert loaded({"bucket": "b"}, "gs://c/y")[1].root == "gs://c/y"


MELTANO_POSTGRES = {
    "activate_version": True,
    "add_record_metadata": True,
    "batch_size_rows": 20000,
    "database": "warehouse",
    "default_target_schema": "tap_github",
    "dialect+driver": "postgresql+psycopg",
    "flattening_enabled": True,
    "flattening_max_depth": 1,
    "hard_delete": False,
    "host": "db.example.com",
    "interpret_content_encoding": False,
    "load_method": "append-only",
    "password": "p",
    "port": 5432,
    "process_activate_version_messages": True,
    "sanitize_null_text_characters": True,
    "ssh_tunnel": {"enable": False, "port": 22},
    "ssl_certificate_authority": "~/.postgresql/root.crl",
    "ssl_client_certificate": "~/.postgresql/postgresql.crt",
    "ssl_client_certificate_enable": False,
    "ssl_client_private_key": "~/.postgresql/postgresql.key",
    "ssl_enable": False,
    "ssl_mode": "verify-full",
    "ssl_storage_directory": ".secrets",
    "stream_maps": {},
    "use_copy": True,
    "user": "meltano",
    "validate_records": True,
}
"""As `meltano invoke` writes it: with the defaults of everything."""


def test_meltanos_config_for_postgresql_names_the_destination_itself(loaded):
    run, own = loaded(MELTANO_POSTGRES)
    assert (own.host, own.user, own.database, own.schema_name) == (
        "db.example.com",
        "meltano",
        "warehouse",
        "tap_github",
    )
    assert (own.tls, own.tls_ca, own.tls_cert, own.tls_key, own.nul) == ("prefer", None, None, None, "strip")
    assert (run.method, run.batch_rows, run.metadata, run.validation) == (None, 20000, "singer", "types")
    assert (run.nested, run.max_level, run.hard_delete) == ("flatten", 1, False)


def test_meltanos_tls_is_ours_where_it_is_switched_on(loaded):
    switches = {"ssl_enable": True, "ssl_mode": "verify-ca", "ssl_client_certificate_enable": "true"}
    _, own = loaded({**MELTANO_POSTGRES, **switches})
    assert (own.tls, own.tls_ca) == ("verify-ca", "~/.postgresql/root.crl")
    assert (own.tls_cert, own.tls_key) == ("~/.postgresql/postgresql.crt", "~/.postgresql/postgresql.key")


def test_meltanos_sqlalchemy_url_overrides_what_stands_beside_it(loaded):
    url = "postgresql+psycopg2://other:s%40crt@elsewhere:6000/shop?sslmode=require"
    for to in (None, "postgres"):
        _, own = loaded({**MELTANO_POSTGRES, "sqlalchemy_url": url}, to)
        assert (own.host, own.port, own.user, secret(own)) == ("elsewhere", 6000, "other", "s@crt")
        assert (own.database, own.schema_name, own.tls) == ("shop", "tap_github", "require")


def test_meltanos_config_for_mysql(loaded):
    config = {
        "add_record_metadata": False,
        "default_target_schema": "tap_github",
        "dialect+driver": "mysql+mysqldb",
        "hard_delete": True,
        "max_varchar_size": 255,
        "sqlalchemy_url": "mysql+pymysql://root:p@db:3307/melty?charset=utf8mb4",
    }
    run, own = loaded(config)
    assert (own.host, own.port, own.user, own.database) == ("db", 3307, "root", "tap_github")
    assert (run.schema_name, run.metadata, run.hard_delete) == ("tap_github", "none", True)


def test_meltanos_config_for_redshift(loaded):
    config = {
        "host": "h.redshift.amazonaws.com",
        "port": "5439",
        "user": "u",
        "password": "p",
        "dbname": "dev",
        "default_target_schema": "raw",
        "s3_bucket": "stage",
        "s3_region": "eu-west-1",
        "s3_key_prefix": "meltano/",
        "aws_redshift_copy_role_arn": "arn:aws:iam::1:role/copy",
        "remove_s3_files": False,
        "temp_dir": "temp",
        "activate_version": False,
        "hard_delete": False,
        "add_record_metadata": False,
        "ssl_enable": False,
        "ssl_mode": "verify-full",
        "grants": [],
    }
    run, own = loaded(config, "redshift")
    assert (own.host, own.port, own.user, own.database) == ("h.redshift.amazonaws.com", 5439, "u", "dev")
    assert (own.bucket, own.region, own.prefix, own.iam_role) == (
        "stage",
        "eu-west-1",
        "meltano/",
        config["aws_redshift_copy_role_arn"],
    )
    assert (own.schema_name, run.metadata) == ("raw", "none")


PIPELINEWISE_POSTGRES = {
    "host": "localhost",
    "port": 5432,
    "user": "my_user",
    "password": "secret",
    "dbname": "my_db_name",
    "ssl": "false",
    "default_target_schema": "my_target_schema",
    "default_target_schema_select_permission": "",
    "schema_mapping": {"public": {"target_schema": "repl", "target_schema_select_permissions": ["grp_stats"]}},
    "batch_size_rows": 100000,
    "flush_all_streams": False,
    "parallelism": 0,
    "parallelism_max": 16,
    "add_metadata_columns": True,
    "hard_delete": True,
    "data_flattening_max_level": 0,
    "primary_key_required": True,
    "validate_records": False,
    "temp_dir": "/tmp",
}


def test_pipelinewises_config_for_postgresql(loaded):
    run, own = loaded(PIPELINEWISE_POSTGRES, "postgres")
    assert (own.user, own.database, own.schema_name, own.tls) == ("my_user", "my_db_name", "my_target_schema", "prefer")
    assert (run.batch_rows, run.max_parallelism, run.metadata, run.hard_delete) == (100000, 16, "singer", True)
    assert (run.nested, run.validation) == ("json", "off")
    mapped = run.for_stream("public-orders")
    assert (mapped.schema_name, mapped.table) == ("repl", "{table}")


def test_pipelinewises_config_for_redshift(loaded):
    config = {
        "host": "xxxxxx.redshift.amazonaws.com",
        "port": 5439,
        "user": "my_user",
        "password": "password",
        "dbname": "database_name",
        "aws_access_key_id": "key",
        "aws_secret_access_key": "secret",
        "s3_bucket": "bucket_name",
        "default_target_schema": "my_target_schema",
        "copy_options": "EMPTYASNULL TRUNCATECOLUMNS",
        "compression": "gzip",
        "slices": 4,
        "skip_updates": True,
        "disable_table_cache": True,
        "max_parallelism": 4,
    }
    run, own = loaded(config, "redshift")
    assert (own.access_key_id, own.secret_access_key.get_secret_value(), own.bucket) == ("key", "secret", "bucket_name")
    assert (run.method, run.max_parallelism) == ("insert_ignore", 4)


@pytest.mark.parametrize("name", ["schema", "default_target_schema", "dbname"])
def test_a_setting_wins_over_the_address_whatever_its_name(loaded, name):
    assert loaded({}, "mysql://root@db/shop", f"{name}=raw")[1].database == "raw"
    assert loaded({"username": "me"}, "postgresql://you@db/shop")[1].user == "me"
    assert loaded({}, "postgres://you@db/shop", "dbname=other")[1].database == "other"


def test_a_setting_and_the_address_are_told_apart_from_two_names_in_one_place(loaded):
    with pytest.raises(ConfigError, match=r"^dbname: it and `database` are one setting, and differ"):
        loaded({"database": "a", "dbname": "b", "user": "me"}, "postgres")
    with pytest.raises(ConfigError, match=r"^username: it and `user`"):
        open_destination("postgres", {"user": "a", "username": "b", "database": "c"})


def test_the_address_of_the_stronger_source_wins(loaded):
    config = {**MELTANO_POSTGRES, "sqlalchemy_url": "postgresql://a@x/d"}
    assert loaded(config, "postgresql://b@y/e")[1].host == "y"
    assert loaded({"to": "postgresql://a@x/d"}, "postgres")[1].host == "x"
    assert loaded({"dialect+driver": "mysql+mysqldb", "user": "u", "database": "d"}, "postgres")[1].port == 5432


@pytest.mark.parametrize(
    "config",
    [
        {"to": "postgresql://a@x/d", "sqlalchemy_url": "postgresql://a@y/d"},
        {"to": "mysql", "sqlalchemy_url": "postgresql://a@y/d"},
        {"to": "mysql://a@x/d", "dialect+driver": "postgresql+psycopg"},
    ],
)
def test_two_addresses_in_one_source_must_agree(loaded, config):
    with pytest.raises(ConfigError, match="it and `to` name two destinations"):
        loaded(config)


def test_the_driver_in_an_address_does_not_matter():
    assert [scheme_of(to) for to in ("postgresql+psycopg2://h/d", "MySQL+PyMySQL://h/d", "postgresql+psycopg")] == [
        "postgres",
        "mysql",
        "postgres",
    ]


def test_options_of_drivers_in_an_address_are_not_needed_or_refused_with_what_to_do(loaded):
    own = loaded({}, "postgresql://u@h/d?client_encoding=utf8&connect_timeout=5&application_name=x")[1]
    assert own.connect_timeout_s == 5
    with pytest.raises(ConfigError, match=r"^options: .*set `schema`"):
        loaded({}, "postgresql://u@h/d?options=-csearch_path%3Draw")
    with pytest.raises(ConfigError, match=r"^lower_case: it means `naming`, which can't be set here"):
        loaded({}, "postgresql://u@h/d?lower_case=true")


@pytest.mark.parametrize("password", ["pa[ss", "pa]ss", "p[a]ss", "pa\u2100ss", "pa/ss", "pa?ss", "[::1"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql", "duckdb", "memory"])
def test_an_address_that_cannot_be_read_is_refused_without_its_password(scheme, password):
    with pytest.raises(ConfigError) as refused:
        open_destination(f"{scheme}://user:{password}@host/d", {"user": "x", "database": "d"})
    assert password not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("weaker", "stronger", "setting", "value"),
    [
        ({"load_method": "overwrite"}, "load_method=append-only", "method", None),
        ({"load_method": "overwrite"}, "load_method=upsert", "method", None),
        ({"skip_updates": True}, "skip_updates=false", "method", None),
        ({"validate_records": False}, "validate_records=true", "validation", "types"),
        ({"flattening_enabled": True}, "flattening_max_depth=0", "nested", "json"),
    ],
)
def test_what_asks_for_the_default_overrides_a_weaker_source(loaded, weaker, stronger, setting, value):
    run, _ = loaded({"host": "h", "user": "u", "database": "d", **weaker}, "postgres", stronger)
    assert getattr(run, setting) == value


def test_what_asks_for_the_default_overrides_it_for_a_stream(loaded):
    config = {"host": "h", "user": "u", "database": "d", "load_method": "overwrite"}
    run, _ = loaded(config | {"streams": {"log": {"load_method": "append-only"}}}, "postgres")
    assert (run.for_stream("log").method, run.for_stream("other").method) == (None, "replace")


def test_an_empty_text_as_templates_have_it_is_as_good_as_unset(loaded):
    run, own = loaded({"host": "h", "user": "u", "database": "d", "table": "", "schema": "", "port": ""}, "postgres")
    assert (run.table, own.schema_name, own.port) == ("{stream}", "public", 5432)
