"""Names of settings in configs that were written for the targets of Mage, Meltano, PipelineWise..., as a table."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.config.alias import ADDRESS, BY_KEY, MAGE, MELTANO, PIPELINEWISE, Alias
from tailrace.config.bigquery_targets import OF_BIGQUERY
from tailrace.config.file_targets import OF_FILES
from tailrace.config.meanings import (
    OFF,
    OPERATION,
    SSH,
    Given,
    Values,
    beside_no_stage,
    bulk,
    cased,
    chosen,
    connecting,
    constants,
    deletes_versions,
    depth,
    flattened,
    has_content,
    has_fields,
    has_more_than_schemas,
    has_options_of_sessions,
    has_other_types,
    in_tunnel,
    is_off,
    is_on,
    levels,
    mapped_schemas,
    most_threads,
    number_of,
    place_of_table,
    renamed,
    rows,
    s3_creds,
    store_option,
    switched,
    threads,
    tls,
    tunnel,
    tunnelled,
    workers,
)

ADDRESSES = {
    "sqlalchemy_url": "the address, `to`; host, user, password, database and TLS beside it are left out, as there",
    "dialect+driver": "the destination's name, where no address is given; the driver doesn't matter",
}
"""The names that give the destination, and what each means."""

PARTS_OF_ADDRESS = frozenset(
    {"dialect+driver", "host", "port", "user", "username", "password", "database", "dbname", "ssl_enable", "ssl_mode"}
    | {"ssl_certificate_authority", "ssl_client_certificate_enable", "ssl_client_certificate", "ssl_client_private_key"}
)
"""What `sqlalchemy_url` overrides."""

_SWITCHED_OFF = {
    "ssl_enable": ("ssl_mode", "ssl_certificate_authority"),
    "ssl_client_certificate_enable": ("ssl_client_certificate", "ssl_client_private_key"),
}
_MAPS = "map the records in the tap, or leave fields and streams out with `select: false`"
_GRANTS = "rights aren't granted; ALTER DEFAULT PRIVILEGES grants them on every new table"
_OWN_STAGE = "rows go through a stage that tailrace makes for itself"
_TABLE_VERSIONS = (
    "ACTIVATE_VERSION always takes effect: rows of older versions are marked in _sdc_deleted_at "
    "(false is refused beside `hard_delete: true`, which would delete them)"
)


def without_switched_off(values: Given) -> Values:
    """The settings without those that a name beside them, as `ssl_enable: false`, has no use for."""
    unused: set[str] = set()
    for switch, names in _SWITCHED_OFF.items():
        if values.get(switch) is not None and str(values[switch]).strip().lower() in OFF:
            unused.update(names)
    if values.get("table_uri"):
        unused.add("table")  # Mage's is a name for people there
    if str(values.get("connection_method")).lower() == "direct":
        unused.update(name for name in values if name.startswith("ssh_"))
    if values.get("account") and values.get("default_target_schema"):
        unused.add("schema")  # Meltano's is where a session of Snowflake begins
    return {name: value for name, value in values.items() if name not in unused}


_BUCKET = Alias(
    PIPELINEWISE,
    f"{_OWN_STAGE}; it is only taken beside `stage`",
    refused=beside_no_stage,
    warned=has_content,
)

ALIASES: Mapping[str, Alias] = {
    **dict.fromkeys(
        ("lower_case", "use_lowercase"),
        Alias(MAGE, "`naming: snake`, unless that is `mage`; false is `naming: preserve`", cased),
    ),
    "unique_conflict_method": Alias(
        MAGE,
        "UPDATE is `method: upsert`, IGNORE `method: insert_ignore`",
        chosen({"update": {"method": "upsert"}, "ignore": {"method": "insert_ignore"}}),
    ),
    "mode": Alias(
        MAGE,
        "append is `method: append`, overwrite `method: replace`",
        chosen({"append": {"method": "append"}, "overwrite": {"method": "replace"}}),
    ),
    "table_name": Alias(MAGE, "`table`", renamed("table")),
    "maximum_batch_size_mb": Alias(
        MAGE, "`batch_bytes`, in MiB", lambda value, _given: {"batch_bytes": int(number_of(value) * 2**20)}
    ),
    "_streams": Alias(MAGE, "its `columns` are `constants`; its `partition_keys` are nothing to databases", constants),
    "disable_column_type_check": Alias(
        MAGE,
        "`validation: off`; false is `validation: types`",
        switched({"validation": "off"}, {"validation": "types"}),
    ),
    "disable_update_column_types": Alias(MAGE, "a column's type is only changed where all values stay the same"),
    "allow_reserved_words": Alias(MAGE, "names are always quoted, and so may be words of SQL"),
    "skip_schema_creation": Alias(MAGE, "CREATE SCHEMA is only run where the schema isn't there"),
    "use_batch_load": Alias(MAGE, "rows are always loaded in bulk"),
    "use_merge_load": Alias(MAGE, "rows of streams with keys are merged, unless `method` is another"),
    "use_s3_copy": Alias(MAGE, "rows go through S3 wherever `bucket` is set"),
    "type_mapping": Alias(
        MAGE, "set `sql_type` under `columns:`; objects and arrays are SUPER anyway", refused=has_other_types
    ),
    "conn_kwargs": Alias(
        MAGE, "`tls`, `tls_ca`, `tls_cert`, `tls_key` and `connect_timeout_s`; others are refused", connecting
    ),
    "s3_creds": Alias(
        MAGE,
        "`access_key_id`, `secret_access_key`, `region`, `bucket` and `iam_role`, unless `use_s3_copy` is false",
        s3_creds,
    ),
    "account_name": Alias(
        MAGE, "`azure_storage_account_name` in `storage_options`", store_option("azure_storage_account_name")
    ),
    "access_key": Alias(
        MAGE, "`azure_storage_account_key` in `storage_options`", store_option("azure_storage_account_key")
    ),
    "table_uri": Alias(MAGE, "`url`, the folder that the table is in, and `table`", place_of_table),
    **dict.fromkeys(
        ("google_application_credentials", "google_service_acc_key_filepath", "service_account_json"),
        Alias(MAGE, "`google_service_account` in `storage_options`", store_option("google_service_account")),
    ),
    "bulk_kwargs": Alias(
        MAGE, "`rows_at_once`, `bulk_bytes`, `connections`, `timeout_s`, `refresh`; and `_op_type`", bulk
    ),
    "metadata_fields": Alias(
        MAGE,
        "the key makes the `_id`: set `key_properties` under `streams:` to the field that is it; others aren't set",
        refused=has_fields,
    ),
    "index_schema_fields": Alias(
        MAGE, "a stream has one index; `{date}` in `index_format` is the day of the run", refused=has_fields
    ),
    **dict.fromkeys(
        ("_op_type", "op_type"),
        Alias(
            MAGE,
            "create is `data_streams: true`, which streams with a key need `method: append` for; index is what "
            "happens anyway",
            OPERATION,
        ),
    ),
    "project": Alias(MAGE, "a bucket has one name in all projects"),
    "file_path": Alias(MAGE, "`path`", renamed("path")),
    "if_exists": Alias(
        MAGE,
        "append is `method: append`, replace `method: replace`; fail is refused",
        chosen({"append": {"method": "append"}, "replace": {"method": "replace"}}),
    ),
    "connection_method": Alias(MAGE, "ssh_tunnel goes by `ssh`, direct leaves it out", tunnelled),
    **{f"ssh_{theirs}": Alias(MAGE, f"`{ours}` of `ssh`", in_tunnel(ours)) for theirs, ours in SSH.items()},
    "load_method": Alias(
        MELTANO,
        f"overwrite is `method: replace`; with append-only (which Meltano writes by default) and upsert {BY_KEY}",
        chosen({"append-only": {"method": None}, "upsert": {"method": None}, "overwrite": {"method": "replace"}}),
        warned=lambda value, _given: str(value).lower() == "append-only",
    ),
    "batch_size_rows": Alias(MELTANO, "`batch_rows`", renamed("batch_rows")),
    "batch_size": Alias(
        PIPELINEWISE,
        "`batch_rows`; of Meltano's target for BigQuery it is the rows of a request, which needn't be set",
        rows,
    ),
    "batch_wait_limit_seconds": Alias(MELTANO, "`batch_age_s`", renamed("batch_age_s")),
    "add_record_metadata": Alias(
        MELTANO, "`metadata: singer`; false is `metadata: none`", switched({"metadata": "singer"}, {"metadata": "none"})
    ),
    "activate_version": Alias(MELTANO, _TABLE_VERSIONS, refused=deletes_versions, warned=is_off),
    "process_activate_version_messages": Alias(MELTANO, _TABLE_VERSIONS, refused=deletes_versions, warned=is_off),
    "validate_records": Alias(
        MELTANO,
        "false is `validation: off`, true `validation: types`",
        switched({"validation": "types"}, {"validation": "off"}),
    ),
    "flattening_enabled": Alias(MELTANO, "`nested: flatten`; false is `nested: json`", flattened),
    "flattening_max_depth": Alias(MELTANO, "`max_level`; 0 is `nested: json`", depth),
    "flattening_max_key_length": Alias(MELTANO, "a name that is too long is cut and given a hash"),
    "flattening_separator": Alias(
        MELTANO,
        "names of fields are joined by __; give a column another `name` under `columns:`",
        refused=lambda value, _given: str(value) not in {"", "__"},
    ),
    **dict.fromkeys(("stream_maps", "stream_map_config", "faker_config"), Alias(MELTANO, _MAPS, refused=has_content)),
    "use_copy": Alias(MELTANO, "rows are always loaded in bulk"),
    "ssl_enable": Alias(
        MELTANO, "`tls` by `ssl_mode`, or verify-full; false leaves `ssl_mode` and its certificate out", tls
    ),
    "ssl_client_certificate_enable": Alias(MELTANO, "false leaves the certificate and its key out", switched({})),
    "ssl_storage_directory": Alias(MELTANO, "certificates stay in the files that are named; none is written"),
    "ssh_tunnel": Alias(MELTANO, "`ssh`, unless it isn't enabled", tunnel),
    "interpret_content_encoding": Alias(
        MELTANO, "contentEncoding always makes a binary column; `kind: TEXT` under `columns:` keeps the text"
    ),
    "sanitize_null_text_characters": Alias(
        MELTANO, "`nul: strip`, for databases that don't take NUL", switched({"nul": "strip"}, {"nul": "refuse"})
    ),
    "max_varchar_size": Alias(MELTANO, "columns of text take the longest that the database has"),
    "clean_up_batch_files": Alias(MELTANO, "files are removed once their rows are committed"),
    "use_browser_authentication": Alias(
        MELTANO, "a run has no browser; set `private_key_file`, `password` or `token`", refused=is_on
    ),
    "remove_s3_files": Alias(MELTANO, "files are removed once their rows are committed"),
    "grants": Alias(MELTANO, _GRANTS, warned=has_content),
    "add_metadata_columns": Alias(
        PIPELINEWISE,
        "`metadata: singer`; false is `metadata: none`",
        switched({"metadata": "singer"}, {"metadata": "none"}),
    ),
    "data_flattening_max_level": Alias(PIPELINEWISE, "`nested: flatten` and `max_level`; 0 is `nested: json`", levels),
    "parallelism": Alias(PIPELINEWISE, "`max_parallelism`, unless that is set too; 0 and less is the default", threads),
    "parallelism_max": Alias(PIPELINEWISE, "`max_parallelism`, where `parallelism` sets none", most_threads),
    "schema_mapping": Alias(
        PIPELINEWISE,
        "the `schema` of streams named schema-table, and `table: {table}`; indices aren't made, and rights not granted",
        mapped_schemas,
        warned=has_more_than_schemas,
    ),
    **dict.fromkeys(
        ("default_target_schema_select_permission", "default_target_schema_select_permissions"),
        Alias(PIPELINEWISE, _GRANTS, warned=has_content),
    ),
    "skip_updates": Alias(
        PIPELINEWISE, "`method: insert_ignore`", switched({"method": "insert_ignore"}, {"method": None})
    ),
    "primary_key_required": Alias(PIPELINEWISE, "streams without a key are appended"),
    "flush_all_streams": Alias(PIPELINEWISE, "all streams are committed together with the state that covers them"),
    "temp_dir": Alias(PIPELINEWISE, "rows wait in memory, and not in files"),
    "disable_table_cache": Alias(PIPELINEWISE, "tables are looked at when a run first loads into them"),
    "ssl": Alias(PIPELINEWISE, "`tls: require`", switched({"tls": "require"})),
    "compression": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "slices": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "copy_options": Alias(
        PIPELINEWISE, "tailrace sets COPY's options; what would be cut is refused", warned=has_content
    ),
    "stage": Alias(PIPELINEWISE, _OWN_STAGE, warned=has_content),
    "file_format": Alias(PIPELINEWISE, "tailrace says itself how its files are to be read"),
    **dict.fromkeys(
        [f"s3_{name}" for name in ("bucket", "key_prefix", "acl", "endpoint_url", "region_name")],
        _BUCKET,
    ),
    **dict.fromkeys([f"aws_{name}" for name in ("access_key_id", "secret_access_key", "session_token")], _BUCKET),
    **dict.fromkeys(
        ("client_side_encryption_master_key", "client_side_encryption_stage_object"),
        Alias(PIPELINEWISE, "Snowflake's driver encrypts what it sends to a stage of Snowflake's own"),
    ),
    "no_compression": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "archive_load_files": Alias(
        PIPELINEWISE, "files aren't kept; a second run, into `files`, keeps what a tap has sent", refused=is_on
    ),
    **dict.fromkeys(
        ("archive_load_files_s3_bucket", "archive_load_files_s3_prefix"), Alias(PIPELINEWISE, "files aren't kept")
    ),
    "query_tag": Alias(
        PIPELINEWISE, "statements in Snowflake are tagged with their pipeline and checkpoint", warned=has_content
    ),
    **OF_BIGQUERY,
    "aws_profile": Alias(
        PIPELINEWISE,
        "set AWS_PROFILE in the environment; with Snowflake it is only taken beside `stage`",
        refused=beside_no_stage,
        warned=has_content,
    ),
    "enable_iam_authentication": Alias(MELTANO, "where there is no `password`, IAM gives one"),
    "allow_column_alter": Alias(MELTANO, "a column's type is only changed where all values stay the same"),
    "driver_name": Alias(MELTANO, "the driver doesn't matter"),
    "lower_case_table_names": Alias(
        MELTANO, "`naming: snake`; false is `naming: preserve`", switched({"naming": "snake"}, {"naming": "preserve"})
    ),
    "replace_null": Alias(MELTANO, "NULL stays NULL", refused=is_on),
    **OF_FILES,
    "temp_schema": Alias(PIPELINEWISE, "`staging_schema`", renamed("staging_schema")),
    **dict.fromkeys(("charset", "client_encoding"), Alias(ADDRESS, "text always travels as UTF-8")),
    "application_name": Alias(ADDRESS, "it would only label the session"),
    "connect_timeout": Alias(ADDRESS, "`connect_timeout_s`", renamed("connect_timeout_s")),
    "options": Alias(
        ADDRESS,
        "set `schema` instead of a search_path; ALTER ROLE ... SET gives a role other defaults. Of Meltano's target "
        "for BigQuery max_workers is `max_parallelism`",
        workers,
        refused=has_options_of_sessions,
    ),
}
"""Every name of other targets, and what it means here."""

_OF_PIPELINEWISE = frozenset(
    {"add_metadata_columns", "data_flattening_max_level", "default_target_schema_select_permission"}
    | {"default_target_schema_select_permissions", "disable_table_cache", "file_format", "flush_all_streams"}
    | {"primary_key_required", "schema_mapping"}
)
"""Names by which a config is known for one of PipelineWise's."""


def defaults_of(values: Given) -> Values:
    """What the target that a config was written for does by itself, where the config tells which it was."""
    if not _OF_PIPELINEWISE & {name for name, value in values.items() if value is not None}:
        return {}
    is_deleting = str(values.get("hard_delete")).strip().lower() not in OFF
    return {"validation": "off", **({"metadata": "singer"} if is_deleting else {})}


OPTIONAL = frozenset({"nul", "partition_keys", "tls"})
"""Settings that not every destination has, and whose aliases are no error there."""
