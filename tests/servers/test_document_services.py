"""Servers of document stores: killed and started again, ended with their owner, and told apart by names alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch
from elasticsearch import helpers as elasticsearch_helpers
from needs import had
from opensearchpy import OpenSearch
from opensearchpy import helpers as opensearch_helpers
from pymongo import MongoClient
from pymongo.errors import AutoReconnect
from services.elasticsearch import ElasticsearchServer, elasticsearch
from services.mongodb import MongoServer, mongodb
from services.opensearch import OpenSearchServer, opensearch
from services.processes import processes_in, wait_until

ROOT = Path(__file__).parents[2]
KINDS = {MongoServer: mongodb, OpenSearchServer: opensearch, ElasticsearchServer: elasticsearch}
STARTS = 3
EACH = 50


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request):
    """Each kind of server."""
    return request.param


@pytest.fixture
def server(kind):
    """A server of one's own."""
    with had(KINDS[kind]) as server:
        yield server
        server.kill()
    server.deaths.clear()


@pytest.fixture
def standing(request, kind):
    """The server of each kind that other tests use too."""
    return request.getfixturevalue(f"{kind.name.lower()}_server")


@pytest.fixture(params=["opensearch", "elasticsearch"])
def search(request):
    """A client of each search engine, what its indices are called, and what sends many documents."""
    url, prefix = request.getfixturevalue(f"{request.param}_place")
    kind, helpers = {
        "opensearch": (OpenSearch, opensearch_helpers),
        "elasticsearch": (Elasticsearch, elasticsearch_helpers),
    }[request.param]
    with kind(url) as client:
        yield client, prefix, helpers


def place_in(server):
    return server.database() if isinstance(server, MongoServer) else server.prefix()


def add(server, place, first):
    """Have documents acknowledged, one by one, and by a transaction where there are any."""
    ids = range(first, first + EACH)
    if isinstance(server, MongoServer):
        with MongoClient(place) as client, client.start_session() as session:
            documents = client.get_default_database().kept
            for number in ids[1:]:
                documents.insert_one({"_id": number})
            with session.start_transaction():
                documents.insert_one({"_id": first}, session=session)
    else:
        for number in ids:
            server.ask("PUT", f"{place}kept/_create/{number}", {})


def kept(server, place):
    if isinstance(server, MongoServer):
        with MongoClient(place) as client:
            return client.get_default_database().kept.count_documents({})
    server.ask("POST", f"{place}kept/_refresh")
    return server.ask("GET", f"{place}kept/_count")["count"]


def die(server):
    """Let a server end as if by itself."""
    os.kill(server.pid, signal.SIGKILL)
    os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)


def listening(process):
    """The addresses at which a process waits for connections, as the system writes them, without their ports."""
    sockets = {f"socket:[{path.stat().st_ino}]" for path in Path(f"/proc/{process}/fd").iterdir() if path.is_socket()}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return [line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets]


def test_a_killed_server_has_what_it_acknowledged_each_time_it_is_started_again_on_its_port(server):
    place = place_in(server)
    port = server.port
    for start in range(STARTS):
        add(server, place, start * EACH)
        server.kill()
        assert processes_in(server.folder) == []
        server.start()
        assert kept(server, place) == (start + 1) * EACH
    assert server.port == port
    assert server.deaths == []


def test_a_server_that_dies_by_itself_is_started_again_with_what_it_had_but_only_once(server):
    place = place_in(server)
    add(server, place, 0)
    die(server)
    assert place_in(server) != place
    assert kept(server, place) == EACH
    assert len(server.deaths) == 1
    die(server)
    with pytest.raises(RuntimeError, match="died again"):
        place_in(server)


def test_a_server_ends_when_the_process_that_started_it_is_killed(kind, standing, tmp_path):
    module = kind.__module__
    start = f"{kind.__name__}(Path(sys.argv[1])); print(flush=True); input()"
    code = f"import sys; from pathlib import Path; from {module} import {kind.__name__}; {start}"
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=-1, stdout=-1, cwd=ROOT) as owner:
        assert owner.stdout.readline() == b"\n"
        assert processes_in(tmp_path)
        owner.kill()
    wait_until(lambda: not processes_in(tmp_path), lambda: f"{processes_in(tmp_path)} are left")


def test_a_server_listens_to_nobody_but_this_machine(standing):
    loopback, mapped = "0100007F", "0000000000000000FFFF00000100007F"
    assert {*listening(standing.pid)} <= {loopback, mapped}
    assert listening(standing.pid)


@pytest.mark.parametrize("engine", ["opensearch", "elasticsearch"])
def test_indices_with_a_tests_prefix_are_deleted_and_no_others(request, engine):
    server = request.getfixturevalue(f"{engine}_server")
    mine, other = server.prefix(), server.prefix()
    for name in (f"{mine}a", f"{mine}b", f"{other}a"):
        server.ask("PUT", name, {"settings": {"index.hidden": name.endswith("b")}})
    server.drop(mine)
    left = [found["index"] for found in server.ask("GET", "_cat/indices?format=json&expand_wildcards=all")]
    assert [name for name in left if name.startswith((mine, other))] == [f"{other}a"]
    server.drop(other)
    server.drop(other)


def test_official_clients_keep_the_newest_version_of_each_document(search):
    client, prefix, helpers = search

    def load(version):
        sent = ({"_index": f"{prefix}v", "_id": str(number), "_source": {"v": version}} for number in range(EACH))
        return [{"version": version, "version_type": "external_gte", **action} for action in sent]

    for version in (1, 3, 3):
        assert helpers.bulk(client, load(version)) == (EACH, [])
    with pytest.raises(helpers.BulkIndexError, match=f"{EACH} document") as refused:
        helpers.bulk(client, load(2))
    assert {error["index"]["status"] for error in refused.value.errors} == {409}
    found = client.mget(index=f"{prefix}v", body={"ids": ["0", "none"]})["docs"]
    assert [document.get("_source") for document in found] == [{"v": 3}, None]


def test_search_engines_have_numbers_with_a_scale(search):
    client, prefix, _ = search
    scaled = {"type": "scaled_float", "scaling_factor": 100}
    client.indices.create(index=f"{prefix}n", body={"mappings": {"properties": {"n": scaled}}})
    client.index(index=f"{prefix}n", body={"n": "1.239"}, refresh=True)
    found = client.search(index=f"{prefix}n", body={"query": {"term": {"n": 1.24}}, "docvalue_fields": ["n"]})
    assert [hit["fields"]["n"] for hit in found["hits"]["hits"]] == [[1.24]]


def test_a_search_engine_takes_settings_of_its_own():
    with had(lambda: opensearch({"thread_pool.write.queue_size": "1"})) as server:
        (node,) = server.ask("GET", "_nodes/_local/settings")["nodes"].values()
    assert node["settings"]["thread_pool"]["write"]["queue_size"] == "1"


IDS = [{"a": 1, "b": "x"}, {"b": "x", "a": 1}, {"a": 1}, {"a": {"c": [1, None]}, "b": "x"}, 1, "x", {"a": 2, "b": "x"}]


@pytest.mark.parametrize("wanted", [[0], [1], [2, 3], [0, 4, 5], [], [*range(7)]])
def test_what_stands_in_for_mongodb_finds_documents_by_ids_that_are_documents(mongodb_url, wanted):
    ids = [IDS[place] for place in wanted]
    with MongoClient(mongodb_url) as client:
        documents = client.get_default_database().t
        documents.insert_many({"_id": each, "n": n} for n, each in enumerate(IDS))
        assert sorted(found["n"] for found in documents.find({"_id": {"$in": [*ids, {"a": 9}]}})) == wanted
        for n, each in zip(wanted, ids, strict=True):
            assert [found["n"] for found in documents.find({"_id": each})] == [n]
            assert [found["n"] for found in documents.find({"_id": {"$eq": each}, "n": {"$gte": 0}})] == [n]
            assert list(documents.find({"_id": each, "n": -1})) == []
        assert documents.delete_many({"_id": {"$in": ids}, "n": {"$lt": 5}}).deleted_count == len(
            set(wanted) & {*range(5)}
        )


def test_what_stands_in_for_mongodb_fails_where_it_is_told_to_and_the_driver_tries_again(mongodb_url):
    with MongoClient(mongodb_url) as client:
        documents = client.get_default_database().t
        how = {"failCommands": ["insert"], "closeConnection": True}
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 1}, data=how)
        documents.insert_one({"_id": 1})
        assert documents.count_documents({}) == 1
        client.admin.command("configureFailPoint", "failCommand", mode={"times": 2}, data=how)
        with pytest.raises(AutoReconnect):
            documents.insert_one({"_id": 2})
