"""Names of settings of targets that write files: target-csv, target-jsonl, target-s3, PipelineWise's s3-csv."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tailrace.config.alias import MELTANO, PIPELINEWISE, Alias
from tailrace.config.meanings import (
    Given,
    Values,
    chosen,
    has_content,
    is_on,
    renamed,
    switched,
)

_CLOUD = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "aws_region": "region",
    "aws_bucket": "bucket",
    "aws_endpoint_override": "endpoint",
}


def _cloud(value: Any, _given: Given) -> Values:
    """`cloud_provider` of target-s3, in which the keys of a cloud stand."""
    inner = value.get("aws") if isinstance(value, Mapping) else None
    if not isinstance(inner, Mapping) or str(value.get("cloud_provider_type") or "aws") != "aws":
        raise ValueError("it must hold the settings of `aws`")
    other = {name for name, told in inner.items() if name not in _CLOUD and has_content(told)}
    if other:
        raise ValueError(f"its {min(other)} can't be had here; set AWS_PROFILE in the environment")
    return {_CLOUD[name]: told for name, told in inner.items() if name in _CLOUD and told is not None}


def _format(value: Any, _given: Given) -> Values:
    """`format` of target-s3."""
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 _meant tells ValueErrors
            "it is no setting of this destination; what files are says --format or `input_format`"
        )
    return {"format": value["format_type"]} if value.get("format_type") else {}


def _is_mapping(value: Any, _given: Given) -> bool:
    return isinstance(value, Mapping)


def _unless(*words: str) -> Any:
    """Whether a value is another than these."""
    return lambda value, _given: str(value).strip().lower() not in {"", "none", *words}


_NAMES = "files of a run are named by tailrace, in folders by `file_template`"
_DATES = "set `date_partition_format`, as in `%Y/%m/%d`"

OF_FILES: Mapping[str, Alias] = {
    **dict.fromkeys(("output_path", "destination_path"), Alias(MELTANO, "`url`", renamed("url"))),
    "output_path_prefix": Alias(MELTANO, "set `url`", refused=has_content),
    "file_naming_scheme": Alias(MELTANO, _NAMES, warned=_unless("{stream_name}.csv")),
    **dict.fromkeys(
        ("datestamp_format", "timestamp_format", "timestamp_timezone", "do_timestamp_file"), Alias(MELTANO, _NAMES)
    ),
    "record_sort_property_name": Alias(MELTANO, "rows keep the order of the input", refused=has_content),
    "overwrite_behavior": Alias(
        MELTANO,
        "replace_file is `method: replace`; append_records is the default",
        chosen({"append_records": {"method": None}, "replace_file": {"method": "replace"}}),
    ),
    "escape_character": Alias(MELTANO, "in CSV a quote is written twice, and nothing escaped", refused=has_content),
    "encoding": Alias(MELTANO, "files are UTF-8", refused=_unless("utf-8", "utf8")),
    **dict.fromkeys(("custom_name", "stream_name_path_override"), Alias(MELTANO, "`table`", renamed("table"))),
    **dict.fromkeys(
        ("append_date_to_filename", "append_date_to_prefix"),
        Alias(MELTANO, _DATES, warned=lambda value, _: is_on(value)),
    ),
    **dict.fromkeys(
        ("append_date_to_filename_grain", "append_date_to_prefix_grain"),
        Alias(MELTANO, f"for dates in folders, {_DATES}"),
    ),
    "cloud_provider": Alias(MELTANO, "its `aws` holds `bucket`, `region`, `endpoint` and the keys", _cloud),
    "format": Alias(MELTANO, "its `format_type` is `format`", _format, claimed=_is_mapping),
    "flatten_records": Alias(
        MELTANO, "`nested: flatten`; false is `nested: json`", switched({"nested": "flatten"}, {"nested": "json"})
    ),
    "include_process_date": Alias(
        MELTANO, "`metadata: singer` has the time of loading in `_sdc_batched_at`", refused=is_on
    ),
    "prefix": Alias(MELTANO, "`path`, the folder in the bucket", renamed("path")),
    "delimiter": Alias(PIPELINEWISE, "fields of CSV are parted by commas", refused=_unless(",")),
    "quotechar": Alias(PIPELINEWISE, 'fields of CSV are quoted by "', refused=_unless('"')),
    "encryption_type": Alias(PIPELINEWISE, "let the bucket encrypt what comes, by its own settings", refused=_unless()),
    "encryption_key": Alias(PIPELINEWISE, "it belongs to `encryption_type`"),
    "naming_convention": Alias(PIPELINEWISE, f"{_NAMES}", refused=has_content),
}
"""Every such name, and what it means here."""
