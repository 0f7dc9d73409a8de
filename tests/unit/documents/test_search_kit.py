"""Search engines without one: names, ids, mappings, values, bodies, settings, and what answers come to."""

import json
import pickle
from datetime import date
from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest

from tailrace.config.sources import own_names
from tailrace.destinations import open_destination
from tailrace.documents.database import Action, Description, Mark, Outcome, Write
from tailrace.documents.search.bulk import Bulk, Item, Request
from tailrace.documents.search.cluster import Answer, Cluster, Reason
from tailrace.documents.search.ids import MAX_BYTES, id_of, new_id
from tailrace.documents.search.mappings import described, fields_of, merged, meta_of, property_of
from tailrace.documents.search.names import beside_name, checked_template, index_name
from tailrace.documents.search.settings import SearchSettings, from_url
from tailrace.documents.search.values import documents
from tailrace.documents.search.writes import Written
from tailrace.errors import ConfigError, DestinationError
from tailrace.model import Kind, TableName
from tailrace.schema.evolve import TableColumn

DAY = date(2024, 1, 31)
ORDERS = TableName("Orders", "Sales")


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stream}", "sales.orders"),
        ("{schema}-{table}", "sales-orders"),
        ("ecs-{{ stream_name }}-{{current_timestamp_daily}}", "ecs-sales.orders-2024.01.31"),
        ("{table}-{month}-{year}", "orders-2024.01-2024"),
        ("_-+.{table}", "orders"),
        ('a\\b/c*d?e"f<g>h|i j,k#l:m', "a_b_c_d_e_f_g_h_i_j_k_l_m"),
    ],
)
def test_an_index_is_named_by_a_template(template, name):
    assert index_name(checked_template(template), ORDERS, DAY) == name


def test_a_prefix_stays_before_what_no_name_begins_with():
    assert index_name("{table}", TableName("_x"), DAY, "mine-") == "mine-_x"


@pytest.mark.parametrize(
    "template",
    [
        "{{ to_daily(at) }}",
        "{at}",
        "{{ record.id }}",
        "{% if x %}",
        "{stream",
        "{stream!r}",
        "{table:>9}",
        "{0}",
        "{}",
        " ",
    ],
)
def test_what_is_no_template_is_refused(template):
    with pytest.raises(ValueError, match=r"template|unknown word|needs a name"):
        checked_template(template)


@pytest.mark.parametrize("name", ["_", "-", ".", "..", "+.-"])
def test_a_name_of_which_nothing_is_left_is_refused(name):
    with pytest.raises(ConfigError, match="can't be the name"):
        index_name("{table}", TableName(name), DAY)


def test_long_names_stay_apart_and_have_room_for_what_is_built_beside():
    names = [index_name("{table}", TableName("é" * 200 + end), DAY, "p" * 50) for end in "ab"]
    assert len({*names}) == 2
    beside = [beside_name(name, "0" * 16) for name in names]
    assert len({*beside}) == 2
    assert max(len(name.encode()) for name in beside) <= 255


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (["a"], "a"),
        ([""], '""'),
        (['"'], '"\\""'),
        (['""'], '"\\"\\""'),
        (["[1]"], "[1]"),
        ([1], "1"),
        ([1.0], "1.0"),
        ([True], "true"),
        ([1, "1"], '[1,"1"]'),
        (["a", "b,c"], '["a","b,c"]'),
        ([None, ""], '[null,""]'),
    ],
)
def test_a_key_is_an_id(key, name):
    assert id_of(key) == name


def test_keys_of_one_kind_never_share_an_id():
    texts = ["", '"', '""', '"\\""', '"a', "a" * 512, "a" * 513, "a" * 514, "é" * 256, "é" * 257]
    texts += [id_of([text]) for text in texts]
    assert len({id_of([text]) for text in dict.fromkeys(texts)}) == len({*texts})
    pairs = [("a", "b"), ("a,b", ""), ('a","b', ""), ("", "a"), ("a" * 600, ""), ("a" * 599, "a")]
    assert len({id_of(pair) for pair in pairs}) == len(pairs)
    assert all(0 < len(id_of([text]).encode()) <= MAX_BYTES for text in texts)


def test_documents_without_a_key_have_the_same_ids_each_time_and_others_for_each_line():
    ids = [new_id(origin, line) for origin in ("p\0a", "p\0b") for line in (1, 11)]
    assert len({*ids}) == 4
    assert ids[0] == new_id("p\0a", 1)


def column(kind, name="c", **more):
    return TableColumn(name, kind, **more)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (column(Kind.INT), {"type": "long"}),
        (column(Kind.DECIMAL, precision=15, scale=2), {"type": "scaled_float", "scaling_factor": 100.0}),
        (column(Kind.DECIMAL, precision=16, scale=2), {"type": "keyword", "ignore_above": 8191}),
        (column(Kind.JSON), {"type": "object", "enabled": False}),
        (column(Kind.JSON, sql_type="flat_object"), {"type": "flattened"}),
        (column(Kind.JSON, sql_type="nested"), {"type": "nested"}),
        (column(Kind.TEXT, sql_type='{"type": "text", "analyzer": "x"}'), {"type": "text", "analyzer": "x"}),
        (column(Kind.TEXT, sql_type="VARCHAR(20)"), property_of(column(Kind.TEXT), is_key=False, engine_lacks=())),
    ],
)
def test_a_column_is_indexed_by_its_kind_or_as_it_is_asked_for(given, made):
    assert property_of(given, is_key=False, engine_lacks={"flat_object"}) == made


def test_an_object_is_indexed_by_the_fields_that_its_schema_names():
    person = {"type": "object", "properties": {"age": {"type": "integer"}, "o": {"type": "object"}, "n": {}}}
    shape = {"type": ["null", "array"], "items": person}
    assert property_of(column(Kind.JSON), is_key=False, engine_lacks=(), shape=shape) == {
        "type": "object",
        "dynamic": False,
        "properties": {
            "age": {"type": "long", "ignore_malformed": True},
            "o": {"type": "object", "enabled": False},
            "n": {"type": "object", "enabled": False},
        },
    }
    for odd in (
        {"type": "object", "properties": {"a.b": {}}},
        {"type": ["object", "string"]},
        {"type": "object"},
        None,
    ):
        assert property_of(column(Kind.JSON), is_key=False, engine_lacks=(), shape=odd)["enabled"] is False


def test_what_is_written_down_of_columns_is_read_again_with_the_fields_of_others():
    ours = Description((column(Kind.TIME, "t"), column(Kind.DECIMAL, "d", precision=5, scale=2)), ("t",))
    properties = {"t": {"type": "keyword"}, "d": {"type": "x"}, "n": {"type": "short"}, "p": {"type": "geo_point"}}
    properties |= {"o": {"properties": {}}, "_tailrace": {"properties": {}}}
    found = described({"_meta": json.loads(json.dumps(meta_of(ours))), "properties": properties})
    assert found.key == ("t",)
    assert [(c.name, c.kind) for c in found.columns] == [
        *(("t", Kind.TIME), ("d", Kind.DECIMAL)),
        *(("n", Kind.INT), ("p", None), ("o", Kind.JSON)),
    ]


def test_fields_are_counted_as_engines_do():
    assert fields_of({"a": {"type": "text", "fields": {"k": {}}}, "o": {"properties": {"b": {}, "c": {}}}}) == 5


def test_objects_are_merged_level_by_level():
    assert merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}, "d": {"e": 5}}) == {
        "a": {"b": 4, "c": 2},
        "d": {"e": 5},
    }


def test_values_are_written_as_they_are():
    kinds = {
        "big": (pa.array([Decimal("12345678901234567890.10")]), column(Kind.DECIMAL, precision=22, scale=2)),
        "small": (pa.array([Decimal("1.50")]), column(Kind.DECIMAL, precision=5, scale=2)),
        "json": (pa.array(['{"a":0.10000000000000000001}']), column(Kind.JSON)),
        "bytes": (pa.array([b"\x00\xff"]), column(Kind.BINARY)),
        "zero": (pa.array([-0.0]), column(Kind.FLOAT)),
        "none": (pa.array([None], pa.int64()), column(Kind.INT)),
    }
    (made,) = documents(
        pa.table({name: values for name, (values, _) in kinds.items()}), {name: c for name, (_, c) in kinds.items()}
    )
    assert msgspec.json.encode(made).decode() == (
        '{"big":"12345678901234567890.10","small":1.50,"json":{"a":0.10000000000000000001},"bytes":"AP8=",'
        '"zero":-0.0,"none":null}'
    )


def test_a_number_that_json_does_not_have_is_refused_alone():
    rows = pa.table({"c": pa.array([1.0, float("nan"), None, float("-inf")])})
    assert documents(rows, {"c": column(Kind.FLOAT)}) == [
        {"c": 1.0},
        "column 'c': JSON has no number nan",
        {"c": None},
        "column 'c': JSON has no number -inf",
    ]


def test_a_request_is_lines_of_json():
    assert Request("index", 'a"\n', 7, b'{"a":1}').lines() == (
        b'{"index":{"_id":"a\\"\\n","version":7,"version_type":"external_gte"}}\n{"a":1}\n'
    )
    assert Request("delete", "a", 7).lines().count(b"\n") == 1
    assert Request("create", "a", None, b"{}").lines() == b'{"create":{"_id":"a"}}\n{}\n'


class Scripted:
    """A connection that answers as it is told to, and keeps what it was sent."""

    def __init__(self, *answers):
        self.answers, self.sent = [*answers], []

    def perform(self, _method, _target, body, _kind):
        self.sent.append(body)
        return self.answers.pop(0)

    def is_transient(self, _error):
        return False

    def close(self):
        pass


def answer(*statuses):
    items = [
        {"index": {"status": s, **({"error": {"type": "x", "reason": str(s)}} if s > 299 else {})}} for s in statuses
    ]
    return Answer(200, json.dumps({"errors": True, "items": items}).encode())


@pytest.fixture
def _quick(monkeypatch):
    monkeypatch.setattr("tailrace.documents.search.cluster.LONGEST_WAIT_S", 0.001)


def bulked(*answers, max_bytes=10**6, count=4):
    connection = Scripted(*answers)
    bulk = Bulk(Cluster(connection, "X"), max_bytes, {})
    return [item.status for item in bulk.write("i", [Request("delete", str(n)) for n in range(count)])], connection.sent


@pytest.mark.usefixtures("_quick")
def test_only_items_for_which_the_engine_was_too_busy_are_sent_again():
    found, sent = bulked(answer(200, 429, 400, 503), Answer(429, b"", 0.001), answer(429, 201), answer(200))
    assert found == [200, 200, 400, 201]
    assert [body.count(b"\n") for body in sent] == [4, 2, 2, 1]


def test_a_body_has_so_many_bytes_and_one_that_is_too_large_is_halved():
    _, sent = bulked(answer(200, 200), answer(200, 200), max_bytes=2 * len(Request("delete", "0").lines()))
    assert [body.count(b"\n") for body in sent] == [2, 2]
    found, sent = bulked(Answer(413, b""), answer(200, 200), Answer(413, b""), answer(200), Answer(413, b""))
    assert found == [200, 200, 200, 413]


@pytest.mark.parametrize("body", [b"<html>", b"{}", answer(200).body])
def test_an_answer_that_is_none_is_an_error(body):
    with pytest.raises(DestinationError):
        bulked(Answer(200, body))


def test_a_reason_is_told_down_to_its_cause_once():
    cause = Reason("b", "For input string", None)
    assert (
        str(Reason("a", "failed to parse", Reason("b", "failed to parse", cause)))
        == "failed to parse: For input string"
    )


def test_what_an_index_cannot_have_is_refused_and_what_a_cluster_may_not_do_is_an_error():
    written = Written([Write(Action.SET, "1", 1), Write(Action.SET, "2", 2)], Mark("p", 1, 2**50))
    assert written.take([0, 1], [Item(200), Item(400, Reason("mapper", "no"))], "X") == []
    assert written.outcomes("") == [Outcome.DONE, "no"]
    for status, kind in ((403, "cluster_block_exception"), (400, "index_not_found_exception"), (500, "x")):
        with pytest.raises(DestinationError):
            Written([Write(Action.SET, "1", 1)], Mark("p", 1, 2**50)).take([0], [Item(status, Reason(kind))], "X")


@pytest.mark.parametrize("engine", ["opensearch", "elasticsearch"])
def test_a_destination_can_be_pickled_before_use_with_its_login(engine):
    made = open_destination(f"{engine}+https://me:s%40cret@a:9201,b/shop-?refresh=false", {})
    again = pickle.loads(pickle.dumps(made))
    settings = again._database._settings
    assert settings.addresses == ("https://a:9201", "https://b:9200")
    assert (settings.user, settings.password.get_secret_value()) == ("me", "s@cret")
    assert (settings.prefix, settings.refresh) == ("shop-", "false")
    assert "s@cret" not in repr(settings)


@pytest.mark.parametrize(
    "given",
    [
        {"_op_type": "create"},
        {"op_type": "create"},
        {"bulk_kwargs": {"_op_type": "create"}},
        {"bulk_kwargs": '{"op_type": "create"}'},
        {"data_streams": "true"},
    ],
)
def test_documents_that_are_only_created_go_into_data_streams(given):
    assert SearchSettings.model_validate(own_names(given, SearchSettings)).streams_of_data is None


def test_data_streams_are_named_one_by_one_or_not_at_all():
    assert SearchSettings.model_validate({}).streams_of_data == ()
    assert SearchSettings.model_validate({"data_streams": "a, b"}).streams_of_data == ("a", "b")


def test_an_address_holds_settings():
    assert from_url("opensearch://h/") == {"host": "h"}
    assert from_url("opensearch:") == {}
    assert SearchSettings.model_validate({"host": "::1"}).addresses == ("http://[::1]:9200",)
    assert from_url("opensearch://[::1]:9/x?refresh=true") == {
        "host": "::1",
        "port": 9,
        "prefix": "x",
        "refresh": "true",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metadata_fields": {"orders": {"_id": "$.id"}}}, "key_properties"),
        ({"index_schema_fields": {"x": "$.x"}}, "one index"),
        ({"_op_type": "update"}, "one of index, create"),
        ({"bulk_kwargs": {"expand_action_callback": 1}}, "means nothing here"),
        ({"index_format": "{{ to_daily(x) }}"}, "isn't a template"),
        ({"user": "a", "password": "b", "api_key": "c"}, "one of user, api_key"),
        ({"user": "a"}, "go together"),
        ({"api_key_id": "a"}, "api_key"),
        ({"hosts": "http://u:p@h:1"}, "not into `hosts`"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_reason(given, said):
    with pytest.raises(ConfigError, match=said):
        open_destination("opensearch", given)


def test_settings_of_other_targets_are_taken():
    given = {
        "scheme": "https",
        "username": "me",
        "password": "x",
        "ssl_ca_file": "/ca.pem",
        "bulk_kwargs": {"chunk_size": 500, "max_chunk_bytes": 1000, "max_retries": 9, "request_timeout": 5},
        "metadata_fields": "{}",
        "index_schema_fields": None,
        "index_format": "ecs-{{ stream_name }}",
        "_op_type": "index",
        "refresh": False,
    }
    made = SearchSettings.model_validate(own_names(given, SearchSettings))
    assert (made.rows_at_once, made.bulk_bytes, made.timeout_s, made.refresh) == (500, 1000, 5.0, "false")
    assert made.addresses == ("https://localhost:9200",)
    assert made.login == "Basic bWU6eA=="
