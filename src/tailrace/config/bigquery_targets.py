"""Names of settings of other targets for BigQuery: z3z1ma's, which is Meltano's, and Adswerve's."""

from __future__ import annotations

from collections.abc import Mapping

from tailrace.config.alias import ADSWERVE, BY_KEY, MELTANO, Alias
from tailrace.config.meanings import (
    ROUTES,
    affixed,
    appends,
    beside_no_route,
    chosen,
    has_content,
    is_off,
    is_route,
    switched,
    ways,
)

OF_BIGQUERY: Mapping[str, Alias] = {
    "method": Alias(
        MELTANO,
        "its storage_write_api is `use_storage_write_api: true`; load jobs take the place of batch_job, gcs_stage and "
        "streaming_insert",
        chosen(ROUTES),
        claimed=is_route,
    ),
    **dict.fromkeys(
        ("upsert", "overwrite"),
        Alias(
            MELTANO,
            f"true, or a stream in the list, is `method: upsert` or `method: replace`; where neither is true {BY_KEY}",
            ways,
            warned=appends,
        ),
    ),
    "dedupe_before_upsert": Alias(MELTANO, "the last record of a key counts"),
    "denormalized": Alias(
        MELTANO,
        "fields are columns here; set it to true, and another `table` or `dataset` where one column has all of them",
        switched({}),
        refused=is_off,
    ),
    "generate_view": Alias(MELTANO, "fields are columns of the table itself"),
    "schema_resolver_version": Alias(MELTANO, "what no column can be made of is JSON, as in version 2"),
    "partition_granularity": Alias(
        MELTANO, "set `partition_by` and `partition_unit` under `design:`", warned=has_content
    ),
    "cluster_on_key_properties": Alias(MELTANO, "set `cluster_by` under `design:`", warned=has_content),
    "column_name_transforms": Alias(
        MELTANO,
        "names are as `naming` says; snake_case, by which userId becomes user_id, is a `name` under `columns:`",
        refused=lambda value, _given: has_content(value.get("snake_case") if isinstance(value, Mapping) else value),
    ),
    "fail_fast": Alias(
        MELTANO,
        "`on_invalid: fail`; false is `on_invalid: quarantine`",
        switched({"on_invalid": "fail"}, {"on_invalid": "quarantine"}),
    ),
    "timeout": Alias(
        MELTANO,
        "a load job is waited for until it is done; it is only taken beside its `method`",
        refused=beside_no_route,
    ),
    "bucket": Alias(
        MELTANO,
        "load jobs get their files without a bucket; it is only taken beside `method: gcs_stage`",
        refused=beside_no_route,
        warned=has_content,
    ),
    "replication_method": Alias(
        ADSWERVE,
        f"truncate is `method: replace`; with append (the default) and incremental {BY_KEY}",
        chosen({"append": {"method": None}, "incremental": {"method": None}, "truncate": {"method": "replace"}}),
        warned=lambda value, _given: str(value).lower() == "append",
    ),
    **dict.fromkeys(
        ("table_prefix", "table_suffix"), Alias(ADSWERVE, "`table`, as in `table: src_{stream}_v1`", affixed)
    ),
    "table_config": Alias(
        ADSWERVE,
        "set `partition_by` and `cluster_by` under `design:`, and `method` and `columns` under `streams:`",
        refused=has_content,
    ),
    "force_alphanumeric_table_names": Alias(ADSWERVE, "names are as `naming` says"),
    "max_cache": Alias(ADSWERVE, "memory is bounded by `max_memory_bytes` and `batch_bytes`"),
    "merge_state_messages": Alias(
        ADSWERVE, "a STATE message takes the place of the one before it, as Singer has it", warned=has_content
    ),
    "stream_data": Alias(ADSWERVE, "rows come by load jobs, or by `use_storage_write_api: true`"),
    "disable_collection": Alias(ADSWERVE, "nothing is collected"),
}
"""Every such name, and what it means here."""
