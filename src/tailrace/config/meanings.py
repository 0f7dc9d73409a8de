"""What values in other targets' configs come to, in settings: the functions that the table of their names is made of.

Each is given a value and everything that is set beside it, and raises ValueError for a value that can't be.
"""

from __future__ import annotations

import glob
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

Values = dict[str, Any]
Given = Mapping[str, Any]
Meaning = Callable[[Any, Given], Values]

OFF = frozenset({"false", "0", "no", "off", "f", "n", "", "none"})
"""What a switch that is off says."""
SSH = {"host": "host", "port": "port", "username": "user", "password": "password", "pkey": "private_key"}
"""What Mage calls the settings of a tunnel, behind `ssh_`, and their own names."""
ROUTES = {
    "storage_write_api": {"use_storage_write_api": True},
    **{name: {"use_storage_write_api": False} for name in ("batch_job", "gcs_stage", "streaming_insert")},
}
"""The ways into BigQuery that Meltano's target calls its `method`, and their settings."""


def is_on(value: Any, _given: Given | None = None) -> bool:
    """Whether a switch is on."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on", "t", "y"}:
        return True
    if text in OFF:
        return False
    raise ValueError("it is either true or false")


def is_off(value: Any, _given: Given) -> bool:
    """Whether a switch is off."""
    return not is_on(value)


def has_content(value: Any, _given: Given | None = None) -> bool:
    """Whether anything is asked for, on any level."""
    if isinstance(value, Mapping):
        return any(map(has_content, value.values()))
    return bool(value) and str(value).strip().lower() not in {"", "false", "none"}


def number_of(value: Any) -> float:
    """The number in a value."""
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("it must be a number")
    return number


def switched(on: Values, off: Values | None = None) -> Meaning:
    """What a switch comes to."""
    return lambda value, _given: dict(on if is_on(value) else off or {})


def cased(value: Any, given: Given) -> Values:
    """Mage's `lower_case`, which `naming: mage` goes with."""
    if is_on(value) and str(given.get("naming") or "").startswith("mage"):
        return {}
    return {"naming": "snake" if is_on(value) else "preserve"}


def renamed(setting: str) -> Meaning:
    """The same value, of that setting."""
    return lambda value, _given: {setting: value}


def chosen(choices: Mapping[str, Values]) -> Meaning:
    """What one of several words comes to."""

    def meant(value: Any, _given: Given) -> Values:
        if str(value).lower() not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return dict(choices[str(value).lower()])

    return meant


def flattened(value: Any, given: Given) -> Values:
    """Meltano's `flattening_enabled`."""
    depth = given.get("flattening_max_depth")
    is_deep = depth is None or number_of(depth) > 0
    return {"nested": "flatten" if is_on(value) and is_deep else "json"}


def depth(value: Any, _given: Given) -> Values:
    """Meltano's `flattening_max_depth`."""
    return {"max_level": value} if number_of(value) > 0 else {"nested": "json"}


def levels(value: Any, _given: Given) -> Values:
    """PipelineWise's `data_flattening_max_level`."""
    return {"nested": "flatten", "max_level": value} if number_of(value) > 0 else {"nested": "json"}


def threads(value: Any, given: Given) -> Values:
    """PipelineWise's `parallelism`."""
    count = number_of(value)
    if count <= 0 or given.get("max_parallelism"):
        return {}
    return {"max_parallelism": int(min(count, number_of(given.get("parallelism_max") or count)))}


def most_threads(value: Any, given: Given) -> Values:
    """PipelineWise's `parallelism_max`."""
    return {} if number_of(given.get("parallelism") or 0) > 0 else {"max_parallelism": value}


def tls(value: Any, given: Given) -> Values:
    """Meltano's `ssl_enable`."""
    return {"tls": given.get("ssl_mode") or "verify-full"} if is_on(value) else {}


def store_option(name: str) -> Meaning:
    """The value as an option of the object store, by its name there."""
    return lambda value, _given: {"storage_options": {name: str(value)}}


def place_of_table(value: Any, _given: Given) -> Values:
    """`table_uri` of Mage's Delta Lake on Azure: where the one table is."""
    folder, _, table = str(value).rstrip("/").rpartition("/")
    if not folder.partition("://")[2] or not table:
        raise ValueError("it must be the address of a table in a folder, as abfs://CONTAINER/FOLDER/TABLE")
    return {"url": folder, "table": table.replace("{", "{{").replace("}", "}}")}


_S3_CREDS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_region": "region",
    "bucket": "bucket",
    "redshift_iam_role": "iam_role",
}


def s3_creds(value: Any, given: Given) -> Values:
    """`s3_creds` of Mage's Redshift, which count where `use_s3_copy` is on."""
    if not isinstance(value, Mapping) or set(value) - {*_S3_CREDS}:
        raise ValueError(f"it must hold some of {', '.join(_S3_CREDS)}, and nothing else")
    has_copy = "use_s3_copy" not in given or is_on(given["use_s3_copy"])
    return {_S3_CREDS[name]: each for name, each in value.items() if has_copy and each not in {None, ""}}


_CONNECT = {
    "ssl_ca": "tls_ca",
    "ssl_cert": "tls_cert",
    "ssl_key": "tls_key",
    "connect_timeout": "connect_timeout_s",
    "connection_timeout": "connect_timeout_s",
}
_MODES = {"ssl_disabled": "disable", "ssl_verify_cert": "verify-ca", "ssl_verify_identity": "verify-full"}


def connecting(value: Any, _given: Given) -> Values:
    """`conn_kwargs` of Mage's MySQL, which are parameters of MySQL's driver."""
    if not isinstance(value, Mapping):
        raise ValueError("it must be parameters of MySQL's driver, by name")  # noqa: TRY004 a setting's value
    if other := sorted({*map(str, value)} - {*_CONNECT, *_MODES, "charset", "use_unicode"}):
        raise ValueError(f"{other[0]!r} can't be had here, but {', '.join((*_CONNECT, *_MODES))}")
    settings: Values = {_CONNECT[name]: each for name, each in value.items() if name in _CONNECT}
    modes = [mode for name, mode in _MODES.items() if is_on(value.get(name) or False)]
    tls = modes[-1] if modes else "verify-ca" if settings.get("tls_ca") else None
    return settings | ({"tls": tls} if tls else {})


_BULK = {
    "chunk_size": "rows_at_once",
    "max_chunk_bytes": "bulk_bytes",
    "request_timeout": "timeout_s",
    "timeout": "timeout_s",
    "refresh": "refresh",
    "pipeline": "ingest_pipeline",
    "thread_count": "connections",
}
_UNNEEDED = frozenset(
    {"max_retries", "initial_backoff", "max_backoff", "raise_on_error", "raise_on_exception", "stats_only", "yield_ok"}
    | {"queue_size", "ignore_status", "retry_on_status", "use_parallel"}
)
"""What bulk helpers are told of threads, retries and errors, which are always looked at one by one here."""
_OF_OPERATION = frozenset({"_op_type", "op_type"})
_BULKS = frozenset({*_BULK, *_UNNEEDED, *_OF_OPERATION})
OPERATION = chosen({"index": {}, "create": {"data_streams": True}})
"""What documents are written by: those that are created go into data streams."""


def _of_json(value: Any) -> Any:
    """What a text of JSON holds; any other value as it is."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def has_fields(value: Any, _given: Given) -> bool:
    """Whether there is anything in a value, which may be a text of JSON."""
    return has_content(_of_json(value))


def bulk(value: Any, _given: Given) -> Values:
    """`bulk_kwargs` of targets for search engines, which are what their clients' bulk helpers are told."""
    told = _of_json(value)
    if not isinstance(told, Mapping):
        raise ValueError("it must be names and values")  # noqa: TRY004 a setting's value
    if unknown := [name for name in told if name not in _BULKS]:
        raise ValueError(f"{unknown[0]!r} means nothing here; there are {', '.join(sorted(_BULKS))}")
    own = {_BULK[name]: each for name, each in told.items() if name in _BULK}
    for name in _OF_OPERATION & told.keys():
        own |= OPERATION(told[name], told)
    return own


_OWN_TYPES = {"object": {"super"}, "array": {"super"}, "datetime": {"timestamptz"}, "number": {"double precision"}}


def has_other_types(value: Any, _given: Given) -> bool:
    """Whether `type_mapping` of Mage's Redshift asks for types other than those that columns have anyway."""
    if not isinstance(value, Mapping):
        return has_content(value)
    return any(str(each).lower() not in _OWN_TYPES.get(str(name), set()) for name, each in value.items() if each)


def tunnelled(value: Any, given: Given) -> Values:
    """Mage's `connection_method`, whose settings of the tunnel stand beside it."""
    if str(value).lower() not in {"ssh_tunnel", "direct", "none"}:
        raise ValueError("it must be ssh_tunnel or direct")
    if str(value).lower() == "ssh_tunnel" and not given.get("ssh_host"):
        raise ValueError("it needs `ssh_host`, and `ssh_username` with `ssh_password` or `ssh_pkey`")
    return {}


def in_tunnel(name: str) -> Meaning:
    """One of Mage's settings of a tunnel, which there is where `ssh_host` is set; a private key is a text or a file."""

    def meant(value: Any, given: Given) -> Values:
        if not given.get("ssh_host"):
            return {}
        own = name
        if name == "private_key" and "PRIVATE KEY" not in str(value):
            own = "private_key_file"
        return {"ssh": {own: value}}

    return meant


def tunnel(value: Any, _given: Given) -> Values:
    """Meltano's `ssh_tunnel`."""
    if not isinstance(value, Mapping):
        raise ValueError("it must have `enable`, `host`, `username`, and so on")  # noqa: TRY004 a setting's value
    ours = {"username": "user", "private_key_password": "passphrase"}
    named = {ours.get(key, key): each for key, each in value.items() if key != "enable" and each not in (None, "")}
    return {"ssh": named} if is_on(value.get("enable")) else {}


def constants(value: Any, _given: Given) -> Values:
    """Mage's `_streams`."""
    if not isinstance(value, Mapping) or set(value) - {"columns", "partition_keys"}:
        raise ValueError("it must hold `columns` and `partition_keys` alone")
    columns = value.get("columns") or {}
    if not isinstance(columns, Mapping):
        raise ValueError("its `columns` must be values by name")  # noqa: TRY004 a setting's value
    keys = value.get("partition_keys") or []
    if not isinstance(keys, list):
        raise ValueError("its `partition_keys` must be a list")  # noqa: TRY004 a setting's value
    return {**({"constants": dict(columns)} if columns else {}), **({"partition_keys": keys} if keys else {})}


def mapped_schemas(value: Any, _given: Given) -> Values:
    """PipelineWise's `schema_mapping`."""
    if not isinstance(value, Mapping):
        raise ValueError("it must name a schema of the source, and its `target_schema`")  # noqa: TRY004 a setting's value
    streams = {}
    for source, target in value.items():
        if not isinstance(target, Mapping) or not target.get("target_schema"):
            raise ValueError(f"{source!r} needs a `target_schema`")
        streams[f"{glob.escape(source)}-*"] = {"schema": target["target_schema"], "table": "{table}"}
    return {"streams": streams} if streams else {}


def has_more_than_schemas(value: Any, _given: Given) -> bool:
    """Whether `schema_mapping` asks for indices or rights."""
    return any(has_content({**target, "target_schema": None}) for target in value.values())


def beside_no_stage(value: Any, given: Given) -> bool:
    """Whether something is set of a stage, and no stage."""
    return has_content(value) and not has_content(given.get("stage"))


def deletes_versions(value: Any, given: Given) -> bool:
    """Whether versions are switched off where they would delete rows."""
    return not is_on(value) and is_on(given.get("hard_delete"))


def is_route(value: Any, _given: Given) -> bool:
    """Whether `method` is a way into BigQuery, and not how rows are loaded."""
    return str(value).lower() in ROUTES


def beside_no_route(value: Any, given: Given) -> bool:
    """Whether something is set of a way into BigQuery, and no way."""
    return has_content(value) and not is_route(given.get("method"), given)


def rows(value: Any, given: Given) -> Values:
    """`batch_size`, which is of rows, and of requests where there is a way into BigQuery."""
    return {} if is_route(given.get("method"), given) else {"batch_rows": value}


def workers(value: Any, _given: Given) -> Values:
    """`options` of Meltano's target for BigQuery."""
    most = value.get("max_workers") if isinstance(value, Mapping) else None
    return {"max_parallelism": most} if most else {}


def has_options_of_sessions(value: Any, _given: Given) -> bool:
    """Whether `options` are those of a session of PostgreSQL."""
    return has_content(value) and not (
        isinstance(value, Mapping) and {*value} <= {"storage_write_batch_mode", "process_pool", "max_workers"}
    )


def affixed(_value: Any, given: Given) -> Values:
    """`table_prefix` and `table_suffix`, which are one setting."""
    before, behind = (str(given.get(name) or "") for name in ("table_prefix", "table_suffix"))
    if {*"{}"} & {*before, *behind}:
        raise ValueError("it can't have { and } in it")
    return {"table": f"{before}{{stream}}{behind}"}


def ways(_value: Any, given: Given) -> Values:
    """`upsert` and `overwrite` of Meltano's target for BigQuery: of all streams, or of those that match in a list.

    Of streams that match in both, `upsert` counts; of patterns that match, the last one.
    """
    overwrite, upsert = (given.get(name) or False for name in ("overwrite", "upsert"))
    listed = [patterns if isinstance(patterns, list) else [] for patterns in (overwrite, upsert)]
    replaces, upserts = (not isinstance(one, list) and is_on(one) for one in (overwrite, upsert))
    rest = None if upserts else "replace" if replaces else "append" if any(listed) else None
    if listed[0] and any(str(pattern).startswith("!") for pattern in listed[1]):
        raise ValueError("set `method` under `streams:` instead")
    streams: dict[str, Values] = {}
    for way, patterns in (("replace", [] if upserts else listed[0]), (None, listed[1])):
        for pattern in map(str, patterns):
            name = pattern.removeprefix("!")
            streams.pop(name, None)  # the later one counts
            streams[name] = {"method": way if name == pattern else rest}
    return {"method": rest, **({"streams": streams} if streams else {})}


def appends(_value: Any, given: Given) -> bool:
    """Whether `upsert` and `overwrite` of Meltano's target for BigQuery ask for rows to be appended."""
    return not any(has_content(given.get(name)) for name in ("overwrite", "upsert"))
