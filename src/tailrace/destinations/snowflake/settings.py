"""The settings of Snowflake."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, model_validator

from tailrace.sql.design import Designs
from tailrace.sql.settings import DATABASE, USER, AfterSql, BeforeSql, CheckpointSchema, StagingSchema, WithLoads


class Settings(BaseModel):
    """The settings of Snowflake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    account: str = Field(description="The account's identifier, as `ORGANIZATION-ACCOUNT`.")
    user: str = Field(validation_alias=USER, description="The user to log in as.")
    password: SecretStr | None = Field(None, description="Its password, or its programmatic access token.")
    private_key_file: Path | None = Field(
        None,
        validation_alias=AliasChoices("private_key_file", "private_key_path"),
        description="File of the user's private key, in PEM format, to log in without a password.",
    )
    private_key_file_pwd: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("private_key_file_pwd", "private_key_passphrase"),
        description="What that file is encrypted with.",
    )
    private_key: SecretStr | None = Field(
        None,
        description="That key itself, in PEM format, or in Base64 without its first and last line. "
        "`private_key_file_pwd` is what it is encrypted with.",
    )
    token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("token", "oauth_token", "oauth_access_token"),
        description="An OAuth token to log in with.",
    )
    role: str | None = Field(None, description="The role to take; the user's default otherwise.")
    warehouse: str | None = Field(None, description="The warehouse that does the work; the user's default otherwise.")
    database: str = Field(validation_alias=DATABASE, description="The database, which has to be there.")
    schema_name: str = Field(
        "PUBLIC",
        validation_alias=AliasChoices("schema", "schema_name", "default_target_schema"),
        serialization_alias="schema",
        description="The schema that tables and checkpoints stand in by default, made when it isn't there. A name in "
        "small letters is one, as it is for tables (see `disable_double_quotes`).",
    )
    disable_double_quotes: bool = Field(
        default=False,
        description="False: names are as they are, and whoever asks has to write them in double quotes. True: names "
        "are in capitals, so that they needn't be quoted, and differ by more than their case.",
    )
    host: str | None = Field(None, description="The server's name; by the account otherwise.")
    port: int = Field(443, gt=0, description="The server's port.")
    protocol: Literal["https", "http"] = Field("https", description="http is for servers on this machine alone.")
    connect_timeout_s: int = Field(60, gt=0, description="Seconds to wait for a connection.")
    network_timeout_s: int | None = Field(
        None, gt=0, description="Seconds for which a statement may run, and for which a lost server is tried."
    )
    lock_timeout_s: int = Field(60, gt=0, description="Seconds to wait for another session's lock.")
    staging_schema: StagingSchema = None
    checkpoint_schema: CheckpointSchema = None
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
    design: Designs

    @property
    def schema_there(self) -> str:
        """The schema's name as Snowflake has it."""
        return self.schema_name.upper() if self.disable_double_quotes else self.schema_name

    @model_validator(mode="after")
    def _can_log_in(self) -> Settings:
        ways = [name for name in ("password", "private_key_file", "private_key", "token") if getattr(self, name)]
        if len(ways) != 1:
            raise ValueError("set one of `password`, `private_key_file`, `private_key` and `token`")
        if self.protocol == "http" and self.host not in {"localhost", "127.0.0.1"}:
            raise ValueError("`protocol: http` sends secrets in the open; it is for servers on this machine alone")
        return self
