"""S3: a server of one's own, and new buckets on it."""

from __future__ import annotations

import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import boto3

from services.processes import LIMIT_S, MissingServiceError, Server

PYTHON = Path(__file__).parents[1] / ".work" / "services" / "s3" / "bin" / "python"
_PROGRAM = Path(__file__).with_name("moto_s3.py")


def version() -> str:
    """The server's version; MissingServiceError where it isn't here."""
    if not PYTHON.exists():
        raise MissingServiceError("the S3 server isn't here: run make services")
    asking = "from importlib.metadata import version; print(version('moto'))"
    words = [str(PYTHON), "-c", asking]
    return subprocess.run(words, capture_output=True, check=True, text=True).stdout.strip()


class S3Server(Server):
    """A server that keeps its buckets in memory, and loses them when it ends; any key of AWS opens it."""

    name = "S3"
    region = "eu-west-1"
    key = "tailrace-key"
    secret = "tailrace/secret+'key"

    def __init__(self, folder: Path) -> None:
        self.version = version()
        super().__init__(folder)
        self.endpoint = f"http://{self.host}:{self.port}"
        self._made = 0
        self.start()
        self._client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def command(self) -> list[str]:
        """See Server."""
        return [str(PYTHON), str(_PROGRAM), self.host, str(self.port)]

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        self.revive()
        self._made += 1
        name = f"bucket-{self._made}"
        self._client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        return name

    def read(self, url: str) -> bytes:
        """The content of `s3://bucket/key`; KeyError where there is none."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        try:
            with self._client.get_object(Bucket=bucket, Key=key)["Body"] as body:
                return body.read()
        except self._client.exceptions.NoSuchKey:
            raise KeyError(url) from None

    def names(self, bucket: str) -> list[str]:
        """The keys of a bucket."""
        return [found["Key"] for found in self._client.list_objects_v2(Bucket=bucket).get("Contents", [])]

    @property
    def query(self) -> str:
        """What an address needs to say of the server."""
        keys = {"region": self.region, "endpoint": self.endpoint, "access_key_id": self.key}
        return "&".join(
            f"{name}={quote(value, safe='')}" for name, value in (keys | {"secret_access_key": self.secret}).items()
        )

    def download(self, bucket: str, prefix: str, folder: Path) -> None:
        """Copy the objects whose keys begin with the prefix into a folder, but for those that it has already."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            for found in page.get("Contents", []):
                path = folder / found["Key"].removeprefix(f"{prefix}/")
                if path.exists():
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.read(f"s3://{bucket}/{found['Key']}"))

    @property
    def delta_options(self) -> dict[str, str]:
        """What deltalake needs to know of the server."""
        return {
            "aws_region": self.region,
            "aws_endpoint_url": self.endpoint,
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_allow_http": "true",
            "aws_conditional_put": "etag",
        }

    @property
    def iceberg_properties(self) -> dict[str, str]:
        """What pyiceberg needs to know of the server."""
        return {
            "s3.endpoint": self.endpoint,
            "s3.region": self.region,
            "s3.access-key-id": self.key,
            "s3.secret-access-key": self.secret,
        }

    def stop(self) -> None:
        """End the server."""
        self._client.close()
        super().stop()

    def is_ready(self) -> bool:
        """See Server."""
        try:
            with urllib.request.urlopen(self.endpoint, timeout=LIMIT_S):
                return True
        except (urllib.error.URLError, OSError):
            return False


@contextmanager
def s3() -> Iterator[S3Server]:
    """A server of one's own, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tailrace-s3-") as folder:
        server = S3Server(Path(folder))
        try:
            yield server
        finally:
            server.stop()
