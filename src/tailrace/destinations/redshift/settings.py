"""The settings of Redshift."""

from __future__ import annotations

from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, model_validator

from tailrace.objects import AwsSettings
from tailrace.sql.design import Designs
from tailrace.sql.settings import (
    DATABASE,
    TLS,
    AfterSql,
    BeforeSql,
    CheckpointSchema,
    SchemaName,
    StagingSchema,
    WithLoads,
)
from tailrace.tunnels import ABOUT_SSH, SshSettings


class Settings(AwsSettings):
    """The settings of Redshift."""

    host: str | None = Field(None, description="The endpoint's name; without it AWS says where the cluster is.")
    port: int = Field(5439, gt=0, description="The endpoint's port.")
    user: str | None = Field(
        None, validation_alias=AliasChoices("user", "username", "db_user"), description="The user to log in as."
    )
    password: SecretStr | None = Field(None, description="Its password; without it IAM gives one for a while.")
    database: str = Field(validation_alias=DATABASE, description="The database.")
    schema_name: SchemaName = "public"
    tls: Literal["disable", "require", "verify-ca", "verify-full"] = Field(
        "verify-full",
        validation_alias=TLS,
        description="Whether the connection is encrypted and the server's certificate and name are checked; `require` "
        "is `verify-ca`, since Redshift's certificates are known.",
    )
    ssh: SshSettings | None = Field(None, description=ABOUT_SSH)
    cluster_identifier: str | None = Field(None, description="The cluster, for logging in by IAM.")
    workgroup: str | None = Field(
        None,
        validation_alias=AliasChoices("workgroup", "serverless_work_group"),
        description="The serverless workgroup, for logging in by IAM.",
    )
    bucket: str | None = Field(
        None,
        validation_alias=AliasChoices("bucket", "s3_bucket"),
        description="The S3 bucket in which rows wait; without one they are sent by INSERT, which is slow.",
    )
    prefix: str = Field(
        "tailrace",
        validation_alias=AliasChoices("prefix", "s3_key_prefix", "s3_path"),
        description="The folder of the bucket in which rows wait; files there are ours to remove.",
    )
    iam_role: str | None = Field(
        None,
        validation_alias=AliasChoices("iam_role", "copy_role_arn", "aws_redshift_copy_role_arn"),
        description="The role by which COPY reads the bucket, or `default`; without it our own keys are sent.",
    )
    nul: Literal["refuse", "strip"] = Field(
        "refuse",
        description="The character NUL in text and in JSON, which Redshift can't store: the row is refused, or NUL "
        "left out.",
    )
    staging_schema: StagingSchema = None
    checkpoint_schema: CheckpointSchema = None
    before_sql: BeforeSql = ()
    after_sql: AfterSql = ()
    loads: WithLoads = False
    design: Designs

    @model_validator(mode="after")
    def _can_be_reached_by_ssh(self) -> Settings:
        if self.ssh and not self.host:
            raise ValueError("set `host` beside `ssh`: where the cluster is must be known")
        if self.ssh and self.tls == "verify-full":
            raise ValueError("through `ssh` the driver can't check the server's name: set `tls: verify-ca`")
        return self

    @model_validator(mode="after")
    def _can_log_in(self) -> Settings:
        is_by_iam = self.password is None and (self.cluster_identifier or self.workgroup)
        if not (is_by_iam or (self.host and self.user and self.password)):
            raise ValueError(
                "set `host`, `user` and `password`; or `cluster_identifier` or `workgroup`, to log in by IAM"
            )
        if is_by_iam and self.tls == "disable":
            raise ValueError("`tls: disable` can't be had with IAM, whose passwords aren't sent in the open")
        return self
