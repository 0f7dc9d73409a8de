"""The rows of a Singer file as delimited text: `delimited.py INPUT OUTPUT postgres|mariadb [--numbered]`.

Texts are in quotes, and what is null is written as the server reads it. Numbered rows end with their place in the file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NULL = {"postgres": "", "mariadb": "NULL"}
TRUTH = {"postgres": ("false", "true"), "mariadb": ("0", "1")}


def properties(source: Path) -> dict[str, Any]:
    """The properties of the stream, as the file's first message gives them."""
    with source.open(encoding="utf-8") as file:
        return json.loads(file.readline())["schema"]["properties"]


def lines(source: Path, server: str, *, numbered: bool) -> Iterator[str]:
    """The file's records, one a line, as that server reads them."""
    kinds = properties(source)
    times = {name for name, schema in kinds.items() if schema.get("format") == "date-time"}
    with source.open(encoding="utf-8") as file:
        for place, line in enumerate(file):
            message = json.loads(line)
            if message["type"] == "RECORD":
                record = message["record"]
                values = [_text(record.get(name), server, is_time=name in times) for name in kinds]
                yield ",".join([*values, str(place)] if numbered else values) + "\n"


def _text(value: Any, server: str, *, is_time: bool) -> str:
    if value is None:
        return NULL[server]
    if isinstance(value, bool):
        return TRUTH[server][value]
    if is_time and server == "mariadb":
        value = value.replace("T", " ").removesuffix("Z")
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) else repr(value)


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as output:
        output.writelines(lines(Path(sys.argv[1]), sys.argv[3], numbered="--numbered" in sys.argv))
