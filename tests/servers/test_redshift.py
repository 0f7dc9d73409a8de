"""Redshift beyond what every destination does: COPY, what it refuses, who may log in, and what is left on S3."""

import base64
import json
import pickle
import re
import threading
from contextlib import closing
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from obstore.auth.boto3 import Boto3CredentialProvider
from pydantic import ValidationError
from redshift_connector.error import InterfaceError, OperationalError, ProgrammingError

import tailrace
from tailrace.destinations import open_destination, redshift
from tailrace.destinations.redshift import Settings
from tailrace.destinations.redshift.errors import RULES
from tailrace.errors import ConfigError, DestinationError
from tailrace.objects import AwsSettings, Folder
from tailrace.runtime.retry import Retry
from tailrace.testing.messages import BINARY, INT, OBJECT, TEXT, record, schema
from tailrace.testing.parts import batch, checkpoint, commit_rows, stream

LOGIN = {"host": "h", "user": "u", "password": "hush-hush", "database": "d"}


@pytest.fixture(params=[True, False], ids=["copy", "insert"])
def url(request, redshift_server):
    """The address of a new, empty database, with a bucket and without one."""
    address = redshift_server.database(has_bucket=request.param)
    yield address
    redshift_server.drop(address)


def load(url, *messages, **settings):
    return tailrace.load((json.dumps(m).encode() for m in messages), url, **settings)


def query(server, url, text):
    with psycopg.connect(server.behind(url)) as connection:
        cursor = connection.execute(text)
        return cursor.fetchall() if cursor.description else None


def files(server, url):
    return server.objects.names(parse_qs(urlsplit(url).query)["bucket"][0])


@pytest.mark.parametrize(
    ("kind", "sql_type", "held", "refused", "reason"),
    [
        (TEXT, "varchar(4)", "äö", "äöü", r"varchar\(4\)|character varying\(4\)"),
        (TEXT, "varchar(65535)", "x" * 65535, "x" * 65536, "65535"),
        (INT, "smallint", -32768, 32768, "smallint"),
        (INT, "integer", 2**31 - 1, 2**31, "integer"),
        (TEXT, "varchar(9) NOT NULL", "", None, "can't be null"),
        (TEXT, "varchar(9)", "a", "a\0b", "NUL"),
        (TEXT, "char(4)", "abc", "äb", "character"),
        (OBJECT, "super", {"a": ["x" * 65535] * 2}, {"b": [1, {"a": "x" * 65536}]}, "super"),
    ],
)
@pytest.mark.parametrize("key", [[], ["id"]], ids=["appended", "keyed"])
def test_a_row_that_redshift_wouldnt_take_is_refused_by_its_line(
    redshift_server, url, tmp_path, kind, sql_type, held, refused, reason, key
):
    query(redshift_server, url, f"CREATE TABLE things (id bigint{' PRIMARY KEY' if key else ''}, v {sql_type})")
    path = tmp_path / "aside.jsonl"
    rows = [record({"id": n, "v": value}) for n, value in enumerate((held, refused, held))]
    settings = {"on_invalid": "quarantine", "quarantine": str(path)}
    report = load(url, schema({"id": INT, "v": kind}, key), *rows, **settings)
    assert (report.total.loaded, report.total.quarantined) == (2, 1)
    assert query(redshift_server, url, "SELECT id FROM things ORDER BY id") == [(0,), (2,)]
    (aside,) = [entry for entry in map(json.loads, path.read_text(encoding="utf-8").splitlines()) if "record" in entry]
    assert aside["line"] == 3
    assert re.search(reason, aside["reasons"][0]["got"])


def test_a_row_whose_line_is_longer_than_copy_reads_is_refused(redshift_url):
    names = [f"b{n}" for n in range(3)]
    sent = (record(dict.fromkeys(names, base64.b64encode(bytes(size)).decode())) for size in (10**5, 10**6))
    with pytest.raises(tailrace.RecordError, match=r"line 3.*4,194,304 bytes"):
        load(redshift_url, schema(dict.fromkeys(names, BINARY)), *sent)


def test_an_older_run_that_ends_leaves_the_files_of_the_newer_one(redshift_server, redshift_url):
    things = stream()
    with closing(open_destination(redshift_url, {})) as newer:
        older = open_destination(redshift_url, {})
        older.recover("p")
        older.prepare(things)
        lost = older.stage(batch(things, (1, "a")))
        newer.recover("p")
        newer.prepare(things)
        receipt = newer.stage(batch(things, (2, "b")))
        with pytest.raises(tailrace.FencedError):
            older.commit(checkpoint(lost, pipeline="p"))
        older.close()
        newer.commit(checkpoint(receipt, pipeline="p"))
    assert query(redshift_server, redshift_url, "SELECT id FROM things") == [(2,)]
    assert files(redshift_server, redshift_url) == []


def test_two_first_runs_of_a_pipeline_leave_one_row_of_it(redshift_server, redshift_url):
    with closing(open_destination(redshift_url, {})) as maker:
        maker.recover("other")
    query(redshift_server, redshift_url, "ALTER TABLE _tailrace_checkpoints DROP CONSTRAINT _tailrace_checkpoints_pkey")

    def recover():
        with closing(open_destination(redshift_url, {})) as destination:
            Retry(destination, 300.0).call(destination.recover, "p")

    threads = [threading.Thread(target=recover) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = "SELECT count(*) FROM _tailrace_checkpoints WHERE pipeline = 'p'"
    assert query(redshift_server, redshift_url, asked) == [(1,)]


def test_keys_of_aws_come_from_where_its_own_tools_find_them(redshift_server, redshift_url, monkeypatch, tmp_path):
    address = re.sub("&(access_key_id|secret_access_key|region)=[^&]*", "", redshift_url)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DestinationError, match="AWS: no keys were found"):
        load(address, schema({"id": INT}), record({"id": 1}))
    objects = redshift_server.objects
    for name, text in (
        ("credentials", f"[load]\naws_access_key_id = {objects.key}\naws_secret_access_key = {objects.secret}\n"),
        ("config", f"[profile load]\nregion = {objects.region}\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "load")
    load(address, schema({"id": INT}), record({"id": 1}))
    assert query(redshift_server, redshift_url, "SELECT id FROM things") == [(1,)]
    folder = Folder(AwsSettings(), "s3://bucket/folder")
    assert folder._opened().config["region"] == objects.region
    assert isinstance(folder._opened().credential_provider, Boto3CredentialProvider)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(DestinationError, match="The config profile"):
        load(address, schema({"id": INT}), record({"id": 1}))


def test_a_prefix_may_have_slashes_anywhere(redshift_server, redshift_url):
    for prefix in ("a/b/", "/a//b", ""):
        load(redshift_url, schema({"id": INT}), record({"id": 1}), prefix=prefix)
    assert query(redshift_server, redshift_url, "SELECT count(*) FROM things") == [(3,)]


def test_rows_of_several_batches_and_revisions_are_copied_in_one_commit(redshift_server, redshift_url):
    messages = [schema({"id": INT, "b": BINARY}, ["id"])]
    messages += [record({"id": n % 50, "b": "AP8="}) for n in range(1000)]
    messages += [schema({"id": INT, "b": BINARY, "o": OBJECT}, ["id"]), record({"id": 7, "o": {"a": [1, None]}})]
    report = load(redshift_url, *messages, batch_rows=100)
    assert (report.total.loaded, report.total.updated, report.total.deduplicated) == (51, 1, 950)
    assert query(redshift_server, redshift_url, "SELECT b, o FROM things WHERE id IN (6, 7) ORDER BY id") == [
        ("00ff", None),
        (None, {"a": [1, None]}),
    ]
    assert files(redshift_server, redshift_url) == []


def test_what_a_run_leaves_on_s3_is_removed_by_the_next_of_its_pipeline(redshift_server, redshift_url):
    things = stream()
    with closing(open_destination(redshift_url, {})) as lost, closing(open_destination(redshift_url, {})) as other:
        lost.recover("p")
        lost.prepare(things)
        lost.stage(batch(things, (1, "a")))
        assert len(files(redshift_server, redshift_url)) == 1
        commit_rows(other, things, (2, "b"), pipeline="other")
        assert len(files(redshift_server, redshift_url)) == 1
        commit_rows(other, things, (3, "c"), pipeline="p")
        assert files(redshift_server, redshift_url) == []
    assert query(redshift_server, redshift_url, "SELECT id FROM things ORDER BY id") == [(2,), (3,)]


def test_a_run_whose_files_were_removed_by_a_newer_one_is_fenced(redshift_url):
    things = stream()
    with (
        closing(open_destination(redshift_url, {})) as older,
        closing(open_destination(redshift_url, {})) as newer,
    ):
        older.recover("p")
        older.prepare(things)
        receipt = older.stage(batch(things, (1, "a")))
        commit_rows(newer, things, (2, "b"), pipeline="p")
        with pytest.raises(tailrace.FencedError):
            older.commit(checkpoint(receipt, pipeline="p"))


def test_secrets_reach_neither_the_log_nor_an_error(redshift_server, redshift_url, caplog):
    with caplog.at_level("DEBUG", logger="tailrace"):
        load(redshift_url, schema({"id": INT}), record({"id": 1}))
    assert "COPY" in caplog.text
    assert redshift_server.objects.secret not in caplog.text
    with pytest.raises(DestinationError) as refused:
        load(redshift_url, schema({"id": INT}), record({"id": 1}), secret_access_key="hush-hush'; --")
    assert "does not exist in our records" in str(refused.value)
    assert "hush-hush" not in str(refused.value) + repr(open_destination(redshift_url, {}))


def test_a_bucket_that_isnt_there_is_told_by_check(redshift_url):
    with pytest.raises(DestinationError, match=r"s3://nowhere/.*there is no such bucket"):
        open_destination(redshift_url, {"bucket": "nowhere"}).check()


def test_check_says_where_rows_wait_and_what_may_be_made(url):
    told = open_destination(url, {"schema": "elsewhere"}).check()
    assert ("rows wait in the bucket" in told[0]) is ("bucket=" in url)
    assert told[1] == "The schema 'elsewhere': isn't there yet and will be made."


def test_pickled_before_use_it_is_the_same_destination(redshift_server, url):
    destination = pickle.loads(pickle.dumps(open_destination(url, {})))
    with closing(destination):
        commit_rows(destination, stream(), (1, "a"))
    assert query(redshift_server, url, "SELECT * FROM things") == [(1, "a")]


def test_a_wrong_password_is_no_passing_trouble_and_isnt_told(url):
    destination = open_destination(url, {"password": "hush-hush"})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert not destination.is_transient(refused.value)
    assert "hush-hush" not in str(refused.value) + repr(destination)


def test_nobody_listening_is_passing_trouble(url, free_port):
    destination = open_destination(url, {"port": free_port})
    with pytest.raises(DestinationError, match="can't be reached") as refused:
        destination.recover("p")
    assert destination.is_transient(refused.value)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ProgrammingError({"C": "XX000", "M": "1023", "D": "Serializable isolation violation on table - 1"}), True),
        (ProgrammingError({"C": "XX000", "M": "S3ServiceException:Please reduce your request rate."}), True),
        (ProgrammingError({"C": "XX000", "M": "S3ServiceException:Access Denied"}), False),
        (ProgrammingError({"C": "57P01", "M": "terminating connection"}), True),
        (ProgrammingError({"C": "42P01", "M": "relation does not exist"}), False),
        (InterfaceError({"C": "28000", "M": "password authentication failed"}), False),
        (InterfaceError("connection is closed"), True),
        (OperationalError("connection time out"), True),
        (ConnectionResetError(104, "reset"), True),
        (ValueError("no"), False),
    ],
)
def test_errors_that_may_pass(error, passes):
    assert RULES.is_transient(error) is passes


@pytest.mark.parametrize(
    "given",
    [
        {"password": "p", "database": "d"},
        {"host": "h", "user": "u", "database": "d"},
        {"host": "h", "password": "p", "database": "d"},
    ],
)
def test_a_login_that_cant_work_says_what_is_missing(given):
    with pytest.raises(ConfigError, match="log in by IAM"):
        open_destination("redshift", given)


def test_a_cluster_or_a_workgroup_is_enough_for_iam():
    for name in ("cluster_identifier", "workgroup"):
        assert Settings.model_validate({name: "x", "database": "d"}).password is None
    for given in ({"database": "d"}, {"database": "d", "workgroup": "x", "tls": "disable"}):
        with pytest.raises(ValidationError):
            Settings.model_validate(given)


def test_the_smallest_grants_are_enough(redshift_server, redshift_url):
    role = f"loader_{urlsplit(redshift_url).path[1:]}"
    database = urlsplit(redshift_url).path[1:]
    grants = f"""
        CREATE ROLE {role} LOGIN PASSWORD 'secret';
        GRANT pg_read_server_files TO {role};
        REVOKE ALL ON DATABASE {database} FROM PUBLIC; GRANT CONNECT ON DATABASE {database} TO {role};
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        CREATE SCHEMA raw;
        CREATE TABLE raw.old (id bigint PRIMARY KEY, name text);
        GRANT TEMPORARY ON DATABASE {database} TO {role};
        GRANT USAGE, CREATE ON SCHEMA raw TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON raw.old TO {role};
    """
    query(redshift_server, redshift_url, grants)
    login = {"user": role, "password": "secret", "schema": "raw"}
    try:
        for name in ("things", "old"):
            messages = [schema({"id": INT, "name": TEXT}, ["id"], name), record({"id": 1, "name": "a"}, name)]
            assert load(redshift_url, *messages, **login).total.updated == 0
            assert load(redshift_url, *messages, **login).total.updated == 1
        load(redshift_url, schema({"id": INT}, stream="log"), record({"id": 1}, "log"), **login)
        load(redshift_url, schema({"id": INT, "n": INT}, stream="log"), record({"n": 1}, "log"), **login)
        load(redshift_url, schema({"id": INT}, stream="log"), record({"id": 1}, "log"), **login, method="replace")
        assert query(redshift_server, redshift_url, "SELECT * FROM raw.log") == [(1,)]
    finally:
        query(redshift_server, redshift_url, f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_what_a_checkpoint_did_is_told_among_the_loads(redshift_url):
    sent = [schema({"id": INT}, []), record({"id": 1})]
    for _ in range(2):
        tailrace.load([json.dumps(message).encode() for message in sent], redshift_url, pipeline="p", loads=True)
    session = redshift.RedshiftServer(Settings.model_validate(redshift.from_url(redshift_url))).open()
    with closing(session):
        told = session.query("SELECT pipeline, checkpoint, stream, inserted FROM _tailrace_loads ORDER BY checkpoint")
    assert told == [("p", 1, "things", 1), ("p", 2, "things", 1)]
