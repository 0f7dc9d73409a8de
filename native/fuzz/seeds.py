"""Writes seeds of the fuzz targets into corpus/: the lines of the decoders' conformance cases, for every plan."""
# ruff: noqa: INP001

import base64
import json
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CASES = sorted((HERE.parents[1] / "src" / "tailrace" / "testing" / "decoder_cases").glob("*.json"))
PLANS = (HERE / "plans.jsonl").read_text(encoding="utf-8").strip().split("\n")
NAMES = ("a", "b", "c", "d", "e", "f")
SPANS = (b"\x00", b"\x01\x05\xff", b"\x02\x00\x01\x03\xff")
"""The numbers of lines: 1 and on; 6 and on; 1, then 5 and on."""


def runs_of(file: Path) -> Iterator[list[bytes]]:
    """The runs of a file of cases, and all of their lines as one."""
    runs = [lines_of(case) for case in json.loads(file.read_text(encoding="utf-8"))]
    yield from runs
    yield [line for run in runs for line in run]


def lines_of(case: dict[str, Any]) -> list[bytes]:
    """The lines of a case, which come in three ways."""
    if "records" in case:
        return [f'{{"type":"RECORD","stream":"cases","record":{record}}}'.encode() for record in case["records"]]
    if "lines" in case:
        return [line.encode() for line in case["lines"]]
    return [base64.b64decode(line) for line in case["lines_base64"]]


def seeds() -> Iterator[tuple[str, bytes]]:
    """Targets and their inputs; the field `a` of the cases takes every place of the plans."""
    for file in CASES:
        for run in runs_of(file):
            data = b"".join(line + b"\n" for line in run)
            yield "reader", data
            for plan, text in enumerate(PLANS):
                stream = json.dumps(json.loads(text)["stream"], ensure_ascii=False).encode()
                renamed = data.replace(b'"cases"', stream)
                name = NAMES[plan % len(NAMES)].encode()
                for lines in (renamed, renamed.replace(b'"a":', b'"%s":' % name)):
                    yield "decoder", bytes([plan, len(lines) % 4]) + SPANS[len(lines) % len(SPANS)] + lines


def main() -> None:
    """Write each input once, under its digest."""
    for target, seed in seeds():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


if __name__ == "__main__":
    main()
