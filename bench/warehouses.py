"""The client's side of warehouses: how fast lines become files, and get to what stands in for a warehouse.

What a warehouse does with the files is its own, and what stands in for one says nothing about that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from decoding import shortened
from loaders import ROOT, WORK, Input, right
from measure import ROUNDS, Outcome, in_rounds, measured
from results import aloud, table

sys.path.append(str(ROOT))
from services.bigquery import bigquery
from services.snowflake import snowflake

INPUTS = [Input("flights", "19 columns, append-only", 336_776)]
WANTED = 300_000
"""Flights of which files are made in a second."""
MADE, ENCODED = "lines to files in memory, one thread", "ready batches to files in memory, one thread"


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A warehouse: its name for people, and what stands in for it, which has `database()`."""

    name: str
    start: Callable[[], AbstractContextManager[Any]]


WAREHOUSES = {"bigquery": Warehouse("BigQuery", bigquery), "snowflake": Warehouse("Snowflake", snowflake)}


def part(name: str, what: str, warehouse: str, of: Input, address: Callable[[], str]) -> Outcome:
    """Measure one part, in a process of its own."""
    words = [sys.executable, str(ROOT / "bench/uploading.py"), what, warehouse, str(of.path), address()]
    result = right(name, of, measured(words, None, WORK))
    seconds, cpu_s, rows = result.said.split()[-3:]
    return Outcome(replace(result, seconds=float(seconds), cpu_s=float(cpu_s)), int(rows), of.records)


def side_by_side(kind: str, of: Input) -> list[str]:
    """The table of one warehouse, and a sentence on it."""
    warehouse = WAREHOUSES[kind]
    print(f"{warehouse.name}, {of.title}", flush=True)
    with warehouse.start() as server:
        parts: Mapping[str, tuple[str, Callable[[], str]]] = {
            "tailrace": ("uploaded", server.database),
            MADE: ("made", str),
            ENCODED: ("encoded", str),
        }
        measures = {
            name: aloud(name, of, partial(part, name, what, kind, of, address))
            for name, (what, address) in parts.items()
        }
        outcomes = in_rounds(measures)
    lines = [f"### {warehouse.name}, {of.title}", "", *table(of, outcomes)]
    made = outcomes[MADE].measured
    sentence = (
        f"Files of {of.records / made.seconds:,.0f} {of.stream} are made in a second, and of "
        f"{of.records / made.cpu_s:,.0f} in a second of one processor; {WANTED:,} are wanted."
    )
    return [*lines, sentence, ""]


def tables(most: int) -> list[str]:
    """All tables of this part, for inputs of at most that many records."""
    about = (
        f"The median of {ROUNDS} rounds, all in turns. `tailrace` is a load from the moment at which its table is made "
        "until its last file is uploaded; the rows that count are those that the warehouse has after the commit. What "
        "takes the files in stands on the same cores, and takes its part of them. BigQuery itself takes 5 files within "
        "10 seconds for a stream, which what stands in for it doesn't."
    )
    lines = ["## Warehouses: the client's side", "", about, ""]
    for of in shortened(INPUTS, most):
        for kind in WAREHOUSES:
            lines += side_by_side(kind, of)
    return lines
