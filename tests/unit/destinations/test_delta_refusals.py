"""What Delta Lake or its store refuses for good ends at once, in a sentence; what may pass is tried again."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tailrace.destinations.delta import DeltaTables
from tailrace.destinations.delta.errors import may_pass
from tailrace.destinations.delta.table import DeltaView
from tailrace.errors import DestinationError
from tailrace.lake.entries import Entry
from tailrace.lake.settings import LakeSettings
from tailrace.lake.tables import ConflictError
from tailrace.model import TableName
from tailrace.objects import Folder

ENTRY = Entry("p", 1, 1, "fence", 1)


def view_of(path):
    return DeltaView(DeltaTable(path), Folder(LakeSettings(), f"file://{path}"), 2**20)


@pytest.fixture
def path(tmp_path):
    write_deltalake(tmp_path / "things", pa.table({"id": [1]}), configuration={"delta.appendOnly": "true"})
    return tmp_path / "things"


def test_a_commit_that_is_refused_though_nobody_was_quicker_is_no_conflict(path):
    view = view_of(path)
    with pytest.raises(DestinationError, match="append-only") as error:
        view.commit(ENTRY, [], view.files())
    assert not isinstance(error.value, ConflictError)
    assert not may_pass(error.value.__cause__)


def test_a_commit_that_comes_too_late_is_a_conflict(path):
    view = view_of(path)
    write_deltalake(path, pa.table({"id": [2]}), mode="append")
    with pytest.raises(ConflictError) as error:
        view.commit(ENTRY, [], [])
    assert may_pass(error.value.__cause__)


@pytest.fixture
def answering():
    """Starts an S3 server that gives one answer to all that it is asked; its address, and what was asked."""
    servers = []

    def start(status, code):
        class Answer(BaseHTTPRequestHandler):
            def answer(self):
                asked.append(self.path)
                body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>secret</Message></Error>".encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = do_PUT = answer  # noqa: N815 as http.server calls them

            def log_message(self, *_):
                pass

        asked = []
        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def refusal(endpoint):
    """What looking for a table there raises."""
    keys = {"access_key_id": "a", "secret_access_key": "b"}
    patience = {"max_retries": "1", "retry_timeout": "2s"}
    where = {"url": "s3://bucket/lake", "region": "eu-west-1", "endpoint": endpoint}
    settings = LakeSettings(**where, storage_options=patience, **keys)
    with pytest.raises(DestinationError) as error:
        DeltaTables(settings).existing(TableName("things"))
    return error.value


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "give the keys the permissions"),
        (403, "InvalidAccessKeyId", "it doesn't know its keys"),
        (403, "SignatureDoesNotMatch", "it doesn't know its keys"),
        (401, "Unauthorized", "it doesn't know its keys"),
        (404, "NoSuchBucket", "there is no such bucket: make it"),
        (400, "ExpiredToken", "its keys have ended"),
        (301, "PermanentRedirect", "set `region`"),
    ],
)
def test_what_a_store_refuses_for_good_ends_at_once_in_a_sentence(answering, status, code, says):
    endpoint, asked = answering(status, code)
    error = refusal(endpoint)
    assert says in str(error)
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert not may_pass(error.__cause__)
    assert len(asked) <= 2


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (429, "TooManyRequests")])
def test_what_may_pass_at_a_store_is_tried_again(answering, status, code):
    endpoint, asked = answering(status, code)
    error = refusal(endpoint)
    assert code in str(error)
    assert may_pass(error.__cause__)
    assert len(asked) > 1


def test_a_store_that_does_not_answer_is_tried_again():
    assert may_pass(refusal("http://127.0.0.1:1").__cause__)
