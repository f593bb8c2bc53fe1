//! E-mail addresses, found from their `@`.
//!
//! The local part is read backwards over at most [`MAX_LOCAL`] bytes, the domain forwards over at most
//! [`MAX_DOMAIN`]; neither crosses another `@`, so the pass stays linear. The domain must end in a top-level domain:
//! two letters in use as a country code, a common generic one, or (with medium confidence) any other word that is not
//! a file extension.

use self::TopLevel::{Extension, Known};
use super::bytes::{at, slice};
use super::context::Topic;
use super::dictionary::Dictionary;
use super::scan::Scanner;
use super::secrets;
use super::types::{Confidence, PiiType};

/// Longest local part (RFC 5321).
const MAX_LOCAL: usize = 64;
/// Longest domain (RFC 5321).
const MAX_DOMAIN: usize = 253;
/// Longest label of a domain.
const MAX_LABEL: usize = 63;

/// Last labels that are known: generic top-level domains in wide use, of which others still count with medium confidence,
/// and before these the endings that look like one and are file extensions (`logo@2x.png`).
static LABELS: Dictionary<TopLevel, 128> = Dictionary::of(&[
    ("png", Extension),
    ("jpg", Extension),
    ("jpeg", Extension),
    ("gif", Extension),
    ("svg", Extension),
    ("webp", Extension),
    ("bmp", Extension),
    ("ico", Extension),
    ("pdf", Extension),
    ("txt", Extension),
    ("csv", Extension),
    ("json", Extension),
    ("xml", Extension),
    ("yaml", Extension),
    ("yml", Extension),
    ("html", Extension),
    ("htm", Extension),
    ("css", Extension),
    ("scss", Extension),
    ("js", Extension),
    ("jsx", Extension),
    ("ts", Extension),
    ("tsx", Extension),
    ("mjs", Extension),
    ("cjs", Extension),
    ("exe", Extension),
    ("dll", Extension),
    ("zip", Extension),
    ("tar", Extension),
    ("gz", Extension),
    ("log", Extension),
    ("doc", Extension),
    ("docx", Extension),
    ("xls", Extension),
    ("xlsx", Extension),
    ("ppt", Extension),
    ("java", Extension),
    ("cpp", Extension),
    ("hpp", Extension),
    ("php", Extension),
    ("toml", Extension),
    ("lock", Extension),
    ("vue", Extension),
    ("service", Extension),
    ("route", Extension),
    ("timer", Extension),
    ("socket", Extension),
    ("setter", Extension),
    ("getter", Extension),
    ("com", Known),
    ("net", Known),
    ("org", Known),
    ("edu", Known),
    ("gov", Known),
    ("mil", Known),
    ("int", Known),
    ("info", Known),
    ("biz", Known),
    ("name", Known),
    ("pro", Known),
    ("aero", Known),
    ("coop", Known),
    ("museum", Known),
    ("jobs", Known),
    ("mobi", Known),
    ("travel", Known),
    ("tel", Known),
    ("cat", Known),
    ("asia", Known),
    ("post", Known),
    ("xxx", Known),
    ("app", Known),
    ("dev", Known),
    ("page", Known),
    ("cloud", Known),
    ("online", Known),
    ("site", Known),
    ("store", Known),
    ("shop", Known),
    ("tech", Known),
    ("blog", Known),
    ("xyz", Known),
    ("club", Known),
    ("live", Known),
    ("life", Known),
    ("email", Known),
    ("agency", Known),
    ("digital", Known),
    ("company", Known),
    ("group", Known),
    ("world", Known),
    ("today", Known),
    ("news", Known),
    ("media", Known),
    ("space", Known),
    ("website", Known),
    ("academy", Known),
    ("academic", Known),
    ("bank", Known),
    ("berlin", Known),
    ("london", Known),
    ("tokyo", Known),
    ("paris", Known),
    ("swiss", Known),
    ("law", Known),
    ("legal", Known),
    ("health", Known),
    ("care", Known),
    ("systems", Known),
    ("solutions", Known),
    ("services", Known),
    ("network", Known),
    ("global", Known),
    ("international", Known),
    ("foundation", Known),
    ("art", Known),
    ("studio", Known),
    ("design", Known),
    ("example", Known),
    ("test", Known),
    ("local", Known),
    ("top", Known),
    ("vip", Known),
    ("work", Known),
    ("one", Known),
    ("ngo", Known),
    ("google", Known),
    ("amazon", Known),
]);

/// Country codes in use as top-level domains, in pairs. Paraguay is left out: `.py` is nearly always a file.
const COUNTRIES: &[u8] = b"\
    acadaeafagaialamaoaqarasatauawaxazbabbbdbebfbgbhbibjbmbnbobrbsbtbwbybzcacccdcfcgchcickclcmcncocrcucv\
    cwcxcyczdedjdkdmdodzeceeegereseteufifjfkfmfofrgagbgdgegfggghgiglgmgngpgqgrgsgtgugwgyhkhmhnhrhthuidie\
    iliminioiqirisitjejmjojpkekgkhkikmknkpkrkwkykzlalblclilklrlsltlulvlymamcmdmemgmhmkmlmmmnmompmqmrmsmt\
    mumvmwmxmymznancnenfngninlnonpnrnunzompapepfpgphpkplpmpnprpsptpwqarerorsrurwsasbscsdsesgshsiskslsmsn\
    sosrssstsusvsxsysztctdtftgthtjtktltmtntotrtttvtwtzuaugukusuyuzvavcvevgvivnvuwfwsyeytzazmzw";

/// By first letter, a bit for each second letter.
static COUNTRY_LETTERS: [u32; 26] = country_letters();

const fn country_letters() -> [u32; 26] {
    let mut letters = [0; 26];
    let mut place = 0;
    while place < COUNTRIES.len() {
        letters[(COUNTRIES[place] - b'a') as usize] |= 1 << (COUNTRIES[place + 1] - b'a');
        place += 2;
    }
    letters
}

/// First bytes of Latin letters that are not ASCII.
const LATIN: std::ops::RangeInclusive<u8> = 0xC3..=0xC9;

/// What the last label of a domain says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TopLevel {
    Known,
    Unknown,
    Extension,
}

/// Looks at the `@` at `sign`. Returns the end of the address that was found.
pub(super) fn scan_at(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    secrets::scan_userinfo(scanner, sign).or_else(|| address(scanner, sign, sign + 1))
}

/// Looks at the word at `start` that may be, or go on from, an escaped `@`: of URLs, of HTML or of JSON.
pub(super) fn scan_escaped(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    /// The sign, and how many bytes of it stand before the word.
    const SIGNS: [(&[u8], usize); 3] = [(b"%40", 1), (b"&#64;", 2), (b"\\u0040", 1)];
    if !matches!(at(scanner.text, start), b'4' | b'6' | b'u') {
        return None;
    }
    let (sign, domain) = SIGNS.iter().find_map(|(sign, before)| {
        let first = start.checked_sub(*before)?;
        let end = first + sign.len();
        (first >= scanner.barrier.end && slice(scanner.text, first, end) == *sign).then_some((first, end))
    })?;
    address(scanner, sign, domain)
}

/// An address whose local part ends at `sign` and whose domain begins at `domain`.
fn address(scanner: &mut Scanner<'_, '_>, sign: usize, domain: usize) -> Option<usize> {
    let text = scanner.text;
    let start = local_start(text, sign)?;
    let (end, top) = domain_end(text, domain)?;
    scanner.step(end - start);
    let confidence = match top {
        TopLevel::Extension => Confidence::Low,
        // `git@host:path` and `ssh user@host` name an account on a machine.
        _ if at(text, end) == b':' && slice(text, start, sign) == b"git" => Confidence::Low,
        _ if scanner.nearby(start).has(Topic::Shell) => Confidence::Low,
        TopLevel::Known => Confidence::High,
        TopLevel::Unknown => Confidence::Medium,
    };
    scanner.emit(PiiType::Email, start, end, confidence);
    (confidence >= Confidence::Medium).then_some(end)
}

/// The start of the local part that ends before `sign`; `None` when there is none, or it is too long.
fn local_start(text: &[u8], sign: usize) -> Option<usize> {
    let floor = sign.saturating_sub(MAX_LOCAL);
    let mut start = sign;
    while start > floor {
        let byte = text[start - 1];
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'' | b'&' | b'!')
        {
            start -= 1;
        } else if let Some(width) = letter_before(text, start, floor) {
            start -= width;
        } else {
            break;
        }
    }
    if start == floor && start > 0 && text[start - 1].is_ascii_alphanumeric() {
        return None;
    }
    while start < sign && matches!(text[start], b'.' | b'-' | b'\'' | b'&' | b'!' | b'%' | b'+') {
        start += 1;
    }
    let last = at(text, sign.checked_sub(1)?);
    (start < sign && last != b'.').then_some(start)
}

/// The length of the letter that ends before `end`, when it is one of an alphabet whose words have spaces between.
fn letter_before(text: &[u8], end: usize, floor: usize) -> Option<usize> {
    let width = match (text.get(end.wrapping_sub(2)), text.get(end.wrapping_sub(3))) {
        (Some(0xC3..=0xDF), _) => 2,
        (_, Some(0xE0 | 0xE1)) => 3,
        _ => return None,
    };
    let start = end.checked_sub(width).filter(|start| *start >= floor)?;
    letter_at(text, start, end)
}

/// The length of the letter at `start`, when it is one of an alphabet whose words have spaces between: Latin, Greek,
/// Cyrillic, Hebrew, Arabic, those of India. It ends before `limit`.
fn letter_at(text: &[u8], start: usize, limit: usize) -> Option<usize> {
    let trail = |place: usize| text.get(place).filter(|b| (0x80..=0xBF).contains(*b)).copied();
    let (width, letter) = match (at(text, start), trail(start + 1)?) {
        // × and ÷; the marks of Greek, Hebrew, Arabic and Armenian that are no letters.
        (0xC3, second) => (2, !matches!(second, 0x97 | 0xB7)),
        (0xCD, second) => (2, !matches!(second, 0xBE)),
        (0xCE, second) => (2, !matches!(second, 0x87)),
        (0xD6, second) => (2, !matches!(second, 0x89 | 0x8A | 0xBE)),
        (0xD8, second) => (2, !matches!(second, 0x80..=0x9F)),
        (0xD9, second) => (2, !matches!(second, 0xAA..=0xAD)),
        (0xDB, second) => (2, !matches!(second, 0x94)),
        (0xC4..=0xDF, _) => (2, true),
        // Devanagari up to Malayalam, without the strokes that end sentences.
        (0xE0, second @ 0xA4..=0xB5) => {
            let third = trail(start + 2)?;
            (3, !(second == 0xA5 && matches!(third, 0xA4 | 0xA5)))
        }
        // Vietnamese, Greek with accents.
        (0xE1, 0xB8..=0xBF) => (3, trail(start + 2).is_some()),
        _ => return None,
    };
    (letter && start + width <= limit).then_some(width)
}

/// The end of the domain that starts at `start`, and what its last label is.
fn domain_end(text: &[u8], start: usize) -> Option<(usize, TopLevel)> {
    let limit = text.len().min(start + MAX_DOMAIN);
    let mut best = None;
    let mut label = start;
    let mut labels = 0;
    loop {
        let mut end = label;
        while end < limit && end - label < MAX_LABEL + 1 {
            if text[end].is_ascii_alphanumeric() || text[end] == b'-' {
                end += 1;
            } else if let Some(width) = letter_at(text, end, limit)
                && (LATIN.contains(&text[end]) || !text[label..end].iter().any(u8::is_ascii_alphanumeric))
            {
                // A sentence in another alphabet goes on behind `example.com` without a space.
                end += width;
            } else {
                break;
            }
        }
        let mut last = end;
        while last > label && text[last - 1] == b'-' {
            last -= 1;
        }
        let length = last - label;
        if length == 0 || length > MAX_LABEL || text[label] == b'-' {
            break;
        }
        labels += 1;
        if labels >= 2
            && let Some(top) = top_level(&text[label..last])
        {
            // `example.com.Then`: a sentence went on without a space.
            let longer = !matches!(
                (best, top),
                (
                    Some((_, TopLevel::Known)),
                    TopLevel::Unknown | TopLevel::Extension
                )
            );
            if longer {
                best = Some((last, top));
            }
        }
        if at(text, end) != b'.' || end != last {
            break;
        }
        label = end + 1;
    }
    let (end, top) = best?;
    // `user@host.tld_more` and `a@b.c@d` are not addresses that end here.
    (!matches!(at(text, end), b'_' | b'@')).then_some((end, top))
}

/// What `label` is as the last label of a domain; `None` when it cannot be one.
fn top_level(label: &[u8]) -> Option<TopLevel> {
    if label.len() < 2 || label.len() > 24 {
        return None;
    }
    if label.starts_with(b"xn--") {
        return Some(TopLevel::Known);
    }
    if !label.is_ascii() {
        // Domains in other alphabets are few: `.рф`, `.укр`, `.ελ`, `.भारत`.
        return label.iter().all(|b| *b >= 0x80).then_some(TopLevel::Unknown);
    }
    if !label.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    if let Some(known) = LABELS.find(label) {
        return Some(known);
    }
    match label {
        [first, second] => {
            let letter = |byte: u8| byte.to_ascii_lowercase().wrapping_sub(b'a');
            let seconds = COUNTRY_LETTERS
                .get(usize::from(letter(*first)))
                .copied()
                .unwrap_or(0);
            // Two letters that are no country are no domain: `x@y.py`.
            Some(if seconds >> letter(*second) & 1 != 0 {
                Known
            } else {
                Extension
            })
        }
        _ => Some(TopLevel::Unknown),
    }
}
