"""A tap that replays a file of messages from the position of the state it is given: for runs of `tailrace run`.

Each line of the file is the position that a message belongs to, a tab, and the message. SCHEMAs are at position 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

PAUSED = "the tap is silent from here on"


def main() -> None:
    """Send what comes after the state's position; then end as told: well, with an exit code, or not at all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("messages", type=Path)
    parser.add_argument("--fail-at", type=int, help="end with exit code 3 behind that position")
    parser.add_argument("--silent-at", type=int, help="send a log line behind that position, then nothing for ever")
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args()
    after = json.loads(asked.state.read_bytes())["position"] if asked.state else 0
    with asked.messages.open(encoding="utf-8") as lines:
        for line in lines:
            text, _, message = line.partition("\t")
            position = int(text)
            if 0 < position <= after:
                continue
            if asked.fail_at is not None and position > asked.fail_at:
                sys.exit(3)
            if asked.silent_at is not None and position > asked.silent_at:
                sys.stdout.write(json.dumps({"level": "INFO", "message": PAUSED}) + "\n")
                sys.stdout.flush()
                while True:
                    time.sleep(3600)
            sys.stdout.write(message)


if __name__ == "__main__":
    main()
