//! Drawing strings of patterns from a fixed seed, and the check digits that formats ask for.
//!
//! Written from the public definitions of the formats; nothing here is shared with the detectors.

use std::iter::Peekable;
use std::str::Chars;

use sha2::{Digest, Sha256};

/// A source of numbers that is the same in each run.
#[derive(Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    /// A source that depends on `name` alone, so that a new group changes no other.
    pub(crate) fn new(name: &str) -> Draw {
        let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        Draw(seed)
    }

    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// One of `items`.
    pub(crate) fn one<'i, T>(&mut self, items: &'i [T]) -> &'i T {
        &items[self.below(items.len())]
    }

    /// Digits of values 0 to 9.
    pub(crate) fn digits(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(10) as u8).collect()
    }

    /// A string of `pattern`: literals, classes (`[0-9a-f]`), counts (`{4}`, `{2,3}`), choices (`(ab|cd)`), and `\` before a
    /// character that is meant as it stands.
    pub(crate) fn string(&mut self, pattern: &str) -> String {
        let mut out = String::new();
        let mut rest = pattern.chars().peekable();
        self.sequence(&mut rest, &mut out);
        assert!(rest.next().is_none(), "{pattern:?} has one bracket too many");
        out
    }

    /// Draws up to the end, a `|` or a `)`.
    fn sequence(&mut self, rest: &mut Peekable<Chars<'_>>, out: &mut String) {
        while let Some(&c) = rest.peek() {
            if matches!(c, '|' | ')') {
                return;
            }
            rest.next();
            match c {
                '(' => {
                    let mut choices = vec![];
                    loop {
                        let mut choice = String::new();
                        self.sequence(rest, &mut choice);
                        choices.push(choice);
                        if rest.next() != Some('|') {
                            break;
                        }
                    }
                    let choice: &String = self.one(&choices);
                    out.push_str(choice);
                }
                '[' => {
                    let class = class(rest);
                    for _ in 0..self.count(rest) {
                        out.push(*self.one(&class));
                    }
                }
                _ => {
                    let c = if c == '\\' { rest.next().unwrap_or('\\') } else { c };
                    for _ in 0..self.count(rest) {
                        out.push(c);
                    }
                }
            }
        }
    }

    /// What a count behind a character asks for: 1 without one.
    fn count(&mut self, rest: &mut Peekable<Chars<'_>>) -> usize {
        if rest.peek() != Some(&'{') {
            return 1;
        }
        rest.next();
        let text: String = rest.by_ref().take_while(|c| *c != '}').collect();
        let number = |text: &str| text.parse::<usize>().unwrap();
        match text.split_once(',') {
            Some((least, most)) => number(least) + self.below(number(most) - number(least) + 1),
            None => number(&text),
        }
    }
}

/// The characters of a class, behind its opening bracket.
fn class(rest: &mut Peekable<Chars<'_>>) -> Vec<char> {
    let mut all: Vec<char> = Vec::new();
    while let Some(c) = rest.next() {
        match c {
            ']' => break,
            '-' if !all.is_empty() && rest.peek() != Some(&']') => {
                let from = all[all.len() - 1];
                let to = rest.next().unwrap();
                all.extend((from..=to).skip(1));
            }
            '\\' => all.extend(rest.next()),
            _ => all.push(c),
        }
    }
    all
}

/// Digits as text.
pub(crate) fn text(digits: &[u8]) -> String {
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}

/// `digits` in groups of these lengths with `separator` between.
pub(crate) fn grouped(digits: &str, lengths: &[usize], separator: &str) -> String {
    let mut parts = Vec::new();
    let mut start = 0;
    for length in lengths {
        let end = (start + length).min(digits.len());
        parts.push(&digits[start..end]);
        start = end;
    }
    parts.retain(|part| !part.is_empty());
    parts.join(separator)
}

/// `digits` and the digit that makes the Luhn sum a multiple of ten.
pub(crate) fn with_luhn(mut digits: Vec<u8>) -> Vec<u8> {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(*digit) * if place % 2 == 0 { 2 } else { 1 };
            value / 10 + value % 10
        })
        .sum();
    digits.push(((10 - sum % 10) % 10) as u8);
    digits
}

/// An account number of `country` with this national part: the two digits make the rest of 97 one.
pub(crate) fn iban(country: &str, national: &str) -> String {
    let value = |text: &str| {
        text.chars().fold(0u32, |rest, c| {
            let number = c.to_digit(36).unwrap();
            (rest * if number > 9 { 100 } else { 10 } + number) % 97
        })
    };
    let check = 98 - value(&format!("{national}{country}00"));
    format!("{country}{check:02}{national}")
}

/// An NHS number that starts with these nine digits, when there is one.
pub(crate) fn nhs(digits: &[u8]) -> Option<String> {
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(place, digit)| u32::from(*digit) * (10 - place as u32))
        .sum();
    match 11 - sum % 11 {
        10 => None,
        11 => Some(text(digits) + "0"),
        check => Some(text(digits) + &check.to_string()),
    }
}

/// A CPF that starts with these nine digits.
pub(crate) fn cpf(digits: &[u8]) -> String {
    let mut all = digits.to_vec();
    for _ in 0..2 {
        let sum: u32 = all
            .iter()
            .rev()
            .zip(2u32..)
            .map(|(digit, weight)| u32::from(*digit) * weight)
            .sum();
        let rest = sum * 10 % 11;
        all.push((rest % 10) as u8);
    }
    text(&all)
}

/// An Aadhaar number that starts with these eleven digits: the last one makes the product in the dihedral group of a
/// pentagon the identity.
pub(crate) fn aadhaar(digits: &[u8]) -> String {
    let product = |a: u8, b: u8| {
        let (turn, flip) = (b % 5, b >= 5);
        match (a >= 5, flip) {
            (false, false) => (a + turn) % 5,
            (false, true) => (a + turn) % 5 + 5,
            (true, false) => (a - 5 + 5 - turn) % 5 + 5,
            (true, true) => (a - 5 + 5 - turn) % 5,
        }
    };
    let moved = |mut digit: u8, times: usize| {
        for _ in 0..times % 8 {
            digit = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4][usize::from(digit)];
        }
        digit
    };
    for check in 0..10 {
        let all = digits.iter().copied().chain([check]);
        let state = all
            .rev()
            .enumerate()
            .fold(0, |state, (place, digit)| product(state, moved(digit, place)));
        if state == 0 {
            return text(digits) + &check.to_string();
        }
    }
    unreachable!("one of ten digits fits")
}

/// A Bitcoin address of version `version` for this hash.
pub(crate) fn base58check(version: u8, hash: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = vec![version];
    bytes.extend_from_slice(hash);
    let check = Sha256::digest(Sha256::digest(&bytes));
    bytes.extend_from_slice(&check[..4]);
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut out = Vec::new();
    let mut number = bytes;
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 58) as u8;
            rest = value % 58;
        }
        out.push(ALPHABET[rest as usize]);
    }
    out.extend(vec![b'1'; zeros]);
    out.reverse();
    String::from_utf8(out).unwrap()
}
