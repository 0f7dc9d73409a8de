"""What a run over many inputs takes on more workers than there are here, simulated, and what bounds it.

`python bench/scale.py` prints the tables of docs/scale.md. The figures of one core are measured by `bench/files.py` and
`bench/run.py`; limits are what vendors publish, or are marked as assumed. A worker takes inputs one after the other;
the driver adopts them in their order, and ends checkpoints; no worker is further ahead than two inputs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

GB, TB = 1e9, 1e12
RECORD_BYTES = 388
"""Bytes of a flight as a Singer message."""
AHEAD = 2
VCPU_USD_H = 0.05
"""A general-purpose core of a large cloud, on demand."""


@dataclass(frozen=True, slots=True)
class Core:
    """What one core was measured to do.

    `start_s` is until the first input begins, `input_s` what each costs a worker besides its records, `adopt_s` what it
    costs the driver; `bytes_out` are bytes written for a record.
    """

    records_s: float
    start_s: float
    input_s: float
    adopt_s: float
    bytes_out: float


@dataclass(frozen=True, slots=True)
class End:
    """A destination: a worker's core, and what bounds all workers together.

    `taken_s` are bytes a second that it takes while they stage, `commit_s` bytes a second that a commit takes in, None
    where a commit moves nothing. `usd_tb_out` is its price for a TB of what is written, `usd_h` for each hour of it.
    """

    name: str
    core: Core
    taken_s: float
    commit_s: float | None
    usd_tb_out: float
    usd_h: float
    bound: str


@dataclass(frozen=True, slots=True)
class Took:
    """What a simulated run took, in seconds, and what would have taken it alone: cores, the way there, the driver."""

    seconds: float
    cores_s: float
    way_s: float
    driver_s: float
    commit_s: float

    @property
    def bound(self) -> str:
        """What bounds it."""
        parts = {"cores": self.cores_s, "way": self.way_s, "driver": self.driver_s, "commit": self.commit_s}
        return max(parts, key=parts.__getitem__)


def simulated(end: End, workers: int, inputs: int, records: int, checkpoint_bytes: float = 256 * 2**20) -> Took:
    """A run over so many inputs of so many records each; what many workers send shares what the destination takes."""
    out = records * end.core.bytes_out
    alone_s = end.core.input_s + records / end.core.records_s
    share_s = out * min(workers, inputs) / end.taken_s
    each_s = max(alone_s, share_s)
    free = [end.core.start_s] * workers
    heapq.heapify(free)
    staged: list[float] = []
    adopted: list[float] = []
    now = commits = 0.0
    waiting = 0.0
    for number in range(inputs):
        may_begin = adopted[number - AHEAD * workers] if number >= AHEAD * workers else 0.0
        began = max(heapq.heappop(free), may_begin)
        staged.append(began + each_s)
        heapq.heappush(free, staged[-1])
        now = max(now, staged[number]) + end.core.adopt_s
        waiting += records * RECORD_BYTES
        if end.commit_s and (waiting >= checkpoint_bytes or number == inputs - 1):
            took = waiting / RECORD_BYTES * end.core.bytes_out / end.commit_s
            now, commits, waiting = now + took, commits + took, 0.0
        adopted.append(now)
    return Took(now, inputs * alone_s / workers, inputs * out / end.taken_s, inputs * end.core.adopt_s, commits)


PARQUET = Core(records_s=970_000, start_s=0.9, input_s=0.015, adopt_s=0.0012, bytes_out=17.1)
COPY = Core(records_s=700_000, start_s=0.9, input_s=0.02, adopt_s=0.002, bytes_out=190)
NODES = 8
NETWORK_S = NODES * 12.5e9 / 8
ENDS = (
    End("S3, Delta Lake", PARQUET, NETWORK_S, None, 0.0, 0.0, "the nodes' network, 12.5 Gbit/s each"),
    End("Snowflake, XS", PARQUET, NETWORK_S, 160e6, 0.0, 3.0, "COPY: 8 files at once, 20 MB/s each (assumed)"),
    End("BigQuery", PARQUET, 3 * GB, None, 25.0, 0.0, "3 GB/s of a project's Storage Write API"),
    End("PostgreSQL, 16 cores", COPY, 16 * 60e6, 350e6, 0.0, 1.5, "the server: 60 MB/s of COPY a core, and the merge"),
)
CLUSTERS = ((1, "one core"), (8, "one node of 8"), (64, "8 nodes of 8"))
INPUTS, RECORDS = 4096, 250_000


def rows() -> Iterator[str]:
    """The table's rows: what each cluster reaches at each destination."""
    for end in ENDS:
        for workers, called in CLUSTERS:
            took = simulated(end, workers, INPUTS, RECORDS)
            records = INPUTS * RECORDS
            hours = took.seconds / 3600
            usd = hours * (workers * VCPU_USD_H + end.usd_h) + records * end.core.bytes_out / TB * end.usd_tb_out
            tb_in = records * RECORD_BYTES / TB
            bound = {"cores": "cores", "driver": "the driver, which adopts inputs one by one"}.get(
                took.bound, end.bound
            )
            rate = records / took.seconds
            cells = f"{rate:,.0f} | {rate * RECORD_BYTES / 1e6:,.0f} | {usd / tb_in:.2f}"
            yield f"| {end.name} | {called} | {cells} | {bound} |"


def main() -> None:
    """Print the tables."""
    print("| destination | workers | records/s | MB/s of messages | $ per TB of messages | what bounds it |")
    print("|---|---|---:|---:|---:|---|")
    print("\n".join(rows()))
    print()
    print("| inputs of 1,010,328 flights | 1 worker s | 2 workers s | times as fast |")
    print("|---:|---:|---:|---:|")
    one, two = (simulated(ENDS[0], workers, 16, 1_010_328).seconds for workers in (1, 2))
    print(f"| 16 | {one:.1f} | {two:.1f} | {one / two:.2f} |")


if __name__ == "__main__":
    main()
