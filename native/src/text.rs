//! What stands within the quotes of JSON's strings: where it ends, and what its escapes stand for.

#![forbid(unsafe_code)]

use crate::json::{Doubt, Sure};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The first place from here on with a quote, a backslash or a control character; the end if there is none.
#[inline]
pub fn special(data: &[u8], mut at: usize) -> usize {
    while let Some(bytes) = data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*bytes);
        let found = (zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | controls(word))
            & HIGH_BITS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(&byte) = data.get(at) {
        if byte < b' ' || byte == b'"' || byte == b'\\' {
            break;
        }
        at += 1;
    }
    at
}

/// The high bit of the lowest byte that is zero; bits above it mean nothing.
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

/// The high bit of the lowest byte that is below a space; bits above it mean nothing.
fn controls(word: u64) -> u64 {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word
}

/// The place behind the escape that begins here; of a surrogate, behind the pair.
pub fn end_of_escape(data: &[u8], at: usize) -> Sure<usize> {
    match data.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => code_point(data, at).map(|(_, end)| end),
        _ => Err(Doubt),
    }
}

/// The character of a `\u` escape, or of a pair of surrogates, and the place behind it.
fn code_point(data: &[u8], at: usize) -> Sure<(char, usize)> {
    let unit = code_unit(data, at)?;
    if (0xD800..0xDC00).contains(&unit) {
        let low = code_unit(data, at + 6)?;
        if !(0xDC00..0xE000).contains(&low) {
            return Err(Doubt);
        }
        let code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        return Ok((char::from_u32(code).ok_or(Doubt)?, at + 12));
    }
    Ok((char::from_u32(unit).ok_or(Doubt)?, at + 6))
}

fn code_unit(data: &[u8], at: usize) -> Sure<u32> {
    let escape = data.get(at..at + 6).ok_or(Doubt)?;
    if !escape.starts_with(b"\\u") {
        return Err(Doubt);
    }
    escape[2..].iter().try_fold(0, |unit, &byte| Ok(unit * 16 + char::from(byte).to_digit(16).ok_or(Doubt)?))
}

/// Whether there is an escape of a surrogate in JSON.
pub fn has_surrogate(json: &[u8]) -> bool {
    memchr::memmem::find_iter(json, b"\\u")
        .any(|at| matches!(json.get(at + 2..at + 4), Some([b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'])))
}

/// Write what a string with escapes stands for behind what is there.
pub fn unescape(raw: &[u8], text: &mut Vec<u8>) -> Sure<()> {
    let mut at = 0;
    while let Some(offset) = memchr::memchr(b'\\', &raw[at..]) {
        text.extend_from_slice(&raw[at..at + offset]);
        at += offset;
        let plain = match raw.get(at + 1) {
            Some(b'u') => {
                let (found, end) = code_point(raw, at)?;
                text.extend_from_slice(found.encode_utf8(&mut [0; 4]).as_bytes());
                at = end;
                continue;
            }
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            _ => return Err(Doubt),
        };
        text.push(plain);
        at += 2;
    }
    text.extend_from_slice(&raw[at..]);
    Ok(())
}

/// Write a text of UTF-8 as a string of JSON. In JSON's own text quotes come so often that a word is looked at at once.
pub fn quote(text: &[u8], json: &mut Vec<u8>) {
    json.push(b'"');
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        if special(word, 0) == word.len() {
            json.extend_from_slice(word);
        } else if word.iter().all(|&byte| byte >= b' ') {
            escape_quotes(*word, json);
        } else {
            for &byte in word {
                escape(byte, json);
            }
        }
    }
    for &byte in rest {
        escape(byte, json);
    }
    json.push(b'"');
}

/// Write a word without control characters; without branches, for nothing tells where its quotes are.
#[inline]
fn escape_quotes(word: [u8; 8], json: &mut Vec<u8>) {
    let (mut escaped, mut length) = ([b'\\'; 16], 0);
    for byte in word {
        length += usize::from(matches!(byte, b'"' | b'\\'));
        escaped[length] = byte;
        length += 1;
    }
    json.extend_from_slice(&escaped);
    json.truncate(json.len() - escaped.len() + length);
}

#[inline]
fn escape(byte: u8, json: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b' '.. => return json.push(byte),
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = b"0123456789abcdef"[usize::from(byte % 16)];
            return json.extend_from_slice(&[b'\\', b'u', b'0', b'0', b'0' + byte / 16, digit]);
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_what_they_stand_for() {
        let mut text = Vec::new();
        unescape(br"a\n\u00e9\ud83d\ude00\\\/z", &mut text).unwrap();
        assert_eq!(text, "a\né😀\\/z".as_bytes());
    }

    #[test]
    fn texts_become_strings_of_json_wherever_their_escapes_stand() {
        let all: String = (0..0x100).filter_map(char::from_u32).collect();
        for start in 0..all.chars().count() {
            let text: String = all.chars().skip(start).chain("a plain word \\ 😀".chars()).collect();
            let mut json = Vec::new();
            quote(text.as_bytes(), &mut json);
            assert_eq!(json, serde_json::to_vec(&text).unwrap());
        }
    }

    #[test]
    fn escapes_of_surrogates_are_found_wherever_they_stand() {
        for (json, expected) in
            [(r"\ud83d", true), (r"a\u00e9\uDBff", true), (r"\ud7ff", false), (r"\u00d8", false), (r"ud83d\u", false)]
        {
            assert_eq!(has_surrogate(json.as_bytes()), expected, "{json}");
        }
    }
}
