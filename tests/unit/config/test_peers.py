"""Settings that other targets publish, in docs/peers.json: each is known here, and whole configs mean the same."""

import json
from pathlib import Path

import pytest

from tailrace.config import Settings
from tailrace.config.aliases import ADDRESSES, ALIASES
from tailrace.config.checking import names_of
from tailrace.destinations import settings_model
from tailrace.errors import ConfigError

PEERS = json.loads((Path(__file__).parents[3] / "docs" / "peers.json").read_text(encoding="utf-8"))
LOGIN = {"host": "db", "user": "me", "password": "p", "dbname": "shop", "default_target_schema": "raw"}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer['of']} {peer['target']}")
def test_every_setting_that_another_target_lists_is_known(peer):
    known = names_of(Settings) | names_of(settings_model(peer["to"])) | ALIASES.keys() | ADDRESSES.keys()
    assert [name for name in peer["settings"] if name not in known] == []
    assert len(peer["settings"]) == len(set(peer["settings"])) >= 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"flush_all_streams": False}, ("off", "none")),
        ({"flush_all_streams": False, "hard_delete": True}, ("off", "singer")),
        ({"flush_all_streams": False, "hard_delete": "false"}, ("off", "none")),
        ({"primary_key_required": True, "validate_records": True}, ("types", "none")),
        ({"data_flattening_max_level": 0, "validation": "full"}, ("full", "none")),
        ({"schema_mapping": {}, "hard_delete": True, "add_metadata_columns": False}, ("off", "none")),
        ({"flush_all_streams": None, "hard_delete": True}, ("types", "none")),
        ({"batch_size_rows": 5, "hard_delete": True}, ("types", "none")),
    ],
)
def test_pipelinewises_defaults_come_with_a_config_that_is_known_for_one_of_its_targets(loaded, config, expected):
    run, _ = loaded({**LOGIN, **config}, "postgres")
    assert (run.validation, run.metadata) == expected


def test_a_flag_is_stronger_than_a_default_of_pipelinewises(loaded):
    run, _ = loaded({**LOGIN, "flush_all_streams": False}, "postgres", "validation=full")
    assert run.validation == "full"


def test_pipelinewises_config_for_csv_on_s3(loaded):
    keys = {"aws_access_key_id": "A", "aws_secret_access_key": "S", "aws_endpoint_url": "http://s3"}
    config = {**keys, "s3_bucket": "b", "s3_key_prefix": "raw/", "delimiter": ",", "quotechar": '"', "temp_dir": "/tmp"}
    run, own = loaded({**config, "compression": "gzip", "encryption_type": "none", "format": "csv"}, "files")
    assert (own.root, own.access_key_id, own.endpoint, own.format) == ("s3://b/raw", "A", "http://s3", "csv")
    assert run.method is None


def test_meltanos_config_for_csv(loaded):
    config = {"output_path": "/data", "file_naming_scheme": "{stream_name}.csv", "overwrite_behavior": "replace_file"}
    run, own = loaded({**config, "encoding": "utf-8", "timestamp_timezone": "UTC", "format": "csv"}, "files")
    assert (own.root, own.format, run.method) == ("file:///data", "csv", "replace")


def test_a_config_of_target_s3(loaded):
    cloud = {"aws_access_key_id": "A", "aws_bucket": "b", "aws_region": "r", "aws_profile_name": None}
    config = {
        "cloud_provider": {"cloud_provider_type": "aws", "aws": cloud},
        "format": {"format_type": "parquet"},
        "prefix": "raw",
        "flatten_records": True,
        "stream_name_path_override": "sales",
    }
    run, own = loaded(config, "files")
    assert (own.root, own.region, own.format, own.access_key_id) == ("s3://b/raw", "r", "parquet", "A")
    assert (run.nested, run.table) == ("flatten", "sales")


def test_a_config_of_meltanos_target_for_mysql(loaded):
    config = {"username": "me", "database": "shop", "driver_name": "mysql+pymysql", "allow_column_alter": False}
    run, own = loaded({**config, "lower_case_table_names": False, "replace_null": False}, "mysql")
    assert (own.user, own.database, run.naming) == ("me", "shop", "preserve")


def test_iam_needs_no_setting_in_redshift(loaded):
    _, own = loaded({"dbname": "dev", "cluster_identifier": "c", "enable_iam_authentication": True}, "redshift")
    assert (own.database, own.cluster_identifier, own.password) == ("dev", "c", None)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"delimiter": ";"}, "delimiter: .*commas"),
        ({"quotechar": "'"}, "quotechar: .*quoted"),
        ({"encryption_type": "KMS"}, "encryption_type: .*bucket"),
        ({"naming_convention": "{stream}/{date}.csv"}, "naming_convention: .*file_template"),
        ({"encoding": "latin-1"}, "encoding: .*UTF-8"),
        ({"escape_character": "\\"}, "escape_character"),
        ({"record_sort_property_name": "id"}, "record_sort_property_name: .*order"),
        ({"output_path_prefix": "x"}, "output_path_prefix: .*url"),
        ({"include_process_date": True}, "include_process_date: .*_sdc_batched_at"),
        ({"cloud_provider": {"aws": {"aws_profile_name": "me"}}}, "cloud_provider: its aws_profile_name"),
        ({"cloud_provider": {"cloud_provider_type": "gcp"}}, "cloud_provider: it must hold"),
        ({"aws_profile": "me"}, "aws_profile: .*AWS_PROFILE"),
        ({"replace_null": True}, "replace_null: .*NULL"),
        ({"overwrite_behavior": "sometimes"}, "overwrite_behavior: it must be one of"),
    ],
)
def test_what_would_make_other_files_is_refused_with_its_reason(loaded, config, said):
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        loaded({"url": "/data", **config}, "files")
