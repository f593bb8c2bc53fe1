//! Street addresses: a house number, a street's name and a street word, with unit and US city, state and ZIP after it.
//!
//! Called by `number` with a group that nothing stricter wanted. Three forms: `221B Baker Street` (English), `12 rue
//! Descartes` (French, Italian, Spanish, Portuguese), `Hauptstraße 5` (German, Dutch, Swedish). Others are not known. Capitals carry the English form; in lower case a word such as `lives` must come before. Street
//! words that are ordinary words too (`Drive`, `Way`) count only with such a word, or with a unit or city after them.

use super::bytes::{CLASS, NAME, at, is_digit, is_word, run_end, slice};
use super::context::Topic;
use super::dictionary::Dictionary;
use super::number::{Found, Group};
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Most words between the number and the street word.
const MAX_NAME_WORDS: usize = 4;
/// Most words between the number and a street word in lower case.
const LOWER_CASE_WORDS: usize = 2;
/// Longest word of a street's name.
const MAX_WORD: usize = 24;

/// What a word says as the last word of a street.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StreetWord {
    /// Hardly anything but a street.
    Strong,
    /// A street or an ordinary word.
    Weak,
}

/// An address around the number `group`.
pub(super) fn find(scanner: &mut Scanner<'_, '_>, group: Group) -> Option<Found> {
    if group.len() > 6
        || is_of_a_notice(scanner.text, group)
        || matches!(
            at(scanner.text, group.start.wrapping_sub(1)),
            b'$' | b'#' | b'.' | b','
        )
    {
        return None;
    }
    let found = number_first(scanner, group).or_else(|| street_first(scanner, group));
    let (start, end, confidence) = found?;
    Some(Found {
        kind: PiiType::Address,
        start,
        end,
        confidence,
    })
}

/// Whether the number is a year of a copyright notice, before a name: `Copyright 2016 Iain Lane`, `2015, 2016 Iain Lane`.
fn is_of_a_notice(text: &[u8], group: Group) -> bool {
    let year = group.len() == 4 && matches!(slice(text, group.start, group.start + 2), b"19" | b"20");
    if !year {
        return false;
    }
    let floor = group.start.saturating_sub(16);
    let mut end = group.start;
    while end > floor && matches!(text[end - 1], b' ' | b',' | b')' | b':') {
        end -= 1;
    }
    let before = slice(text, floor, end);
    before.last().is_some_and(u8::is_ascii_digit)
        || before.ends_with("©".as_bytes())
        || [&b"copyright"[..], b"(c"].iter().any(|notice| {
            before.len() >= notice.len() && before[before.len() - notice.len()..].eq_ignore_ascii_case(notice)
        })
}

/// Whether the words before the number say that somebody goes there: `at 3205`, `to 3205`.
fn goes_there(text: &[u8], group: Group) -> bool {
    group.len() >= 3
        && [&b"at "[..], b"to ", b"from ", b"near "].iter().any(|word| {
            let start = group.start.wrapping_sub(word.len());
            slice(text, start, group.start) == *word && (start == 0 || !is_word(text, start - 1))
        })
}

/// `221B Baker Street`, `12 rue Descartes`.
fn number_first(scanner: &mut Scanner<'_, '_>, group: Group) -> Option<(usize, usize, Confidence)> {
    let text = scanner.text;
    let mut position = group.end;
    if matches!(at(text, position), b'A'..=b'F' | b'a'..=b'f') && !is_word(text, position + 1) {
        position += 1;
    } else if at(text, position) == b'-' && is_digit(text, position + 1) {
        position = run_end(text, position + 1, 5, |b| b.is_ascii_digit());
    }
    let mut capitals = true;
    let mut romance = false;
    // `63, chemin Marion`.
    if at(text, position) == b','
        && at(text, position + 1) == b' '
        && at(text, position + 2).is_ascii_alphabetic()
    {
        let end = run_end(text, position + 2, MAX_WORD, is_name_byte);
        romance_street(slice(text, position + 2, end))?;
        position += 1;
    }
    for index in 0..=MAX_NAME_WORDS + 1 {
        // In lower case only the first words count, and most texts are in lower case.
        if at(text, position) != b' ' || index > LOWER_CASE_WORDS && !capitals && !romance {
            return None;
        }
        let start = position + 1;
        let end = run_end(text, start, MAX_WORD, is_name_byte);
        scanner.step(end - position);
        if end - start == MAX_WORD {
            // Too long, and perhaps cut inside a character.
            return None;
        }
        let word = slice(text, start, end);
        let first = *word.first()?;
        if index == 0 {
            romance = match romance_street(word) {
                Some(StreetWord::Strong) => true,
                Some(StreetWord::Weak) => scanner.nearby(group.start).has(Topic::Residence),
                None => false,
            };
        } else if romance {
            if first.is_ascii_uppercase() || first >= 0x80 {
                return Some((group.start, capitals_end(text, end), Confidence::Medium));
            }
            if !matches!(
                word,
                b"de" | b"la" | b"le" | b"du" | b"des" | b"del" | b"della" | b"da" | b"do" | b"dos" | b"San"
            ) {
                return None;
            }
        } else if let Some(kind) = street_word(word) {
            let capital = capitals && first.is_ascii_uppercase();
            let end = if at(text, end) == b'.' && word.len() <= 4 {
                end + 1
            } else {
                end
            };
            let (end, extended) = tail(text, end);
            let residence = scanner.nearby(group.start).has(Topic::Residence);
            let confidence = match (kind, capital) {
                (StreetWord::Strong, true) => Confidence::Medium,
                (StreetWord::Strong, false) if residence && index <= LOWER_CASE_WORDS && word.len() > 2 => {
                    Confidence::Medium
                }
                (StreetWord::Weak, true) if residence || extended || goes_there(text, group) => {
                    Confidence::Medium
                }
                (StreetWord::Weak, true) => Confidence::Low,
                (StreetWord::Strong | StreetWord::Weak, false) => return None,
            };
            return Some((group.start, end, confidence));
        }
        capitals &= first.is_ascii_uppercase() || first.is_ascii_digit() || first >= 0x80;
        position = if at(text, end) == b'.' && word.len() <= 2 {
            end + 1
        } else {
            end
        };
    }
    None
}

/// The end of the words in capitals that follow the one that ends at `end`: `Hugo` in `rue Victor Hugo`.
fn capitals_end(text: &[u8], end: usize) -> usize {
    const MOST: usize = 2;
    let mut end = end;
    for _ in 0..MOST {
        let last = run_end(text, end + 1, MAX_WORD, is_name_byte);
        if at(text, end) != b' ' || !at(text, end + 1).is_ascii_uppercase() || last == end + 1 + MAX_WORD {
            break;
        }
        end = last;
    }
    end
}

/// `Hauptstraße 5`, `Kapelaniestraat 88`, `P.O. Box 12`.
fn street_first(scanner: &mut Scanner<'_, '_>, group: Group) -> Option<(usize, usize, Confidence)> {
    const ENDINGS: [&str; 8] = [
        "straße", "strasse", "strase", "straat", "gasse", "gatan", "vägen", "laan",
    ];
    const WEAK_ENDINGS: [&str; 9] = [
        "platz", "weg", "allee", "ring", "damm", "ufer", "plein", "kade", "väg",
    ];
    let text = scanner.text;
    let floor = scanner.barrier.end;
    let end = group.start.checked_sub(1)?;
    if group.len() > 5
        || end <= floor
        || text[end] != b' '
        || is_word(text, group.end) && is_word(text, group.end + 1)
    {
        return None;
    }
    let mut start = end;
    while start > floor && end - start < MAX_WORD * 2 && is_name_byte(text[start - 1]) {
        start -= 1;
    }
    scanner.step(end - start);
    let word = slice(text, start, end);
    if word == b"Box" {
        let office = [&b"P.O. "[..], b"PO ", b"P.O.", b"P O "]
            .into_iter()
            .find(|office| {
                start >= floor + office.len() && slice(text, start - office.len(), start) == *office
            })?;
        return Some((start - office.len(), group.end, Confidence::Medium));
    }
    let ends = |ending: &str| {
        let ending = ending.as_bytes();
        word.len() > ending.len() + 1 && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending)
    };
    // These end other words too (`Parkplatz 3`): only where somebody lives.
    let street = ENDINGS.iter().any(|ending| ends(ending))
        || word.first().is_some_and(u8::is_ascii_uppercase)
            && WEAK_ENDINGS.iter().any(|ending| ends(ending))
            && scanner.nearby(start).has(Topic::Residence);
    // A word cut by the bound could start inside a character.
    let whole = start == floor || !is_name_byte(text[start - 1]);
    (street && whole).then_some((start, group.end, Confidence::Medium))
}

/// Bytes of a street's name.
fn is_name_byte(byte: u8) -> bool {
    CLASS[usize::from(byte)] & NAME != 0
}

/// French, Italian, Spanish and Portuguese street words, which come first.
#[inline]
fn romance_street(word: &[u8]) -> Option<StreetWord> {
    // `via` in lower case is an English word.
    if word == b"Via" {
        return Some(StreetWord::Strong);
    }
    ROMANCE_STREETS.find(word)
}

static ROMANCE_STREETS: Dictionary<StreetWord, 21> = Dictionary::of(&[
    ("rue", StreetWord::Strong),
    ("avenue", StreetWord::Strong),
    ("boulevard", StreetWord::Strong),
    ("chemin", StreetWord::Strong),
    ("allée", StreetWord::Strong),
    ("impasse", StreetWord::Strong),
    ("viale", StreetWord::Strong),
    ("piazza", StreetWord::Strong),
    ("calle", StreetWord::Strong),
    ("avenida", StreetWord::Strong),
    ("rua", StreetWord::Strong),
    ("travessa", StreetWord::Strong),
    ("vicolo", StreetWord::Strong),
    ("paseo", StreetWord::Strong),
    // English words as well.
    ("place", StreetWord::Weak),
    ("route", StreetWord::Weak),
    ("quai", StreetWord::Weak),
    ("cours", StreetWord::Weak),
    ("plaza", StreetWord::Weak),
    ("corso", StreetWord::Weak),
    ("largo", StreetWord::Weak),
]);

/// English street words. None has more letters than [`LONGEST_STREET`].
const STREET_WORDS: &[(&[u8], StreetWord)] = &[
    (b"street", StreetWord::Strong),
    (b"st", StreetWord::Strong),
    (b"avenue", StreetWord::Strong),
    (b"ave", StreetWord::Strong),
    (b"road", StreetWord::Strong),
    (b"rd", StreetWord::Strong),
    (b"boulevard", StreetWord::Strong),
    (b"blvd", StreetWord::Strong),
    (b"lane", StreetWord::Strong),
    (b"ln", StreetWord::Strong),
    (b"parkway", StreetWord::Strong),
    (b"pkwy", StreetWord::Strong),
    (b"highway", StreetWord::Strong),
    (b"hwy", StreetWord::Strong),
    (b"terrace", StreetWord::Strong),
    (b"crescent", StreetWord::Strong),
    (b"cres", StreetWord::Strong),
    (b"drive", StreetWord::Weak),
    (b"dr", StreetWord::Weak),
    (b"court", StreetWord::Weak),
    (b"ct", StreetWord::Weak),
    (b"circle", StreetWord::Weak),
    (b"cir", StreetWord::Weak),
    (b"way", StreetWord::Weak),
    (b"place", StreetWord::Weak),
    (b"pl", StreetWord::Weak),
    (b"square", StreetWord::Weak),
    (b"sq", StreetWord::Weak),
    (b"close", StreetWord::Weak),
    (b"trail", StreetWord::Weak),
    (b"row", StreetWord::Weak),
    (b"hill", StreetWord::Weak),
    (b"gardens", StreetWord::Weak),
    (b"grove", StreetWord::Weak),
    (b"mews", StreetWord::Weak),
    (b"alley", StreetWord::Weak),
    (b"plaza", StreetWord::Weak),
];
/// Letters of the longest of [`STREET_WORDS`].
const LONGEST_STREET: usize = 9;

/// By letter, a bit for each length that a street word that starts with it has: most words are dismissed by one load.
static STREET_LENGTHS: [u16; 256] = street_lengths();

const fn street_lengths() -> [u16; 256] {
    let mut lengths = [0; 256];
    let mut row = 0;
    while row < STREET_WORDS.len() {
        let word = STREET_WORDS[row].0;
        assert!(word.len() <= LONGEST_STREET, "the longest street word is longer");
        lengths[word[0] as usize] |= 1 << word.len();
        lengths[word[0].to_ascii_uppercase() as usize] |= 1 << word.len();
        row += 1;
    }
    lengths
}

/// What `word` says as the last word of a street, in English.
fn street_word(word: &[u8]) -> Option<StreetWord> {
    let lengths = STREET_LENGTHS[usize::from(*word.first()?)];
    if word.len() > LONGEST_STREET || lengths >> word.len() & 1 == 0 {
        return None;
    }
    STREET_WORDS
        .iter()
        .find(|(street, _)| word.eq_ignore_ascii_case(street))
        .map(|(_, kind)| *kind)
}

/// Extends an address that ends at `end` by a unit and by `, City, ST 12345`. Returns the new end, and whether it grew.
fn tail(text: &[u8], end: usize) -> (usize, bool) {
    let unit = unit_end(text, end).unwrap_or(end);
    let city = city_end(text, unit).unwrap_or(unit);
    (city, city > end)
}

/// `, Apt. 4B`, ` Suite 100`, ` #12`.
fn unit_end(text: &[u8], end: usize) -> Option<usize> {
    let start = run_end(text, end, 2, |b| matches!(b, b',' | b' '));
    if start == end {
        return None;
    }
    let word_end = run_end(text, start, 9, |b| b.is_ascii_alphabetic() || b == b'#');
    let word = slice(text, start, word_end);
    let known = [
        &b"apt"[..],
        b"apartment",
        b"suite",
        b"ste",
        b"unit",
        b"floor",
        b"room",
        b"#",
    ];
    if !known.iter().any(|unit| word.eq_ignore_ascii_case(unit)) {
        return None;
    }
    let number = run_end(text, word_end, 2, |b| matches!(b, b'.' | b' '));
    let last = run_end(text, number, 6, |b| b.is_ascii_alphanumeric());
    let telling = slice(text, number, last).iter().any(u8::is_ascii_digit) || last - number == 1;
    (telling && !is_word(text, last)).then_some(last)
}

/// `, Springfield, IL 62704`, with one or two words for the city.
fn city_end(text: &[u8], end: usize) -> Option<usize> {
    let mut position = end;
    let mut words = 0;
    loop {
        let start = run_end(text, position, 2, |b| matches!(b, b',' | b' ' | b'\n'));
        let last = run_end(text, start, MAX_WORD, |b| b.is_ascii_alphabetic());
        let word = slice(text, start, last);
        if start == position || !word.first()?.is_ascii_uppercase() || words > 3 {
            return None;
        }
        words += 1;
        position = last;
        let state = word.len() == 2 && word[1].is_ascii_uppercase() && words > 1;
        if state && at(text, last) == b' ' {
            let zip = run_end(text, last + 1, 6, |b| b.is_ascii_digit());
            if zip != last + 6 || is_word(text, zip) {
                return None;
            }
            let plus = run_end(text, zip + 1, 5, |b| b.is_ascii_digit());
            let long = at(text, zip) == b'-' && plus == zip + 5 && !is_word(text, plus);
            return Some(if long { plus } else { zip });
        }
    }
}
