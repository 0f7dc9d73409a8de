"""A tap on a made-up source: for a seed always the same rows and STATEs, from the position of the state it is given.

`events` and `visits` have no key and a row for each record; `people` are updated again and again. A STATE's value is
`{"position": N}`: N rows of the source have been sent, whatever their streams. The last row is followed by a STATE.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

EVENTS, VISITS, PEOPLE = "events", "visits", "people"
PAUSED = "the tap is silent from here on"

_INT, _TEXT = {"type": "integer"}, {"type": ["null", "string"]}
SCHEMAS = {
    EVENTS: ({"id": {"type": "string"}, "n": _INT, "note": _TEXT}, []),
    VISITS: ({"id": {"type": "string"}, "n": _INT}, []),
    PEOPLE: ({"id": _INT, "name": _TEXT, "seen": _INT}, ["id"]),
}
_NOTES = (None, "", "a", "naïve", "数据", 'with "quotes"', "\u0001\t\n\\.\n", "long " * 20)
_PEOPLE = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the source; `position` counts from 1, `has_state` says that a STATE comes behind it."""

    position: int
    stream: str
    record: dict[str, object]
    has_state: bool


def source(seed: int, rows: int, state_every: int) -> Iterator[Row]:
    """The rows in order: stretches of one stream, and stretches in which the streams take turns at random."""
    chance = random.Random(seed)
    left, alone = 0, EVENTS
    for position in range(1, rows + 1):
        if not left:
            left, alone = chance.randint(1, 120), chance.choice((*SCHEMAS, ""))
        left -= 1
        stream = alone or chance.choice(tuple(SCHEMAS))
        has_state = chance.random() < 1 / state_every or position == rows
        yield Row(position, stream, _record(stream, position, chance), has_state)


def _record(stream: str, position: int, chance: random.Random) -> dict[str, object]:
    if stream == PEOPLE:
        return {"id": chance.randrange(_PEOPLE), "name": chance.choice(_NOTES), "seen": position}
    if stream == VISITS:
        return {"id": f"v{position}", "n": chance.randrange(-(2**63), 2**63)}
    return {"id": f"e{position}", "n": chance.randrange(1000), "note": chance.choice(_NOTES)}


def main() -> None:
    """Send what comes after the state's position; then end as told: well, with an exit code, or not at all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--state-every", type=int, required=True)
    parser.add_argument("--fail-at", type=int, help="end with exit code 3 behind that row")
    parser.add_argument("--silent-at", type=int, help="send a log line behind that row, then nothing for ever")
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    position = json.loads(asked.state.read_bytes())["position"] if asked.state else 0
    for stream, (properties, key) in SCHEMAS.items():
        _send({"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}, "key_properties": key})
    for row in source(asked.seed, asked.rows, asked.state_every):
        if row.position <= position:
            continue
        _send({"type": "RECORD", "stream": row.stream, "record": row.record})
        if row.has_state:
            _send({"type": "STATE", "value": {"position": row.position}})
        if row.position == asked.fail_at:
            sys.exit(3)
        if row.position == asked.silent_at:
            _send({"level": "INFO", "message": PAUSED})
            sys.stdout.flush()
            while True:
                time.sleep(3600)


def _send(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
