"""Configs that were written for other targets are read as they mean it, or refused with what to do."""

import json
import logging

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from refused_names import REFUSED

from tailrace.cli.options import setup
from tailrace.config.aliases import ADDRESSES, ALIASES, OF_FILES
from tailrace.config.sources import split
from tailrace.errors import ConfigError


class Place(BaseModel):
    """Settings of some server."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field("me", validation_alias=AliasChoices("user", "username"))
    tls: str = "prefer"
    nul: str = "refuse"
    connect_timeout_s: int = 30
    staging_schema: str = ""
    use_storage_write_api: bool = False
    url: str = ""
    path: str = ""
    storage_options: dict[str, str] = Field(default_factory=dict)
    tls_ca: str | None = None
    ssh: dict[str, str | int] = Field(default_factory=dict)


class Tls(BaseModel):
    """Settings of some server whose TLS has Meltano's name."""

    tls: str = Field("prefer", validation_alias=AliasChoices("tls", "ssl_mode"))


class File(BaseModel):
    """Settings of some file."""

    model_config = ConfigDict(extra="forbid")


def changed(given, place=Place):
    """What the settings of the run and of the place come to, where they aren't the defaults."""
    settings, own = split(given, place)
    return settings.model_dump(exclude_unset=True, by_alias=True) | own


MEANT = [
    ({"lower_case": True}, {"naming": "snake"}),
    ({"lower_case": False}, {"naming": "preserve"}),
    ({"use_lowercase": "false"}, {"naming": "preserve"}),
    ({"lower_case": True, "naming": "mage"}, {"naming": "mage"}),
    ({"unique_conflict_method": "UPDATE"}, {"method": "upsert"}),
    ({"unique_conflict_method": "ignore"}, {"method": "insert_ignore"}),
    ({"mode": "append"}, {"method": "append"}),
    ({"table_name": "users"}, {"table": "users"}),
    ({"mode": "overwrite"}, {"method": "replace"}),
    ({"maximum_batch_size_mb": 0.5}, {"batch_bytes": 2**19}),
    ({"maximum_batch_size_mb": "100"}, {"batch_bytes": 100 * 2**20}),
    ({"_streams": {"columns": {"origin": "shop"}, "partition_keys": ["day"]}}, {"constants": {"origin": "shop"}}),
    ({"_streams": {}}, {}),
    ({"disable_column_type_check": True}, {"validation": "off"}),
    ({"disable_column_type_check": False}, {"validation": "types"}),
    ({"load_method": "append-only"}, {}),
    ({"load_method": "upsert"}, {}),
    ({"load_method": "overwrite"}, {"method": "replace"}),
    ({"batch_size_rows": 10}, {"batch_rows": 10}),
    ({"batch_size": 10}, {"batch_rows": 10}),
    ({"batch_wait_limit_seconds": 5}, {"batch_age_s": 5.0}),
    ({"add_record_metadata": True}, {"metadata": "singer"}),
    ({"add_record_metadata": False}, {"metadata": "none"}),
    ({"activate_version": True, "hard_delete": True}, {"hard_delete": True}),
    ({"validate_records": False}, {"validation": "off"}),
    ({"validate_records": True}, {"validation": "types"}),
    ({"flattening_enabled": True}, {"nested": "flatten"}),
    ({"flattening_enabled": True, "flattening_max_depth": None}, {"nested": "flatten"}),
    ({"flattening_enabled": True, "flattening_max_depth": 2}, {"nested": "flatten", "max_level": 2}),
    ({"flattening_enabled": True, "flattening_max_depth": 0}, {"nested": "json"}),
    ({"flattening_enabled": False, "flattening_max_depth": 0}, {"nested": "json"}),
    ({"sanitize_null_text_characters": True}, {"nul": "strip"}),
    ({"sanitize_null_text_characters": False}, {"nul": "refuse"}),
    ({"ssl_enable": True}, {"tls": "verify-full"}),
    ({"ssl_client_certificate_enable": True}, {}),
    ({"add_metadata_columns": True}, {"metadata": "singer"}),
    ({"add_metadata_columns": False}, {"metadata": "none"}),
    ({"data_flattening_max_level": 0}, {"nested": "json"}),
    ({"data_flattening_max_level": 3}, {"nested": "flatten", "max_level": 3}),
    ({"parallelism": 0}, {}),
    ({"parallelism": -1}, {}),
    ({"parallelism": 4}, {"max_parallelism": 4}),
    ({"parallelism": 40, "parallelism_max": 16}, {"max_parallelism": 16}),
    ({"parallelism": 0, "parallelism_max": 16}, {"max_parallelism": 16}),
    (
        {"schema_mapping": {"public": {"target_schema": "raw"}}},
        {"streams": {"public-*": {"schema": "raw", "table": "{table}"}}},
    ),
    ({"skip_updates": True}, {"method": "insert_ignore"}),
    ({"skip_updates": False}, {}),
    ({"ssl": "true"}, {"tls": "require"}),
    ({"ssl": False}, {}),
    ({"connect_timeout": 5}, {"connect_timeout_s": 5}),
    ({"method": "batch_job", "batch_size": 500, "timeout": 600}, {"use_storage_write_api": False}),
    ({"method": "STORAGE_WRITE_API"}, {"use_storage_write_api": True}),
    ({"method": "append"}, {"method": "append"}),
    ({"upsert": True, "overwrite": True}, {}),
    ({"overwrite": True}, {"method": "replace"}),
    ({"upsert": []}, {}),
    ({"upsert": ["a"]}, {"method": "append", "streams": {"a": {"method": None}}}),
    ({"denormalized": True}, {}),
    ({"fail_fast": True}, {"on_invalid": "fail"}),
    ({"fail_fast": False}, {"on_invalid": "quarantine"}),
    ({"options": {"max_workers": 4, "process_pool": False}}, {"max_parallelism": 4}),
    ({"replication_method": "append"}, {}),
    ({"replication_method": "truncate"}, {"method": "replace"}),
    ({"table_prefix": "src_"}, {"table": "src_{stream}"}),
    ({"table_prefix": "src_", "table_suffix": "_v1"}, {"table": "src_{stream}_v1"}),
    (
        {"account_name": "lake", "access_key": "s$$"},
        {"storage_options": {"azure_storage_account_name": "lake", "azure_storage_account_key": "s$$"}},
    ),
    *[
        ({name: "/key.json"}, {"storage_options": {"google_service_account": "/key.json"}})
        for name in ("google_application_credentials", "google_service_acc_key_filepath", "service_account_json")
    ],
    ({"table_uri": "abfs://c@a.net/x/users/"}, {"url": "abfs://c@a.net/x", "table": "users"}),
    (
        {"conn_kwargs": {"ssl_ca": "ca.pem", "connect_timeout": 5}},
        {"tls_ca": "ca.pem", "connect_timeout_s": 5, "tls": "verify-ca"},
    ),
    (
        {
            "connection_method": "ssh_tunnel",
            "ssh_host": "h",
            "ssh_port": 2222,
            "ssh_username": "u",
            "ssh_password": "p",
        },
        {"ssh": {"host": "h", "port": 2222, "user": "u", "password": "p"}},
    ),
    ({"ssh_host": "h", "ssh_pkey": "~/.ssh/id"}, {"ssh": {"host": "h", "private_key_file": "~/.ssh/id"}}),
    (
        {"ssh_host": "h", "ssh_pkey": "-----BEGIN RSA PRIVATE KEY-----\n"},
        {"ssh": {"host": "h", "private_key": "-----BEGIN RSA PRIVATE KEY-----\n"}},
    ),
    (
        {"ssh_tunnel": {"enable": True, "host": "h", "port": 22, "username": "u", "private_key_password": "p"}},
        {"ssh": {"host": "h", "port": 22, "user": "u", "passphrase": "p"}},
    ),
    ({"file_path": "/data/x.duckdb"}, {"path": "/data/x.duckdb"}),
    ({"temp_schema": "landing"}, {"staging_schema": "landing"}),
    ({"parallelism": 4, "max_parallelism": 16}, {"max_parallelism": 16}),
]


@pytest.mark.parametrize(("given", "meant"), MEANT, ids=lambda value: json.dumps(value)[:60])
def test_a_name_of_other_targets_is_read_as_they_mean_it(given, meant):
    assert changed(given) == meant


NEEDS_NOTHING = [
    "allow_reserved_words",
    "skip_schema_creation",
    "disable_update_column_types",
    "use_batch_load",
    "use_merge_load",
    "use_s3_copy",
    "flattening_max_key_length",
    "use_copy",
    "ssl_storage_directory",
    "interpret_content_encoding",
    "max_varchar_size",
    "remove_s3_files",
    "primary_key_required",
    "flush_all_streams",
    "temp_dir",
    "disable_table_cache",
    "compression",
    "slices",
    "clean_up_batch_files",
    "file_format",
    *(f"client_side_encryption_{name}" for name in ("master_key", "stage_object")),
    "no_compression",
    *(f"archive_load_files_s3_{name}" for name in ("bucket", "prefix")),
    "charset",
    "client_encoding",
    "application_name",
    "dedupe_before_upsert",
    "generate_view",
    "schema_resolver_version",
    *("force_alphanumeric_table_names", "max_cache", "stream_data", "disable_collection"),
    "project",
]


@pytest.mark.parametrize("name", NEEDS_NOTHING)
def test_a_name_that_needs_nothing_is_accepted_and_the_log_says_why(name, caplog):
    with caplog.at_level(logging.INFO, "tailrace"):
        assert changed({name: True}) == {}
    [line] = caplog.messages
    assert line == f"`{name}` isn't needed: {ALIASES[name].text}"


def test_a_tunnel_is_refused_where_none_can_be_had():
    with pytest.raises(ConfigError, match="ssh_host: it means `ssh`, which can't be set here"):
        split({"ssh_host": "bastion"}, File)


@pytest.mark.parametrize(("given", "hint"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_not_done_here_is_refused_with_what_to_do(given, hint):
    with pytest.raises(ConfigError) as refused:
        split(given, Place)
    assert refused.value.key == next(iter(given))
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"type_mapping": {"object": "SUPER", "datetime": "TIMESTAMPTZ"}},
        {"conn_kwargs": None},
        {"connection_method": "direct", "ssh_host": "bastion", "ssh_username": "me", "ssh_port": 22},
        {"connection_method": "", "ssh_host": "", "ssh_port": 22, "ssh_password": None},
        {"ssh_tunnel": {"enable": False, "host": "bastion", "port": 22}},
        {"flattening_separator": "__"},
        {"stream_maps": {}, "stream_map_config": {}, "faker_config": {"seed": None, "locale": []}},
        {"options": ""},
        {"use_browser_authentication": "false"},
        {"archive_load_files": False},
        {"column_name_transforms": {"lower": True, "quote": True, "add_underscore_when_invalid": True}},
        {"options": {"storage_write_batch_mode": True}},
        {"s3_bucket": "", "s3_acl": None},
        {"s3_bucket": "load", "stage": "raw.load"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_is_not_done_here_is_accepted_where_it_asks_for_nothing(given):
    assert changed(given) == {}


@pytest.mark.parametrize(
    "given",
    [
        {"load_method": "append-only"},
        {"activate_version": False},
        {"process_activate_version_messages": False},
        {"grants": ["reader"]},
        {"default_target_schema_select_permission": "reader"},
        {"default_target_schema_select_permissions": ["reader"]},
        {"copy_options": "TRUNCATECOLUMNS"},
        {"stage": "raw.load"},
        {"query_tag": "{{schema}}"},
        {"upsert": False, "overwrite": None},
        {"partition_granularity": "month"},
        {"cluster_on_key_properties": True},
        {"replication_method": "append"},
        {"merge_state_messages": True},
        {"bucket": "stage", "method": "gcs_stage"},
        {"schema_mapping": {"a": {"target_schema": "b", "indices": {"t": ["c"]}}}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_differs_here_is_warned_of(given, caplog):
    split(given, Place)
    [line] = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert line.getMessage().startswith(f"`{next(iter(given))}` differs here: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lower_case": "perhaps"}, "lower_case: it is either true or false"),
        ({"mode": "merge"}, "mode: it must be one of append, overwrite"),
        ({"unique_conflict_method": "MERGE"}, "unique_conflict_method: it must be one of update, ignore"),
        *[
            ({"maximum_batch_size_mb": x}, "maximum_batch_size_mb: it must be a number")
            for x in ("big", "inf", "nan", [])
        ],
        ({"_streams": {"columns": 5}}, "_streams: its `columns` must be values by name"),
        ({"_streams": {"orders": {}}}, "_streams: it must hold `columns` and `partition_keys` alone"),
        ({"schema_mapping": "raw"}, "schema_mapping: it must name a schema"),
        ({"schema_mapping": {"a": {}}}, "schema_mapping: 'a' needs a `target_schema`"),
        ({"ssl_enable": "perhaps"}, "ssl_enable: it is either true or false"),
        ({"overwrite": ["*"], "upsert": ["*", "!a"]}, "overwrite: set `method` under `streams:`"),
        ({"table_prefix": "{stream}"}, "table_prefix: it can't have { and } in it"),
        ({"replication_method": "merge"}, "replication_method: it must be one of append, incremental, truncate"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_own_name(given, said):
    with pytest.raises(ConfigError) as refused:
        split(given, Place)
    assert str(refused.value).startswith(said)


def test_every_name_is_tested():
    tested = {name for given, *_ in MEANT + REFUSED for name in given} | {*NEEDS_NOTHING}
    warned = "grants copy_options stage query_tag merge_state_messages partition_granularity cluster_on_key_properties"
    rights = {f"default_target_schema_select_permission{s}" for s in ("", "s")}
    peers = "enable_iam_authentication allow_column_alter driver_name lower_case_table_names replace_null"
    assert ALIASES.keys() - tested - rights - {*warned.split(), *OF_FILES, *peers.split()} == set()


def test_a_destinations_own_name_is_its_own():
    class Own(Place):
        mode: str = "x"

    assert changed({"mode": "overwrite"}, Own) == {"mode": "overwrite"}


def test_an_address_by_another_name_is_no_setting_from_python():
    for name in ADDRESSES:
        with pytest.raises(ConfigError, match="the address is `to`"):
            split({name: "postgresql"}, Place)


@pytest.mark.parametrize(
    ("given", "key", "other"),
    [
        ({"lower_case": True, "naming": "preserve"}, "lower_case", "naming"),
        ({"add_record_metadata": True, "add_metadata_columns": False}, "add_metadata_columns", "add_record_metadata"),
        ({"_streams": {"columns": {"a": 1}}, "constants": {"a": 2}}, "_streams", "constants"),
        ({"mode": "append", "method": "upsert"}, "mode", "method"),
        ({"batch_size_rows": 5, "batch_rows": 6}, "batch_size_rows", "batch_rows"),
        ({"user": "a", "username": "b"}, "username", "user"),
    ],
)
def test_two_names_of_one_setting_must_agree(given, key, other):
    with pytest.raises(ConfigError, match=rf"^{key}: .*`{other}`.*leave one out"):
        split(given, Place)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"lower_case": True, "naming": "snake"}, {"naming": "snake"}),
        ({"batch_size_rows": 5, "batch_rows": "5"}, {"batch_rows": 5}),
        ({"user": "", "username": "b"}, {"user": "b"}),
        ({"user": "a", "username": None}, {"user": "a"}),
        ({"naming": None, "lower_case": False}, {"naming": "preserve"}),
        ({"_streams": {"columns": {"a": "1"}}, "constants": {"b": "2"}}, {"constants": {"a": "1", "b": "2"}}),
        ({"ssl_enable": True, "ssl_mode": None}, {"tls": "verify-full"}),
    ],
)
def test_two_names_of_one_setting_that_agree_are_one(given, meant):
    assert changed({name: value for name, value in given.items() if name != "ssl_mode"}) == meant


@pytest.mark.parametrize("name", sorted(ALIASES))
@pytest.mark.parametrize("nothing", [None, ""])
def test_a_null_or_empty_name_is_as_good_as_unset(name, nothing):
    assert changed({name: nothing}) == {}


def test_a_switch_that_is_null_switches_nothing_off():
    assert split({"ssl_enable": None, "ssl_mode": "require"}, Tls)[1] == {"tls": "require"}
    assert split({"ssl_enable": "false", "ssl_mode": "require"}, Tls)[1] == {}


def test_a_destination_without_tls_or_nul_has_no_use_for_their_names():
    assert changed({"ssl": True, "sanitize_null_text_characters": True}, File) == {}


def test_a_name_is_read_below_streams_too():
    streams = {"orders": {"unique_conflict_method": "IGNORE", "lower_case": False}}
    assert changed({"streams": streams})["streams"] == {"orders": {"method": "insert_ignore", "naming": "preserve"}}
    with pytest.raises(ConfigError, match=r"it means `batch_rows`, which can't be set here"):
        split({"streams": {"orders": {"batch_size_rows": 5}}}, Place)


def test_a_mistyped_name_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"lower_cas: there is no such setting \(did you mean lower_case\?\)"):
        split({"lower_cas": True}, Place)


def test_mapped_schemas_are_of_streams_that_are_named_so():
    mapping = {"pub*": {"target_schema": "raw", "target_schema_select_permissions": []}}
    settings, _ = split({"schema_mapping": mapping, "default_target_schema": "rest"}, Place)
    assert settings.for_stream("pub*-orders").schema_name == "raw"
    assert settings.for_stream("public-orders").schema_name == "rest"


def test_a_stronger_source_overrides_by_whatever_name(tmp_path):
    (tmp_path / "weak.json").write_text('{"lower_case": true, "batch_size_rows": 5, "username": "a", "database": "d"}')
    (tmp_path / "strong.json").write_text('{"naming": "preserve", "user": "b"}')
    made = setup("postgres", [tmp_path / "weak.json", tmp_path / "strong.json"], ["batch_rows=7"])
    assert (made.settings.naming, made.settings.batch_rows) == ("preserve", 7)
    assert made.destination == {"user": "b", "database": "d"}
