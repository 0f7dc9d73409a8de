"""The settings that lakes share, and their addresses."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from pydantic import AliasChoices, Field

from tailrace.config.settings import Names
from tailrace.errors import ConfigError
from tailrace.objects import StoreSettings

_STORES = frozenset({"s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl", "file", "memory"})
_KEPT = {"s3": "s3", "s3a": "s3", "gs": "gs", "az": "az", "azure": "az", "abfs": "az", "abfss": "az"}
"""The store that a scheme means where no bucket follows it."""


class LakeSettings(StoreSettings):
    """The settings of a lake."""

    url: str | None = Field(
        None,
        description="The folder of the lake: `s3://bucket/path`, `gs:`, `az:`, `file:`, or a path of this machine.",
    )
    bucket: str | None = Field(
        None,
        validation_alias=AliasChoices("bucket", "s3_bucket"),
        description="The bucket, where `url` isn't set.",
    )
    store: Literal["s3", "gs", "az"] = Field(
        "s3", description="What keeps the bucket; `--to gs`, `--to az`, `--to delta+gs` and their like say it too."
    )
    path: str = Field(
        "",
        validation_alias=AliasChoices("path", "object_key_path", "s3_key_prefix"),
        description="The folder in the bucket, where `url` isn't set.",
    )
    file_bytes: int = Field(128 * 2**20, gt=0, description="The size at which a file is full.")
    partition_keys: Names | dict[str, Names] = Field(
        (),
        description="Columns that files are partitioned by, for all streams that have them, or by stream name or glob.",
    )

    @property
    def root(self) -> str:
        """The address of the lake's folder."""
        if self.url:
            scheme = urlsplit(self.url).scheme
            return self.url if scheme in _STORES else f"file://{quote(str(Path(self.url).absolute()))}"
        if self.bucket:
            return f"{self.store}://{self.bucket}/{self.path.strip('/')}"
        raise ConfigError("no address given for the lake", key="url", hint="as in `s3://bucket/path`; or set `bucket`")

    def partitions(self, stream: str) -> Sequence[str]:
        """The columns that the stream's files are partitioned by, as far as it has them."""
        return partitions_of(self.partition_keys, stream)


def partitions_of(keys: tuple[str, ...] | dict[str, tuple[str, ...]], stream: str) -> Sequence[str]:
    """The partition columns of a stream: those of all, or those of the first name or glob that it matches."""
    if isinstance(keys, tuple):
        return keys
    return next((found for glob, found in keys.items() if fnmatch.fnmatchcase(stream, glob)), ())


def lake_settings(address: str) -> dict[str, object]:
    """The `url` in an address, and the settings in its query: `delta+s3://bucket/path?region=eu-west-1`, `delta:///path`."""
    parts = urlsplit(address)
    scheme = parts.scheme.rpartition("+")[2]
    settings: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if scheme in _KEPT and not parts.netloc + parts.path:
        return settings | {"store": _KEPT[scheme]}
    if scheme in _STORES - {"file"}:
        return settings | {"url": f"{scheme}://{parts.netloc}{parts.path}"}
    if parts.netloc not in {"", "localhost"}:
        raise ConfigError(
            "the address names a host, and a folder has none",
            key="to",
            hint=f"write {parts.scheme}:///{parts.netloc}{parts.path} for an absolute path",
        )
    path = unquote(parts.path)
    return settings | ({"url": path} if path else {})
