"""Dates and times from text: RFC 3339 and the forms of ISO 8601 that PostgreSQL reads, to the microsecond, in UTC."""

from __future__ import annotations

import re
from datetime import date

from tailrace.decode.refusal import UnfitError

_DATE = r"(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
_HOURS = r"(?:(?P<hour>[0-9]{1,2}):|(?P<hours>[0-9]{2}))(?P<minute>[0-9]{2})"
_CLOCK = rf"{_HOURS}(?:(?(hour):)(?P<second>[0-9]{{2}})(?:\.(?P<fraction>[0-9]+))?)?"
_OFFSET = r" ?(?:Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)"
_OFFSETS = f"(?P<offset>{_OFFSET})?(?P<again>{_OFFSET})?"
_TIMESTAMP = re.compile(f"{_DATE}(?:[T ]{_CLOCK}{_OFFSETS})?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(f"(?P<mark>T)?{_CLOCK}{_OFFSETS}", re.IGNORECASE | re.ASCII)
_OTHER_YEAR = re.compile(r"(?:[+-][0-9]{4,}|[0-9]{5,})-[0-9]{2}-[0-9]{2}.*|[0-9]{4}-.+ BC", re.IGNORECASE | re.ASCII)
_DIGITS = re.compile("[0-9]{2}", re.ASCII)
_FINER_DIGITS = re.compile(r"(\.[0-9]{6})[0-9]+", re.ASCII)

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

    A space may stand for the T; without an offset it is UTC; a date alone is its midnight, and 24:00 that of the next
    day. The year in UTC is 1 to 9999.
    """
    match = _dated(text, A_TIMESTAMP)
    us = _days(match, A_TIMESTAMP) * _DAY_US
    if match["minute"] is not None:
        us += _clock_us(match, A_TIMESTAMP) - _offset_us(match, A_TIMESTAMP)
    if not _FIRST_US <= us < _END_US:
        raise UnfitError("range", "a date-time whose year in UTC is 1 to 9999")
    return us


def cut_timestamp_us(text: str) -> int:
    """A date-time that has finer digits than microseconds, cut to these."""
    return timestamp_us(_FINER_DIGITS.sub(r"\1", text))


def date_days(text: str) -> int:
    """A date as days since 1970; a date-time is one where it is midnight in UTC."""
    match = _dated(text, A_DATE)
    if match["minute"] is not None and (_clock_us(match, A_DATE) or _offset_us(match, A_DATE)):
        raise UnfitError("format", A_DATE)
    return _days(match, A_DATE)


def time_us(text: str) -> int:
    """A time of day as microseconds since midnight; an offset must be UTC's, for there is no day to shift."""
    match = _TIME.fullmatch(text)
    # Four digits alone may be hours and minutes, as to PostgreSQL, or minutes and seconds, as to MySQL.
    if match is None or (match["hours"] and not match["mark"] and match["second"] is None):
        raise UnfitError("format", A_TIME)
    us = _clock_us(match, A_TIME)
    if _offset_us(match, A_TIME):
        raise UnfitError("format", f"{A_TIME} in UTC")
    if us == _DAY_US:
        raise UnfitError("format", f"{A_TIME} with hours to 23, minutes and seconds to 59")
    return us


def _dated(text: str, expected: str) -> re.Match[str]:
    match = _TIMESTAMP.fullmatch(text)
    if match is not None and match["year"] != "0000":
        return match
    if match is not None or _OTHER_YEAR.fullmatch(text):
        raise UnfitError("range", f"{expected} whose year is 0001 to 9999")
    raise UnfitError("format", expected)


def _days(match: re.Match[str], expected: str) -> int:
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"])).toordinal() - _EPOCH_DAY
    except ValueError as error:
        raise UnfitError("format", f"{expected} that is in the calendar") from error


def _clock_us(match: re.Match[str], expected: str) -> int:
    hour, minute, second = int(match["hour"] or match["hours"]), int(match["minute"]), int(match["second"] or 0)
    fraction = (match["fraction"] or "").ljust(6, "0")
    is_end_of_day = hour == _MAX_HOUR + 1 and not (minute or second or fraction.strip("0"))
    if (hour > _MAX_HOUR and not is_end_of_day) or minute > _MAX_MINUTE or second > _MAX_MINUTE:
        raise UnfitError("format", f"{expected} with hours to 23, minutes and seconds to 59")
    if fraction[6:].strip("0"):
        raise UnfitError("range", f"{expected} of whole microseconds")
    return ((hour * 60 + minute) * 60 + second) * 1_000_000 + int(fraction[:6])


def _offset_us(match: re.Match[str], expected: str) -> int:
    """How far ahead of UTC the time is; an offset may stand twice, if both are the same."""
    offset, again = (_size_us(match[name], expected) for name in ("offset", "again"))
    if match["again"] and offset != again:
        raise UnfitError("format", f"{expected} with one offset")
    return offset


def _size_us(offset: str | None, expected: str) -> int:
    hours, minutes, seconds = (*map(int, _DIGITS.findall(offset or "")), 0, 0, 0)[:3]
    if hours > _MAX_HOUR or minutes > _MAX_MINUTE or seconds > _MAX_MINUTE:
        raise UnfitError("format", f"{expected} with an offset below a day")
    size = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000
    return -size if offset and "-" in offset else size
