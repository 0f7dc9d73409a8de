//! Dates and times from text: RFC 3339 and the forms of ISO 8601 that `PostgreSQL` reads, to the microsecond, in UTC.

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

/// A date-time that has finer digits than microseconds, cut to these.
pub fn cut_timestamp_us(text: &[u8]) -> Sure<i64> {
    let point = text.iter().position(|&byte| byte == b'.').ok_or(Doubt)?;
    let (kept, rest) = text.split_at_checked(point + 7).ok_or(Doubt)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    timestamp_us(&[kept, &rest[end..]].concat())
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
    // Digits alone are for the reference to tell.
    if !text.get(1..3).is_some_and(|start| start.contains(&b':')) {
        return Err(Doubt);
    }
    let clock = clock(text)?;
    if clock.offset_us == 0 && clock.us < DAY_US { Ok(clock.us) } else { Err(Doubt) }
}

#[inline]
fn date_time(text: &[u8]) -> Sure<(i64, Clock)> {
    let has_dashes = text.get(4) == Some(&b'-');
    let (date, rest) = text.split_at_checked(if has_dashes { 10 } else { 8 }).ok_or(Doubt)?;
    let days = if has_dashes { days(date)? } else { days_of(&date[0..4], &date[4..6], &date[6..8])? };
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
    days_of(&date[0..4], &date[5..7], &date[8..10])
}

#[inline]
fn days_of(year: &[u8], month: &[u8], day: &[u8]) -> Sure<i64> {
    let year = two_digits(&year[0..2])? * 100 + two_digits(&year[2..4])?;
    let (month, day) = (two_digits(month)?, two_digits(day)?);
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
    let Some((time, mut rest)) = text.split_at_checked(8).filter(|(time, _)| time[2] == b':' && time[5] == b':') else {
        return other_clock(text);
    };
    let (hour, minute, second) = (two_digits(&time[0..2])?, two_digits(&time[3..5])?, two_digits(&time[6..8])?);
    let mut us = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if let [b'.', fraction @ ..] = rest {
        let end = fraction.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(fraction.len());
        us += fraction_us(&fraction[..end])?;
        rest = &fraction[end..];
    }
    // 24:00 is the end of the day.
    if minute > 59 || second > 59 || us > DAY_US { Err(Doubt) } else { Ok(Clock { us, offset_us: offset_us(rest)? }) }
}

/// A time to the minute, with one digit of hours, or without colons: written as `clock` reads most.
#[cold]
fn other_clock(text: &[u8]) -> Sure<Clock> {
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (start, rest) = text.split_at(digits);
    let (hour, minute, second, rest) = match (digits, rest) {
        (1 | 2, [b':', a, b, b':', c, d, rest @ ..]) => (start, [*a, *b], [*c, *d], rest),
        (1 | 2, [b':', a, b, rest @ ..]) if !matches!(rest, [b'.' | b':', ..]) => (start, [*a, *b], *b"00", rest),
        (4, rest) if !matches!(rest, [b'.', ..]) => (&start[..2], [start[2], start[3]], *b"00", rest),
        (6, rest) => (&start[..2], [start[2], start[3]], [start[4], start[5]], rest),
        _ => return Err(Doubt),
    };
    let hour = if let [one] = hour { [b'0', *one] } else { [hour[0], hour[1]] };
    let usual = [hour.as_slice(), b":", &minute, b":", &second, rest].concat();
    clock(&usual)
}

fn fraction_us(digits: &[u8]) -> Sure<i64> {
    let (kept, rest) = digits.split_at(digits.len().min(6));
    if digits.is_empty() || rest.iter().any(|&byte| byte != b'0') {
        return Err(Doubt);
    }
    let value = kept.iter().fold(0, |value, byte| value * 10 + i64::from(byte - b'0'));
    Ok(value * 10_i64.pow(6 - kept.len() as u32))
}

#[inline]
fn offset_us(text: &[u8]) -> Sure<i64> {
    match text {
        [] | [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] if hours.len() == 2 => {
            let (hours, minutes) = (two_digits(hours)?, two_digits(&[*tens, *ones])?);
            let size = (hours * 60 + minutes) * 60_000_000;
            if hours > 23 || minutes > 59 { Err(Doubt) } else { Ok(if *sign == b'-' { -size } else { size }) }
        }
        _ => other_offset_us(text),
    }
}

/// How far ahead of UTC a time is; the offset may stand twice, if both are the same.
#[cold]
fn other_offset_us(text: &[u8]) -> Sure<i64> {
    let (offset, rest) = one_offset_us(text)?;
    if rest.is_empty() || one_offset_us(rest)? == (offset, b"") { Ok(offset) } else { Err(Doubt) }
}

/// The offset that comes first, and what comes after it.
fn one_offset_us(text: &[u8]) -> Sure<(i64, &[u8])> {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let (sign, rest) = match text {
        [b'Z' | b'z', rest @ ..] => return Ok((0, rest)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        [a, b, c, rest @ ..] if is_utc([*a, *b, *c]) => return Ok((0, rest)),
        _ => return Err(Doubt),
    };
    let (hours, rest) = two_more(rest).ok_or(Doubt)?;
    let (minutes, rest) = part_of_offset(rest);
    let (seconds, rest) = if minutes.is_some() { part_of_offset(rest) } else { (None, rest) };
    let (minutes, seconds) = (minutes.unwrap_or(0), seconds.unwrap_or(0));
    if hours > 23 || minutes > 59 || seconds > 59 {
        return Err(Doubt);
    }
    Ok((sign * ((hours * 60 + minutes) * 60 + seconds) * 1_000_000, rest))
}

fn is_utc(word: [u8; 3]) -> bool {
    word.eq_ignore_ascii_case(b"UTC") || word.eq_ignore_ascii_case(b"GMT")
}

/// Minutes or seconds, with a colon before them or without, if they come next.
fn part_of_offset(text: &[u8]) -> (Option<i64>, &[u8]) {
    match two_more(text.strip_prefix(b":").unwrap_or(text)) {
        Some((value, rest)) => (Some(value), rest),
        None => (None, text),
    }
}

fn two_more(text: &[u8]) -> Option<(i64, &[u8])> {
    let (digits, rest) = text.split_at_checked(2)?;
    Some((two_digits(digits).ok()?, rest))
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
    fn other_forms_of_one_date_time_are_read() {
        let expected = timestamp_us(b"2018-05-15T07:30:00Z");
        assert!(expected.is_ok());
        for text in [
            "2018-05-15T07:30Z",
            "2018-05-15 7:30",
            "2018-05-15t7:30:00z",
            "20180515T073000Z",
            "20180515T0730",
            "20180515 093000.000+0200",
            "2018-05-15T07:30:00 UTC",
            "2018-05-15 07:30:00gmt",
            "2018-05-15T07:30:00.000000000000Z",
            "2018-05-15T07:30:00+00:00+00:00",
            "2018-05-15 07:49:32+00:19:32",
            "2018-05-15 09:30:00 +0200+02",
        ] {
            assert_eq!(timestamp_us(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(timestamp_us(b"2018-05-15T24:00Z"), timestamp_us(b"2018-05-16"));
        assert_eq!(cut_timestamp_us(b"2018-05-15T07:30:00.0000009Z"), expected);
    }

    #[test]
    fn what_may_mean_something_else_is_a_doubt() {
        for text in [
            "2018-05-15T07:30:00+02:00+00:00",
            "2018-05-15T07:30:00Z Z Z",
            "2018-05-15T07",
            "2018-05-15T0730.5",
            "2018-05-15T07:30.5",
            "2018-05-15T07:30:",
            "2018-05-15T07:3",
            "2018-0515",
            "20180515073000",
            "2018-05-15T07:30:00+2",
        ] {
            assert_eq!(timestamp_us(text.as_bytes()), Err(Doubt), "{text}");
        }
    }

    #[test]
    fn what_is_in_no_calendar_is_a_doubt() {
        for text in
            ["0000-01-01", "2013-02-29", "2013-13-01", "1900-02-29", "2013-01-01T24:00:01", "0001-01-01T00:00:00+00:01"]
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
        assert_eq!(time_us(b"7:15"), time_us(b"07:15:00"));
        assert_eq!((time_us(b"24:00:00"), time_us(b"1130")), (Err(Doubt), Err(Doubt)));
    }
}
