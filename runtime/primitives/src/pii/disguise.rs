//! Digits of other scripts, full-width letters, characters without width and letters of other alphabets inside of words: what
//! a reader sees as `4111 1111 1111 1111` or `ann@example.com` however it is spelled.
//!
//! Where such a character stands, the text around it is spelled plainly into a buffer of fixed size and scanned once more.
//! What is found there counts when it holds a disguised character: the rest was found before. Offsets map back to the text.
//!
//! # Invariants
//!
//! - A text without such characters costs a look at its bytes, an ASCII text a look at 32 of them at once.
//! - Windows overlap by a constant, so the work stays linear. Nothing is allocated.
//!
//! # Not done here
//!
//! Letters of another alphabet count only with ASCII on both sides of a few in a row: a word of that alphabet is no
//! disguise. What is longer than a window is not found.

use std::ops::ControlFlow;

use super::bytes::slice;
use super::scan::Scanner;
use super::types::Match;
use crate::normalize::looks_like;

/// Bytes of a window after it is spelled plainly.
const WINDOW: usize = 1024;
/// Bytes before the first disguised character that are context.
const BEFORE: usize = 96;
/// Bytes after the last one.
const AFTER: usize = 96;
/// Letters that look like ASCII ones, on either side of one of them, at most: a word of their own alphabet has more.
const ALIKE_IN_A_ROW: usize = 3;
/// Bytes that two windows share where one does not suffice: more than an address or a number has.
const OVERLAP: usize = 192;

/// What a character is spelled as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    /// Itself.
    Same,
    /// Nothing: it has no width.
    Nothing,
    /// This byte.
    Byte(u8),
}

/// What `c` is spelled as between the bytes `before` and `after`, which are 0 at the ends of the text.
fn plain(c: char, before: u8, after: u8) -> Plain {
    let beside = before.is_ascii()
        && after.is_ascii()
        && (before.is_ascii_alphanumeric() || after.is_ascii_alphanumeric());
    match c {
        '\0'..='\u{7f}' => Plain::Same,
        '\u{ff01}'..='\u{ff5e}' => Plain::Byte((u32::from(c) - 0xff01 + u32::from(b'!')) as u8),
        '\u{1d7ce}'..='\u{1d7ff}' => Plain::Byte(b'0' + ((u32::from(c) - 0x1d7ce) % 10) as u8),
        '\u{ad}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{2069}'
        | '\u{feff}' => Plain::Nothing,
        _ => {
            let alike = looks_like(c);
            match u8::try_from(alike) {
                Ok(byte @ b'0'..=b'9') if !c.is_alphabetic() => Plain::Byte(byte),
                Ok(byte) if byte.is_ascii_alphanumeric() && c.is_alphabetic() && beside => {
                    Plain::Byte(if c.is_uppercase() {
                        byte.to_ascii_uppercase()
                    } else {
                        byte
                    })
                }
                _ => Plain::Same,
            }
        }
    }
}

/// The ASCII byte before `position`, on the other side of letters that look like ASCII ones; else the byte before it.
fn byte_before(text: &str, position: usize) -> u8 {
    let bytes = text.as_bytes();
    let mut place = position;
    for _ in 0..ALIKE_IN_A_ROW {
        match place.checked_sub(1).map(|before| bytes[before]) {
            None => return 0,
            Some(byte) if byte.is_ascii() => return byte,
            Some(_) => {}
        }
        let Some(c) = text.get(..place).and_then(|text| text.chars().next_back()) else {
            break;
        };
        if !is_alike(c) {
            break;
        }
        place -= c.len_utf8();
    }
    place.checked_sub(1).map_or(0, |before| bytes[before])
}

/// The same behind `position`.
fn byte_after(text: &str, position: usize) -> u8 {
    let bytes = text.as_bytes();
    let mut place = position;
    for _ in 0..ALIKE_IN_A_ROW {
        match char_at(text, place) {
            None => return 0,
            Some(c) if is_alike(c) => place += c.len_utf8(),
            Some(_) => break,
        }
    }
    bytes.get(place).copied().unwrap_or(0)
}

/// Whether `c` is a letter of another alphabet that looks like an ASCII one.
fn is_alike(c: char) -> bool {
    !c.is_ascii() && c.is_alphabetic() && looks_like(c).is_ascii_alphanumeric()
}

/// Whether `c` between `before` and `after` is worth a window. Full-width punctuation and characters without width are
/// ordinary in other scripts.
fn disguises(c: char, before: u8, after: u8) -> bool {
    match plain(c, before, after) {
        Plain::Same => false,
        Plain::Nothing => before.is_ascii_graphic() && after.is_ascii_graphic(),
        Plain::Byte(byte) => byte.is_ascii_alphanumeric() || byte == b'@',
    }
}

/// The first byte from `position` on that is not ASCII, or the end.
fn next_other(text: &[u8], position: usize) -> usize {
    const CHUNK: usize = 32;
    let rest = text.get(position..).unwrap_or(&[]);
    let (chunks, _) = rest.as_chunks::<CHUNK>();
    let plain = chunks.iter().take_while(|chunk| chunk.is_ascii()).count() * CHUNK;
    let last = rest[plain..].iter().position(|b| *b >= 0x80);
    last.map_or(text.len(), |place| position + plain + place)
}

/// The character at `position`.
fn char_at(text: &str, position: usize) -> Option<char> {
    text.get(position..)?.chars().next()
}

/// The next disguised character from `position` on: its place and the place behind it.
fn next_disguised(scanner: &mut Scanner<'_, '_>, position: usize) -> Option<(usize, usize)> {
    let text = scanner.source;
    let bytes = scanner.text;
    let mut position = position;
    loop {
        let place = next_other(bytes, position);
        scanner.step(place - position);
        let c = char_at(text, place)?;
        let end = place + c.len_utf8();
        let (before, after) = (byte_before(text, place), byte_after(text, end));
        if disguises(c, before, after) {
            return Some((place, end));
        }
        position = end;
    }
}

/// A piece of text, spelled plainly.
struct Window {
    bytes: [u8; WINDOW],
    /// Where each byte's character starts, from the start of the piece.
    starts: [u16; WINDOW],
    /// Where it ends.
    ends: [u16; WINDOW],
    length: usize,
}

impl Window {
    /// Spells `text` plainly from `start` to `end`, or as far as there is room. Returns where it came to.
    fn fill(&mut self, text: &str, start: usize, end: usize) -> usize {
        self.length = 0;
        let mut position = start;
        while position < end {
            let Some(c) = char_at(text, position) else { break };
            let next = position + c.len_utf8();
            let (before, after) = if c.is_ascii() {
                (0, 0)
            } else {
                (byte_before(text, position), byte_after(text, next))
            };
            let mut buffer = [0; 4];
            let spelled = match plain(c, before, after) {
                Plain::Same => c.encode_utf8(&mut buffer).as_bytes(),
                Plain::Nothing => &[],
                Plain::Byte(byte) => {
                    buffer[0] = byte;
                    &buffer[..1]
                }
            };
            let (Ok(from), Ok(to)) = (u16::try_from(position - start), u16::try_from(next - start)) else {
                break;
            };
            if self.length + spelled.len() > WINDOW {
                break;
            }
            for byte in spelled {
                self.bytes[self.length] = *byte;
                self.starts[self.length] = from;
                self.ends[self.length] = to;
                self.length += 1;
            }
            position = next;
        }
        position
    }
}

/// Scans what is disguised in the scanner's text.
pub(super) fn scan(scanner: &mut Scanner<'_, '_>) {
    let text = scanner.source;
    if text.is_ascii() {
        return;
    }
    let mut next = next_disguised(scanner, 0);
    if next.is_none() {
        return;
    }
    let mut window = Window {
        bytes: [0; WINDOW],
        starts: [0; WINDOW],
        ends: [0; WINDOW],
        length: 0,
    };
    // What ended before was in a window already.
    let mut done = 0;
    while let Some((first, behind)) = next {
        let start = text.floor_char_boundary(first.saturating_sub(BEFORE).max(done));
        // The piece goes on as long as disguised characters are near.
        let mut end = text.ceil_char_boundary((behind + AFTER).min(text.len()));
        next = next_disguised(scanner, behind);
        while let Some((place, behind)) = next
            && place < end
            && behind - start < WINDOW
        {
            end = text.ceil_char_boundary((behind + AFTER).min(text.len()));
            next = next_disguised(scanner, behind);
        }
        let came = window.fill(text, start, end);
        scanner.step(came - start);
        look(scanner, &window, start);
        if scanner.stopped() {
            return;
        }
        done = came.saturating_sub(OVERLAP);
        if came < end {
            // What is left starts in the next window, a little before its end.
            let again = text.ceil_char_boundary(done.max(first + 1));
            next = next_disguised(scanner, again);
        }
    }
}

/// Scans a window that starts at `start`, and reports what holds a disguised character.
fn look(scanner: &mut Scanner<'_, '_>, window: &Window, start: usize) {
    let Ok(spelled) = std::str::from_utf8(&window.bytes[..window.length]) else {
        return;
    };
    let text = scanner.text;
    let mut steps = 0;
    let mut found = |found: Match| {
        let (Some(from), Some(to)) = (window.starts.get(found.start), window.ends.get(found.end - 1)) else {
            return ControlFlow::Continue(());
        };
        let (from, to) = (start + usize::from(*from), start + usize::from(*to));
        if slice(text, from, to) == slice(&window.bytes, found.start, found.end) {
            return ControlFlow::Continue(());
        }
        scanner.report(Match {
            start: from,
            end: to,
            ..found
        })
    };
    let mut inner = Scanner::new(spelled, &mut found);
    inner.run_plain();
    steps += inner.steps();
    scanner.step(steps);
}
