"""Loads by the Storage Write API: rows as Arrow in a stream of their own, which becomes visible as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import ClassVar

import grpc
import pyarrow as pa
from google.api_core.exceptions import FailedPrecondition, ServiceUnavailable, from_grpc_status
from google.cloud.bigquery import Client
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsRequest,
    ArrowRecordBatch,
    ArrowSchema,
    BatchCommitWriteStreamsRequest,
    StorageError,
    WriteStream,
)

from tailrace.destinations.bigquery.project import Project
from tailrace.errors import RowsRefusedError

_IS_COMMITTED = StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
_MAX_BYTES = 8 * 2**20
"""Of the rows of a request, which can have 10 MB; https://cloud.google.com/bigquery/quotas, 2026-11-26."""
_SLOWEST = 2**17
"""Bytes a second that a connection takes at least."""


class WriteStreams:
    """A stream for each part; see Loads. The last column of rows is their line.

    A commit whose answer got lost is asked for again, of the same stream.
    """

    tables: ClassVar[int] = 1

    def __init__(self, project: Project) -> None:
        self._project = project
        self._timeout = project.settings.request_timeout_s
        self._lock = threading.Lock()
        self._client: BigQueryWriteClient | None = None
        self._written: dict[str, str] = {}

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self._project,)

    def append(self, client: Client, table: str, part: str, rows: pa.Table) -> None:  # noqa: ARG002 it has its own
        """Write the part's stream, and commit it; see Loads."""
        with self._lock:
            self._client = writer = self._client or self._connected()
        parent = "projects/{}/datasets/{}/tables/{}".format(*table.rsplit(".", 2))
        if part not in self._written:
            stream = writer.create_write_stream(
                parent=parent, write_stream=WriteStream(type_=WriteStream.Type.PENDING), timeout=self._timeout
            )
            self._write(writer, stream.name, rows)
            self._written[part] = stream.name
        self._commit(writer, parent, self._written[part])
        del self._written[part]

    def close(self) -> None:
        """Close the connection; see Loads."""
        client, self._client = self._client, None
        if client is not None:
            client.transport.close()

    def _connected(self) -> BigQueryWriteClient:
        given = self._project.settings
        if given.streams_endpoint is None:
            return BigQueryWriteClient(credentials=self._project.credentials())
        # A pool of its own, or a channel would wait as long as the one before it, which the server has ended.
        channel = grpc.insecure_channel(given.streams_endpoint, options=[("grpc.use_local_subchannel_pool", 1)])
        return BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))

    def _write(self, writer: BigQueryWriteClient, stream: str, rows: pa.Table) -> None:
        """Write all rows; an error that comes with an answer is raised as others are."""
        where = (("x-goog-request-params", f"write_stream={stream}"),)  # or nobody knows to which region it goes
        limit = self._timeout + rows.nbytes / _SLOWEST
        # The driver would begin anew with requests that are used up.
        requests = iter([*_requests(stream, rows)])  # an error in making them would be told as another one
        for answer in writer.append_rows(requests, retry=None, timeout=limit, metadata=where):
            if answer.error.code:
                raise from_grpc_status(answer.error.code, answer.error.message)
        written = writer.finalize_write_stream(name=stream, timeout=self._timeout).row_count
        if written != rows.num_rows:
            raise ServiceUnavailable(f"of {rows.num_rows} rows {written} came into a stream")

    def _commit(self, writer: BigQueryWriteClient, parent: str, stream: str) -> None:
        """Commit a stream, unless that is done already."""
        request = BatchCommitWriteStreamsRequest(parent=parent, write_streams=[stream])
        answer = writer.batch_commit_write_streams(request=request, timeout=self._timeout)
        if wrong := [error for error in answer.stream_errors if error.code != _IS_COMMITTED]:
            raise FailedPrecondition("; ".join(error.error_message for error in wrong))


def _requests(stream: str, rows: pa.Table) -> Iterator[AppendRowsRequest]:
    """The rows in requests that are small enough, the first with their schema."""
    schema = ArrowSchema(serialized_schema=rows.schema.serialize().to_pybytes())
    offset = 0
    for batch in rows.combine_chunks().to_batches():
        for count, serialized in _small(batch):
            data = AppendRowsRequest.ArrowData(
                writer_schema=schema if not offset else None,
                rows=ArrowRecordBatch(serialized_record_batch=serialized),
            )
            yield AppendRowsRequest(write_stream=stream, offset=offset, arrow_rows=data)
            offset += count


def _small(batch: pa.RecordBatch) -> Iterator[tuple[int, bytes]]:
    """The batch in parts that a request can have: how many rows each has, and these."""
    parts = max(1, -(-batch.nbytes // _MAX_BYTES))
    size = -(-batch.num_rows // parts)
    for start in range(0, batch.num_rows, max(size, 1)):
        part = batch.slice(start, size)
        serialized = part.serialize().to_pybytes()
        if len(serialized) <= _MAX_BYTES:
            yield part.num_rows, serialized
        elif part.num_rows > 1:
            half = part.num_rows // 2
            yield from _small(part.slice(0, half))
            yield from _small(part.slice(half))
        else:
            line = part.column(part.num_columns - 1)[0].as_py()
            reason = f"the row has {len(serialized):,} bytes, and the Storage Write API takes {_MAX_BYTES:,}"
            raise RowsRefusedError("a row is too long for the Storage Write API", {line: reason})
