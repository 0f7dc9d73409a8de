"""Every key that Mage publishes for a destination is honoured, needs nothing, or is refused with its reason."""

import json
from pathlib import Path

import pytest

from tailrace import destinations
from tailrace.compat.mage_destinations import DESTINATIONS
from tailrace.compat.mage_run import Options, set_up
from tailrace.config.aliases import ALIASES
from tailrace.destinations import scheme_of
from tailrace.errors import ConfigError

PUBLISHED = json.loads(Path(__file__).with_name("mage_keys.json").read_text(encoding="utf-8"))
EVERY = PUBLISHED["of every destination"]["keys"]
KEYS = {name: [*entry["keys"], *EVERY] for name, entry in PUBLISHED["destinations"].items()}
TUNNEL = {"connection_method": "ssh_tunnel"} | {f"ssh_{name}": "x" for name in ("host", "username", "password", "pkey")}
ASKING = TUNNEL | {
    "connection_method": "direct",
    "_op_type": "create",
    "bulk_kwargs": {"chunk_size": 5, "use_parallel": True},
    "index_schema_fields": {"a": "$.b"},
    "metadata_fields": {"orders": {"_id": "id"}},
    "verify_certs": False,
    "_streams": {"columns": {"x": 1}},
    "allow_reserved_words": True,
    "column_header_format": "lower",
    "conn_kwargs": {"ssl_ca": "ca.pem"},
    "connection_string": "mongodb://h",
    "credentials_info": {"type": "service_account"},
    "date_partition_format": "%Y",
    "disable_double_quotes": True,
    "disable_update_column_types": True,
    "file_type": "csv",
    "if_exists": "replace",
    "lower_case": False,
    "maximum_batch_size_mb": 5,
    "mode": "overwrite",
    "port": 1234,
    "s3_creds": {"bucket": "stage"},
    "ssh_port": 2222,
    "table_uri": "abfs://container/folder/other",
    "truncate_full_table": True,
    "type_mapping": {"string": "VARCHAR(10)"},
    "use_lowercase": False,
}
"""A value of each key that asks for something; a text does for others."""
BASE = {
    "amazon_s3": {"bucket": "b"},
    "bigquery": {"project_id": "p", "dataset": "d"},
    "delta_lake_azure": {"table_uri": "abfs://container/folder/table"},
    "delta_lake_s3": {"bucket": "b"},
    "duckdb": {"file_path": "y"},
    "elasticsearch": {},
    "gcs": {"bucket": "b"},
    "google_cloud_storage": {"bucket": "b"},
    "mongodb": {"connection_string": "mongodb://other", "db_name": "d"},
    "mysql": {"database": "d", "username": "u"},
    "opensearch": {},
    "postgresql": {"database": "d", "username": "u"},
    "redshift": {"host": "h", "database": "d", "user": "u", "password": "p"},
    "snowflake": {"account": "a", "database": "d", "username": "u", "password": "p"},
}
NOT_BESIDE = {"db_user": "user", "private_key_file": "password", "private_key_file_pwd": "password"}
NEEDS = {"access_key_id": {"secret_access_key": "s"}, "secret_access_key": {"access_key_id": "a"}}
NEEDS |= {"private_key_file_pwd": {"private_key_file": "k"}} | dict.fromkeys((*TUNNEL, "ssh_port"), TUNNEL)
NEEDS |= {"username": {"password": "p"}, "password": {"username": "u"}, "api_key_id": {"api_key": "k"}}
IS_ALIKE = {("delta_lake_azure", "table"): "a name for people beside table_uri"}


def test_the_keys_of_each_destination_are_those_that_mage_publishes():
    assert {name: sorted(each.config) for name, each in DESTINATIONS.items()} == {
        name: sorted(keys) for name, keys in KEYS.items()
    }


def come_to(monkeypatch, name, config):
    """What a config comes to: the settings of the run and of the destination."""
    module = destinations._module(scheme_of(DESTINATIONS[name].to))
    monkeypatch.setattr(module, "build", lambda settings: settings)
    return set_up(Options(DESTINATIONS[name], config, {}, None, None), ())


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in KEYS.items() for key in keys])
def test_a_key_is_honoured_or_needs_nothing_or_is_refused_by_its_name(monkeypatch, name, key):
    base = {each: value for each, value in BASE[name].items() if each != NOT_BESIDE.get(key)}
    given = {**base, **NEEDS.get(key, {}), key: ASKING.get(key, "x")}
    found, refused = tried(monkeypatch, name, given)
    if refused is not None:
        assert refused.key in {key, "connection_method", "tls_ca"}
        assert "no such setting" not in str(refused)
        assert refused.hint
        return
    without, _ = tried(
        monkeypatch, name, {each: value for each, value in {**given, key: None, **base}.items() if value}
    )
    alias = ALIASES.get(key)
    needs_nothing = alias is not None and alias.settings is None
    assert (found != without) or needs_nothing or (name, key) in IS_ALIKE


def tried(monkeypatch, name, config):
    """What a config comes to, or why it is refused."""
    try:
        return come_to(monkeypatch, name, config), None
    except ConfigError as error:
        return None, error
