"""Names of settings in configs that were written for the targets of Mage, Meltano and PipelineWise, as a table."""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = dict[str, Any]
Given = Mapping[str, Any]

MAGE, MELTANO, PIPELINEWISE, ADDRESS = "Mage", "Meltano", "PipelineWise", "addresses"

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

_OFF = frozenset({"false", "0", "no", "off", "f", "n", "", "none"})
_SWITCHED_OFF = {
    "ssl_enable": ("ssl_mode", "ssl_certificate_authority"),
    "ssl_client_certificate_enable": ("ssl_client_certificate", "ssl_client_private_key"),
}
_SSH = "open the tunnel yourself, as in `ssh -L 6000:DATABASE:5432 BASTION`, and set `host: localhost` and `port: 6000`"
_MAPS = "map the records in the tap, or leave fields and streams out with `select: false`"
_GRANTS = "rights aren't granted; ALTER DEFAULT PRIVILEGES grants them on every new table"
_OWN_STAGE = "rows go through a stage that tailrace makes for itself"
_TABLE_VERSIONS = (
    "ACTIVATE_VERSION always takes effect: rows of older versions are marked in _sdc_deleted_at "
    "(false is refused beside `hard_delete: true`, which would delete them)"
)


@dataclass(frozen=True, slots=True)
class Alias:
    """A name of other targets: whose it is, and in words what it means here, why nothing is needed, or what to do.

    `settings` are what its value comes to, by their own names, where a value of None is the default; None when nothing
    is needed. The predicates say of which values the name is refused, and of which the reader of the log is warned;
    they and `settings` are given the value and everything that is set beside it, and raise ValueError for a value that
    can't be.
    """

    of: str
    text: str
    settings: Callable[[Any, Given], Values] | None = None
    refused: Callable[[Any, Given], bool] | None = None
    warned: Callable[[Any, Given], bool] | None = None


def without_switched_off(values: Given) -> Values:
    """The settings without those that a name beside them, as `ssl_enable: false`, has no use for."""
    unused: set[str] = set()
    for switch, names in _SWITCHED_OFF.items():
        if values.get(switch) is not None and str(values[switch]).strip().lower() in _OFF:
            unused.update(names)
    if str(values.get("connection_method")).lower() == "direct":
        unused.update(name for name in values if name.startswith("ssh_"))
    if values.get("account") and values.get("default_target_schema"):
        unused.add("schema")  # Meltano's is where a session of Snowflake begins
    return {name: value for name, value in values.items() if name not in unused}


def _is_on(value: Any, _given: Given | None = None) -> bool:
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on", "t", "y"}:
        return True
    if text in _OFF:
        return False
    raise ValueError("it is either true or false")


def _is_off(value: Any, _given: Given) -> bool:
    return not _is_on(value)


def _has_content(value: Any, _given: Given | None = None) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_content, value.values()))
    return bool(value) and str(value).strip().lower() not in {"", "false", "none"}


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("it must be a number")
    return number


def _on(on: Values, off: Values | None = None) -> Callable[[Any, Given], Values]:
    return lambda value, _given: dict(on if _is_on(value) else off or {})


def _as(setting: str) -> Callable[[Any, Given], Values]:
    return lambda value, _given: {setting: value}


def _choice(choices: Mapping[str, Values]) -> Callable[[Any, Given], Values]:
    def chosen(value: Any, _given: Given) -> Values:
        if str(value).lower() not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return dict(choices[str(value).lower()])

    return chosen


def _flattened(value: Any, given: Given) -> Values:
    depth = given.get("flattening_max_depth")
    is_deep = depth is None or _number(depth) > 0
    return {"nested": "flatten" if _is_on(value) and is_deep else "json"}


def _depth(value: Any, _given: Given) -> Values:
    return {"max_level": value} if _number(value) > 0 else {"nested": "json"}


def _levels(value: Any, _given: Given) -> Values:
    return {"nested": "flatten", "max_level": value} if _number(value) > 0 else {"nested": "json"}


def _threads(value: Any, given: Given) -> Values:
    count = _number(value)
    return {"max_parallelism": int(min(count, _number(given.get("parallelism_max") or count)))} if count > 0 else {}


def _most_threads(value: Any, given: Given) -> Values:
    return {} if _number(given.get("parallelism") or 0) > 0 else {"max_parallelism": value}


def _tls(value: Any, given: Given) -> Values:
    return {"tls": given.get("ssl_mode") or "verify-full"} if _is_on(value) else {}


def _constants(value: Any, _given: Given) -> Values:
    if not isinstance(value, Mapping) or set(value) - {"columns", "partition_keys"}:
        raise ValueError("it must hold `columns` and `partition_keys` alone")
    columns = value.get("columns") or {}
    if not isinstance(columns, Mapping):
        raise ValueError("its `columns` must be values by name")  # noqa: TRY004 a setting's value
    keys = value.get("partition_keys") or []
    if not isinstance(keys, list):
        raise ValueError("its `partition_keys` must be a list")  # noqa: TRY004 a setting's value
    return {**({"constants": dict(columns)} if columns else {}), **({"partition_keys": keys} if keys else {})}


def _mapped_schemas(value: Any, _given: Given) -> Values:
    if not isinstance(value, Mapping):
        raise ValueError("it must name a schema of the source, and its `target_schema`")  # noqa: TRY004 a setting's value
    streams = {}
    for source, target in value.items():
        if not isinstance(target, Mapping) or not target.get("target_schema"):
            raise ValueError(f"{source!r} needs a `target_schema`")
        streams[f"{glob.escape(source)}-*"] = {"schema": target["target_schema"], "table": "{table}"}
    return {"streams": streams} if streams else {}


def _has_more_than_schemas(value: Any, _given: Given) -> bool:
    return any(_has_content({**target, "target_schema": None}) for target in value.values())


def _beside_no_stage(value: Any, given: Given) -> bool:
    return _has_content(value) and not _has_content(given.get("stage"))


def _deletes_versions(value: Any, given: Given) -> bool:
    return not _is_on(value) and _is_on(given.get("hard_delete"))


_BUCKET = Alias(
    PIPELINEWISE,
    f"{_OWN_STAGE}; it is only taken beside `stage`",
    refused=_beside_no_stage,
    warned=_has_content,
)
_BY_KEY = "streams with keys are upserted, others appended; `method: append` appends all"

ALIASES: Mapping[str, Alias] = {
    "lower_case": Alias(
        MAGE, "`naming: snake`; false is `naming: preserve`", _on({"naming": "snake"}, {"naming": "preserve"})
    ),
    "use_lowercase": Alias(
        MAGE, "`naming: snake`; false is `naming: preserve`", _on({"naming": "snake"}, {"naming": "preserve"})
    ),
    "unique_conflict_method": Alias(
        MAGE,
        "UPDATE is `method: upsert`, IGNORE `method: insert_ignore`",
        _choice({"update": {"method": "upsert"}, "ignore": {"method": "insert_ignore"}}),
    ),
    "mode": Alias(
        MAGE,
        "append is `method: append`, overwrite `method: replace`",
        _choice({"append": {"method": "append"}, "overwrite": {"method": "replace"}}),
    ),
    "table_name": Alias(MAGE, "`table`", _as("table")),
    "maximum_batch_size_mb": Alias(
        MAGE, "`batch_bytes`, in MiB", lambda value, _given: {"batch_bytes": int(_number(value) * 2**20)}
    ),
    "_streams": Alias(MAGE, "its `columns` are `constants`; its `partition_keys` are nothing to databases", _constants),
    "disable_column_type_check": Alias(
        MAGE, "`validation: off`; false is `validation: types`", _on({"validation": "off"}, {"validation": "types"})
    ),
    "disable_update_column_types": Alias(MAGE, "a column's type is only changed where all values stay the same"),
    "allow_reserved_words": Alias(MAGE, "names are always quoted, and so may be words of SQL"),
    "skip_schema_creation": Alias(MAGE, "CREATE SCHEMA is only run where the schema isn't there"),
    "use_batch_load": Alias(MAGE, "rows are always loaded in bulk"),
    "use_merge_load": Alias(MAGE, "rows of streams with keys are merged, unless `method` is another"),
    "use_s3_copy": Alias(MAGE, "rows go through S3 wherever `bucket` is set"),
    "truncate_full_table": Alias(
        MAGE, "set `method: replace` under `streams:` for those that the tap sends whole each time", refused=_is_on
    ),
    "type_mapping": Alias(MAGE, "set `sql_type` under `columns:`", refused=_has_content),
    "conn_kwargs": Alias(MAGE, "use the settings of the destination, such as `tls_ca`", refused=_has_content),
    "connection_method": Alias(
        MAGE, _SSH, refused=lambda value, _given: str(value).lower() not in {"direct", "", "none"}
    ),
    **dict.fromkeys(("ssh_host", "ssh_username", "ssh_password", "ssh_pkey"), Alias(MAGE, _SSH, refused=_has_content)),
    "ssh_port": Alias(MAGE, "there is no tunnel"),
    "load_method": Alias(
        MELTANO,
        f"overwrite is `method: replace`; with append-only (which Meltano writes by default) and upsert {_BY_KEY}",
        _choice({"append-only": {"method": None}, "upsert": {"method": None}, "overwrite": {"method": "replace"}}),
        warned=lambda value, _given: str(value).lower() == "append-only",
    ),
    "batch_size_rows": Alias(MELTANO, "`batch_rows`", _as("batch_rows")),
    "batch_size": Alias(PIPELINEWISE, "`batch_rows`", _as("batch_rows")),
    "batch_wait_limit_seconds": Alias(MELTANO, "`batch_age_s`", _as("batch_age_s")),
    "add_record_metadata": Alias(
        MELTANO, "`metadata: singer`; false is `metadata: none`", _on({"metadata": "singer"}, {"metadata": "none"})
    ),
    "activate_version": Alias(MELTANO, _TABLE_VERSIONS, refused=_deletes_versions, warned=_is_off),
    "process_activate_version_messages": Alias(MELTANO, _TABLE_VERSIONS, refused=_deletes_versions, warned=_is_off),
    "validate_records": Alias(
        MELTANO,
        "false is `validation: off`, true `validation: types`",
        _on({"validation": "types"}, {"validation": "off"}),
    ),
    "flattening_enabled": Alias(MELTANO, "`nested: flatten`; false is `nested: json`", _flattened),
    "flattening_max_depth": Alias(MELTANO, "`max_level`; 0 is `nested: json`", _depth),
    "flattening_max_key_length": Alias(MELTANO, "a name that is too long is cut and given a hash"),
    "flattening_separator": Alias(
        MELTANO,
        "names of fields are joined by __; give a column another `name` under `columns:`",
        refused=lambda value, _given: str(value) not in {"", "__"},
    ),
    **dict.fromkeys(("stream_maps", "stream_map_config", "faker_config"), Alias(MELTANO, _MAPS, refused=_has_content)),
    "use_copy": Alias(MELTANO, "rows are always loaded in bulk"),
    "ssl_enable": Alias(
        MELTANO, "`tls` by `ssl_mode`, or verify-full; false leaves `ssl_mode` and its certificate out", _tls
    ),
    "ssl_client_certificate_enable": Alias(MELTANO, "false leaves `ssl_client_certificate` and its key out", _on({})),
    "ssl_storage_directory": Alias(MELTANO, "certificates stay in the files that are named; none is written"),
    "ssh_tunnel": Alias(
        MELTANO,
        _SSH,
        refused=lambda value, _given: _is_on(value.get("enable") if isinstance(value, Mapping) else value),
    ),
    "interpret_content_encoding": Alias(
        MELTANO, "contentEncoding always makes a binary column; `kind: TEXT` under `columns:` keeps the text"
    ),
    "sanitize_null_text_characters": Alias(
        MELTANO, "`nul: strip`, for databases that don't take NUL", _on({"nul": "strip"}, {"nul": "refuse"})
    ),
    "max_varchar_size": Alias(MELTANO, "columns of text take the longest that the database has"),
    "clean_up_batch_files": Alias(MELTANO, "files are removed once their rows are committed"),
    "use_browser_authentication": Alias(
        MELTANO, "a run has no browser; set `private_key_file`, `password` or `token`", refused=_is_on
    ),
    "remove_s3_files": Alias(MELTANO, "files are removed once their rows are committed"),
    "grants": Alias(MELTANO, _GRANTS, warned=_has_content),
    "add_metadata_columns": Alias(
        PIPELINEWISE, "`metadata: singer`; false is `metadata: none`", _on({"metadata": "singer"}, {"metadata": "none"})
    ),
    "data_flattening_max_level": Alias(PIPELINEWISE, "`nested: flatten` and `max_level`; 0 is `nested: json`", _levels),
    "parallelism": Alias(PIPELINEWISE, "`max_parallelism`; 0 and less is the default", _threads),
    "parallelism_max": Alias(PIPELINEWISE, "`max_parallelism`, where `parallelism` sets none", _most_threads),
    "schema_mapping": Alias(
        PIPELINEWISE,
        "the `schema` of streams named schema-table, and `table: {table}`; indices aren't made, and rights not granted",
        _mapped_schemas,
        warned=_has_more_than_schemas,
    ),
    **dict.fromkeys(
        ("default_target_schema_select_permission", "default_target_schema_select_permissions"),
        Alias(PIPELINEWISE, _GRANTS, warned=_has_content),
    ),
    "skip_updates": Alias(PIPELINEWISE, "`method: insert_ignore`", _on({"method": "insert_ignore"}, {"method": None})),
    "primary_key_required": Alias(PIPELINEWISE, "streams without a key are appended"),
    "flush_all_streams": Alias(PIPELINEWISE, "all streams are committed together with the state that covers them"),
    "temp_dir": Alias(PIPELINEWISE, "rows wait in memory, and not in files"),
    "disable_table_cache": Alias(PIPELINEWISE, "tables are looked at when a run first loads into them"),
    "ssl": Alias(PIPELINEWISE, "`tls: require`", _on({"tls": "require"})),
    "compression": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "slices": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "copy_options": Alias(
        PIPELINEWISE, "tailrace sets COPY's options; what would be cut is refused", warned=_has_content
    ),
    "stage": Alias(PIPELINEWISE, _OWN_STAGE, warned=_has_content),
    "file_format": Alias(PIPELINEWISE, "tailrace says itself how its files are to be read"),
    **dict.fromkeys(
        [f"s3_{name}" for name in ("bucket", "key_prefix", "acl", "endpoint_url", "region_name")],
        _BUCKET,
    ),
    **dict.fromkeys(
        [f"aws_{name}" for name in ("access_key_id", "secret_access_key", "session_token", "profile")], _BUCKET
    ),
    **dict.fromkeys(
        ("client_side_encryption_master_key", "client_side_encryption_stage_object"),
        Alias(PIPELINEWISE, "Snowflake's driver encrypts what it sends to a stage of Snowflake's own"),
    ),
    "no_compression": Alias(PIPELINEWISE, "tailrace writes the files for COPY as suits it"),
    "archive_load_files": Alias(
        PIPELINEWISE, "files aren't kept; a second run, into `files`, keeps what a tap has sent", refused=_is_on
    ),
    **dict.fromkeys(
        ("archive_load_files_s3_bucket", "archive_load_files_s3_prefix"), Alias(PIPELINEWISE, "files aren't kept")
    ),
    "query_tag": Alias(
        PIPELINEWISE, "statements in Snowflake are tagged with their pipeline and checkpoint", warned=_has_content
    ),
    "charset": Alias(ADDRESS, "text always travels as UTF-8"),
    "client_encoding": Alias(ADDRESS, "text always travels as UTF-8"),
    "application_name": Alias(ADDRESS, "it would only label the session"),
    "connect_timeout": Alias(ADDRESS, "`connect_timeout_s`", _as("connect_timeout_s")),
    "options": Alias(
        ADDRESS,
        "set `schema` instead of a search_path; ALTER ROLE ... SET gives a role other defaults",
        refused=_has_content,
    ),
}
"""Every name of other targets, and what it means here."""

OPTIONAL = frozenset({"nul", "partition_keys", "tls"})
"""Settings that not every destination has, and whose aliases are no error there."""
