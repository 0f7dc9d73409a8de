"""The settings of BigQuery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from tailrace.sql.design import Designs
from tailrace.sql.settings import AfterSql, BeforeSql, CheckpointSchema, StagingSchema, WithLoads

_LOCAL = {"localhost", "127.0.0.1"}


def _as_text(value: object) -> object:
    """A key as its text, which may be given as what is in it; none where nothing is."""
    return (json.dumps(value) if value else None) if isinstance(value, dict) else value


class Settings(BaseModel):
    """The settings of BigQuery."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    project_id: str = Field(
        validation_alias=AliasChoices("project_id", "project", "database"),
        description="The project that has the tables, and pays for the jobs.",
    )
    dataset: str = Field(
        validation_alias=AliasChoices("dataset", "dataset_id", "schema", "default_target_schema"),
        description="The dataset that tables and checkpoints stand in by default, made when it isn't there.",
    )
    location: str | None = Field(
        None, description="Where a dataset is made that isn't there, as `EU`; the project's default otherwise."
    )
    path_to_credentials_json_file: Path | None = Field(
        None,
        validation_alias=AliasChoices("path_to_credentials_json_file", "credentials_path"),
        description="File of a key, as of a service account. Without one, and without `credentials_info`, those that "
        "the machine has are taken (Application Default Credentials).",
    )
    credentials_info: Annotated[SecretStr | None, BeforeValidator(_as_text)] = Field(
        None,
        validation_alias=AliasChoices("credentials_info", "credentials_json"),
        description="What is in such a file.",
    )
    use_storage_write_api: bool = Field(
        default=False,
        description="False: rows come by load jobs, which are free of charge, and at most 80 within 10 seconds for a "
        "stream. True: by the Storage Write API, which is billed by the byte, and has no such limit.",
    )
    disable_update_column_types: bool = Field(
        default=False,
        description="True: no type of a column is altered; values that it doesn't hold go into a column beside it.",
    )
    endpoint: str | None = Field(None, description="The address of another server that answers as BigQuery does.")
    streams_endpoint: str | None = Field(None, description="The same for the Storage Write API, as `host:port`.")
    request_timeout_s: int = Field(60, gt=0, description="Seconds to try a request that isn't answered.")
    staging_schema: StagingSchema = None
    checkpoint_schema: CheckpointSchema = None
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
    design: Designs

    @property
    def is_keyless(self) -> bool:
        """Whether the server, on this machine, is to be asked without any credentials."""
        is_here = urlsplit(self.endpoint or "").hostname in _LOCAL
        return is_here and not (self.path_to_credentials_json_file or self.credentials_info)

    @model_validator(mode="after")
    def _is_safe(self) -> Settings:
        if self.path_to_credentials_json_file and self.credentials_info:
            raise ValueError("set one of `path_to_credentials_json_file` and `credentials_info`")
        where = urlsplit(self.endpoint or "")
        if where.scheme != "https" and where.hostname not in {None, *_LOCAL}:
            raise ValueError("`endpoint` has to begin with https: secrets would be sent in the open")
        if self.streams_endpoint and self.streams_endpoint.partition(":")[0] not in _LOCAL:
            raise ValueError("`streams_endpoint` is for servers on this machine alone")
        return self
