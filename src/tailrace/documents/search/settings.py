"""The settings that search engines have in common, each with the names that other targets give it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from tailrace.documents.search.names import checked_template, cleaned


def _listed(value: object) -> object:
    """Addresses that are written with commas between them."""
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _streams(value: object) -> object:
    """Names that are written with commas between them, or a switch."""
    is_switch = isinstance(value, str) and value.strip().lower() in {"true", "false"}
    return value if is_switch else _listed(value)


def _as_word(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _object(value: object) -> object:
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.strip() else None


Hosts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Streams = Annotated[bool | tuple[str, ...], BeforeValidator(_streams)]
Objects = Annotated[dict[str, Any], BeforeValidator(_object)]


class SearchSettings(BaseModel):
    """The settings of a search engine."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    hosts: Hosts = Field(
        (),
        validation_alias=AliasChoices("hosts", "nodes"),
        description="Addresses of several nodes, `https://a:9200, https://b:9200`; then `host` isn't needed.",
    )
    scheme: Literal["http", "https"] = Field("http", description="Whether to talk to the cluster by TLS: `https`.")
    host: str = Field("localhost", description="The name of a node.")
    port: int = Field(9200, gt=0, description="Its port.")
    user: str | None = Field(
        None, validation_alias=AliasChoices("user", "username"), description="The user to log in as, if any."
    )
    password: SecretStr | None = Field(None, description="Its password.")
    api_key: SecretStr | None = Field(
        None, description="A key to log in with: as it was shown (in base64), or its secret half beside `api_key_id`."
    )
    api_key_id: str | None = Field(None, description="The id of `api_key`, where that is the secret half alone.")
    bearer_token: SecretStr | None = Field(None, description="A token to log in with.")
    verify_certs: bool = Field(default=True, description="Whether the cluster's certificate is looked at.")
    ca_certs: Path | None = Field(
        None,
        validation_alias=AliasChoices("ca_certs", "tls_ca", "ssl_ca_file"),
        description="File of the authorities to trust; those of the system, or of certifi, otherwise.",
    )
    client_cert: Path | None = Field(
        None,
        validation_alias=AliasChoices("client_cert", "tls_cert"),
        description="File of a certificate that we show.",
    )
    client_key: Path | None = Field(
        None, validation_alias=AliasChoices("client_key", "tls_key"), description="File of its private key."
    )
    prefix: str = Field("", max_length=50, description="What the names of all indices begin with, `records_index` too.")
    index_format: str | None = Field(
        None,
        description="The name of a stream's index, by `{stream}` (its table, after its schema and a point if it has "
        "one), `{schema}`, `{table}`, and the day, month or year (UTC) on which the run began: `{date}`, `{month}`, "
        "`{year}`. Letters become lower case. Default: `{stream}`.",
    )
    records_index: str = Field(
        "tailrace-records", description="The hidden index in which tailrace keeps checkpoints and what may be undone."
    )
    number_of_shards: int | None = Field(None, gt=0, description="Of new indices; the cluster's default otherwise.")
    number_of_replicas: int | None = Field(None, ge=0, description="Of new indices; the cluster's default otherwise.")
    index_settings: Objects = Field(
        default_factory=dict, description="More settings of new indices, as in `refresh_interval: 30s`."
    )
    mappings: Objects = Field(
        default_factory=dict, description="What the mappings of new indices have besides, as in `dynamic: strict`."
    )
    refresh: Annotated[Literal["true", "false", "wait_for"], BeforeValidator(_as_word)] = Field(
        "true",
        description="When searches see what a checkpoint has committed: at its end (`true`), at the next refresh of "
        "the index, for which each bulk waits (`wait_for`), or for which nothing waits (`false`).",
    )
    data_streams: Streams = Field(
        default=False,
        description="Streams that go into data streams instead of indices: `true` for all, or their names, in which "
        "`*` stands for anything. Documents are only added there.",
    )
    timestamp_field: str = Field(
        "_sdc_extracted_at",
        description="The field that gives the `@timestamp` of documents of a data stream that have none; where it is "
        "missing too, they get the time at which they are written.",
    )
    ingest_pipeline: str | None = Field(None, description="A pipeline of the cluster that documents go through.")
    connections: int = Field(4, gt=0, description="How many bulk requests run at once.")
    rows_at_once: int = Field(2000, gt=0, description="How many documents one bulk request has at most.")
    bulk_bytes: int = Field(
        5_000_000, gt=0, description="How many bytes one bulk request has, unless one document is longer."
    )
    compress: bool = Field(
        default=False,
        validation_alias=AliasChoices("compress", "http_compress"),
        description="Whether requests are compressed by gzip.",
    )
    timeout_s: float = Field(60, gt=0, description="Seconds to wait for an answer.")

    @model_validator(mode="after")
    def _fits_together(self) -> SearchSettings:
        if self.index_format is not None:
            checked_template(self.index_format)
        ways = {
            "user": self.user is not None or self.password is not None,
            "api_key": self.api_key is not None or self.api_key_id is not None,
            "bearer_token": self.bearer_token is not None,
        }
        if sum(ways.values()) > 1:
            raise ValueError(f"log in by one of {', '.join(name for name, is_set in ways.items() if is_set)}")
        if (self.user is None) is not (self.password is None):
            raise ValueError("`user` and `password` go together")
        if self.api_key_id is not None and self.api_key is None:
            raise ValueError("`api_key_id` needs its `api_key`")
        if any("@" in host for host in self.hosts):
            raise ValueError("write the login into `user` and `password`, not into `hosts`")
        return self

    def named(self, name: str) -> str:
        """The name of an index of tailrace's own."""
        return f"{cleaned(self.prefix) if self.prefix else ''}{cleaned(name, is_first=not self.prefix)}"

    @property
    def streams_of_data(self) -> tuple[str, ...] | None:
        """Patterns of streams that go into data streams; None for all."""
        if isinstance(self.data_streams, bool):
            return None if self.data_streams else ()
        return self.data_streams

    @property
    def addresses(self) -> tuple[str, ...]:
        """The address of each node."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        several = self.hosts or (f"{host}:{self.port}",)
        return tuple(each if "://" in each else f"{self.scheme}://{each}" for each in several)

    @property
    def login(self) -> str | None:
        """The `Authorization` of requests."""
        if self.bearer_token is not None:
            return f"Bearer {self.bearer_token.get_secret_value()}"
        if self.api_key is not None:
            key = self.api_key.get_secret_value()
            both = base64.b64encode(f"{self.api_key_id}:{key}".encode()).decode()
            return f"ApiKey {both if self.api_key_id else key}"
        if self.user is not None and self.password is not None:
            both = base64.b64encode(f"{self.user}:{self.password.get_secret_value()}".encode()).decode()
            return f"Basic {both}"
        return None


def from_url(url: str) -> dict[str, object]:
    """The settings in `opensearch+https://user:password@host:9200/?prefix=...`; `+https` means TLS."""
    parts = urlsplit(url)
    given: dict[str, object] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme.endswith("+https"):
        given.setdefault("scheme", "https")
    place = parts.netloc.rpartition("@")[2]
    if "," in place:
        scheme = given.get("scheme", "http")
        given["hosts"] = [
            f"{scheme}://{each}" if ":" in each else f"{scheme}://{each}:9200" for each in place.split(",")
        ]
    elif place:
        given["host"] = parts.hostname or "localhost"
        if parts.port:
            given["port"] = parts.port
    if parts.path.strip("/"):
        given.setdefault("prefix", unquote(parts.path.strip("/")))
    if parts.username:
        given["user"] = unquote(parts.username)
    if parts.password:
        given["password"] = unquote(parts.password)
    return given
