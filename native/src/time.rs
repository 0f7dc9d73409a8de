//! Dates and times from text: RFC 3339 and its nearest relatives, to the microsecond, in UTC.

#![forbid(unsafe_code)]

use crate::json::{Doubt, Sure};

const DAY_US: i64 = 86_400_000_000;
const FIRST_DAY: i64 = -719_162;
const END_DAY: i64 = 2_932_897;
const MIDNIGHT: Clock = Clock { us: 0, offset_us: 0 };

/// A time of day, and how far it is ahead of UTC.
struct Clock {
    us: i64,
    offset_us: i64,
}

/// A date-time as microseconds since 1970 in UTC; without an offset it is UTC, and a date alone is its midnight.
#[inline]
pub fn timestamp_us(text: &[u8]) -> Sure<i64> {
    let (days, clock) = date_time(text)?;
    let us = days * DAY_US + clock.us - clock.offset_us;
    if (FIRST_DAY * DAY_US..END_DAY * DAY_US).contains(&us) { Ok(us) } else { Err(Doubt) }
}

/// A date as days since 1970; a date-time is one where it is midnight in UTC.
pub fn date_days(text: &[u8]) -> Sure<i32> {
    let (days, clock) = date_time(text)?;
    if clock.us != 0 || clock.offset_us != 0 {
        return Err(Doubt);
    }
    i32::try_from(days).map_err(|_| Doubt)
}

/// A time of day as microseconds since midnight; an offset must be UTC's.
pub fn time_us(text: &[u8]) -> Sure<i64> {
    let clock = clock(text)?;
    if clock.offset_us == 0 { Ok(clock.us) } else { Err(Doubt) }
}

#[inline]
fn date_time(text: &[u8]) -> Sure<(i64, Clock)> {
    let (date, rest) = text.split_at_checked(10).ok_or(Doubt)?;
    let days = days(date)?;
    match rest {
        [] => Ok((days, MIDNIGHT)),
        [b'T' | b't' | b' ', rest @ ..] => Ok((days, clock(rest)?)),
        _ => Err(Doubt),
    }
}

#[inline]
fn days(date: &[u8]) -> Sure<i64> {
    if date.len() != 10 || date[4] != b'-' || date[7] != b'-' {
        return Err(Doubt);
    }
    let year = two_digits(&date[0..2])? * 100 + two_digits(&date[2..4])?;
    let (month, day) = (two_digits(&date[5..7])?, two_digits(&date[8..10])?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days_in(year, month) {
        return Err(Doubt);
    }
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[inline]
fn clock(text: &[u8]) -> Sure<Clock> {
    let (time, mut rest) = text.split_at_checked(8).ok_or(Doubt)?;
    if time[2] != b':' || time[5] != b':' {
        return Err(Doubt);
    }
    let (hour, minute, second) = (two_digits(&time[0..2])?, two_digits(&time[3..5])?, two_digits(&time[6..8])?);
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Doubt);
    }
    let mut us = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if let [b'.', fraction @ ..] = rest {
        let end = fraction.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
        us += fraction_us(&fraction[..end])?;
        rest = &fraction[end..];
    }
    Ok(Clock { us, offset_us: offset_us(rest)? })
}

fn fraction_us(digits: &[u8]) -> Sure<i64> {
    let (kept, rest) = digits.split_at(digits.len().min(6));
    if digits.is_empty() || digits.len() > 9 || rest.iter().any(|&byte| byte != b'0') {
        return Err(Doubt);
    }
    let value = kept.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    Ok(value * 10_i64.pow(6 - kept.len() as u32))
}

#[inline]
fn offset_us(text: &[u8]) -> Sure<i64> {
    let (sign, rest) = match text {
        [] | [b'Z' | b'z'] => return Ok(0),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Err(Doubt),
    };
    let (hours, minutes) = match rest.len() {
        2 => (two_digits(rest)?, 0),
        4 => (two_digits(&rest[..2])?, two_digits(&rest[2..])?),
        5 if rest[2] == b':' => (two_digits(&rest[..2])?, two_digits(&rest[3..])?),
        _ => return Err(Doubt),
    };
    if hours > 23 || minutes > 59 { Err(Doubt) } else { Ok(sign * (hours * 60 + minutes) * 60_000_000) }
}

#[inline]
fn two_digits(text: &[u8]) -> Sure<i64> {
    match text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok(i64::from(tens - b'0') * 10 + i64::from(ones - b'0')),
        _ => Err(Doubt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_are_microseconds_in_utc() {
        assert_eq!(timestamp_us(b"1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(timestamp_us(b"2013-01-01 05:00:00.123456+05:30"), Ok(1_356_996_600_123_456));
        assert_eq!(timestamp_us(b"2013-01-01t05:00:00.1000000z"), timestamp_us(b"2013-01-01T05:00:00.1"));
        assert_eq!(timestamp_us(b"2013-01-01"), Ok(1_356_998_400_000_000));
        assert_eq!(timestamp_us(b"2000-02-29T00:00:00-0100"), Ok(951_786_000_000_000));
    }

    #[test]
    fn what_is_in_no_calendar_is_a_doubt() {
        for text in
            ["0000-01-01", "2013-02-29", "2013-13-01", "1900-02-29", "2013-01-01T24:00:00", "0001-01-01T00:00:00+00:01"]
        {
            assert_eq!(timestamp_us(text.as_bytes()), Err(Doubt), "{text}");
        }
        assert_eq!(timestamp_us(b"9999-12-31T23:59:59-00:01"), Err(Doubt));
        assert_eq!(timestamp_us(b"2013-01-01T00:00:00.1234567"), Err(Doubt));
    }

    #[test]
    fn dates_and_times_of_day() {
        assert_eq!(date_days(b"0001-01-01"), Ok(FIRST_DAY as i32));
        assert_eq!(date_days(b"9999-12-31T00:00:00Z"), Ok(END_DAY as i32 - 1));
        assert_eq!(date_days(b"2013-01-01T00:00:01Z"), Err(Doubt));
        assert_eq!(time_us(b"23:59:59.999999"), Ok(DAY_US - 1));
        assert_eq!(time_us(b"12:00:00+01"), Err(Doubt));
    }
}
