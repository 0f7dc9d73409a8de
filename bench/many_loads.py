"""Many small loads into lakes on S3, maintained now and then: the last ones side by side with early ones elsewhere.

    python bench/many_loads.py --loads 500 --every 20

Requests are counted by the S3 server's own log, which is one of the tests' and runs on this machine.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from services.s3 import S3Server  # noqa: E402 found by the path above

import tailrace  # noqa: E402 as above

ROWS = 10
SCHEMA = {
    "type": "SCHEMA",
    "stream": "orders",
    "schema": {
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": ["null", "string"]},
            "total": {"type": ["null", "number"]},
        }
    },
}
CASES = [("delta", "append"), ("delta", "upsert"), ("iceberg", "append"), ("iceberg", "upsert"), ("files", "append")]


@dataclass(slots=True)
class Costs:
    """The cost of early loads into a new lake beside the last loads into an old one, and of maintenance."""

    early: list[tuple[int, float]] = field(default_factory=list)
    late: list[tuple[int, float]] = field(default_factory=list)
    maintaining: list[tuple[int, float]] = field(default_factory=list)

    def told(self) -> str:
        """Loads ten to twenty compared with the last ten: mean requests, median seconds."""
        early, late = self.early[9:20], self.late[-10:]
        few, many = (statistics.mean(requests for requests, _ in loads) for loads in (early, late))
        quick, slow = (statistics.median(seconds for _, seconds in loads) for loads in (early, late))
        kept = self.maintaining[-1] if self.maintaining else (0, 0.0)
        return (
            f"{few:.1f} | {many:.1f} | {many / few:.2f} | {quick:.2f} | {slow:.2f} | {slow / quick:.2f} | "
            f"{kept[0]} | {kept[1]:.1f}"
        )


class Log:
    """The requests that an S3 server has logged since the last call."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def new(self) -> int:
        """Their number."""
        return sum(b'HTTP/1.1"' in line for line in self._file.read().splitlines())


def address(server: S3Server, kind: str, folder: Path) -> tuple[str, dict[str, object]]:
    """Where an empty lake is, and its settings."""
    bucket = server.bucket()
    keys = {"region": server.region, "endpoint": server.endpoint}
    keys |= {"access_key_id": server.key, "secret_access_key": server.secret}
    if kind == "iceberg":
        return f"iceberg+sqlite:///{folder}/{bucket}.db?warehouse=s3://{bucket}/lake", keys
    return f"{'delta+' if kind == 'delta' else ''}s3://{bucket}/lake", keys


def load(to: str, settings: dict[str, object], method: str, number: int) -> None:
    """One load of ten rows; if they are upserted, half of them replace earlier ones."""
    step = ROWS if method == "append" else ROWS // 2
    sent = [
        {"type": "RECORD", "stream": "orders", "record": {"id": n, "name": f"order {n}", "total": n / 8}}
        for n in range(number * step, number * step + ROWS)
    ]
    keys = ["id"] if method == "upsert" else []
    messages = [SCHEMA | {"key_properties": keys}, *sent, {"type": "STATE", "value": {"n": number}}]
    tailrace.load(messages, to, pipeline="orders", **settings)


def measured(server: S3Server, log: Log, case: tuple[str, str], loads: int, every: int, folder: Path) -> Costs:
    """The cost of that many loads, with maintenance at intervals.

    While the last twenty go into the lake, the first twenty go into a new one by turns: so both meet the same machine.
    """
    kind, method = case
    costs = Costs()

    def timed(lake: tuple[str, dict[str, object]], number: int) -> tuple[int, float]:
        log.new()
        began = time.monotonic()
        load(*lake, method, number)
        return log.new(), time.monotonic() - began

    old, new = address(server, kind, folder), address(server, kind, folder)
    for number in range(loads):
        if number >= loads - 20:
            costs.early.append(timed(new, number - (loads - 20)))
        costs.late.append(timed(old, number))
        if every and (number + 1) % every == 0 and number + 1 < loads:
            began = time.monotonic()
            tailrace.maintain(old[0], **old[1])
            costs.maintaining.append((log.new(), time.monotonic() - began))
        if (number + 1) % 50 == 0:
            print(case, number + 1, costs.late[-1], file=sys.stderr)
    return costs


def main() -> None:
    """Measure, and print a table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--loads", type=int, default=500)
    asked.add_argument("--every", type=int, default=20)
    asked.add_argument("--only", default="")
    given = asked.parse_args()
    lines = [
        (
            "| lake | requests: 10th-20th | last ten | ratio | seconds: 10th-20th | last ten | ratio | "
            "requests of the last maintenance | its seconds |"
        ),
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for case in CASES:
        if given.only not in " ".join(case):
            continue
        with tempfile.TemporaryDirectory() as name:
            server = S3Server(Path(name))
            try:
                costs = measured(server, Log(Path(name) / "log"), case, given.loads, given.every, Path(name))
            finally:
                server.stop()
        lines.append(f"| {' '.join(case)} | {costs.told()} |")
        print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
