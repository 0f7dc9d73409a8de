//! A cursor over JSON text that goes on only where it is sure: anything but plain, valid JSON is a doubt.

#![forbid(unsafe_code)]

use crate::text::{end_of_escape, special};

/// What isn't certain to be read as the reference reads it; it is for the reference to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt;

/// A value that is certain, or a doubt.
pub type Sure<T> = Result<T, Doubt>;

/// Integers of so many digits fit into 64 bits, whatever the digits.
pub const MAX_SHORT_DIGITS: usize = 18;

/// How many levels of objects and arrays a line may have, the message's own among them.
pub const MAX_DEPTH: usize = 512;

/// A string as it stands in the text, without its quotes; its escapes are known to be valid.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    pub raw: &'a [u8],
    pub has_escapes: bool,
}

/// A text that is often looked for: what it begins with is compared at once.
#[derive(Clone, Debug)]
pub struct Token {
    pub text: Vec<u8>,
    start: u128,
    mask: u128,
}

/// How many bytes of a token are compared at once.
const START: usize = 16;

impl Token {
    pub fn new(text: Vec<u8>) -> Self {
        let (mut start, mut mask) = ([0; START], [0; START]);
        let length = text.len().min(START);
        start[..length].copy_from_slice(&text[..length]);
        mask[..length].fill(u8::MAX);
        Self { text, start: u128::from_le_bytes(start), mask: u128::from_le_bytes(mask) }
    }
}

/// A place in UTF-8 text. Nothing reads past a line feed, for JSON has none within a line of Singer's.
pub struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Self {
        Self { data, at }
    }

    pub fn at(&self) -> usize {
        self.at
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.data.len()
    }

    /// The text from an earlier place up to here.
    pub fn since(&self, start: usize) -> &'a [u8] {
        &self.data[start..self.at]
    }

    /// The next byte; 0, which no JSON has between its tokens, at the end.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.data.get(self.at).copied().unwrap_or(0)
    }

    /// Go past bytes that are known to be there.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        self.at += count;
    }

    /// Go past these bytes, if they come next.
    #[inline]
    pub fn take(&mut self, expected: &[u8]) -> bool {
        let is_next = self.data.get(self.at..).is_some_and(|rest| rest.starts_with(expected));
        if is_next {
            self.at += expected.len();
        }
        is_next
    }

    /// Go past this token, if it comes next.
    #[inline]
    pub fn take_token(&mut self, token: &Token) -> bool {
        let Some(bytes) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<START>()) else {
            return self.take(&token.text);
        };
        let begins = (u128::from_le_bytes(*bytes) ^ token.start) & token.mask == 0;
        if token.text.len() > START {
            return begins && self.take(&token.text);
        }
        if begins {
            self.at += token.text.len();
        }
        begins
    }

    /// Go past this byte, if it comes next.
    #[inline]
    pub fn take_byte(&mut self, expected: u8) -> bool {
        let is_next = self.peek() == expected;
        if is_next {
            self.at += 1;
        }
        is_next
    }

    #[inline]
    pub fn expect(&mut self, expected: u8) -> Sure<()> {
        if self.take_byte(expected) { Ok(()) } else { Err(Doubt) }
    }

    /// Go past blanks: mostly there is one or none.
    #[inline]
    pub fn skip_space(&mut self) {
        if self.peek() == b' ' {
            self.at += 1;
        }
        while matches!(self.peek(), b' ' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Go past this byte with a blank or none behind it, as JSON is mostly written, if that is what comes next.
    #[inline]
    fn take_separator(&mut self, separator: u8) -> bool {
        let length = match self.data.get(self.at..).and_then(|rest| rest.first_chunk::<3>()) {
            Some([first, b' ', behind]) if *first == separator && *behind > b' ' => 2,
            Some([first, behind, _]) if *first == separator && *behind > b' ' => 1,
            _ => return false,
        };
        self.at += length;
        true
    }

    /// Go past the colon between a name and its value.
    #[inline]
    pub fn colon(&mut self) -> Sure<()> {
        if self.take_separator(b':') {
            return Ok(());
        }
        self.skip_space();
        self.expect(b':')?;
        self.skip_space();
        Ok(())
    }

    /// Go past what comes after a member: true when it is a comma, false when it is the closing byte.
    #[inline]
    pub fn goes_on(&mut self, closing: u8) -> Sure<bool> {
        if self.take_separator(b',') {
            return Ok(true);
        }
        self.skip_space();
        if self.take_byte(b',') {
            self.skip_space();
            return Ok(true);
        }
        self.expect(closing)?;
        Ok(false)
    }

    /// Go past a string, the cursor being at its opening quote.
    #[inline]
    pub fn string(&mut self) -> Sure<Text<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            self.at = special(self.data, self.at);
            match self.peek() {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    self.at = end_of_escape(self.data, self.at)?;
                }
                _ => return Err(Doubt),
            }
        }
        let raw = &self.data[start..self.at];
        self.at += 1;
        Ok(Text { raw, has_escapes })
    }

    /// Go past an integer of few digits, without point and exponent, if one comes next.
    #[inline]
    pub fn short_integer(&mut self) -> Option<i64> {
        let is_negative = self.peek() == b'-';
        let start = self.at + usize::from(is_negative);
        let (mut at, mut size) = (start, 0_i64);
        while let Some(digit @ b'0'..=b'9') = self.data.get(at) {
            size = size.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            at += 1;
        }
        let is_short = (1..=MAX_SHORT_DIGITS).contains(&(at - start));
        let has_more = matches!(self.data.get(at), Some(b'.' | b'e' | b'E'));
        if !is_short || has_more || (self.data[start] == b'0' && at - start > 1) {
            return None;
        }
        self.at = at;
        Some(if is_negative { -size } else { size })
    }

    /// Go past a number; gives its text.
    #[inline]
    pub fn number(&mut self) -> Sure<&'a [u8]> {
        let start = self.at;
        self.take_byte(b'-');
        let first = self.peek();
        self.digits()?;
        if first == b'0' && self.at - start > 1 + usize::from(self.data[start] == b'-') {
            return Err(Doubt);
        }
        if self.take_byte(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    #[inline]
    fn digits(&mut self) -> Sure<()> {
        if !self.peek().is_ascii_digit() {
            return Err(Doubt);
        }
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        Ok(())
    }

    /// Go past a value, which begins at that depth; gives its text.
    #[inline]
    pub fn value(&mut self, depth: usize) -> Sure<&'a [u8]> {
        let start = self.at;
        self.skip_value(depth)?;
        Ok(self.since(start))
    }

    fn skip_value(&mut self, depth: usize) -> Sure<()> {
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'{' => self.skip_object(depth + 1),
            b'[' => self.skip_array(depth + 1),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number().map(|_| ()),
        }
    }

    pub fn word(&mut self, word: &[u8]) -> Sure<()> {
        if self.take(word) { Ok(()) } else { Err(Doubt) }
    }

    fn skip_object(&mut self, depth: usize) -> Sure<()> {
        self.open(depth)?;
        if self.take_byte(b'}') {
            return Ok(());
        }
        loop {
            self.string()?;
            self.colon()?;
            self.skip_value(depth)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn skip_array(&mut self, depth: usize) -> Sure<()> {
        self.open(depth)?;
        if self.take_byte(b']') {
            return Ok(());
        }
        loop {
            self.skip_value(depth)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, depth: usize) -> Sure<()> {
        if depth > MAX_DEPTH {
            return Err(Doubt);
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(text: &str) -> Sure<usize> {
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        cursor.value(0)?;
        Ok(cursor.at())
    }

    #[test]
    fn values_are_skipped_whole() {
        for text in ["0", "-0.5e+10", "\"\"", "\"a\\\"b\\u00e9\"", "[]", "[1, {\"a\" : [null]}]", "true", "{ }"] {
            assert_eq!(skipped(text), Ok(text.len()), "{text}");
        }
    }

    #[test]
    fn separators_are_passed_however_many_blanks_stand_around_them() {
        for text in ["1,2", "1, 2", "1 ,2", "1 , 2", "1,\t 2", "1,  2"] {
            let mut cursor = Cursor::new(text.as_bytes(), 1);
            assert_eq!((cursor.goes_on(b']'), cursor.peek()), (Ok(true), b'2'), "{text}");
            let text = text.replace(',', ":");
            let mut cursor = Cursor::new(text.as_bytes(), 1);
            assert_eq!((cursor.colon(), cursor.peek()), (Ok(()), b'2'), "{text}");
        }
    }

    #[test]
    fn a_token_is_taken_where_all_of_it_comes_next() {
        for length in 1..40 {
            let text = "x".repeat(length);
            let token = Token::new(text.clone().into_bytes());
            for behind in 0..20 {
                let data = format!("{text}{}", "y".repeat(behind));
                let mut cursor = Cursor::new(data.as_bytes(), 0);
                assert!(cursor.take_token(&token) && cursor.at() == length, "{data}");
                let other = format!("{}z{}", &text[1..], "y".repeat(behind));
                let mut cursor = Cursor::new(other.as_bytes(), 0);
                assert!(!cursor.take_token(&token) && cursor.at() == 0, "{other}");
            }
        }
    }

    #[test]
    fn what_is_not_plain_json_is_a_doubt() {
        for text in [
            "",
            "01",
            "-",
            "1.",
            "1e",
            "+1",
            "NaN",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "[1,]",
            "{\"a\"}",
            "nul",
            "\"\\ud800\"",
        ] {
            assert_eq!(skipped(text), Err(Doubt), "{text}");
        }
    }

    #[test]
    fn strings_end_at_the_first_quote_wherever_it_stands_in_a_word() {
        for length in 0..40 {
            let text = format!("\"{}\"\"", "é".repeat(length / 2) + &"x".repeat(length % 7));
            assert_eq!(skipped(&text), Ok(text.len() - 1), "{text}");
        }
    }

    #[test]
    fn nesting_past_the_limit_is_a_doubt() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(skipped(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(skipped(&nested(MAX_DEPTH + 1)), Err(Doubt));
    }
}
