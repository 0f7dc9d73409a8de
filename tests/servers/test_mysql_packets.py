"""What is longer than a server's max_allowed_packet is told at once: a row by its line, a state with what to do."""

import json

import mysqls
import pytest
from needs import had
from services.mariadb import mariadb
from services.mysql import mysql

from tailrace.destinations.mysql import packets
from tailrace.errors import DestinationError, RecordError
from tailrace.testing.messages import ANY, BINARY, INT, TEXT, record, schema

PACKET = 2**20
LONG = {
    "text": (TEXT, "x" * 2 * PACKET),
    "bytes": (BINARY, "QUFB" * (PACKET // 2)),
    "json": (ANY, {"a": {"b": "x" * 2 * PACKET}}),
}


@pytest.fixture(scope="module", params=[mysql, mariadb], ids=["mysql", "mariadb"])
def inserting(request):
    """The address of a server that takes no local files, and statements of a MiB."""
    with had(lambda: request.param(local_infile=False), always=request.param is not mysql) as server:
        url = server.database()
        with mysqls.globally(url, max_allowed_packet=PACKET):
            yield url


@pytest.mark.parametrize("kind", LONG)
def test_a_row_that_no_statement_holds_is_refused_by_its_line(inserting, kind, tmp_path):
    of, value = LONG[kind]
    sent = [schema({"id": INT, "v": of}, ["id"], kind)]
    sent += [record({"id": n, "v": value if n == 2 else None}, kind) for n in (1, 2, 3)]
    with pytest.raises(RecordError, match=r"line 3: .*bytes, and max_allowed_packet of the server is 1,048,576"):
        mysqls.load(inserting, *sent)
    report = mysqls.load(inserting, *sent, on_invalid="quarantine", quarantine=str(tmp_path / "q"))
    assert (report.total.loaded, report.total.quarantined) == (2, 1)
    assert mysqls.query(inserting, f"SELECT id FROM `{kind}` ORDER BY id") == [(1,), (3,)]


def test_rows_that_are_more_than_a_statement_holds_together_are_inserted_by_several(inserting):
    rows = [{"id": n, "v": "é" * (n % 7 * 10_000)} for n in range(400)]
    sent = [schema({"id": INT, "v": TEXT}, ["id"], "many"), *(record(row, "many") for row in rows)]
    assert mysqls.load(inserting, *sent).total.loaded == 400
    total = sum(len(row["v"]) for row in rows)
    assert mysqls.query(inserting, "SELECT count(*), sum(char_length(v)) FROM many") == [(400, total)]


def test_a_state_that_no_statement_holds_says_what_to_do(inserting, any_mysql_url):
    with mysqls.globally(any_mysql_url, max_allowed_packet=PACKET):
        for url in (inserting, any_mysql_url):
            mysqls.query(url, "DROP TABLE IF EXISTS stated")
            sent = [schema({"id": INT}, [], "stated"), record({"id": 1}, "stated")]
            state = {"type": "STATE", "value": {"at": "x" * 2 * PACKET}}
            with pytest.raises(DestinationError, match=r"state.*run `SET GLOBAL max_allowed_packet = 4\d{6}`"):
                mysqls.load(url, *sent, state, pipeline="p", retry_s=300)
            mysqls.load(url, *sent, {"type": "STATE", "value": {"at": "x" * (PACKET // 2)}}, pipeline="p")
            assert mysqls.query(url, "SELECT count(*) FROM stated") == [(1,)]


def test_json_that_mysql_makes_longer_than_its_packet_is_refused_by_its_line(mysql_url):
    with mysqls.globally(mysql_url, max_allowed_packet=PACKET):
        rows = [{"id": n, "v": LONG["json"][1] if n == 700 else {"a": n}} for n in range(1000)]
        with pytest.raises(RecordError, match=r"line 702.*larger than max_allowed_packet"):
            mysqls.load(mysql_url, schema({"id": INT, "v": ANY}, ["id"]), *map(record, rows))


@pytest.mark.parametrize("column", ["v vector(3)", "v varchar(9) CHECK (v <> 'x')"])
def test_errors_about_rows_that_have_no_class_name_the_line(mysql_url, column):
    mysqls.query(mysql_url, f"CREATE TABLE things (id bigint PRIMARY KEY, {column})")
    sent = [schema({"id": INT, "v": TEXT}, ["id"]), record({"id": 1, "v": None}), record({"id": 2, "v": "x"})]
    with pytest.raises((RecordError, DestinationError), match=r"line [34]|refuses rows|violated") as failed:
        mysqls.load(mysql_url, *sent, retry_s=300)
    assert failed.value.__class__.__name__ in {"RecordError", "RowsRefusedError"}


def test_statements_hold_as_many_rows_as_there_is_room_for():
    assert [*packets.parts([10, 10, 10, 25, 5], 30, 100)] == [(0, 3), (3, 2)]
    assert [*packets.parts([1] * 7, 30, 3)] == [(0, 3), (3, 3), (6, 1)]
    assert [*packets.parts([], 30, 3)] == []


def test_where_local_files_are_off_it_is_said_once_and_rows_are_inserted(inserting, caplog):
    sent = [schema({"id": INT, "v": ANY}, ["id"], "off"), record({"id": 1, "v": json.loads('{"a": [1, "数"]}')}, "off")]
    assert mysqls.load(inserting, *sent).total.loaded == 1
    assert json.loads(mysqls.query(inserting, "SELECT v FROM `off`")[0][0]) == {"a": [1, "数"]}
