"""What is special about search engines, on real ones: items, versions, aliases, and indices of others."""

import json
from datetime import UTC, datetime

import pytest
from reading_search import Place, client_of, things
from services.busy import busy_proxy

from tailrace.api import load
from tailrace.destinations import open_destination
from tailrace.documents.database import Action, Mark, Outcome, Write
from tailrace.errors import DestinationError, RecordError
from tailrace.testing.messages import DATE, FLOAT, INT, OBJECT, TEXT, TIMESTAMPTZ, activate, record, schema, state


def test_of_ten_thousand_documents_three_bad_ones_are_set_aside_and_the_others_loaded(place, tmp_path):
    place.create("things", mappings={"properties": {"id": {"type": "long"}, "n": {"type": "ip"}}})
    kinds = {"id": INT, "n": TEXT}
    bad = {17, 5000, 9999}
    sent = [record({"id": at, "n": "bad" if at in bad else "10.0.0.1"}) for at in range(10_000)]
    path = tmp_path / "quarantine.jsonl"
    report = place.load(schema(kinds, ["id"]), *sent, on_invalid="quarantine", quarantine=path, max_invalid=3)
    assert (report.total.loaded, report.total.quarantined) == (9997, 3)
    assert place.documents("things").keys() == {str(at) for at in range(10_000) if at not in bad}
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    set_aside = [entry for entry in entries if "record" in entry]
    assert {json.loads(entry["record"])["record"]["id"] for entry in set_aside} == bad
    assert all("'bad' is not an IP" in str(entry["reasons"]) for entry in set_aside)


@pytest.fixture
def place(search_place):
    return search_place


def test_what_a_field_cannot_be_ends_the_run_by_the_line_of_its_record(place):
    place.create("things", mappings={"properties": {"id": {"type": "long"}, "n": {"type": "ip"}}})
    with pytest.raises(RecordError, match=r"line 3.*'two' is not an IP"):
        place.load(*things({"id": 1, "n": "10.0.0.1"}, {"id": 2, "n": "two"}))
    assert place.documents("things") == {}


@pytest.mark.parametrize("key", [("id",), ()], ids=["keyed", "appended"])
def test_an_engine_that_is_too_busy_for_half_of_everything_gets_each_document_once(place, key, monkeypatch):
    monkeypatch.setattr("tailrace.documents.search.cluster.LONGEST_WAIT_S", 0.05)
    with busy_proxy("127.0.0.1", place.port, share=0.5) as proxy:
        direct, place.port = place.port, proxy.port
        sent = things(*({"id": at, "n": str(at)} for at in range(1000)), key=key)
        report = place.load(*sent, settings={"rows_at_once": 100})
        place.port = direct
        assert proxy.turned_away["requests"] > 5
        assert proxy.turned_away["items"] > 300
    assert report.total.loaded == 1000
    assert sorted(row["id"] for row in place.rows("things")) == [*range(1000)]


def test_an_engine_that_stays_busy_is_an_error_that_may_pass(place, monkeypatch):
    monkeypatch.setattr("tailrace.documents.search.cluster.PATIENCE_S", 0.0)

    def meddler(_method, path, _body):
        return (503, {}, b"<html>no</html>") if path.endswith("/_bulk") else None

    with busy_proxy("127.0.0.1", place.port, meddler=meddler) as proxy:
        place.port = proxy.port
        database = place.database()
        with pytest.raises(DestinationError, match="too busy") as caught:
            database.write(f"{place.prefix}x", [Write(Action.SET, "1", 1, {"a": 1})], Mark("p", 1, 2**50))
        assert database.is_transient(caught.value.__cause__)
        database.close()


def test_a_request_that_is_too_large_is_halved_and_a_document_that_is_too_large_refused(place):
    def meddler(_method, path, body):
        return (413, {}, b"") if path.endswith("/_bulk") and len(body) > 2000 else None

    with busy_proxy("127.0.0.1", place.port, meddler=meddler) as proxy:
        direct, place.port = place.port, proxy.port
        sent = things(*({"id": at, "n": "x" * 100} for at in range(50)))
        assert place.load(*sent).total.loaded == 50
        with pytest.raises(RecordError, match=r"line 2.*more than the cluster takes"):
            place.load(*things({"id": 99, "n": "x" * 3000}))
        place.port = direct
    assert len(place.documents("things")) == 50


def test_a_late_request_of_an_older_version_never_overwrites_a_newer_document(place):
    place.load(*things({"id": 1, "n": "old"}))
    database, index = place.database(), f"{place.prefix}things"
    older = database.claim(index)
    newer = database.claim(index)
    write = Write(Action.SET, "1", 1, {"id": 1, "n": "new"})
    assert database.write(index, [write], Mark("p", 2, newer)) == [Outcome.DONE]
    late = [
        Write(Action.SET, "1", 1, {"id": 1, "n": "late"}),
        Write(Action.PUT, "2", 2, {"id": 2, "n": "other"}),
    ]
    assert database.write(index, late, Mark("p", 1, older)) == [Outcome.NEWER, Outcome.DONE]
    assert place.documents("things")["1"] == {"id": 1, "n": "new"}
    found = database.read(index, ["1"])[0]
    assert database.write(index, [Write(Action.DELETE, "1", 1, before=found)], Mark("p", 1, older)) == [Outcome.NEWER]
    assert database.write(index, [write], Mark("p", 2, newer)) == [Outcome.DONE]
    database.close()


def test_a_document_that_was_deleted_is_not_brought_back_by_a_late_request(place):
    place.load(*things({"id": 1, "n": "a"}))
    database, index = place.database(), f"{place.prefix}things"
    older, newer = database.claim(index), database.claim(index)
    found = database.read(index, ["1"])[0]
    assert database.write(index, [Write(Action.DELETE, "1", 1, before=found)], Mark("p", 1, newer)) == [Outcome.DONE]
    assert database.write(index, [Write(Action.SET, "1", 1, {"id": 1})], Mark("p", 1, older)) == [Outcome.NEWER]
    assert place.documents("things") == {}
    database.close()


def test_a_creation_that_is_repeated_is_known_as_its_own_and_anothers_is_left(place):
    database, index = place.database(), f"{place.prefix}things"
    writes, mark = [Write(Action.CREATE, "1", 1, {"id": 1, "n": "a"})], Mark("p", 1, database.claim(index))
    assert database.write(index, writes, mark) == [Outcome.DONE]
    assert database.write(index, writes, mark) == [Outcome.DONE]
    assert database.write(index, writes, Mark("q", 1, database.claim(index))) == [Outcome.EXISTS]
    database.close()


def test_a_version_that_another_program_gave_and_that_is_above_all_of_ours_is_an_error(place):
    place.load(*things({"id": 1, "n": "a"}))
    place.put("things", "2", {"id": 2, "n": "theirs"}, version=2**62, version_type="external")
    with pytest.raises(DestinationError, match=r"'2' has the version 4611686018427387904.*delete it there"):
        place.load(*things({"id": 1, "n": "b"}, {"id": 2, "n": "b"}))
    assert place.rows("things") == [{"id": 1, "n": "a"}, {"id": 2, "n": "theirs"}]


def test_an_update_keeps_the_fields_that_other_programs_have_added(place):
    place.load(*things({"id": 1, "n": "a"}))
    update = {"doc": {"tags": ["x"], "by": {"whom": "me"}}}
    place.client.update(index=f"{place.prefix}things", id="1", body=update, refresh=True)
    place.load(*things({"id": 1, "n": "b"}))
    assert place.documents("things")["1"] == {"id": 1, "n": "b", "tags": ["x"], "by": {"whom": "me"}}


def test_an_index_of_others_is_loaded_into_by_its_fields_and_keeps_its_documents(place):
    fields = {"id": {"type": "integer"}, "n": {"type": "keyword"}, "at": {"type": "date"}, "x": {"type": "ip"}}
    place.create("things", mappings={"_meta": {"theirs": 1}, "properties": fields}, settings={"number_of_replicas": 0})
    place.put("things", "1", {"id": 1, "n": "theirs", "x": "10.0.0.1"})
    kinds = {"id": INT, "n": TEXT, "at": TIMESTAMPTZ, "more": FLOAT}
    sent = [{"id": 1, "n": "ours"}, {"id": 2, "n": "b", "at": "2024-01-31T12:00:00.000001Z", "more": 0.5}]
    place.load(*things(*sent, kinds=kinds))
    found = place.documents("things")
    assert (found["1"]["n"], found["1"]["x"], found["2"]["at"]) == ("ours", "10.0.0.1", "2024-01-31T12:00:00.000001Z")
    (index,) = place.client.indices.get(index=f"{place.prefix}things").values()
    assert index["mappings"]["_meta"]["theirs"] == 1
    assert index["mappings"]["properties"]["more"] == {"type": "double"}


def test_an_alias_of_several_indices_is_refused(place):
    for name in ("a", "b"):
        place.create(name, aliases={f"{place.prefix}things": {}})
    with pytest.raises(DestinationError, match="alias of several indices"):
        place.load(*things({"id": 1}))


def test_a_replaced_index_is_an_alias_whose_other_aliases_stay(place):
    place.load(*things({"id": 1, "n": "a"}))
    everything = {f"{place.prefix}all": {}, f"{place.prefix}some": {"filter": {"term": {"id": 2}}}}
    for name, body in everything.items():
        place.client.indices.put_alias(index=f"{place.prefix}things", name=name, body=body)
    for number in (2, 3):
        place.load(*things({"id": 2, "n": str(number)}), method="replace")
        assert place.rows("things") == [{"id": 2, "n": str(number)}]
        found = place.client.indices.get(index=f"{place.prefix}things", expand_wildcards="all")
        (concrete,) = found
        assert concrete.startswith(f"{place.prefix}things-")
        assert found[concrete]["aliases"].keys() == {*everything, f"{place.prefix}things"}
        assert found[concrete]["aliases"][f"{place.prefix}some"] == {"filter": {"term": {"id": 2}}}
        assert found[concrete]["settings"]["index"].get("hidden") in (None, "false")
    place.load(*things({"id": 4, "n": "after"}))
    assert [row["id"] for row in place.rows("things")] == [2, 4]
    assert {*place.client.indices.get(index=f"{place.prefix}things*", expand_wildcards="all")} == {concrete}


def test_readers_never_see_an_index_empty_while_it_is_replaced(place):
    place.load(*things({"id": 1, "n": "a"}))
    destination = place.open()
    seen = []
    swap = destination._database._indices.swap

    def watched(*arguments):
        seen.append(place.rows("things"))
        seen.append([*place.client.indices.get(index=f"{place.prefix}*")])
        return swap(*arguments)

    destination._database._indices.swap = watched
    load(things({"id": 2, "n": "b"}), to=destination, method="replace")
    assert seen == [[{"id": 1, "n": "a"}], [f"{place.prefix}things"]]
    assert place.rows("things") == [{"id": 2, "n": "b"}]


def test_a_replaced_index_keeps_its_settings_and_how_its_fields_are_indexed(place):
    fields = {"id": {"type": "long"}, "n": {"type": "text", "analyzer": "simple"}}
    place.create("things", mappings={"properties": fields}, settings={"number_of_shards": 2, "number_of_replicas": 0})
    place.load(*things({"id": 1, "n": "a"}))
    place.load(*things({"id": 2, "n": "b"}), method="replace")
    (index,) = place.client.indices.get(index=f"{place.prefix}things").values()
    assert index["settings"]["index"]["number_of_shards"] == "2"
    assert index["mappings"]["properties"]["n"] == {"type": "text", "analyzer": "simple"}


def test_fields_are_indexed_by_their_kinds(place):
    number = {"type": "number", "x-singer.decimal": {"precision": 9, "scale": 2}}
    person = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    kinds = {"id": TEXT, "t": TEXT, "price": number, "who": person, "any": {}, "o": OBJECT, "day": DATE}
    fields = {"id": "a", "t": "some words", "price": 1.5, "who": {"name": "Ada", "age": 36, "x": 1}, "any": 1}
    place.load(*things(fields, {"id": "b", "who": {"age": "unknown"}, "any": {"a": [1]}}, kinds=kinds))
    mapping = place.mapping("things")
    assert {name: each.get("type", "object") for name, each in mapping.items()} == {
        "id": "keyword",
        "t": "text",
        "price": "scaled_float",
        "who": "object",
        "any": "object",
        "o": "object",
        "day": "date",
        "_tailrace": "object",
    }
    query = {"query": {"bool": {"filter": [{"term": {"who.age": 36}}, {"match": {"t": "words"}}]}}}
    found = place.client.search(index=f"{place.prefix}things", body=query)["hits"]["hits"]
    assert [hit["_source"]["who"] for hit in found] == [{"name": "Ada", "age": 36, "x": 1}]


def test_a_field_is_flattened_on_request(place):
    columns = {"o": {"sql_type": "flattened"}}
    place.load(*things({"id": 1, "o": {"a": {"b": "c"}}}, kinds={"id": INT, "o": OBJECT}), columns=columns)
    assert place.mapping("things")["o"]["type"] in ("flattened", "flat_object")
    query = {"query": {"term": {"o.a.b": "c"}}}
    assert place.client.search(index=f"{place.prefix}things", body=query)["hits"]["total"]["value"] == 1


def test_an_index_has_room_for_more_fields_than_engines_allow_by_themselves(place):
    kinds = {"id": INT} | {f"c{n}": TEXT for n in range(700)}
    place.load(*things({"id": 1, "c699": "x"}, kinds=kinds))
    wider = kinds | {f"d{n}": TEXT for n in range(900)}
    place.load(*things({"id": 2, "d899": "y"}, kinds=wider))
    assert [row["d899"] for row in place.rows("things")] == [None, "y"]


def test_settings_of_new_indices_and_more_of_their_mappings(place):
    settings = {
        "number_of_shards": 3,
        "number_of_replicas": 0,
        "index_settings": {"refresh_interval": "30s"},
        "mappings": {"dynamic": "strict", "properties": {"n": {"fields": {"english": {"type": "text"}}}}},
    }
    place.load(*things({"id": 1, "n": "a"}), settings=settings)
    (index,) = place.client.indices.get(index=f"{place.prefix}things").values()
    assert {name: index["settings"]["index"][name] for name in ("number_of_shards", "refresh_interval")} == {
        "number_of_shards": "3",
        "refresh_interval": "30s",
    }
    assert index["mappings"]["dynamic"] == "strict"
    assert index["mappings"]["properties"]["n"]["fields"].keys() == {"keyword", "english"}


def test_index_templates_of_the_cluster_are_respected(place):
    body = {"index_patterns": [f"{place.prefix}things*"], "template": {"settings": {"index.max_result_window": 77}}}
    place.client.indices.put_index_template(name=f"{place.prefix}t", body=body)
    try:
        for method in ("upsert", "replace"):
            place.load(*things({"id": 1, "n": "a"}), method=method)
            (index,) = place.client.indices.get_settings(index=f"{place.prefix}things").values()
            assert index["settings"]["index"]["max_result_window"] == "77"
    finally:
        place.client.indices.delete_index_template(name=f"{place.prefix}t")


def test_the_name_of_an_index_has_the_day_of_the_run(place):
    place.load(*things({"id": 1, "n": "a"}), settings={"index_format": "ecs-{{ stream_name }}-{date}"})
    assert place.documents(f"ecs-things-{datetime.now(UTC):%Y.%m.%d}").keys() == {"1"}


def test_without_a_refresh_what_is_committed_is_there_by_its_id(place):
    settings = {"refresh": "false", "index_settings": {"refresh_interval": "-1"}}
    report = place.load(*things({"id": 1, "n": "a"}), state(1), settings=settings)
    index = f"{place.prefix}things"
    assert report.total.loaded == 1
    assert place.client.search(index=index, body={})["hits"]["total"]["value"] == 0
    assert place.client.get(index=index, id="1")["_source"] == {"id": 1, "n": "a"}


def test_older_versions_of_a_table_are_found_however_many_there_are(place):
    kinds = {"id": INT, "n": TEXT}
    old = [record({"id": at}, version=1) for at in range(250)]
    place.load(schema(kinds, ["id"]), *old, settings={"rows_at_once": 40}, metadata="singer", hard_delete=True)
    new = [record({"id": at}, version=2) for at in (3, 500)]
    place.load(
        schema(kinds, ["id"]), *new, activate(2), settings={"rows_at_once": 40}, metadata="singer", hard_delete=True
    )
    assert place.documents("things").keys() == {"3", "500"}


def test_the_engine_is_told_apart_by_check(place):
    found = place.open().check()
    assert place.engine in found[0].lower()
    other = "opensearch" if place.engine == "elasticsearch" else "elasticsearch"
    with pytest.raises(DestinationError):
        open_destination(other, place.settings()).check()


def test_a_run_into_the_other_engine_ends_with_what_to_write_instead(place):
    other = "opensearch" if place.engine == "elasticsearch" else "elasticsearch"
    with pytest.raises(DestinationError, match=f"write '{place.engine}' in"):
        load(things({"id": 1, "n": "a"}), to=open_destination(other, place.settings()))
    assert not place.client.indices.exists(index=f"{place.prefix}things")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_cluster_that_does_not_say_which_engine_it_is_is_loaded_into(opensearch_place, status):
    url, prefix = opensearch_place

    def meddler(method, path, _body):
        return (status, {}, b"{}") if (method, path) == ("GET", "/") else None

    port = int(url.rpartition(":")[2])
    with client_of("opensearch", url) as client, busy_proxy("127.0.0.1", port, meddler=meddler) as proxy:
        place = Place("opensearch", proxy.port, prefix, client)
        place.load(*things({"id": 1, "n": "a"}))
        assert place.rows("things") == [{"id": 1, "n": "a"}]
