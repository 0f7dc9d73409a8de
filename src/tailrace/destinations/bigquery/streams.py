"""Loads by the Storage Write API: rows as Arrow in a stream of their own, which becomes visible as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pyarrow as pa
from google.api_core.exceptions import FailedPrecondition, from_grpc_status
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

_IS_COMMITTED = StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
_MAX_BYTES = 8 * 2**20
"""Of the rows of a request, which can have 10 MB; https://cloud.google.com/bigquery/quotas, 2026-11-26."""


class WriteStreams:
    """A stream for each part; see Loads. A commit whose answer got lost is asked for again, of the same stream."""

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
        parent = "projects/{}/datasets/{}/tables/{}".format(*table.split("."))
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
        for answer in writer.append_rows(_requests(stream, rows), timeout=self._timeout):
            if answer.error.code:
                raise from_grpc_status(answer.error.code, answer.error.message)
        writer.finalize_write_stream(name=stream, timeout=self._timeout)

    def _commit(self, writer: BigQueryWriteClient, parent: str, stream: str) -> None:
        """Commit a stream, unless that is done already."""
        request = BatchCommitWriteStreamsRequest(parent=parent, write_streams=[stream])
        answer = writer.batch_commit_write_streams(request=request, timeout=self._timeout)
        if wrong := [error for error in answer.stream_errors if error.code != _IS_COMMITTED]:
            raise FailedPrecondition("; ".join(error.error_message for error in wrong))


def _requests(stream: str, rows: pa.Table) -> Iterator[AppendRowsRequest]:
    """The rows in requests that are small enough, the first with their schema."""
    schema = ArrowSchema(serialized_schema=rows.schema.serialize().to_pybytes())
    offset, size = 0, max(1, rows.num_rows * _MAX_BYTES // max(rows.nbytes, 1))
    for batch in rows.combine_chunks().to_batches(max_chunksize=size):
        data = AppendRowsRequest.ArrowData(
            writer_schema=schema if not offset else None,
            rows=ArrowRecordBatch(serialized_record_batch=batch.serialize().to_pybytes()),
        )
        yield AppendRowsRequest(write_stream=stream, offset=offset, arrow_rows=data)
        offset += batch.num_rows
