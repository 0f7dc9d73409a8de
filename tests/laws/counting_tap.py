"""A tap of ids that sends nothing before another such tap is there too: for two runs into one table at a time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

TABLE, STATE_EVERY, MEET_LIMIT_S = "counted", 20, 300.0
SCHEMA = {"properties": {"id": {"type": "integer"}, "round": {"type": "integer"}}}


def main() -> None:
    """Send every second id of so many, again in each round, with a STATE every 20 rows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, choices=(0, 1), required=True)
    parser.add_argument("--ids", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--is-keyed", action="store_true")
    parser.add_argument("--meet", type=Path, required=True, help="a folder in which the two taps wait for each other")
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    assert asked.state is None, "a run that was started again"
    key = ["id"] if asked.is_keyed else []
    _send({"type": "SCHEMA", "stream": TABLE, "schema": SCHEMA, "key_properties": key})
    (asked.meet / str(asked.first)).touch()
    deadline_s = time.monotonic() + MEET_LIMIT_S
    while not (asked.meet / str(1 - asked.first)).exists():
        assert time.monotonic() < deadline_s, "the other tap doesn't come"
        time.sleep(0.005)
    sent = 0
    for number in range(asked.rounds):
        for one in range(asked.first, asked.ids, 2):
            _send({"type": "RECORD", "stream": TABLE, "record": {"id": one, "round": number}})
            sent += 1
            if sent % STATE_EVERY == 0:
                _send({"type": "STATE", "value": {"position": sent}})


def _send(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    main()
