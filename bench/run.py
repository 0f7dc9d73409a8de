"""The benchmark: tailrace and others load the same bytes, side by side in one run; results in bench/RESULTS.md.

`python bench/run.py` measures everything; `--only flights` one part, and its sections alone are written then;
`--skip dlt` leaves a loader out, and `--records 20000` makes every input shorter: then nothing is written.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import decoding
import documents
import files
import lakes
import servers
import shapes
import warehouses
from loaders import LOADERS, WORK, Input, right, rows_in
from measure import QUICK, Outcome, in_rounds, measured
from results import RESULTS, aloud, machine, table, write

FILE_INPUTS = [
    Input("flights", "19 columns, append-only", 1_010_328),
    Input("events", "nested, append-only", 200_000),
    Input("accounts", "upsert over 100,000 keys", 500_000, "id"),
]
MEMORY_RECORDS = (100_000, 1_000_000, 3_000_000)


def load(name: str, of: Input) -> Outcome:
    """Measure one loader on one input, in a fresh folder, and count the rows it loaded."""
    folder = WORK / "out"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command, stdin = LOADERS[name](of, folder)
    result = right(name, of, measured(command, stdin, folder))
    outcome = Outcome(result, rows_in(folder, of.stream), of.records if name == "target-jsonl" else of.rows)
    shutil.rmtree(folder)
    return outcome


def into_files(inputs: Sequence[Input], skip: set[str]) -> list[str]:
    """The tables of the loaders that load into files."""
    lines = []
    for of in inputs:
        of.make()
        print(of.title, flush=True)
        outcomes = in_rounds({name: aloud(name, of, partial(load, name, of)) for name in LOADERS if name not in skip})
        lines += [f"## {of.title}", "", f"{QUICK}.", "", *table(of, outcomes)]
    return lines


def into_server(kind: servers.Kind, inputs: Sequence[Input], skip: set[str]) -> list[str]:
    """The tables of the loaders that load into one server, each into a database of its own."""
    lines = [f"## Into {kind.name}", "", f"CPU seconds and memory are the client's. {QUICK}.", ""]
    with kind.start() as server:
        for of in inputs:
            of.make()
            print(f"{kind.name}, {of.title}", flush=True)
            measures = {name: aloud(name, of, m) for name, m in kind.measures(of, server).items() if name not in skip}
            outcomes = in_rounds(measures)
            loaded = {name: outcome for name, outcome in outcomes.items() if name in kind.loaders}
            lines += [f"### {kind.name}, {of.title}", "", *table(of, loaded), *servers.against_limit(kind, outcomes)]
    return lines


def memory(counts: Sequence[int]) -> list[str]:
    """The Markdown table of tailrace's peak memory as the input grows."""
    lines = ["## Memory: tailrace at default settings", "", "| flights | peak MiB | records/s |", "|---:|---:|---:|"]
    for records in counts:
        of = Input("flights", "memory", records)
        of.make()
        took = load("tailrace", of).measured
        lines.append(f"| {records:,} | {took.peak_mib:.0f} | {records / took.seconds:,.0f} |")
        of.path.unlink()
    return [*lines, ""]


def arguments() -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ["decoding", *(of.stream for of in FILE_INPUTS), *servers.KINDS, "lakes", "memory"]
    parts += ["warehouses", "documents", "peers", "shapes", "files"]
    loaders = {name for kind in (*servers.KINDS.values(), *lakes.KINDS) for name in kind.loaders} | {*LOADERS}
    parser.add_argument("--only", choices=parts)
    parser.add_argument("--skip", action="append", default=[], choices=sorted(loaders))
    parser.add_argument("--records", type=int, help="the most records that an input may have")
    return parser.parse_args()


def main() -> None:
    """Measure, and write bench/RESULTS.md, or only the sections of one part."""
    wanted = arguments()
    WORK.mkdir(parents=True, exist_ok=True)
    skip, most = set(wanted.skip), wanted.records or sys.maxsize
    head = ["# Results of `make bench`", "", machine(), "", "Every figure of a table comes from one run.", ""]
    lines: list[str] = []
    of_files, of_servers = (
        [replace(of, records=min(of.records, most)) for of in inputs] for inputs in (FILE_INPUTS, servers.INPUTS)
    )
    if wanted.only in (None, "decoding"):
        lines += decoding.tables(most)
    lines += into_files([of for of in of_files if wanted.only in (None, of.stream)], skip)
    for name, kind in servers.KINDS.items():
        if wanted.only in (None, name):
            lines += into_server(kind, of_servers, skip)
    others = {
        "memory": lambda: memory(sorted({min(records, most) for records in MEMORY_RECORDS})),
        "lakes": lambda: lakes.tables(most, skip),
        "warehouses": lambda: warehouses.tables(most),
        "documents": lambda: documents.tables(most),
        "peers": lambda: documents.peers(most),
        "files": lambda: files.tables(most),
        "shapes": lambda: shapes.measured_tables(most),
    }
    for name, tables in others.items():
        if wanted.only in (None, name):
            lines += tables()
    if not skip and wanted.records is None:
        if wanted.only:
            write(lines)
        else:
            RESULTS.write_text("\n".join([*head, *lines]), encoding="utf-8")
    print("\n".join([*head, *lines]))


if __name__ == "__main__":
    main()
