"""Positions: the lines of many inputs as one row of numbers, in which each input has a range of its own."""

from __future__ import annotations

from tailrace.errors import ConfigError

LINES_OF_AN_INPUT = 10**10
"""Line 17 of the third input is line 30000000017 of all."""


def base_of(number: int) -> int:
    """What is added to the lines of the input of that number, from 1."""
    return number * LINES_OF_AN_INPUT


def input_and_line(position: int) -> tuple[int, int]:
    """The number of the input, and the line in it."""
    return divmod(position, LINES_OF_AN_INPUT)


def require_few(lines: int, name: str) -> None:
    """Raise ConfigError for an input of more lines than there are numbers for."""
    if lines >= LINES_OF_AN_INPUT:
        raise ConfigError(f"{name} has more than {LINES_OF_AN_INPUT} lines", key="INPUT", hint="part it")
