"""Dates and times are read to the microsecond, and what isn't one is refused."""

from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.decode.refusal import UnfitError
from tailrace.decode.times import date_days, time_us, timestamp_us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def us_of(instant):
    return (instant - EPOCH) // timedelta(microseconds=1)


@given(st.datetimes(), OFFSETS)
def test_a_date_time_with_an_offset_is_that_instant(naive, offset):
    instant = naive.replace(tzinfo=offset)
    in_utc_us = us_of(naive.replace(tzinfo=UTC)) - offset.utcoffset(None) // timedelta(microseconds=1)
    if us_of(datetime.min.replace(tzinfo=UTC)) <= in_utc_us <= us_of(datetime.max.replace(tzinfo=UTC)):
        assert timestamp_us(instant.isoformat()) == in_utc_us
        assert timestamp_us(instant.isoformat(sep=" ")) == in_utc_us
    else:
        with pytest.raises(UnfitError) as refused:
            timestamp_us(instant.isoformat())
        assert refused.value.code == "range"


@given(st.datetimes())
def test_a_date_time_without_an_offset_is_in_utc(naive):
    assert EPOCH + timedelta(microseconds=timestamp_us(naive.isoformat())) == naive.replace(tzinfo=UTC)
    assert timestamp_us(naive.isoformat()) == timestamp_us(naive.isoformat() + "Z")


@given(st.dates())
def test_a_date_is_days_since_1970(day):
    assert date.fromordinal(date(1970, 1, 1).toordinal() + date_days(day.isoformat())) == day
    assert date_days(f"{day.isoformat()}T00:00:00Z") == date_days(day.isoformat())


@given(st.times())
def test_a_time_is_microseconds_since_midnight(clock):
    us = time_us(clock.isoformat())
    assert (EPOCH + timedelta(microseconds=us)).time() == clock
    assert time_us(f"{clock.isoformat()}Z") == us


@given(st.text("0123456789-:T.Z+ ", max_size=30))
def test_any_text_is_read_or_refused(text):
    for read in (timestamp_us, date_days, time_us):
        with suppress(UnfitError):
            assert isinstance(read(text), int)


def test_a_refusal_says_what_is_wrong():
    with pytest.raises(UnfitError, match="whole microseconds"):
        timestamp_us("2024-01-01T00:00:00.1234567Z")
    with pytest.raises(UnfitError, match="in the calendar"):
        timestamp_us("2023-02-29T00:00:00Z")
    with pytest.raises(UnfitError, match="seconds to 59"):
        timestamp_us("2016-12-31T23:59:60Z")
    with pytest.raises(UnfitError, match="in UTC"):
        time_us(time(1, 2, 3, tzinfo=timezone(timedelta(hours=1))).isoformat())
