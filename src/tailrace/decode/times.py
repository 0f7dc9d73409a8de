"""Dates and times from text: RFC 3339 and its nearest relatives, to the microsecond, in UTC."""

from __future__ import annotations

import re
from datetime import date

from tailrace.decode.refusal import UnfitError

_DATE = r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
_CLOCK = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,9}))?"
_OFFSET = r"(?:(?P<utc>[Zz])|(?P<sign>[+-])(?P<off_hour>[0-9]{2})(?::?(?P<off_minute>[0-9]{2}))?)?"
_TIMESTAMP = re.compile(f"{_DATE}(?:[Tt ]{_CLOCK}{_OFFSET})?")
_TIME = re.compile(f"{_CLOCK}{_OFFSET}")

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_FIRST_US = (1 - _EPOCH_DAY) * _DAY_US
_END_US = (date.max.toordinal() + 1 - _EPOCH_DAY) * _DAY_US
_MAX_HOUR, _MAX_MINUTE = 23, 59

A_TIMESTAMP = "a date-time (RFC 3339)"
A_DATE = "a date (YYYY-MM-DD)"
A_TIME = "a time (hh:mm:ss)"


def timestamp_us(text: str) -> int:
    """A date-time as microseconds since 1970 in UTC.

    A space may stand for the T; without an offset it is UTC; a date alone is its midnight. The year in UTC is 1 to
    9999.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise UnfitError("format", A_TIMESTAMP)
    us = _days(match, A_TIMESTAMP) * _DAY_US
    if match["hour"] is not None:
        us += _clock_us(match, A_TIMESTAMP) - _offset_us(match, A_TIMESTAMP)
    if not _FIRST_US <= us < _END_US:
        raise UnfitError("range", "a date-time whose year in UTC is 1 to 9999")
    return us


def date_days(text: str) -> int:
    """A date as days since 1970; a date-time is one where it is midnight in UTC."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise UnfitError("format", A_DATE)
    if match["hour"] is not None and (_clock_us(match, A_DATE) or _offset_us(match, A_DATE)):
        raise UnfitError("format", A_DATE)
    return _days(match, A_DATE)


def time_us(text: str) -> int:
    """A time of day as microseconds since midnight; an offset must be UTC's, for there is no day to shift."""
    match = _TIME.fullmatch(text)
    if match is None or _offset_us(match, A_TIME):
        raise UnfitError("format", A_TIME + " in UTC" if match else A_TIME)
    return _clock_us(match, A_TIME)


def _days(match: re.Match[str], expected: str) -> int:
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise UnfitError("format", f"{expected} that is in the calendar") from error


def _clock_us(match: re.Match[str], expected: str) -> int:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if hour > _MAX_HOUR or minute > _MAX_MINUTE or second > _MAX_MINUTE:
        raise UnfitError("format", f"{expected} with hours to 23, minutes and seconds to 59")
    fraction = (match["fraction"] or "").ljust(6, "0")
    if fraction[6:].strip("0"):
        raise UnfitError("range", f"{expected} of whole microseconds")
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction[:6])


def _offset_us(match: re.Match[str], expected: str) -> int:
    if match["sign"] is None:
        return 0
    hours, minutes = int(match["off_hour"]), int(match["off_minute"] or 0)
    if hours > _MAX_HOUR or minutes > _MAX_MINUTE:
        raise UnfitError("format", f"{expected} with an offset below a day")
    size = (hours * 60 + minutes) * 60_000_000
    return -size if match["sign"] == "-" else size
