"""What to do about what a database says, by its code and its words: as data, which each destination has of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

IN_ADDRESSES = "in an address, @ in a password is written %40"
"""What to look at where a password is refused."""

_UNKNOWN = "`--log-level debug` shows the statement"


class Remedy(Struct, frozen=True):
    """A sentence for errors whose code and words match.

    `do` may have names in braces, which come quoted: groups of `said`, and what is known besides (`{user}`,
    `{database}`).
    """

    code: str
    said: str
    do: str


def advised(words: str, code: object, remedies: Sequence[Remedy], quote: str = '"', **known: object) -> str:
    """The words of a database, and behind them what to do."""
    for remedy in remedies:
        match = re.search(remedy.said, words, re.IGNORECASE | re.DOTALL)
        if match and re.fullmatch(remedy.code, str(code or "")):
            groups = {name: quoted(text or "", quote) for name, text in match.groupdict().items()}
            names = {name: quoted(str(value), quote) for name, value in known.items()}
            return f"{words.rstrip('. ')}; {remedy.do.format_map(names | groups)}"
    return f"{words.rstrip('. ')}; {_UNKNOWN}"


def quoted(name: str, quote: str = '"') -> str:
    """The name as an identifier of SQL."""
    return quote + name.replace(quote, quote * 2) + quote
