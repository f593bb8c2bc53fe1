//! Texts in which no detector can find anything, told by counting a few kinds of bytes: names, labels, small numbers.
//!
//! Most texts beside a prompt are such (`eu-west-1`, `proj-405`, `llm:read`), and looking at the words around each of their
//! digits takes many times as long as counting.
//!
//! # Why nothing is missed
//!
//! Whatever the confidence and whatever the words around it, a finding needs
//!
//! | found by | at least |
//! | --- | --- |
//! | `email`, `secrets::scan_userinfo` | an `@`, or the `%`, `&` or `\` of its escapes |
//! | `ip::scan_colon` | two colons |
//! | `secrets::scan_assignment` | [so many bytes](secrets::SHORTEST_ASSIGNED), with a `:`, `=` or `>` among them |
//! | `secrets` otherwise, `iban`, `wallet`, `ip::scan_dashed_mac` | [more bytes](LONGEST) than are looked at here |
//! | `national`, `phone`, `cards` | six digits in groups, or half of the [seven](national::SHORTEST_WORD) bytes of a word |
//! | `ip::find_v4`, `dates` | four digits: four octets, a year, or `1/2/80` |
//! | `address` | a digit, and a space beside the number |
//! | `secrets::in_column` | a digit, and the end of a line before it |
//! | `secrets::spoken_password` | a digit, and a space or a quotation mark before it |
//!
//! Digits that are a word of their own, fewer than six of them and no others in the text, are a whole number of that many
//! digits: no octets, no date in numbers, no national number, and no word of seven bytes. With four they may be the year
//! behind the name of a month, where another word speaks of birth: that takes [more bytes](SHORTEST_BIRTH) with what is
//! between the words.

use super::bytes::is_word;
use super::{iban, ip, national, secrets, wallet};

/// Longest text that is looked at.
const LONGEST: usize = 14;

/// Fewest digits that are anything without a space.
const FEWEST_DIGITS: u8 = 4;

const _: () = assert!(
    LONGEST < secrets::SHORTEST
        && LONGEST < iban::SHORTEST
        && LONGEST < wallet::SHORTEST
        && LONGEST < ip::MAC,
    "what is shorter than that is not found here"
);
const _: () = assert!(
    (FEWEST_DIGITS as usize - 1) * 2 < national::SHORTEST_WORD,
    "half of the word are digits"
);

/// Fewest digits of a number that is anything whatever the words around it, and the year of a date.
const FEWEST_IN_ONE: u8 = 6;
const YEAR: u8 = 4;
/// Bytes of a word that speaks of birth, the name of a month and a year, at least.
const SHORTEST_BIRTH: usize = 2 + 1 + 3 + 1 + 4;

/// What counts, by byte, in the four bytes of a word: digits, what may stand before a password, what assigns, and `@` with what
/// begins an escape of it and bytes beyond ASCII. Sums of few bytes do not meet.
static COUNTS: [u32; 256] = counts();

const fn counts() -> [u32; 256] {
    let mut counts = [0; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        counts[digit as usize] = 1;
        digit += 1;
    }
    counts[b' ' as usize] = 1 << 8;
    // Behind the first line of a table.
    counts[b'\n' as usize] = 1 << 8;
    counts[b'"' as usize] = 1 << 8;
    counts[b'\'' as usize] = 1 << 8;
    counts[b'`' as usize] = 1 << 8;
    counts[b':' as usize] = 1 << 16;
    counts[b'=' as usize] = 1 << 16;
    counts[b'>' as usize] = 1 << 16;
    counts[b'@' as usize] = 1 << 24;
    counts[b'%' as usize] = 1 << 24;
    counts[b'&' as usize] = 1 << 24;
    counts[b'\\' as usize] = 1 << 24;
    // Whatever is not ASCII may be a digit in disguise, and has more bytes than it looks.
    let mut other = 0x80;
    while other < counts.len() {
        counts[other] = 1 << 24;
        other += 1;
    }
    counts
}

/// Whether nothing can be found in `text`. `false` is no answer.
#[inline]
pub(super) fn holds_nothing(text: &[u8]) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    let counts: u32 = text.iter().map(|byte| COUNTS[usize::from(*byte)]).sum();
    let [digits, spaces, assigning, signs] = counts.to_le_bytes();
    let assigns = assigning > 1 || assigning > 0 && text.len() >= secrets::SHORTEST_ASSIGNED;
    if signs > 0 || assigns || digits > 0 && spaces > 0 {
        return false;
    }
    digits < FEWEST_DIGITS
        || digits < FEWEST_IN_ONE
            && (digits != YEAR || text.len() < SHORTEST_BIRTH)
            && is_one_word(text, digits)
}

/// Whether the digits in `text`, of which there are so many, are a word of their own.
fn is_one_word(text: &[u8], digits: u8) -> bool {
    let Some(start) = text.iter().position(u8::is_ascii_digit) else {
        return false;
    };
    let end = start + usize::from(digits);
    let all = text
        .get(start..end)
        .is_some_and(|word| word.iter().all(u8::is_ascii_digit));
    all && !is_word(text, end) && (start == 0 || !is_word(text, start - 1))
}
