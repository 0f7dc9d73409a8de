"""The destinations of Mage by their names: what each is here, and the keys of its config as Mage describes them.

*Source* `docs/data-integrations/destinations` and `mage_integrations/destinations` of https://github.com/mage-ai/mage-ai
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Config = dict[str, Any]

_ROWS = {"metadata": "mage", "coerce": "exact"}
"""What Mage's own destinations do whatever their configs say."""
_TABLES = {**_ROWS, "naming": "mage"}
_FILES = {**_ROWS, "naming": "preserve", "method": "append"}


@dataclass(frozen=True, slots=True)
class MageDestination:
    """A destination of Mage: what `to` is for it, the settings that its config doesn't say, and the config's keys.

    `config` has an example or a default of each key. `appends` says that rows are merged only where the SCHEMA message
    has unique constraints and how to meet a conflict.
    """

    to: str
    defaults: Mapping[str, Any]
    config: Mapping[str, Any] = field(repr=False)
    appends: bool = False


_EVERY = {"maximum_batch_size_mb": 100, "_streams": {}}
"""Keys that all configs may have."""
_SQL = {"skip_schema_creation": False, "lower_case": True, "truncate_full_table": False} | _EVERY
_SSH = {"ssh_host": None, "ssh_port": 22, "ssh_username": None, "ssh_password": None, "ssh_pkey": None}
_TUNNEL = {"connection_method": "direct", **_SSH}
_LOGIN = {"database": "", "host": "", "password": "", "table": "", "username": ""}
_AWS = {"aws_access_key_id": None, "aws_secret_access_key": None, "aws_region": "us-west-2", "bucket": None}
_OBJECTS = {"bucket": None, "file_type": "parquet", "object_key_path": None, "table": None}
_OBJECTS |= {"date_partition_format": None}
_SEARCH = {"scheme": "http", "host": "localhost", "port": 9200, "username": None, "password": None}
_SEARCH |= {"bearer_token": None, "api_key_id": None, "api_key": None, "ssl_ca_file": None}
_SEARCH |= {"index_schema_fields": None, "metadata_fields": None} | _EVERY
_DOCUMENTS = {"coerce": "exact", "naming": "preserve"}

DESTINATIONS: Mapping[str, MageDestination] = {
    "amazon_s3": MageDestination(
        "s3",
        _FILES,
        _AWS
        | _OBJECTS
        | {"aws_endpoint": None, "role_arn": None, "role_session_name": "mage", "column_header_format": None}
        | _EVERY,
    ),
    "bigquery": MageDestination(
        "bigquery",
        _TABLES,
        {
            "project_id": "",
            "dataset": "",
            "table": "",
            "path_to_credentials_json_file": None,
            "credentials_info": None,
            "location": None,
            "use_batch_load": True,
            "disable_update_column_types": False,
        }
        | _SQL,
        appends=True,
    ),
    "delta_lake_azure": MageDestination(
        "delta+az",
        _FILES,
        {"account_name": "", "access_key": "", "table_uri": "", "mode": "append", "table": None} | _EVERY,
    ),
    "delta_lake_s3": MageDestination(
        "delta+s3", _FILES, _AWS | {"object_key_path": None, "table": None, "mode": "append"} | _EVERY
    ),
    "duckdb": MageDestination("duckdb", _TABLES, {"file_path": "", "if_exists": "append", "table": None} | _EVERY),
    "elasticsearch": MageDestination(
        "elasticsearch", _DOCUMENTS, _SEARCH | {"verify_certs": True, "_op_type": "index", "bulk_kwargs": {}}
    ),
    "gcs": MageDestination(
        "gs", _FILES, _OBJECTS | {"region": "us-west1", "service_account_json": None, "project": None} | _EVERY
    ),
    "google_cloud_storage": MageDestination("gs", _FILES, _OBJECTS | {"google_application_credentials": None} | _EVERY),
    "mongodb": MageDestination(
        "mongodb",
        _DOCUMENTS,
        {"connection_string": "", "db_name": "", "table_name": None} | _EVERY,
    ),
    "mysql": MageDestination(
        "mysql", _TABLES, {**_LOGIN, "port": 3306, "use_lowercase": True, "conn_kwargs": None} | _TUNNEL | _SQL
    ),
    "opensearch": MageDestination("opensearch", _DOCUMENTS, _SEARCH),
    "postgresql": MageDestination(
        "postgres", _TABLES, {**_LOGIN, "port": 5432, "schema": "", "allow_reserved_words": False} | _TUNNEL | _SQL
    ),
    "redshift": MageDestination(
        "redshift",
        _TABLES,
        {"database": "", "host": "", "port": 5439, "user": "", "password": "", "schema": "", "table": "", "region": ""}
        | {"access_key_id": None, "secret_access_key": None, "cluster_identifier": None, "db_user": None}
        | {"use_merge_load": False, "use_s3_copy": False, "s3_creds": None, "type_mapping": None}
        | _SQL,
        appends=True,
    ),
    "snowflake": MageDestination(
        "snowflake",
        _TABLES,
        {"account": "", "database": "", "schema": "", "table": "", "username": "", "warehouse": "", "password": ""}
        | {"private_key_file": None, "private_key_file_pwd": None, "role": None}
        | {"use_batch_load": True, "disable_double_quotes": False}
        | _SQL,
        appends=True,
    ),
}
"""Each destination of Mage that there is one for here."""

READ_HERE: Mapping[str, str] = {
    **dict.fromkeys(("lower_case", "use_lowercase"), "`naming: mage`; false is `naming: mage_preserve`"),
    "allow_reserved_words": "`naming: mage_words`, or `mage_preserve_words` where `lower_case` is false",
    "_streams": "its `columns` are `constants`; its `partition_keys` are added to those of each stream",
}
"""Keys that the command reads otherwise than `tailrace load` does, and how; but for `_streams`, those of databases."""

_NONE = "tailrace has no {0}; `tailrace destinations` lists what it loads into"
REFUSED: Mapping[str, str] = {
    "airtable": _NONE.format("Airtable"),
    "clickhouse": _NONE.format("ClickHouse"),
    "couchbase": _NONE.format("Couchbase"),
    "databricks": _NONE.format("Databricks"),
    "doris": _NONE.format("Doris"),
    "iceberg_s3": "its config names no catalog, which Iceberg's tables are found by; "
    "use `tailrace load --to iceberg` with `uri` and `warehouse`",
    "kafka": _NONE.format("Kafka"),
    "mssql": _NONE.format("SQL Server"),
    "oracledb": _NONE.format("Oracle"),
    "salesforce": _NONE.format("Salesforce"),
    "teradata": _NONE.format("Teradata"),
    "trino": "tailrace has no Trino; load into what Trino reads from, as Iceberg, Delta Lake or PostgreSQL",
}
"""Each other destination of Mage, and what to do."""
