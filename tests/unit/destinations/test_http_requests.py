"""Requests and answers by themselves: settings, cuts, keys, pointers, and waits."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tailrace.destinations import open_destination, scheme_of
from tailrace.destinations.http.answers import Answer, outcome
from tailrace.destinations.http.client import Login, retry_after_s
from tailrace.destinations.http.parts import cut, request_of
from tailrace.destinations.http.rows import Row, encoded
from tailrace.destinations.http.settings import Settings, from_url
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import LINE, Column, Fill, Kind
from tailrace.testing.parts import ID, NAME, batch, stream

URL = "https://host/in/{stream}"
GIVEN = {"url": URL}
OF = stream(ID, NAME)


def rows(*texts):
    return [Row(line, text, text, "") for line, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "ftp://host/"},
        {"url": "https:///path"},
        {"url": "https://{stream}.host/"},
        {"url": "https://host:{key}/"},
        {"url": "https://u:s3cr3t@host/"},
        {"url": "https://host/{nothing}"},
        {"url": "https://host/{stream"},
        {"url": "https://host/a b"},
        {"url": "https://host/\r\nX: y"},
        {"url": "https://host/#part"},
        {"url": "https://host:port/"},
        {"url": "https://host/{key}"},
        GIVEN | {"headers": {"X\r\nY": "s3cr3t"}},
        GIVEN | {"headers": {"X": "s3cr3t\r\nY: z"}},
        GIVEN | {"headers": {"Host": "s3cr3t"}},
        GIVEN | {"auth": "bearer"},
        GIVEN | {"auth": "bearer", "token": "s3cr3t\n"},
        GIVEN | {"auth": "oauth2", "client_id": "x"},
        GIVEN | {"auth": "api_key", "api_key": "s3cr3t", "api_key_header": "a b"},
        GIVEN | {"idempotency_header": "Content-Length"},
        GIVEN | {"format": "form"},
        GIVEN | {"format": "jsonl", "records_at": "/x"},
        GIVEN | {"records_at": "x"},
        GIVEN | {"body_fields": {"a": 1}},
        GIVEN | {"http_method": "get it"},
        GIVEN | {"results": {"list": "results"}},
    ],
)
def test_settings_that_make_no_request_are_refused_without_a_secret(wrong):
    with pytest.raises(ConfigError) as raised:
        open_destination("http", wrong)
    assert "s3cr3t" not in str(raised.value)


def test_addresses_are_urls():
    assert scheme_of("https://host/x") == scheme_of("http://host/x") == "http"
    assert from_url("https://host/{stream}?a=b") == {"url": "https://host/{stream}?a=b"}
    login = {"auth": "basic", "username": "u@", "password": "p:w"}
    assert from_url("http://u%40:p%3Aw@host:80/") == {"url": "http://host:80/"} | login


def test_parts_are_as_large_as_they_may_be_whatever_the_batches():
    settings = Settings(url=URL, max_rows=3, max_bytes=10)
    parts = [*cut(OF, rows("1", "2", "3", "4", "aaaaaaa", "b", "cc", "long" * 9, "d"), settings)]
    assert [[row.text for row in part.rows] for part in parts] == [
        ["1", "2", "3"],
        ["4", "aaaaaaa"],
        ["b", "cc"],
        ["long" * 9],
        ["d"],
    ]
    assert [part.place for part in parts] == ["0", "1", "2", "3", "4"]


def key_of(part, pipeline="p", number=1, **settings):
    return request_of(part, Settings(url=URL, **settings), pipeline, number).headers["Idempotency-Key"]


def test_a_request_has_the_key_of_its_rows_and_their_place_alone():
    settings = Settings(url=URL, max_rows=2)
    parts = [*cut(OF, rows("a", "b", "a", "b"), settings)]
    again = [*cut(OF, [Row(row.line + 100, row.text, row.same, "") for row in rows("a", "b", "a", "b")], settings)]
    keys = [key_of(part) for part in parts]
    assert keys == [key_of(part) for part in again]
    others = [key_of(parts[0], "q"), key_of(parts[0], number=2), key_of(parts[0].again(parts[0].rows, 1))]
    others += [key_of(half) for half in parts[0].halves()]
    others += [key_of(next(cut(stream(name="other"), rows("a", "b"), settings)))]
    assert len({*keys, *others}) == 8
    assert "Idempotency-Key" not in request_of(parts[0], Settings(url=URL, idempotency_header=""), "p", 1).headers


def test_what_each_run_fills_otherwise_is_not_in_the_key():
    made = stream(
        ID, Column("at", (), Kind.TEXT, fill=Fill.RECEIVED_AT), Column("c", (), Kind.TEXT, fill=Fill.CONSTANT)
    )
    table = encoded(batch(made, (1, "now", "x")).rows, made, Settings(url=URL))[0]
    assert table["text"].to_pylist() == ['{"id":1,"at":"now","c":"x"}']
    assert table["same"].to_pylist() == ['{"id":1,"c":"x"}']


def test_numbers_that_json_lacks_are_refused_by_their_lines():
    floats = stream(ID, Column("f", ("f",), Kind.FLOAT))
    table = batch(floats, (1, 0.5), (2, float("nan")), (3, float("inf")), (4, None), first_line=10).rows
    sent, refused = encoded(table, floats, Settings(url=URL))
    assert sent["text"].to_pylist() == ['{"id":1,"f":0.5}', '{"id":4,"f":null}']
    assert sent[LINE].to_pylist() == [10, 13]
    assert refused.keys() == {11, 12}


def test_a_composite_key_is_one_step_of_the_path():
    keyed = stream(ID, NAME, key=("id", "name"))
    table, _ = encoded(batch(keyed, (1, "a,b/c")).rows, keyed, Settings(url=f"{URL}/{{key}}", per_record=True))
    assert table["path"].to_pylist() == ["1,a%2Cb%2Fc"]
    assert pa.types.is_large_string(table["key"].type)


def said(body, results, status=200, count=3, **settings):
    made = Settings(url=URL, results=results, **settings)
    done = outcome(Answer(status, body), rows(*"abc")[:count], made, str)
    return [row.line for row in done.taken], done.refused, [row.line for row in done.again]


def test_an_answer_may_name_refused_rows_alone():
    results = {"list": "/errors", "index": "/row", "message": "/why/0"}
    body = b'{"errors":[{"row":1,"why":["too long"]}]}'
    assert said(body, results) == ([1, 3], {2: "the endpoint refuses it: too long"}, [])
    assert said(b"{}", results) == ([1, 2, 3], {}, [])


def test_an_answer_may_have_a_flag_or_a_status_for_each_row():
    flags = b'[{"ok":true},{"ok":false,"m":"no"},{"ok":true}]'
    assert said(flags, {"list": "", "ok": "/ok", "message": "/m"}) == ([1, 3], {2: "the endpoint refuses it: no"}, [])
    statuses = b'{"items":[{"s":201},{"s":429},{"s":409}]}'
    mapping = {"list": "/items", "status": "/s", "message": "/none"}
    lasting = {"retry_statuses": (429,)}
    assert said(statuses, mapping, **lasting) == ([1], {3: "the endpoint refuses it: it doesn't say why"}, [2])


@pytest.mark.parametrize(
    ("body", "results"),
    [
        (b"nothing", {"list": ""}),
        (b"{}", {"list": "/items", "ok": "/ok"}),
        (b'{"items":{}}', {"list": "/items"}),
        (b'[{"ok":true}]', {"list": "", "ok": "/ok"}),
        (b'[{"i":0},{"i":0}]', {"list": "", "index": "/i"}),
        (b'[{"i":3}]', {"list": "", "index": "/i"}),
        (b'[{"i":-1}]', {"list": "", "index": "/i"}),
        (b'[{"i":"0"}]', {"list": "", "index": "/i"}),
        (b"[" * 100_000, {"list": ""}),
    ],
)
def test_an_answer_that_does_not_say_what_became_of_each_row_is_an_error(body, results):
    with pytest.raises(DestinationError, match="the endpoint's answer"):
        said(body, results)


def test_a_wait_is_in_seconds_or_until_a_time():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    waits = [
        "7",
        " 0 ",
        "Thu, 01 Jan 2026 00:01:00 GMT",
        "Wed, 31 Dec 2025 00:00:00 GMT",
        "-3",
        "soon",
        None,
        "9" * 400,
    ]
    found = [retry_after_s(wait, lambda: now) for wait in waits]
    assert found == [7, 0, 60, 0, None, None, None, 999_999_999]


def test_a_token_is_renewed_before_it_expires():
    now_s, fetched = [0.0], []

    def once(request, login, most_bytes):
        fetched.append(request.body)
        return Answer(200, b'{"access_token":"t%d","expires_in":"100"}' % len(fetched)), None

    given = {"auth": "oauth2", "token_url": "https://host/token", "client_id": "a b", "client_secret": "s+"}
    login = Login(Settings(url=URL, **given), once, monotonic_s=lambda: now_s[0])
    seen = []
    for now_s[0] in (0, 69, 71):
        seen.append(login.headers()["Authorization"])
    assert seen == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert login.renew({"Authorization": "Bearer t1"})
    assert login.headers()["Authorization"] == "Bearer t2"
    assert login.renew({"Authorization": "Bearer t2"})
    assert login.headers()["Authorization"] == "Bearer t3"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"access_token":"a\\r\\nX: y"}', b'{"access_token":""}', b"{" * 100_000]
)
def test_a_token_that_is_none_is_refused(body):
    given = {"auth": "oauth2", "token_url": "https://host/token", "client_id": "a", "client_secret": "s"}
    login = Login(Settings(url=URL, **given), lambda *_: (Answer(200, body), None))
    with pytest.raises(DestinationError, match="no token was given"):
        login.headers()
