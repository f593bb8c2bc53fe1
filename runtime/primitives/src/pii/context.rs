//! The words before a candidate: what they say it is, and how near they stand.
//!
//! Detectors whose form alone is ambiguous (a date, ten digits) ask for [`Nearby`] and compare distances: `order` next
//! to the number outweighs `phone` further away.
//!
//! The walk goes back at most [`WINDOW_WORDS`] words and [`WINDOW_BYTES`] bytes, and never over a barrier: the end of
//! an earlier match, or a redaction placeholder. The barrier is what keeps redaction idempotent, since a word that is
//! gone after redaction was not heard before it either. A barrier passes on its own type, so that the second number
//! in `phone 1234567, 1234568` is still a phone.
//!
//! What words mean stands in `topics`, and in `scripts` for letters that are not ASCII.

mod scripts;
mod topics;

use super::bytes::{ALPHA, CLASS, at};
use super::secrets;
use super::table::Table;
use super::types::PiiType;
use scripts::{UNSPACED, unspaced};
pub(super) use topics::Topic;
use topics::{TOPICS, TOPICS_OF_WORDS, topic_of};

/// Words looked at.
const WINDOW_WORDS: usize = 6;
/// Bytes looked at, whatever the words.
const WINDOW_BYTES: usize = 72;
/// Longest word in the table; longer ones are not looked up.
const LONGEST_WORD: usize = 28;

/// Distance of a topic that was not mentioned.
const FAR: u8 = u8::MAX;

/// Distances, in words, of the nearest mention of each topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nearby {
    distance: [u8; TOPICS],
    /// Bytes read, for the step count.
    pub(super) bytes_read: usize,
}

impl Nearby {
    /// Whether a word of the window mentions `topic`.
    pub(super) fn has(&self, topic: Topic) -> bool {
        self.distance[topic as usize] != FAR
    }

    /// Whether `topic` is mentioned, and no further away than `other`.
    pub(super) fn favours(&self, topic: Topic, other: Topic) -> bool {
        self.has(topic) && self.distance[topic as usize] <= self.distance[other as usize]
    }

    fn note(&mut self, topic: Topic, distance: usize) {
        let slot = &mut self.distance[topic as usize];
        *slot = (*slot).min(distance.min(usize::from(FAR) - 1) as u8);
        if topic == Topic::Visitor {
            self.note(Topic::Network, distance);
        }
        if topic == Topic::DrivingLicence {
            self.note(Topic::License, distance);
            self.note(Topic::Driver, distance);
        }
    }
}

/// The end of the last match, and its type: nothing before it is context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Barrier {
    /// One past the last byte of the match; 0 at the start of the text.
    pub(super) end: usize,
    /// Its type.
    pub(super) kind: Option<PiiType>,
}

/// Reads the words before `position`, and the name of the column where it stands in a table.
pub(super) fn before(text: &[u8], position: usize, barrier: Barrier, table: &mut Table) -> Nearby {
    let (header, read) = table.header_of(text, position);
    let mut named = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: read,
    };
    for word in header.unwrap_or(&[]).split(|b| !is_letter(*b)) {
        look_up(word, 0, &mut named);
    }
    if named.distance != [FAR; TOPICS] {
        // What stands in other columns, and in the header above them, is of others.
        return named;
    }
    let mut nearby = words_before(text, position, barrier);
    nearby.bytes_read += read;
    nearby
}

/// Reads the words before `position`.
fn words_before(text: &[u8], position: usize, barrier: Barrier) -> Nearby {
    let mut nearby = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: 0,
    };
    let floor = barrier.end.max(position.saturating_sub(WINDOW_BYTES));
    let mut end = position;
    let mut words = 0;
    while words < WINDOW_WORDS {
        // Skip what separates words.
        while end > floor && !is_letter(text[end - 1]) {
            end -= 1;
            if text[end] == b']'
                && let Some(kind) = placeholder_before(text, end + 1)
            {
                heard_from(kind, words, &mut nearby);
                nearby.bytes_read = position - end;
                return nearby;
            }
        }
        if end == floor {
            if floor == barrier.end
                && let Some(kind) = barrier.kind
            {
                heard_from(kind, words, &mut nearby);
            }
            break;
        }
        let mut start = end;
        // All bytes of the word, and what those behind the first have in common.
        let (mut all, mut common, mut common_behind) = (0, 0xFF, 0xFF);
        while start > floor && is_letter(text[start - 1]) {
            start -= 1;
            common_behind = common;
            common &= text[start];
            all |= text[start];
        }
        let word = &text[start..end];
        // `SET_VRING_CALL` is a call of programs.
        let joined = || at(text, end) == b'_' || start > 0 && text[start - 1] == b'_';
        let of_programs = word.eq_ignore_ascii_case(b"call") && joined();
        if !of_programs {
            // Nearly all words are ASCII, with small letters behind the first: they are made of no others.
            if all < 0x80 && common_behind & 0x20 != 0 {
                look_up_one(word, words, &mut nearby);
            } else {
                look_up(word, words, &mut nearby);
            }
        }
        words += 1;
        end = start;
    }
    nearby.bytes_read = position - end;
    nearby
}

/// Whether putting `label: ` before a text makes nothing of it suspicious that is not so alone: where [`scan`](super::scan)
/// finds nothing in `text`, at any confidence, it finds nothing in `label: text` either.
///
/// Says so of lower-case letters and spaces that name nothing. In such a label nothing is found, since the pass stops at no
/// byte of it, and the colon before a space starts no address. Before the text stand a space and a colon, which end every
/// look behind as the start of the text does, with two exceptions:
///
/// - `context::before` hears the words of the label. It may cut the first one at the end of its window, so no ending of a word may be
///   a topic, except those that only speak against a finding.
/// - `secrets::scan_assignment` looks for a name before the colon.
///
/// `pii/tests.rs` compares both for generated labels and texts.
#[must_use]
pub fn is_silent(label: &str) -> bool {
    label.len() <= WINDOW_BYTES
        && label.bytes().all(|b| b.is_ascii_lowercase() || b == b' ')
        && label.as_bytes().split(|b| *b == b' ').all(|word| {
            let mut heard = Nearby {
                distance: [FAR; TOPICS],
                bytes_read: 0,
            };
            (0..word.len()).for_each(|from| look_up(&word[from..], 0, &mut heard));
            // In every detector these weaken a finding or take it back.
            heard.distance[Topic::Identifier as usize] = FAR;
            heard.distance[Topic::Version as usize] = FAR;
            heard.distance[Topic::Goods as usize] = FAR;
            heard.distance == [FAR; TOPICS] && !secrets::speaks_of_secret(word)
        })
}

/// Letters of any script; bytes of multi-byte characters count as letters.
#[inline(always)]
fn is_letter(byte: u8) -> bool {
    CLASS[usize::from(byte)] & ALPHA != 0 || byte >= 0x80
}

/// The type of the redaction placeholder that ends at `end`.
fn placeholder_before(text: &[u8], end: usize) -> Option<PiiType> {
    const LONGEST: usize = 24;
    let floor = end.saturating_sub(LONGEST);
    let open = text[floor..end].iter().rposition(|b| *b == b'[')?;
    PiiType::from_placeholder(&text[floor + open..end])
}

/// A match directly before speaks for its own kind.
fn heard_from(kind: PiiType, distance: usize, nearby: &mut Nearby) {
    if distance > 2 {
        return;
    }
    match kind {
        PiiType::Phone => nearby.note(Topic::Phone, distance),
        PiiType::CreditCard => nearby.note(Topic::AfterCard, distance),
        // One word between them is the `and` of a list.
        PiiType::Passport if distance <= 1 => nearby.note(Topic::Passport, distance),
        PiiType::DriverLicense if distance <= 1 => {
            nearby.note(Topic::License, distance);
            nearby.note(Topic::Driver, distance);
        }
        PiiType::Ssn if distance <= 1 => nearby.note(Topic::Ssn, distance),
        _ => {}
    }
}

/// Notes the topics of one word, and of the words that it is made of: `mobilePhone`, `Handynummer`.
fn look_up(word: &[u8], distance: usize, nearby: &mut Nearby) {
    // What the word is made of, in one look at its bytes.
    let (mut all, mut humps, mut before) = (0, false, 0);
    for &byte in word {
        all |= byte;
        humps |= byte.is_ascii_uppercase() && u8::is_ascii_lowercase(&before);
        before = byte;
    }
    if all >= 0x80 && unspaced(word) {
        for (part, topic) in UNSPACED {
            if word.windows(part.len()).any(|window| window == part.as_bytes()) {
                nearby.note(*topic, distance);
            }
        }
        return;
    }
    if humps {
        let mut start = 0;
        for end in 1..word.len() {
            if word[end].is_ascii_uppercase() && word[end - 1].is_ascii_lowercase() {
                look_up_one(&word[start..end], distance, nearby);
                start = end;
            }
        }
        look_up_one(&word[start..], distance, nearby);
    }
    look_up_one(word, distance, nearby);
}

#[inline(always)]
fn look_up_one(word: &[u8], distance: usize, nearby: &mut Nearby) {
    // A singular of two letters is the only stem that begins otherwise than its word.
    let plural = word.len() == 3 && word[2] | 0x20 == b's';
    if TOPICS_OF_WORDS.has_alike(word) || plural || !word.is_ascii() {
        hear(word, distance, nearby);
    }
}

/// Notes the topic of one word, with or without an ending that words of numbers have.
fn hear(word: &[u8], distance: usize, nearby: &mut Nearby) {
    const NUMBERS: [&[u8]; 5] = [b"number", b"nummer", b"num", b"nr", b"no"];
    if word.len() < 2 || word.len() > LONGEST_WORD {
        return;
    }
    let mut lower = [0u8; LONGEST_WORD];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    let stems = NUMBERS.iter().filter_map(|number| lower.strip_suffix(*number));
    let topic = topic_of(lower)
        .or_else(|| topic_of(lower.strip_suffix(b"s")?))
        .or_else(|| stems.filter(|stem| stem.len() > 2).find_map(topic_of));
    if let Some(topic) = topic {
        // Programs have calls as well, and who is called stands near.
        if !(matches!(lower, b"call" | b"calls" | b"calling") && distance > 3) {
            nearby.note(topic, distance);
        }
    }
}

/// What the word right behind `position` is: `14.03.1980 geboren`.
pub(super) fn topic_after(text: &[u8], position: usize, topic: Topic) -> bool {
    let mut start = position;
    while matches!(at(text, start), b' ' | b',') && start < position + 2 {
        start += 1;
    }
    let mut end = start;
    while end < start + LONGEST_WORD && end < text.len() && is_letter(text[end]) {
        end += 1;
    }
    let mut nearby = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: 0,
    };
    if start > position {
        look_up(&text[start..end], 0, &mut nearby);
    }
    nearby.has(topic)
}

/// Whether the word right after `position` says that the number before it is a telephone: `… office`, `… (fax)`.
pub(super) fn phone_word_after(text: &[u8], position: usize) -> bool {
    let mut start = position;
    while matches!(at(text, start), b' ' | b'\t' | b'(' | b',') && start < position + 3 {
        start += 1;
    }
    if start == position {
        return false;
    }
    let mut word = [0u8; 8];
    let mut length = 0;
    while length < word.len() && at(text, start + length).is_ascii_alphabetic() {
        word[length] = at(text, start + length).to_ascii_lowercase();
        length += 1;
    }
    matches!(
        &word[..length],
        b"office" | b"fax" | b"mobile" | b"cell" | b"desk" | b"phone" | b"tel"
    )
}
