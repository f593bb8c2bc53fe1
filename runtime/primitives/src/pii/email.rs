//! E-mail addresses, found from their `@`.
//!
//! The local part is read backwards over at most [`MAX_LOCAL`] bytes, the domain forwards over at most
//! [`MAX_DOMAIN`]; neither crosses another `@`, so the pass stays linear. The domain must end in a top-level domain:
//! two letters in use as a country code, a common generic one, or (with medium confidence) any other word that is not
//! a file extension.

use super::bytes::{at, slice};
use super::context::Topic;
use super::scan::Scanner;
use super::secrets;
use super::types::{Confidence, PiiType};

/// Longest local part (RFC 5321).
const MAX_LOCAL: usize = 64;
/// Longest domain (RFC 5321).
const MAX_DOMAIN: usize = 253;
/// Longest label of a domain.
const MAX_LABEL: usize = 63;

/// Generic top-level domains in wide use. Others still count, with medium confidence.
const GENERIC: &[&[u8]] = &[
    b"com",
    b"net",
    b"org",
    b"edu",
    b"gov",
    b"mil",
    b"int",
    b"info",
    b"biz",
    b"name",
    b"pro",
    b"aero",
    b"coop",
    b"museum",
    b"jobs",
    b"mobi",
    b"travel",
    b"tel",
    b"cat",
    b"asia",
    b"post",
    b"xxx",
    b"app",
    b"dev",
    b"page",
    b"cloud",
    b"online",
    b"site",
    b"store",
    b"shop",
    b"tech",
    b"blog",
    b"xyz",
    b"club",
    b"live",
    b"life",
    b"email",
    b"agency",
    b"digital",
    b"company",
    b"group",
    b"world",
    b"today",
    b"news",
    b"media",
    b"space",
    b"website",
    b"academy",
    b"academic",
    b"bank",
    b"berlin",
    b"london",
    b"tokyo",
    b"paris",
    b"swiss",
    b"law",
    b"legal",
    b"health",
    b"care",
    b"systems",
    b"solutions",
    b"services",
    b"network",
    b"global",
    b"international",
    b"foundation",
    b"art",
    b"studio",
    b"design",
    b"example",
    b"test",
    b"local",
    b"top",
    b"vip",
    b"work",
    b"one",
    b"ngo",
    b"google",
    b"amazon",
];

/// Country codes in use as top-level domains, in pairs. Paraguay is left out: `.py` is nearly always a file.
const COUNTRIES: &[u8] = b"\
    acadaeafagaialamaoaqarasatauawaxazbabbbdbebfbgbhbibjbmbnbobrbsbtbwbybzcacccdcfcgchcickclcmcncocrcucv\
    cwcxcyczdedjdkdmdodzeceeegereseteufifjfkfmfofrgagbgdgegfggghgiglgmgngpgqgrgsgtgugwgyhkhmhnhrhthuidie\
    iliminioiqirisitjejmjojpkekgkhkikmknkpkrkwkykzlalblclilklrlsltlulvlymamcmdmemgmhmkmlmmmnmompmqmrmsmt\
    mumvmwmxmymznancnenfngninlnonpnrnunzompapepfpgphpkplpmpnprpsptpwqarerorsrurwsasbscsdsesgshsiskslsmsn\
    sosrssstsusvsxsysztctdtftgthtjtktltmtntotrtttvtwtzuaugukusuyuzvavcvevgvivnvuwfwsyeytzazmzw";

/// Endings that look like a top-level domain and are file extensions: `logo@2x.png`.
const EXTENSIONS: &[&[u8]] = &[
    b"png", b"jpg", b"jpeg", b"gif", b"svg", b"webp", b"bmp", b"ico", b"pdf", b"txt", b"csv", b"json",
    b"xml", b"yaml", b"yml", b"html", b"htm", b"css", b"scss", b"js", b"jsx", b"ts", b"tsx", b"mjs", b"cjs",
    b"exe", b"dll", b"zip", b"tar", b"gz", b"log", b"doc", b"docx", b"xls", b"xlsx", b"ppt", b"java", b"cpp",
    b"hpp", b"php", b"toml", b"lock", b"vue", b"service", b"route", b"timer", b"socket", b"setter",
    b"getter",
];

/// What the last label of a domain says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TopLevel {
    Known,
    Unknown,
    Extension,
}

/// Looks at the `@` at `sign`. Returns the end of the address that was found.
pub(super) fn scan_at(scanner: &mut Scanner<'_, '_>, sign: usize) -> Option<usize> {
    if let Some(next) = secrets::scan_userinfo(scanner, sign) {
        return Some(next);
    }
    let text = scanner.text;
    let start = local_start(text, sign)?;
    let (end, top) = domain_end(text, sign + 1)?;
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
        } else if start >= floor + 2 && is_latin(text[start - 2], byte) {
            start -= 2;
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

/// Whether two bytes are one letter of Latin-1 or Latin Extended-A/B.
fn is_latin(lead: u8, trail: u8) -> bool {
    let trails = (0x80..=0xBF).contains(&trail);
    let letter = match lead {
        // U+00C0–U+00FF without the two signs × and ÷.
        0xC3 => !matches!(trail, 0x97 | 0xB7),
        0xC4..=0xC8 => true,
        _ => false,
    };
    trails && letter
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
            } else if end + 1 < limit && is_latin(text[end], text[end + 1]) {
                end += 2;
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
    if !label.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let mut lower = [0u8; 24];
    let lower = &mut lower[..label.len()];
    lower.copy_from_slice(label);
    lower.make_ascii_lowercase();
    if EXTENSIONS.contains(&&*lower) {
        return Some(TopLevel::Extension);
    }
    let known = match lower.len() {
        2 => COUNTRIES.chunks_exact(2).any(|code| code == &*lower),
        _ => GENERIC.contains(&&*lower),
    };
    match (known, lower.len()) {
        (true, _) => Some(TopLevel::Known),
        // Two letters that are no country are no domain: `x@y.py`.
        (false, 2) => Some(TopLevel::Extension),
        (false, _) => Some(TopLevel::Unknown),
    }
}
