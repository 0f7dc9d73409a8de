"""Data streams of a real search engine: documents are added once, whatever rolls over, fails or is repeated."""

import pytest
from reading_search import Place, client_of, things

from tailrace.api import load
from tailrace.documents.database import Action, Mark, Outcome, Write
from tailrace.errors import DestinationError, RecordError, SchemaError
from tailrace.testing.messages import FLOAT, INT, TEXT, TIMESTAMPTZ, activate, record, schema, state

KINDS = {"id": INT, "n": TEXT}
ASKED = {"data_streams": True}


@pytest.fixture
def place(opensearch_place):
    """OpenSearch's: what runs here of Elasticsearch has no data streams, which come with its own distribution."""
    url, prefix = opensearch_place
    with client_of("opensearch", url) as client:
        yield Place("opensearch", int(url.rpartition(":")[2]), prefix, client)


def added(*several, kinds=None):
    return things(*several, key=(), kinds=kinds)


def indices(place):
    """The backing indices of the data stream, the oldest first."""
    (stream,) = place.client.indices.get_data_stream(name=f"{place.prefix}things")["data_streams"]
    return [each["index_name"] for each in stream["indices"]]


def rolled_over(place):
    place.client.indices.rollover(alias=f"{place.prefix}things")


def found(place):
    """The data stream's documents, from all its backing indices, without what is tailrace's."""
    name = f"{place.prefix}things"
    place.client.indices.refresh(index=name)
    hits = place.client.search(index=name, body={"size": 10_000})["hits"]["hits"]
    return [{at: value for at, value in hit["_source"].items() if at != "_tailrace"} for hit in hits]


def ids(place):
    return sorted(each["id"] for each in found(place))


def mapping(place, index):
    return place.client.indices.get_mapping(index=index)[index]["mappings"]["properties"]


def test_a_stream_goes_into_a_data_stream_that_is_made_with_its_mappings(place):
    for number in (1, 2):
        place.load(*added({"id": number, "n": "a"}), state(1), settings=ASKED, pipeline="p")
    assert ids(place) == [1, 2]
    (index,) = indices(place)
    assert {name: each["type"] for name, each in mapping(place, index).items() if name != "_tailrace"} == {
        "@timestamp": "date",
        "id": "long",
        "n": "text",
    }


def test_documents_have_a_timestamp_of_their_own_or_of_a_field_or_of_now(place):
    kinds = {"id": INT, "@timestamp": TIMESTAMPTZ, "at": TIMESTAMPTZ}
    sent = [
        {"id": 1, "@timestamp": "2024-01-01T00:00:00Z", "at": "2024-02-02T00:00:00Z"},
        {"id": 2, "at": "2024-02-02T00:00:00Z"},
        {"id": 3},
    ]
    place.load(*added(*sent, kinds=kinds), settings=ASKED | {"timestamp_field": "at"})
    times = {each["id"]: each["@timestamp"][:10] for each in found(place)}
    assert (times[1], times[2]) == ("2024-01-01", "2024-02-02")
    assert times[3] > "2025"


def test_the_time_of_extraction_is_the_timestamp_of_its_own_accord(place):
    (metadata,) = [record({"id": 1}, time_extracted="2024-03-03T00:00:00Z")]
    place.load(schema(KINDS, []), metadata, settings=ASKED, metadata="singer")
    assert found(place)[0]["@timestamp"].startswith("2024-03-03")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "set `method: append`"),
        ({"method": "insert_ignore"}, "set `method: append`"),
        ({"method": "replace"}, "needs an index"),
        ({"hard_delete": True}, "set `method: append`"),
    ],
)
def test_what_changes_documents_is_refused_before_any_row(place, options, said):
    with pytest.raises(SchemaError, match=said):
        place.load(*things({"id": 1, "n": "a"}), settings=ASKED, **options)
    assert not place.client.indices.exists(index=f"{place.prefix}things")


def test_a_version_that_is_activated_changes_nothing_or_is_refused(place):
    sent = [schema(KINDS, []), record({"id": 1}, version=1), activate(1), state(1)]
    place.load(*sent, settings=ASKED, metadata="singer", pipeline="p")
    sent = [schema(KINDS, []), record({"id": 2}, version=2), activate(2)]
    for hard_delete in (False, True):
        with pytest.raises(DestinationError, match="without versions"):
            place.load(*sent, settings=ASKED, metadata="singer", hard_delete=hard_delete, pipeline="p")
        assert ids(place) == [1]
    place.load(*sent[:2], settings=ASKED, pipeline="p")
    assert ids(place) == [1, 2]


def test_a_stream_with_a_key_is_appended_to(place):
    place.load(*things({"id": 1, "n": "a"}, {"id": 1, "n": "b"}), settings=ASKED, method="append")
    assert ids(place) == [1, 1]


def test_names_that_are_kept_as_they_are_make_no_second_timestamp(place):
    kinds = {"id": INT, "@timestamp": TIMESTAMPTZ}
    place.load(*added({"id": 1, "@timestamp": "2024-01-01T00:00:00Z"}, kinds=kinds), settings=ASKED, naming="preserve")
    assert found(place) == [{"id": 1, "@timestamp": "2024-01-01T00:00:00Z"}]


def test_only_the_streams_that_are_named_go_into_data_streams(place):
    place.load(*added({"id": 1}), settings={"data_streams": "others"})
    assert place.client.indices.exists(index=f"{place.prefix}things")
    with pytest.raises(DestinationError, match="is an index, and no data stream"):
        place.load(*added({"id": 1}), settings={"data_streams": ["things"]})


def test_the_operators_template_makes_the_data_stream_where_it_fits(place):
    name = f"{place.prefix}mine"
    template = {"settings": {"index.number_of_shards": 2}}
    body = {"index_patterns": [f"{place.prefix}th*"], "data_stream": {}, "priority": 700, "template": template}
    place.client.indices.put_index_template(name=name, body=body)
    try:
        place.load(*added({"id": 1, "n": "a"}), settings=ASKED)
        rolled_over(place)
        place.load(*added({"id": 2, "n": "b"}))  # what is a data stream is loaded as one
        assert ids(place) == [1, 2]
        assert len(indices(place)) == 2
        for index in indices(place):
            assert mapping(place, index)["id"] == {"type": "long"}
            settings = place.client.indices.get_settings(index=index)[index]["settings"]["index"]
            assert settings["number_of_shards"] == "2"
        assert not place.client.indices.exists_index_template(name=f"tailrace-{place.prefix}things")
    finally:
        place.client.indices.delete_data_stream(name=f"{place.prefix}things")
        place.client.indices.delete_index_template(name=name)


def test_new_fields_are_in_the_backing_index_and_in_those_that_come(place):
    place.load(*added({"id": 1}), settings=ASKED)
    place.load(*added({"id": 2, "more": 0.5}, kinds=KINDS | {"more": FLOAT}), settings=ASKED)
    rolled_over(place)
    for index in indices(place):
        assert mapping(place, index)["more"] == {"type": "double"}
    place.load(*added({"id": 3, "more": 1.5}, kinds=KINDS | {"more": FLOAT}), settings=ASKED)
    assert ids(place) == [1, 2, 3]


def test_what_the_data_stream_cannot_have_is_refused_by_its_line(place):
    body = {"properties": {"n": {"type": "ip"}}}
    with pytest.raises(RecordError, match=r"line 3.*'two' is not an IP"):
        place.load(*added({"id": 1, "n": "10.0.0.1"}, {"id": 2, "n": "two"}), settings=ASKED | {"mappings": {**body}})
    assert found(place) == []


def sabotaged(destination, place, *, fails, at_chunk=1):
    """Let the data stream roll over behind a bulk that was taken; then it `fails`, that many times."""
    database = destination._database
    send, calls = database._bulk.write, []

    def write(index, requests):
        items = send(index, requests)
        calls.append(index)
        if at_chunk <= len(calls) < at_chunk + fails:
            rolled_over(place)
            error = DestinationError("the answer is lost")
            raise error from ConnectionLostError
        return items

    database._bulk.write = write
    transient = database.is_transient
    database.is_transient = lambda error: isinstance(error, ConnectionLostError) or transient(error)
    return calls


class ConnectionLostError(Exception):
    """No answer."""


@pytest.mark.parametrize("fails", [1, 3])
def test_a_bulk_that_is_repeated_behind_a_rollover_is_there_once(place, fails):
    destination = place.open(**ASKED, rows_at_once=50, connections=1)
    calls = sabotaged(destination, place, fails=fails)
    report = load(added(*({"id": at} for at in range(120))), to=destination)
    assert len(calls) == 3 + fails
    assert len(indices(place)) == 1 + fails
    assert report.total.loaded == 120
    assert ids(place) == [*range(120)]


def test_a_bulk_that_is_repeated_in_one_backing_index_meets_itself(place):
    destination = place.open(**ASKED)
    load(added({"id": 0}), to=destination)
    database, index = destination._database, f"{place.prefix}things"
    writes, mark = [Write(Action.CREATE, "x", 1, {"id": 1})], Mark("p", 1, database.claim(index))
    assert database.write(index, writes, mark) == [Outcome.DONE]
    assert database.write(index, writes, mark) == [Outcome.DONE]
    assert database.write(index, writes, Mark("q", 1, database.claim(index))) == [Outcome.EXISTS]
    assert ids(place) == [0, 1]
    database.close()


def test_what_a_killed_run_has_added_is_gone_after_recovery_over_rollovers_too(place):
    sent = added(*({"id": at} for at in range(120)))
    place.load(*added({"id": 1000}), state(0), settings=ASKED, pipeline="p")
    destination = place.open(**ASKED, rows_at_once=50, connections=1)
    sabotaged(destination, place, fails=99, at_chunk=2)

    def restore(*_, **_named):
        raise DestinationError("killed")

    destination._database.restore = restore
    with pytest.raises(DestinationError):
        load(sent, to=destination, pipeline="p")
    assert len(ids(place)) > 100
    recovered = place.open(**ASKED)
    recovered.recover("p")
    assert ids(place) == [1000]
    recovered.close()
    place.load(*sent, settings=ASKED, pipeline="p")
    assert ids(place) == [*range(120), 1000]
