//! Payment cards: issuer range, length and Luhn.
//!
//! Called by `number` with a run of digit groups. Groups are joined by one kind of separator, and each but the last
//! has at least three digits. With several valid lengths the longest wins, so that redaction leaves no digit.

use super::bytes::at;
use super::checksum::luhn;
use super::context::Topic;
use super::number::{Candidate, Found, Separator};
use super::types::{Confidence, PiiType};

/// Shortest and longest card number, in digits.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=19;

/// How much an issuer range says on its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strength {
    /// A range and length in wide use: a number that passes Luhn is a card.
    Common,
    /// Rare lengths and ranges that other numbers share: only next to a telling word.
    Rare,
}

/// One issuer range: first four digits from–to, lengths from–to.
struct Range {
    prefix: (u16, u16),
    lengths: (u8, u8),
    strength: Strength,
}

const fn range(from: u16, to: u16, shortest: u8, longest: u8, strength: Strength) -> Range {
    Range {
        prefix: (from, to),
        lengths: (shortest, longest),
        strength,
    }
}

/// Issuer ranges by their first four digits. Ranges may overlap; the first that fits counts.
const RANGES: &[Range] = &[
    // Visa.
    range(4000, 4999, 16, 16, Strength::Common),
    range(4000, 4999, 13, 13, Strength::Rare),
    range(4000, 4999, 19, 19, Strength::Common),
    // Mastercard.
    range(5100, 5599, 16, 16, Strength::Common),
    range(2221, 2720, 16, 16, Strength::Common),
    // American Express.
    range(3400, 3499, 15, 15, Strength::Common),
    range(3700, 3799, 15, 15, Strength::Common),
    // Diners Club.
    range(3000, 3059, 14, 19, Strength::Common),
    range(3095, 3095, 14, 19, Strength::Common),
    range(3600, 3699, 14, 19, Strength::Common),
    range(3800, 3999, 14, 19, Strength::Common),
    // Discover, RuPay.
    range(6011, 6011, 16, 19, Strength::Common),
    range(6440, 6599, 16, 19, Strength::Common),
    range(6000, 6099, 16, 16, Strength::Rare),
    range(8100, 8299, 16, 16, Strength::Rare),
    // JCB, and its two old ranges.
    range(3528, 3589, 16, 19, Strength::Common),
    range(2131, 2131, 15, 15, Strength::Rare),
    range(1800, 1800, 15, 15, Strength::Rare),
    // UnionPay.
    range(6200, 6299, 16, 19, Strength::Common),
    // Mir, Troy.
    range(2200, 2204, 16, 19, Strength::Common),
    range(9792, 9792, 16, 16, Strength::Rare),
    // Maestro and other debit schemes.
    range(5000, 5099, 16, 19, Strength::Common),
    range(5600, 5899, 16, 19, Strength::Common),
    range(6300, 6399, 16, 19, Strength::Common),
    range(6700, 6799, 16, 19, Strength::Common),
    range(5000, 5099, 12, 15, Strength::Rare),
    range(5600, 5899, 12, 15, Strength::Rare),
    range(6000, 6999, 12, 15, Strength::Rare),
    range(604, 604, 12, 19, Strength::Rare),
    // UATP.
    range(1000, 1999, 15, 15, Strength::Rare),
];

/// What the issuer tables say about these digits.
fn issuer(digits: &[u8]) -> Option<Strength> {
    let prefix = digits
        .iter()
        .take(4)
        .fold(0u16, |value, digit| value * 10 + u16::from(*digit));
    let length = digits.len() as u8;
    RANGES
        .iter()
        .find(|range| {
            (range.prefix.0..=range.prefix.1).contains(&prefix)
                && (range.lengths.0..=range.lengths.1).contains(&length)
        })
        .map(|range| range.strength)
}

/// Whether words before the candidate speak of cards, or a card stands there.
fn is_named(candidate: &mut Candidate<'_>) -> bool {
    let nearby = candidate.nearby();
    nearby.has(Topic::Card) || nearby.has(Topic::AfterCard)
}

/// Whether the first `k` groups, of four digits each, stand in a longer row of such groups.
fn is_row(candidate: &Candidate<'_>, k: usize) -> bool {
    let fours = k == 4 && (0..k).all(|index| candidate.group(index).len() == 4);
    let next = candidate.group(k);
    let follows = next.len() == 4 && next.separator == candidate.group(1).separator;
    let before = candidate
        .text
        .get(candidate.start.wrapping_sub(5)..candidate.start);
    let precedes = before.is_some_and(|before| before[..4].iter().all(u8::is_ascii_digit))
        && at(candidate.text, candidate.start.wrapping_sub(1)) == at(candidate.text, candidate.group(0).end);
    fours && (follows || precedes)
}

/// Whether the first `k` groups are a row of numbers rather than a card: a card has groups of four digits, but for the last
/// one, or four digits, six, and the rest.
fn is_list(candidate: &Candidate<'_>, k: usize) -> bool {
    let length = |index: usize| candidate.group(index).len();
    let even = (0..k - 1).all(|index| length(index) == 4);
    let spaced = candidate.uniform_separator(k) == Some(Separator::Space);
    k > 2 && spaced && !even && !(k == 3 && length(0) == 4 && length(1) == 6)
}

/// A card at the start of the candidate.
pub(super) fn find(candidate: &mut Candidate<'_>) -> Option<Found> {
    let count = candidate.groups().len();
    if candidate.total(count) < *LENGTHS.start() {
        return None;
    }
    let mut best: Option<Found> = None;
    for k in 1..=count {
        let total = candidate.total(k);
        if total > *LENGTHS.end() {
            break;
        }
        if k > 1 && candidate.group(k - 2).len() < 3 {
            break;
        }
        let separator = candidate.uniform_separator(k);
        let dotted = separator == Some(Separator::Dot);
        let joined = k == 1 || dotted || matches!(separator, Some(Separator::Space | Separator::Dash));
        if !joined {
            break;
        }
        if total < *LENGTHS.start() || !candidate.ends_after(k) {
            continue;
        }
        let (digits, length) = candidate.digits(k);
        let digits = &digits[..length];
        let Some(strength) = issuer(digits) else { continue };
        // Long numbers without groups are more often hashes and 64-bit constants.
        let strength = if k == 1 && length > 16 {
            Strength::Rare
        } else {
            strength
        };
        let confidence = match (luhn(digits), strength) {
            // Rows of numbers, decimals: one in ten passes Luhn.
            (true, Strength::Common) if dotted || is_row(candidate, k) || is_list(candidate, k) => {
                if is_named(candidate) {
                    Confidence::High
                } else {
                    Confidence::Low
                }
            }
            (true, Strength::Common) => Confidence::High,
            (true, Strength::Rare) if is_named(candidate) => Confidence::High,
            (true, Strength::Rare) => Confidence::Low,
            (false, _) if !dotted && candidate.nearby().has(Topic::Card) => Confidence::Low,
            (false, _) => continue,
        };
        if best.is_none_or(|best| confidence >= best.confidence) {
            best = Some(candidate.found(PiiType::CreditCard, k, confidence));
        }
    }
    best
}
