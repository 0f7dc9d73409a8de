"""The settings of AWS and of object stores, and the keys that they come to."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr

from tailrace.objects.errors import translated_errors

if TYPE_CHECKING:
    import boto3

ATTEMPTS, ATTEMPTS_S = 8, 60
"""How often, and for how many seconds, a store is asked before it counts as failed."""

_KEYS_OF_ROLES = {
    "access_key_id": "AccessKeyId",
    "secret_access_key": "SecretAccessKey",
    "session_token": "SessionToken",
}


class AwsSettings(BaseModel):
    """The settings of a destination that keeps something on AWS."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    region: str | None = Field(
        None,
        validation_alias=AliasChoices("region", "aws_region", "s3_region"),
        description="The region of AWS; otherwise where AWS's own settings say.",
    )
    access_key_id: str | None = Field(
        None,
        validation_alias=AliasChoices("access_key_id", "aws_access_key_id"),
        description="A key of AWS; without it the environment, profiles and roles are asked, as AWS's tools do.",
    )
    secret_access_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("secret_access_key", "aws_secret_access_key"),
        description="The secret of the key.",
    )
    session_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("session_token", "aws_session_token"),
        description="The token of a key that is given for a while.",
    )
    endpoint: str | None = Field(
        None,
        validation_alias=AliasChoices("endpoint", "aws_endpoint", "aws_endpoint_url"),
        description="The address of an S3 server that isn't AWS's.",
    )

    def session(self) -> boto3.Session:
        """A session with the keys that are set, or else those of AWS's own settings."""
        token = self.session_token.get_secret_value() if self.session_token else None
        secret = self.secret_access_key.get_secret_value() if self.secret_access_key else None
        return _session(self.access_key_id, secret, token, self.region)

    def found_session(self) -> boto3.Session:
        """A session with the keys of AWS's own settings."""
        return _session(region_name=self.region)

    def found_region(self) -> str | None:
        """The region that is set, or else that of AWS's own settings."""
        return self.region or _session().region_name

    def credentials(self) -> Mapping[str, str]:
        """Key, secret and, for a key that is given for a while, token; those of AWS's own settings where none are set.

        Their names are access_key_id, secret_access_key and session_token. Raises DestinationError without any.
        """
        if self.access_key_id and self.secret_access_key:
            token = self.session_token.get_secret_value() if self.session_token else None
            keys = (self.access_key_id, self.secret_access_key.get_secret_value(), token)
        else:
            with translated_errors():
                chain = self.found_session().get_credentials()
                if chain is None:
                    raise import_module("botocore.exceptions").NoCredentialsError
                frozen = chain.get_frozen_credentials()
                keys = (frozen.access_key, frozen.secret_key, frozen.token)
        names = ("access_key_id", "secret_access_key", "session_token")
        return {name: value for name, value in zip(names, keys, strict=True) if value}


class StoreSettings(AwsSettings):
    """The settings of a destination whose files may be on any object store, or on this machine."""

    role_arn: str | None = Field(
        None,
        validation_alias=AliasChoices("role_arn", "aws_role_arn"),
        description="A role of AWS to take on; its keys are asked for anew when they end.",
    )
    role_session_name: str = Field("tailrace", description="The name of the role's session, as AWS logs it.")
    storage_options: dict[str, str] = Field(
        default_factory=dict,
        description="Options of the object store by object_store's names, as in `azure_storage_account_name`.",
    )

    def credentials(self) -> Mapping[str, str]:
        """As AwsSettings gives them, or those of the role, which expire."""
        if not self.role_arn:
            return super().credentials()
        given = self.role_keys()
        return {name: str(given[theirs]) for name, theirs in _KEYS_OF_ROLES.items()}

    def role_keys(self) -> Mapping[str, Any]:
        """Keys of the role, by AWS's names, with the time when they expire."""
        with translated_errors():
            sts = self.session().client("sts")
            asked = {"RoleArn": self.role_arn, "RoleSessionName": self.role_session_name}
            return cast("Mapping[str, Any]", sts.assume_role(**asked)["Credentials"])

    def delta_options(self, url: str) -> dict[str, str]:
        """The options of deltalake for tables at that address."""
        options = {"max_retries": str(ATTEMPTS), "retry_timeout": f"{ATTEMPTS_S}s", **self.storage_options}
        if urlsplit(url).scheme not in {"s3", "s3a"}:
            return options
        given = {"aws_region": self.found_region(), "aws_endpoint_url": self.endpoint}
        options |= {name: value for name, value in given.items() if value}
        options |= {f"aws_{name}": value for name, value in self.credentials().items()}
        is_open = self.endpoint is not None and self.endpoint.startswith("http:")
        return {"aws_conditional_put": "etag", "aws_allow_http": str(is_open).lower()} | options


def _session(*keys: str | None, **given: str | None) -> boto3.Session:
    """A session of boto3, which is imported late: it takes long, and stores of others and of this machine need none."""
    session: boto3.Session = import_module("boto3").Session(*keys, **given)
    return session
