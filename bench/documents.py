"""Document stores: tailrace, the clients' own bulk helpers fed with ready documents, and others' targets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from loaders import RIVALS, ROOT, TAILRACE, WORK, Command, Input, right
from measure import ROUNDS, Measured, Outcome, in_rounds, measured
from results import aloud, table

sys.path.append(str(ROOT))
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from services.elasticsearch import elasticsearch
from services.mongodb import mongodb
from services.opensearch import opensearch

INPUTS = [
    Input("flights", "19 columns, append-only", 500_000),
    Input("events", "nested, append-only", 100_000),
    Input("accounts", "upsert over 100,000 keys", 200_000, "id"),
]
HELPER = "the client's bulk helper, ready documents"
MOST, LEAST = 1.3, 5.0
"""How many times as long as the helper tailrace may take, and how many times as fast as a target it should be."""
PEER_RECORDS = 40_000
"""Others' targets get so many records: some take minutes for more."""

Loader = Callable[[Input, Path, str], Command]


def tailrace(of: Input, _folder: Path, url: str) -> Command:
    """tailrace, at default settings."""
    return [str(TAILRACE / "tailrace"), "load", "--to", url], of.path


def helper(kind: str, of: Input, _folder: Path, url: str) -> Command:
    """The client's helper; it says by itself how long it took, since making the documents ready doesn't count."""
    key = [of.key] if of.key else []
    return [sys.executable, str(ROOT / "bench/ready_documents.py"), kind, url, str(of.path), of.stream, *key], None


def target_mongo(of: Input, folder: Path, url: str) -> Command:
    """PyPI's macrometa-target-mongo, at default settings but for its interval, which it sleeps through at the end.

    It takes nothing but a pipe, logs in by a password, and knows a key by the name `_id`.
    """
    parts = urlsplit(url)
    with MongoClient[dict[str, Any]](url) as client, suppress(OperationFailure):  # it is there
        client.admin.command("createUser", "tailrace", pwd="tailrace", roles=["root"])
    login = {"user": "tailrace", "password": "tailrace", "auth_database": "admin", "region": "x", "fabric": "x"}
    login |= {"batch_flush_interval": 1}
    config = {"host": parts.hostname, "port": parts.port, "database": parts.path[1:], "target_collection": of.stream}
    (folder / "config.json").write_text(json.dumps(config | login | {"replica_set": "secantus"}))
    command = RIVALS / "macrometa-target-mongo/bin/macrometa-target-mongo"
    renamed = f"""sed 's/"{of.key}"/"_id"/g' '{of.path}'"""
    return ["sh", "-c", f"{renamed} | '{command}' --config config.json"], None


def target_elasticsearch(of: Input, folder: Path, url: str) -> Command:
    """PyPI's target-elasticsearch, at default settings."""
    parts = urlsplit(url)
    config = {"scheme": "http", "host": parts.hostname, "port": parts.port, "index_format": "{{ stream_name }}"}
    (folder / "config.json").write_text(json.dumps(config))
    return [str(RIVALS / "target-elasticsearch/bin/target-elasticsearch"), "--config", "config.json"], of.path


@dataclass(frozen=True, slots=True)
class Kind:
    """A document store: its name for people, what runs here, how to get an empty place, and who else loads into it."""

    name: str
    start: Callable[[], AbstractContextManager[Any]]
    place: Callable[[Any], str]
    count: Callable[[str, str], int]
    peers: Mapping[str, Loader]


def _of_mongo(server: Any) -> str:
    return str(server.database())


def _of_search(scheme: str, server: Any) -> str:
    server.drop("")
    return f"{scheme}://{server.host}:{server.port}"


def _count_mongo(url: str, stream: str) -> int:
    with MongoClient[dict[str, Any]](url) as client:
        return client.get_default_database()[stream].count_documents({})


def _count_search(url: str, stream: str) -> int:
    place = f"http://{urlsplit(url).netloc}/{stream}"
    with urlopen(Request(f"{place}/_refresh", method="POST")), urlopen(f"{place}/_count") as answer:
        return int(json.load(answer)["count"])


KINDS = {
    "mongodb": Kind(
        "MongoDB (what stands in for it)", mongodb, _of_mongo, _count_mongo, {"macrometa-target-mongo": target_mongo}
    ),
    "opensearch": Kind("OpenSearch", opensearch, partial(_of_search, "opensearch"), _count_search, {}),
    "elasticsearch": Kind(
        "Elasticsearch",
        elasticsearch,
        partial(_of_search, "elasticsearch"),
        _count_search,
        {"target-elasticsearch": target_elasticsearch},
    ),
}


def loaded(name: str, kind: Kind, of: Input, server: Any, loader: Loader) -> Outcome:
    """Measure one loader, into a place of its own."""
    folder = WORK / "out"
    folder.mkdir(parents=True, exist_ok=True)
    url = kind.place(server)
    command, stdin = loader(of, folder, url)
    result = right(name, of, measured(command, stdin, folder))
    if name == HELPER:
        seconds, cpu_s = map(float, result.said.split()[-2:])
        result = replace(result, seconds=seconds, cpu_s=cpu_s)
    return Outcome(result, kind.count(url, of.stream), of.rows)


def side_by_side(key: str, of: Input, *, peers: bool) -> list[str]:
    """The table of one store and one input, and a sentence on it."""
    kind = KINDS[key]
    of.make()
    print(f"{kind.name}, {of.title}", flush=True)
    loaders: dict[str, Loader] = {"tailrace": tailrace}
    loaders |= kind.peers if peers else {HELPER: partial(helper, key)}
    with kind.start() as server:
        measures = {
            name: aloud(name, of, partial(loaded, name, kind, of, server, each)) for name, each in loaders.items()
        }
        outcomes = in_rounds(measures)
    return [f"### {kind.name}, {of.title}", "", *table(of, outcomes), *_sentence(outcomes), ""]


def _sentence(outcomes: Mapping[str, Outcome]) -> list[str]:
    ours = outcomes["tailrace"].measured
    said: list[str] = []
    for name, outcome in outcomes.items():
        if name != "tailrace" and outcome.is_right:
            said.append(_compared(name, ours, outcome.measured))
    return said


def _compared(name: str, ours: Measured, theirs: Measured) -> str:
    if name == HELPER:
        ratio = ours.seconds / theirs.seconds
        return f"tailrace, decoding included, takes {ratio:.2f} times as long as the helper; at most {MOST} is wanted."
    ratio = theirs.seconds / ours.seconds
    return f"tailrace takes {ratio:.1f} times less time than {name}; at least {LEAST} is wanted."


def tables(most: int) -> list[str]:
    """The tables against the clients' helpers, for inputs of at most that many records."""
    about = (
        f"The median of {ROUNDS} rounds, all in turns, but for what takes 20 seconds and more. The server stands on "
        "the same two cores. The helper (`insert_many` or `bulk_write` of pymongo, `helpers.bulk` of the search "
        "engines' clients) is fed with dicts that are ready in memory, so that it neither reads nor decodes anything, "
        "and starting isn't counted."
    )
    lines = ["## Document stores and search engines", "", about, ""]
    for key in KINDS:
        for of in INPUTS:
            lines += side_by_side(key, replace(of, records=min(of.records, most)), peers=False)
    return lines


def peers(most: int) -> list[str]:
    """The tables against others' targets, for an input of at most that many records."""
    about = (
        f"The median of {ROUNDS} rounds, all in turns, but for what takes 20 seconds and more. The server stands on "
        "the same two cores, and starting counts. PyPI has no target for OpenSearch that is installed today."
    )
    lines = ["## Others' targets for document stores and search engines", "", about, ""]
    keyed = replace(INPUTS[2], records=min(PEER_RECORDS, most))
    for key in (key for key, kind in KINDS.items() if kind.peers):
        lines += side_by_side(key, keyed, peers=True)
    return lines
