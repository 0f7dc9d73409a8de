"""An endpoint that misbehaves gets each row once all the same, and what can't be mended is said."""

import json
import time

import pytest
from rest_loads import PLAIN, RESULTS, ROWS, THINGS, load, opened, staged
from services.rest import CLIENT, rest

import tailrace
from tailrace.destinations.http.client import Client, Pace
from tailrace.destinations.http.parts import Request
from tailrace.destinations.http.settings import Settings
from tailrace.errors import DestinationError, FencedError
from tailrace.testing.messages import INT, TEXT, TIMESTAMPTZ, decimal, record, records, schema, state
from tailrace.testing.parts import ID, NAME, stream

SECRET = "s3cr3t-Kx9"


@pytest.fixture
def server():
    with rest() as made:
        yield made


TROUBLES = ["busy", "busy_until", "fail", "take_and_fail", "take_and_cut", "cut", "drip", "drip_headers", "garbage"]
TROUBLES += ["huge", "bomb", "pack"]


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_row_comes_once_whatever_goes_wrong_with_a_request(server, trouble):
    server.trouble.extend([None, trouble, trouble, None, trouble])
    report = load(server, max_answer_bytes=2**16, timeout_s=0.2 if "drip" in trouble else 5)
    assert server.rows(THINGS) == ROWS
    assert (report.total.loaded, report.state) == (10, '{"at":10}')


@pytest.mark.parametrize("trouble", ["take_and_fail", "take_and_cut", "drip"])
def test_rows_come_twice_where_keys_are_not_honoured(server, trouble):
    server.honours_keys = False
    server.trouble.extend([None, trouble])
    load(server, timeout_s=0.5)
    assert len(server.rows(THINGS)) == 12


def test_an_answer_that_takes_too_long_costs_no_more_than_its_time(server):
    server.trouble.extend(["drip_headers", "drip"])
    started_s = time.monotonic()
    load(server, PLAIN[:3], timeout_s=0.2)
    assert time.monotonic() - started_s < 2


def test_a_half_answer_is_none_where_it_says_what_became_of_rows(server):
    server.trouble.extend(["take_and_cut", "garbage", "drip"])
    load(server, url=f"{server.url}/results/{{stream}}", results=RESULTS, timeout_s=0.5)
    assert server.rows(THINGS) == ROWS


@pytest.mark.parametrize("trouble", ["huge", "bomb"])
def test_an_answer_that_is_too_long_to_say_what_became_of_rows_ends_the_run_and_the_next_one_finds_out(
    server, tmp_path, trouble
):
    settings = {"url": f"{server.url}/results/{{stream}}", "results": RESULTS, "checkpoints": str(tmp_path)}
    server.trouble.extend([None, trouble])
    with pytest.raises(DestinationError, match="max_answer_bytes"):
        load(server, pipeline="p", max_answer_bytes=2**16, **settings)
    load(server, PLAIN[:1], pipeline="p", **settings)
    assert server.rows(THINGS) == ROWS


def test_a_redirect_is_not_followed_and_no_credentials_go_elsewhere(server):
    with rest() as other:
        server.elsewhere = other.url
        server.trouble.append("redirect")
        with pytest.raises(DestinationError, match=f"a redirect to {other.url}") as raised:
            load(server, auth="bearer", token=SECRET)
        assert other.received == []
    assert SECRET not in str(raised.value)


def test_a_token_is_fetched_once_and_renewed_where_it_is_not_taken_any_more(server):
    server.wants = "a token"
    server.trouble.extend([None, None, "expire"])
    login = {"auth": "oauth2", "token_url": f"{server.url}/token", "client_id": CLIENT[0], "client_secret": CLIENT[1]}
    load(server, **login, scope="write")
    assert server.rows(THINGS) == ROWS
    assert server.tokens == ["token-1", "token-2"]
    token = next(each for each in server.received if each.target == "/token")
    assert token.body == b"grant_type=client_credentials&scope=write"
    server.lasts_s = 0
    load(server, PLAIN[:4], **login, credentials_in="body")
    assert len(server.tokens) == 4  # for each of two requests


def test_a_token_that_is_never_taken_ends_the_run(server):
    server.wants = "another token"
    with pytest.raises(DestinationError, match="401") as raised:
        load(server, auth="bearer", token=SECRET)
    assert SECRET not in "".join(map(str, [raised.value, *getattr(raised.value, "__notes__", [])]))
    login = {"auth": "oauth2", "token_url": f"{server.url}/token", "client_id": "x", "client_secret": SECRET}
    with pytest.raises(DestinationError, match="no token was given: the server answered 401"):
        load(server, **login)
    assert server.rows(THINGS) == []


@pytest.mark.parametrize(
    ("settings", "header", "value"),
    [
        ({"auth": "basic", "username": "u", "password": "p:w"}, "authorization", "Basic dTpwOnc="),
        ({"auth": "bearer", "token": "t"}, "authorization", "Bearer t"),
        ({"auth": "api_key", "api_key": "k"}, "x-api-key", "k"),
        ({"auth": "api_key", "api_key": "k", "api_key_header": "Key"}, "key", "k"),
        ({"headers": {"X-Tenant": "a b"}}, "x-tenant", "a b"),
    ],
)
def test_requests_are_logged_in(server, settings, header, value):
    load(server, PLAIN[:2], **settings)
    assert [request.headers[header] for request in server.received] == [value]


def test_a_user_in_the_address_is_that_of_basic(server):
    tailrace.load(PLAIN[:2], f"http://u:p%3Aw@127.0.0.1:{server.port}/{{stream}}")
    assert server.received[0].headers["authorization"] == "Basic dTpwOnc="
    assert server.rows(THINGS) == ROWS[:1]


def test_waits_are_as_long_as_the_server_says():
    waits = []
    with rest() as server:
        client = Client(Settings(url=server.url, max_wait_s=60), sleep=waits.append)
        server.trouble.extend(["busy", "busy_until"])
        client.send(Request("HEAD", f"{server.url}/", {}))
        client.close()
    backed_off, told, *_, told_until = waits
    assert 0.9 < told <= 1
    assert 0.5 < told_until <= 2
    assert backed_off <= 0.5


def test_no_more_requests_go_out_than_there_may_be_in_a_second():
    waits = []
    pace = Pace(10, sleep=waits.append)
    for _ in range(4):
        pace.wait()
    assert [round(wait, 2) for wait in waits] == [0.1, 0.2, 0.3]


def test_requests_go_out_at_once_and_never_more_than_that(server):
    server.trouble.extend(["slow"] * 8)
    load(server, [PLAIN[0], *records(*({"id": n} for n in range(16)))], concurrency=4)
    assert 2 <= server.most_at_once <= 4
    assert sorted(row["id"] for row in server.rows(THINGS)) == [*range(16)]


def test_rows_that_are_put_off_come_again_until_all_are_there(server, tmp_path):
    seen = set()

    def puts_off(row):
        is_new = row["id"] not in seen
        seen.add(row["id"])
        return is_new and row["id"] % 2 == 0

    server.puts_off = puts_off
    load(server, url=f"{server.url}/results/{{stream}}", results=RESULTS, max_rows=5)
    assert sorted(row["id"] for row in server.rows(THINGS)) == [*range(10)]


def test_rows_that_are_put_off_too_often_come_under_new_keys_at_the_next_try(server):
    left = [4]

    def puts_off(row):
        left[0] -= row["id"] == 0
        return row["id"] == 0 and left[0] >= 0

    server.puts_off = puts_off
    load(server, url=f"{server.url}/results/{{stream}}", results=RESULTS, attempts=3)
    assert sorted(row["id"] for row in server.rows(THINGS)) == [*range(10)]


def test_a_run_that_fails_behind_its_requests_and_starts_anew_sends_them_under_the_same_keys(server, tmp_path):
    where = {"pipeline": "p", "checkpoints": f"sqlite:///{tmp_path}/kept.db", "retry_s": 0.05, "attempts": 1}
    server.trouble.extend([None, None, None, None, *["take_and_fail"] * 50])
    with pytest.raises(DestinationError, match="500"):
        load(server, **where)
    server.trouble.clear()
    batches = {"batch_rows": 3}  # what is sent doesn't depend on them
    assert load(server, **where, **batches).state == '{"at":10}'
    assert server.rows(THINGS) == ROWS


def test_a_failed_run_is_finished_from_its_outbox_though_the_tap_sends_something_else(server, tmp_path):
    where = {"pipeline": "p", "checkpoints": str(tmp_path), "retry_s": 0.05, "attempts": 1}
    server.trouble.extend([None, "take_and_fail", *["fail"] * 50])
    with pytest.raises(DestinationError, match="500"):
        load(server, **where)
    server.trouble.clear()
    load(server, [PLAIN[0], record({"id": 99, "name": "new"})], **where)
    assert server.rows(THINGS) == [*ROWS, {"id": 99, "name": "new"}]
    assert [path for path in tmp_path.iterdir() if path.suffix == ".outbox"] == []


def test_checkpoints_are_kept_in_another_destination_beside_its_own(server, tmp_path):
    address = f"sqlite:///{tmp_path}/kept.db"
    tailrace.load(PLAIN, address, pipeline="p")
    for messages in (PLAIN, [PLAIN[0], record({"id": 10, "name": "n10"}), state({"at": 11})]):
        load(server, messages, pipeline="p", checkpoints=address)
    assert [row["id"] for row in server.rows(THINGS)] == [*range(11)]
    older, newer = (opened(server, address) for _ in range(2))
    last = older.recover("p")
    assert (last.number, last.state) == (2, b'{"at":11}')
    assert newer.recover("p").number == 2
    sent = len(server.received)
    older_checkpoint = staged(older, number=3)
    with pytest.raises(FencedError):
        older.commit(tailrace.Checkpoint("p", 3, None, older_checkpoint.at, older_checkpoint.publish))
    assert len(server.received) == sent
    for each in (older, newer):
        each.close()


def test_deleted_rows_are_deleted_by_their_key_before_they_come_again(server):
    server.keys = {THINGS: ("id",)}
    deletable = schema({"id": INT, "name": TEXT, "old": TEXT, "_sdc_deleted_at": TIMESTAMPTZ}, ["id"])
    marked = {"_sdc_deleted_at": "2024-01-31T00:00:00Z"}
    settings = {"hard_delete": True, "delete_url": f"{server.url}/{{stream}}/{{key}}", "created_status": 201}
    load(server, [deletable, *records(*({"id": n, "old": "x"} for n in range(4)))], **settings)
    again = [{"id": 1, **marked}, {"id": 1, "name": "new"}, {"id": 2, "name": "y"}, {"id": 2, **marked}]
    report = load(server, [deletable, *records(*again, {"id": 77, **marked})], **settings)
    assert [(row["id"], row["name"], row["old"]) for row in server.rows(THINGS)] == [
        (0, None, "x"),
        (3, None, "x"),
        (1, "new", None),
    ]
    assert [r.target for r in server.received if r.method == "DELETE"] == ["/things/1", "/things/2", "/things/77"]
    assert (report.total.deleted, report.total.deduplicated) == (2, 2)


def test_values_are_exact_on_the_wire_in_json_and_in_forms(server):
    wide = schema({"id": INT, "n": decimal(38, 9), "j": {"type": "object"}, "t": TEXT})
    sent = [
        wide,
        '{"type":"RECORD","stream":"things","record":{"id":9007199254740993,"n":1.5,"j":{"a":1.50},"t":"é\\n"}}',
    ]
    load(server, sent)
    load(server, sent, decimals="string", format="jsonl")
    load(server, sent, format="form", per_record=True)
    load(
        server,
        sent,
        content_type="application/vnd.x+json",
        records_at="/data/records",
        body_fields={"all": False},
        url=f"{server.url}/x",
    )
    json_body, lines, form, wrapped = (request.body for request in server.received)
    assert json_body == b'[{"id":9007199254740993,"n":1.500000000,"j":{"a":1.50},"t":"\xc3\xa9\\n"}]'
    assert lines == json_body[1:-1].replace(b"1.500000000", b'"1.500000000"') + b"\n"
    assert form == b"id=9007199254740993&n=1.500000000&j=%7B%22a%22%3A1.50%7D&t=%C3%A9%0A"
    assert [request.headers["content-type"] for request in server.received] == [
        "application/json",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/vnd.x+json",
    ]
    assert json.loads(wrapped) == {"all": False, "data": {"records": json.loads(json_body)}}


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    monkeypatch.delenv("NO_PROXY")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    load(server, PLAIN[:2])
    assert server.rows(THINGS) == ROWS[:1]


def test_requests_go_by_the_proxy_that_is_set(server):
    load(server, PLAIN[:2], url="http://nowhere.example/{stream}", proxy=server.url)
    assert [request.target for request in server.received] == ["http://nowhere.example/things"]
    assert server.rows(THINGS) == ROWS[:1]


def test_check_and_plan_change_nothing(server, tmp_path):
    given = {"per_record": False, "delete_url": f"{server.url}/{{stream}}/{{key}}?token={SECRET}"}
    destination = opened(server, tmp_path / "c", url=f"{server.url}/{{stream}}?token={SECRET}", **given)
    found = destination.check()
    assert found[0] == f"{server.url} answers (HEAD: 200); nothing was sent to it."
    assert f"Checkpoints are kept in the folder {tmp_path}/c." in found
    keyed = stream(ID, NAME, hard_delete=True)
    assert destination.plan(keyed) == [
        f"-- POST {server.url}/{{stream}} of up to 2 rows, as json: the last row of each key",
        f"-- DELETE {server.url}/{{stream}}/{{key}} for each row that is marked as deleted",
    ]
    destination.close()
    other = opened(server, f"sqlite:///{tmp_path}/kept.db")
    assert any(said.startswith("Checkpoints: ") for said in other.check())
    other.close()
    assert {request.method for request in server.received} == {"HEAD"}
    assert not (tmp_path / "c").exists()
