"""S3: a server of one's own, and new buckets on it."""

from __future__ import annotations

import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from services.processes import MissingServiceError, free_port, start, stop, wait_until

PROGRAM = Path(__file__).parents[1] / ".work" / "services" / "s3" / "bin" / "moto_server"


class S3Server:
    """A server that keeps its buckets in memory; any key of AWS opens it."""

    host = "127.0.0.1"
    region = "eu-west-1"
    key = "tailrace-key"
    secret = "tailrace/secret+'key"

    def __init__(self, folder: Path) -> None:
        if not PROGRAM.exists():
            raise MissingServiceError("the S3 server isn't here: run scripts/setup-services")
        self.port = free_port()
        self.endpoint = f"http://{self.host}:{self.port}"
        self._made = 0
        log = folder / "log"
        words = [str(PROGRAM), "-H", self.host, "-p", str(self.port)]
        self._process = start(words, None, log, death_signal="KILL")
        wait_until(self._answers, self._process, log)
        self._client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
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

    def stop(self) -> None:
        """End the server."""
        self._client.close()
        stop(self._process, signal.SIGTERM)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=5):
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
