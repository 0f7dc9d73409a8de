"""Writes seeds of the fuzz targets into corpus/: the lines of the decoders' conformance cases, for every layout."""
# ruff: noqa: INP001

import json
from collections.abc import Iterator
from hashlib import sha1
from itertools import groupby
from pathlib import Path

from tailrace.testing.decoder import cases

HERE = Path(__file__).parent
LAYOUTS = (HERE / "layouts.jsonl").read_text(encoding="utf-8").strip().split("\n")
NAMES = ("a", "b", "c", "d", "e", "f")
SPANS = (b"\x00", b"\x01\x05\xff", b"\x02\x00\x01\x03\xff")
"""The numbers of lines: 1 and on; 6 and on; 1, then 5 and on."""


def runs() -> Iterator[bytes]:
    """The lines of each case, and those of all cases of a theme together."""
    for _, of_theme in groupby(cases(), key=lambda case: case.name.partition(":")[0]):
        lines = [case.block.data for case in of_theme]
        yield from lines
        yield b"".join(lines)


def seeds() -> Iterator[tuple[str, bytes]]:
    """Targets and their inputs; the field `a` of the cases takes every place of the layouts."""
    for data in runs():
        yield "reader", data
        for layout, text in enumerate(LAYOUTS):
            stream = json.dumps(json.loads(text)["stream"], ensure_ascii=False).encode()
            renamed = data.replace(b'"cases"', stream)
            name = NAMES[layout % len(NAMES)].encode()
            for lines in (renamed, renamed.replace(b'"a":', b'"%s":' % name)):
                yield "decoder", bytes([layout, len(lines) % 4]) + SPANS[len(lines) % len(SPANS)] + lines


def main() -> None:
    """Write each input once, under its digest."""
    for target, seed in seeds():
        folder = HERE / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sha1(seed, usedforsecurity=False).hexdigest()).write_bytes(seed)


if __name__ == "__main__":
    main()
