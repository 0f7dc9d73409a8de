"""Peak memory as inputs grow: `python bench/memory.py [CASE...]` loads three sizes of each of those cases, or of all.

`--write` puts the table into bench/RESULTS.md. What is measured is the tailrace that Python finds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from loaders import WORK
from results import write
from services.postgres import postgres
from shaped import SHAPES, state
from shapes import Bench, loaded, verdict, whose

SIZES = (300_000, 3_000_000, 30_000_000)
STATE_EVERY = 10_000
MOST_TIMES = 1.15


@dataclass(frozen=True, slots=True)
class Case:
    """An input, where it goes, settings, and how many rows a right load of so many records leaves."""

    shape: str
    scheme: str
    settings: tuple[str, ...] = ()
    rows: Callable[[int], int] = int


def _half(records: int) -> int:
    return records // 2


_IN_PARTS = ('partition_keys=["part"]',)
CASES = {
    "append-only": Case("plain", "duckdb"),
    "keyed-duckdb": Case("keyed", "duckdb", rows=_half),
    "keyed-sqlite": Case("keyed", "sqlite", rows=_half),
    "keyed-postgres": Case("keyed", "postgresql", rows=_half),
    "keyed-delta": Case("keyed", "delta", rows=_half),
    "partitions-parquet": Case("partitions", "files", _IN_PARTS),
    "interleaved": Case("streams-10", "duckdb"),
    "evolve": Case("evolve", "duckdb", ("unknown_fields=evolve",)),
    "quarantine": Case("refused-10", "duckdb", SHAPES["refused-10"].settings, SHAPES["refused-10"].rows),
}


@contextmanager
def address(scheme: str, folder: Path) -> Iterator[str]:
    """A place of that kind that is empty."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        if scheme == "postgresql":
            with postgres() as server:
                yield server.database()
        elif scheme in {"duckdb", "sqlite"}:
            yield f"{scheme}:///{out}/out.{scheme}"
        else:
            yield f"{scheme}://{out}"


def with_states(path: Path) -> Path:
    """The input with a STATE behind so many lines, as taps send them: without any, all of it is one transaction."""
    found = path.with_suffix(".states")
    with path.open(encoding="utf-8") as lines, found.open("w", encoding="utf-8") as out:
        for number, line in enumerate(lines, start=1):
            out.write(line)
            if number % STATE_EVERY == 0:
                out.write(state(number) + "\n")
    path.unlink()
    return found


def peaks(case: Case, inputs: Mapping[int, Path]) -> str:
    """The cells of a case's row: its peak at each size, how the last two compare, and what is wrong."""
    cells, found, wrong = [], [], []
    for records, path in inputs.items():
        with address(case.scheme, path.parent) as to:
            outcome = loaded(f"{case.shape}, {records:,}", path, to, case.rows(records), case.settings)
        found.append(outcome.measured.peak_mib)
        cells.append(f"{found[-1]:.0f}")
        wrong += [] if outcome.is_right else [verdict(outcome, is_good=True)]
    times = found[-1] / found[-2] if len(found) > 1 else 1.0
    told = "; ".join(wrong) or ("" if times <= MOST_TIMES else "not yet")
    return f"{' | '.join(cells)} | {times:.2f} | {MOST_TIMES} | {told}"


def tables(sizes: Sequence[int], cases: Sequence[str]) -> list[str]:
    """The section with the table of the cases."""
    WORK.mkdir(parents=True, exist_ok=True)
    print(f"peak memory of {whose()}", flush=True)
    heads = " | ".join(f"{records:,} records" for records in sizes)
    lines = [
        "## Peak memory as inputs grow",
        "",
        f"Peak MiB of the process at default settings, with a STATE each {STATE_EVERY:,} lines; the largest compares",
        "with the middle one.",
        "",
        f"| case | {heads} | times | wanted at most | |",
        "|---|" + "---:|" * (len(sizes) + 2) + "---|",
    ]
    for shape, names in groupby(cases, key=lambda name: CASES[name].shape):
        with tempfile.TemporaryDirectory(dir=WORK, prefix="memory-") as folder:
            inputs = {records: with_states(Bench(Path(folder), records, 1).input(shape, records)) for records in sizes}
            lines += [f"| {name} | {peaks(CASES[name], inputs)} |" for name in names]
    return [*lines, ""]


def main() -> None:
    """Measure the cases, print their table, and write it where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"one of {', '.join(CASES)}")
    parser.add_argument("--records", type=int, nargs="+", default=list(SIZES), help="the sizes, from small to large")
    parser.add_argument("--write", action="store_true", help="put all cases' table into bench/RESULTS.md")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no such cases: {', '.join(sorted(unknown))}")
    if asked.write and asked.cases:
        parser.error("--write is for all cases")
    lines = tables(asked.records, asked.cases or list(CASES))
    if asked.write:
        write(lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
