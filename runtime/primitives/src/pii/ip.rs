//! Network addresses: IPv4 from digit groups, IPv6 and MAC from runs of hexadecimal digits and colons.
//!
//! Addresses that name no one (loopback, unspecified, netmasks, private ones with no word such as `ip` or `client`
//! before them) are reported with low confidence, and so is anything after a word such as `version`.

use std::net::Ipv6Addr;

use super::bytes::{CLASS, HEX, at, class_at, is_digit, is_word, run_end, slice};
use super::context::Topic;
use super::number::{Candidate, Found, Separator};
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Longest IPv6 address in text, with an embedded IPv4 address.
const MAX_V6: usize = 45;

/// Length of a MAC address.
pub(super) const MAC: usize = 17;

/// An IPv4 address at the start of the candidate.
pub(super) fn find_v4(candidate: &mut Candidate<'_>) -> Option<Found> {
    if !candidate.joined_by(4, Separator::Dot) || !candidate.ends_after_v4() {
        return None;
    }
    let mut octets = [0u8; 4];
    for (index, octet) in octets.iter_mut().enumerate() {
        let group = candidate.group(index);
        if group.len() > 3 || group.len() > 1 && at(candidate.text, group.start) == b'0' {
            return None;
        }
        *octet = u8::try_from(candidate.value(index)).ok()?;
    }
    let nearby = candidate.nearby();
    let version = nearby.has(Topic::Version) && !nearby.favours(Topic::Network, Topic::Version);
    let network = nearby.has(Topic::Network);
    let bits = u32::from_be_bytes(octets);
    let netmask = bits.leading_ones() + bits.trailing_zeros() == 32;
    // This host, loopback, link-local, multicast and what is reserved above it name no one; nor does a Debian revision
    // (`0.99.7.1-5`) or a build behind a dash.
    let end = candidate.group(3).end;
    let reserved = matches!(octets, [0 | 127 | 224.., ..] | [169, 254, ..]);
    let revision = at(candidate.text, end) == b'-' && is_digit(candidate.text, end + 1);
    let confidence = if version || netmask || reserved || revision && !network {
        Confidence::Low
    } else if octets[0] < 10 && octets.iter().all(|octet| *octet < 64) && !network {
        // Four small numbers are more often a section, a version or an object identifier than a host.
        Confidence::Low
    } else if octets[0] == 10
        || octets[..2] == [192, 168]
        || octets[0] == 172 && (16..32).contains(&octets[1])
        || octets[0] == 100 && (64..128).contains(&octets[1])
    {
        // Private addresses identify no one outside their network: they count only as someone's, and never as a network of
        // their own (`10.0.0.0/8`). A server that stands in a configuration is no one.
        let range = at(candidate.text, candidate.group(3).end) == b'/';
        if nearby.has(Topic::Visitor) && !range {
            Confidence::Medium
        } else {
            Confidence::Low
        }
    } else {
        Confidence::High
    };
    Some(candidate.found(PiiType::IpAddress, 4, confidence))
}

impl Candidate<'_> {
    /// Whether an IPv4 address can end after four groups. A slash may follow (`10.0.0.0/8`), more dots and digits not.
    fn ends_after_v4(&self) -> bool {
        let end = self.group(3).end;
        let dotted = at(self.text, end) == b'.' && is_digit(self.text, end + 1);
        !is_word(self.text, end) && !dotted
    }
}

/// Looks at the colon at `colon`: the first of an IPv6 or MAC address. Returns the end of what was found.
#[inline(always)]
pub(super) fn scan_colon(scanner: &mut Scanner<'_, '_>, colon: usize) -> Option<usize> {
    // An address has another colon, and nothing but digits before it.
    let group = run_end(scanner.text, colon + 1, MAX_V6, |b| {
        CLASS[usize::from(b)] & HEX != 0
    });
    scanner.step(group - colon);
    if at(scanner.text, group) != b':' || colon < scanner.colons_done {
        return None;
    }
    scan_groups(scanner, colon)
}

/// As [`scan_colon`], where another colon follows.
fn scan_groups(scanner: &mut Scanner<'_, '_>, colon: usize) -> Option<usize> {
    let text = scanner.text;
    let floor = scanner.barrier.end.max(colon.saturating_sub(4));
    let mut start = colon;
    while start > floor && class_at(text, start - 1) & HEX != 0 {
        start -= 1;
    }
    // Without a hexadecimal digit on the left, only `::` can start an address.
    if start == colon && at(text, colon + 1) != b':' {
        return None;
    }
    let mut end = run_end(text, colon, MAX_V6, |b| b.is_ascii_hexdigit() || b == b':');
    if at(text, end) == b'.' {
        // An IPv4 tail.
        end = run_end(text, end, 12, |b| b.is_ascii_digit() || b == b'.');
    }
    scanner.colons_done = end;
    scanner.step(end - start);
    if !scanner.starts_word(start) || is_word(text, end) {
        return None;
    }
    while end > colon && matches!(text[end - 1], b'.' | b':') && slice(text, end - 2, end) != b"::" {
        end -= 1;
    }
    let bytes = slice(text, start, end);
    let (kind, confidence) = if is_mac(bytes, b':') {
        (PiiType::MacAddress, Confidence::High)
    } else {
        (PiiType::IpAddress, v6_confidence(bytes)?)
    };
    scanner.emit(kind, start, end, confidence);
    (confidence >= Confidence::Medium).then_some(end)
}

/// How sure a run is an IPv6 address; `None` when it does not parse.
fn v6_confidence(bytes: &[u8]) -> Option<Confidence> {
    let colons = bytes.iter().filter(|b| **b == b':').count();
    if colons < 2 || bytes.len() > MAX_V6 {
        return None;
    }
    let address: Ipv6Addr = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    if address.is_loopback() || address.is_unspecified() {
        return Some(Confidence::Low);
    }
    let first = bytes.iter().take_while(|b| b.is_ascii_hexdigit()).count();
    let groups = bytes.split(|b| *b == b':').filter(|group| !group.is_empty());
    let telling = groups.clone().filter(|group| group.len() >= 3).count();
    let digits = bytes.iter().any(u8::is_ascii_digit);
    // `a::b` is a path in several languages; `fe80::1` and `2001:db8::1` are not.
    Some(match (telling, groups.count()) {
        (_, 8) => Confidence::High,
        (2.., _) if digits => Confidence::High,
        (1, 2..) if digits && first == 4 => Confidence::Medium,
        _ => Confidence::Low,
    })
}

/// Whether `bytes` are six pairs of hexadecimal digits, not all equal to `00` or `ff`.
fn is_mac(bytes: &[u8], separator: u8) -> bool {
    let layout = bytes.len() == MAC
        && bytes.iter().enumerate().all(|(index, b)| {
            if index % 3 == 2 {
                *b == separator
            } else {
                b.is_ascii_hexdigit()
            }
        });
    let pair = slice(bytes, 0, 2);
    layout
        && !(matches!(pair, b"00" | b"ff" | b"FF") && bytes.chunks(3).all(|chunk| slice(chunk, 0, 2) == pair))
}

/// Looks for a MAC address whose first word is `start..end`: `01-23-45-67-89-AB`, and `0123.4567.89ab` as network devices
/// write them. Numbers come later, which such addresses may look like.
#[inline(always)]
pub(super) fn scan_mac_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize) -> Option<usize> {
    match (end - start, at(scanner.text, end)) {
        (2, b'-') => scan_dashed_mac(scanner, end),
        (4, b'.') => scan_dotted_mac(scanner, start),
        _ => None,
    }
}

/// Whether the dot at `dot` may be the first of a MAC address: another one stands five bytes behind it.
#[inline(always)]
pub(super) fn may_be_dotted(text: &[u8], dot: usize) -> bool {
    at(text, dot + 5) == b'.'
}

/// Looks at the first four bytes, before a dot, of what may be `0123.4567.89ab`. Returns its end.
fn scan_dotted_mac(scanner: &mut Scanner<'_, '_>, start: usize) -> Option<usize> {
    const DOTTED: usize = 14;
    let text = scanner.text;
    let last = start + DOTTED;
    if !may_be_dotted(text, start + 4) {
        return None;
    }
    let bytes = slice(text, start, last);
    let layout = bytes.len() == DOTTED
        && bytes
            .iter()
            .enumerate()
            .all(|(place, byte)| matches!(place, 4 | 9) || byte.is_ascii_hexdigit());
    let dotted = |place: usize| at(text, place) == b'.' && is_word(text, place + 1);
    let glued = start > scanner.barrier.end && matches!(text[start - 1], b'.' | b'-');
    if !layout || is_word(text, last) || dotted(last) || glued {
        return None;
    }
    // Digits alone are a number with dots, and letters alone are words; tables of Unicode hold `031F.0020.0002`.
    let digits = bytes.iter().any(u8::is_ascii_digit);
    let lettered = bytes
        .split(|b| *b == b'.')
        .filter(|group| group.iter().any(u8::is_ascii_alphabetic));
    let mixed = digits && lettered.count() >= 2;
    let confidence = if mixed || scanner.nearby(start).has(Topic::Hardware) {
        Confidence::High
    } else {
        return None;
    };
    scanner.emit(PiiType::MacAddress, start, last, confidence);
    Some(last)
}

/// Looks at the dash at `dash`: the first of a MAC address such as `00-1B-44-11-3A-B7`.
pub(super) fn scan_dashed_mac(scanner: &mut Scanner<'_, '_>, dash: usize) -> Option<usize> {
    let text = scanner.text;
    let start = dash.checked_sub(2)?;
    if at(text, dash + 3) != b'-' || at(text, dash + 6) != b'-' || class_at(text, start) & HEX == 0 {
        return None;
    }
    let end = start + MAC;
    let bounded =
        start >= scanner.barrier.end && scanner.starts_word(start) && at(text, start.wrapping_sub(1)) != b'-';
    if !bounded || is_word(text, end) || at(text, end) == b'-' || !is_mac(slice(text, start, end), b'-') {
        return None;
    }
    scanner.emit(PiiType::MacAddress, start, end, Confidence::High);
    Some(end)
}
