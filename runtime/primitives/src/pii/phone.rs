//! Telephone numbers: international, North American, national layouts with a trunk zero, and any plausible grouping
//! next to a telling word.
//!
//! Called by `number` with a run of digit groups. Without a telling word only layouts that other numbers rarely have
//! count: a plus sign with an assigned country code and a fitting length, a bracketed area code, the American
//! 3-3-4 with a valid area and exchange, and groups after a trunk zero. Words that name another kind of number
//! (`order`, `account`) take that back.

use super::bytes::{HEX, at, class_at, is_digit, is_word, run_end};
use super::context::{Topic, phone_word_after};
use super::number::{Candidate, Found, Separator};
use super::types::{Confidence, PiiType};

/// Most digits in a telephone number (E.164).
const MAX_DIGITS: usize = 15;

/// Words that name another kind of number.
const OTHERS: [Topic; 12] = [
    Topic::Identifier,
    Topic::Goods,
    Topic::Cpf,
    Topic::Version,
    Topic::License,
    Topic::Passport,
    Topic::Card,
    Topic::Ssn,
    Topic::Nhs,
    Topic::Sin,
    Topic::Aadhaar,
    Topic::Nino,
];

/// A telephone number at the start of the candidate.
pub(super) fn find(candidate: &mut Candidate<'_>) -> Option<Found> {
    let groups = candidate.groups().len();
    if candidate.total(groups) < 6 || matches!(candidate.byte_before(), b'$' | b'#' | b'%' | b'@' | b'\\') {
        return None;
    }
    if hyphenated(candidate)
        || is_signed_date(candidate)
        || is_compact_date(candidate)
        || is_years(candidate)
        || is_citation(candidate)
        || is_range_of_years(candidate)
        || is_code_points(candidate)
    {
        return None;
    }
    let (k, confidence) = if candidate.plus {
        international(candidate, 0).or_else(|| named(candidate))?
    } else if candidate.group(0).bracketed {
        bracketed(candidate).or_else(|| named(candidate))?
    } else {
        double_zero(candidate)
            .or_else(|| north_american(candidate))
            .or_else(|| trunk_zero(candidate))
            .or_else(|| brazilian(candidate))
            .or_else(|| bracketed_after_trunk(candidate))
            .or_else(|| chinese(candidate))
            .or_else(|| named(candidate))?
    };
    let confidence = weigh(candidate, k, confidence);
    let (k, confidence) = whole(candidate, k, confidence);
    let mut found = candidate.found(PiiType::Phone, k, confidence);
    if let Some(end) = extension(candidate.text, found.end) {
        found.end = end;
        found.confidence = found.confidence.max(Confidence::Medium);
    }
    Some(found)
}

/// A number of `k` groups with all that belongs to it: more groups of the same kind behind a telephone that words name are
/// its last digits, and are taken with it as long as a number can be that long.
fn whole(candidate: &mut Candidate<'_>, k: usize, confidence: Confidence) -> (usize, Confidence) {
    let separator = candidate.group(k - 1).separator;
    let joins = |index: usize| {
        let next = candidate.group(index);
        let same = next.separator == separator || separator == Separator::Bracket && !next.bracketed;
        next.len() >= 2
            && same
            && matches!(
                next.separator,
                Separator::Space | Separator::Dash | Separator::Dot
            )
    };
    if k < 2 || !joins(k) {
        return (k, confidence);
    }
    let last = (k + 1..=candidate.groups().len())
        .take_while(|count| joins(count - 1) && candidate.total(*count) <= MAX_DIGITS)
        .filter(|count| ends_after(candidate, *count))
        .last();
    match last {
        Some(last) if is_named(candidate, k) => (last, confidence),
        _ => (k, confidence),
    }
}

/// Whether the candidate goes on from letters and a dash, as no telephone does: `CVE-2026-9358`, `NDC-0591-3740-01`.
fn hyphenated(candidate: &Candidate<'_>) -> bool {
    let text = candidate.text;
    let Some(dash) = candidate.start.checked_sub(1) else {
        return false;
    };
    if candidate.byte_before() != b'-' || dash == 0 || !text[dash - 1].is_ascii_alphabetic() {
        return false;
    }
    let start = (dash.saturating_sub(8)..dash)
        .rev()
        .take_while(|place| text[*place].is_ascii_alphabetic())
        .last()
        .unwrap_or(dash);
    ![
        &b"tel"[..],
        b"phone",
        b"fax",
        b"mobile",
        b"cell",
        b"mob",
        b"whatsapp",
    ]
    .iter()
    .any(|word| text[start..dash].eq_ignore_ascii_case(word))
}

/// Whether a year in brackets stands behind pages: `521, 436–444 (2015)`.
fn is_citation(candidate: &Candidate<'_>) -> bool {
    (1..candidate.groups().len()).any(|index| {
        let group = candidate.group(index);
        group.bracketed && group.len() == 4 && (1800..2100).contains(&candidate.value(index))
    })
}

/// Whether the candidate is two years and a dash: `2006-2009`.
fn is_range_of_years(candidate: &Candidate<'_>) -> bool {
    let year =
        |index: usize| candidate.group(index).len() == 4 && (1800..2100).contains(&candidate.value(index));
    !candidate.plus
        && year(0)
        && year(1)
        && candidate.group(1).separator == Separator::Dash
        && candidate.value(0) < candidate.value(1)
        && candidate.group(2).separator != Separator::Dash
}

/// Whether the candidate is code points of Unicode: `0045 0323 0302`.
fn is_code_points(candidate: &Candidate<'_>) -> bool {
    let zeros = candidate
        .groups()
        .iter()
        .filter(|group| at(candidate.text, group.start) == b'0');
    !candidate.plus && zeros.count() > 1 && candidate.groups().iter().all(|group| group.len() == 4)
}

/// Whether the candidate is a year with a sign, as ISO 8601 has it: `+999999-12-31`.
fn is_signed_date(candidate: &Candidate<'_>) -> bool {
    candidate.plus
        && candidate.group(0).len() >= 4
        && candidate.group(1).len() == 2
        && candidate.group(2).len() == 2
        && candidate.joined_by(3, Separator::Dash)
        && (1..=12).contains(&candidate.value(1))
        && (1..=31).contains(&candidate.value(2))
}

/// Whether the candidate is one group that is a day: `20170617`.
fn is_compact_date(candidate: &Candidate<'_>) -> bool {
    let day = candidate.value(0);
    !candidate.plus
        && candidate.group(0).len() == 8
        && candidate.group(1).len() == 0
        && (1900..2100).contains(&(day / 10_000))
        && (1..=12).contains(&(day / 100 % 100))
        && (1..=31).contains(&(day % 100))
}

/// Whether the candidate is a span of years: `2006-2009`.
fn is_years(candidate: &Candidate<'_>) -> bool {
    let (first, last) = (candidate.value(0), candidate.value(1));
    !candidate.plus
        && candidate.has_lengths(&[4, 4])
        && candidate.groups().len() == 2
        && candidate.joined_by(2, Separator::Dash)
        && (1900..=last).contains(&first)
        && last < 2100
}

/// Whether the candidate stands where a link names a telephone: `https://wa.me/14155552671`.
fn is_linked(candidate: &Candidate<'_>) -> bool {
    const LINKS: [&[u8]; 4] = [b"wa.me/", b"t.me/+", b"viber.me/", b"signal.me/#p/+"];
    let floor = candidate.start.saturating_sub(16);
    LINKS
        .iter()
        .any(|link| candidate.text[floor..candidate.start].ends_with(link))
}

/// Whether the words around say that this is a telephone.
fn is_named(candidate: &mut Candidate<'_>, k: usize) -> bool {
    if is_linked(candidate) {
        return true;
    }
    let end = candidate.group(k - 1).end;
    let nearby = candidate.nearby();
    let other = OTHERS
        .iter()
        .any(|topic| nearby.has(*topic) && !nearby.favours(Topic::Phone, *topic));
    nearby.has(Topic::Phone) && !other || phone_word_after(candidate.text, end)
}

/// A layout's own confidence, after hearing the words around it.
fn weigh(candidate: &mut Candidate<'_>, k: usize, confidence: Confidence) -> Confidence {
    if is_named(candidate, k) {
        return if confidence >= Confidence::Medium {
            Confidence::High
        } else {
            Confidence::Medium
        };
    }
    let nearby = candidate.nearby();
    let other = OTHERS.iter().any(|topic| nearby.has(*topic));
    if other && confidence == Confidence::Medium {
        Confidence::Low
    } else {
        confidence
    }
}

/// Whether the candidate can end as a telephone number after `k` groups: an extension may follow.
fn ends_after(candidate: &Candidate<'_>, k: usize) -> bool {
    candidate.ends_after(k) || extension(candidate.text, candidate.group(k - 1).end).is_some()
}

/// `+CC …`, or the digits after `00` when `skip` is 2. The longest prefix of groups with a fitting length wins.
fn international(candidate: &mut Candidate<'_>, skip: usize) -> Option<(usize, Confidence)> {
    if candidate.plus && matches!(candidate.byte_before(), b'+' | b')') {
        return None;
    }
    let mut doubtful = None;
    for k in (1..=candidate.groups().len()).rev() {
        if candidate.total(k) > MAX_DIGITS + 1 + skip || !ends_after(candidate, k) {
            continue;
        }
        let mut digits = [0u8; MAX_DIGITS + 3];
        let mut length = 0;
        for (index, group) in candidate.groups().iter().take(k).enumerate() {
            // `+44 (0)20 …`: the zero is dialled only inside the country.
            let optional = index > 0 && group.bracketed && candidate.value(index) == 0;
            for &byte in &candidate.text[group.start..group.end] {
                if !optional && length < digits.len() {
                    digits[length] = byte - b'0';
                    length += 1;
                }
            }
        }
        let number = digits.get(skip..length)?;
        if !(7..=MAX_DIGITS).contains(&number.len()) {
            continue;
        }
        match country(number) {
            Some(true) => return Some((k, Confidence::High)),
            Some(false) if doubtful.is_none() => doubtful = Some((k, Confidence::Low)),
            Some(false) | None => {}
        }
    }
    doubtful
}

/// Whether the national part has a length in use in the country; `None` for an unassigned code.
fn country(number: &[u8]) -> Option<bool> {
    let first = *number.first()?;
    let code2 = u16::from(first) * 10 + u16::from(*number.get(1)?);
    let (width, lengths) = match code2 {
        10..=19 => {
            let national = number.get(1..)?;
            return Some(national.len() == 10 && is_american(national));
        }
        70..=79 => (1, 10..=10),
        20 | 51 | 57 | 60 | 63 | 64 | 66 | 82 | 95 => (2, 8..=10),
        27 | 31 | 33 | 34 | 40 | 48 | 56 | 61 | 93 | 94 => (2, 9..=9),
        30 | 58 | 90 | 91 | 98 => (2, 10..=10),
        32 | 36 => (2, 8..=9),
        39 => (2, 6..=11),
        41 => (2, 9..=9),
        43 | 49 => (2, 7..=12),
        44 => (2, 9..=10),
        45 | 47 | 65 => (2, 8..=8),
        46 => (2, 7..=10),
        52 | 54 | 55 | 86 => (2, 10..=11),
        53 => (2, 6..=8),
        62 => (2, 8..=12),
        81 | 84 | 92 => (2, 9..=10),
        21..=26 | 29 | 35 | 37 | 38 | 42 | 50 | 59 | 67..=69 | 85 | 88 | 96 | 97 | 99 => (3, 7..=10),
        _ => return None,
    };
    let national = number.len().checked_sub(width)?;
    Some(lengths.contains(&national))
}

/// A North American number: area and exchange start with 2–9, and the area is not a service code.
fn is_american(digits: &[u8]) -> bool {
    match digits {
        [a, b, c, x, ..] if digits.len() == 10 => *a >= 2 && *x >= 2 && !(*b == 1 && *c == 1),
        _ => false,
    }
}

/// `00CC …` in groups; in one group only next to a telling word.
fn double_zero(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let first = candidate.group(0);
    if first.len() < 3
        || at(candidate.text, first.start) != b'0'
        || at(candidate.text, first.start + 1) != b'0'
    {
        return None;
    }
    let (k, confidence) = international(candidate, 2)?;
    if k > 1 || is_named(candidate, k) {
        Some((k, confidence))
    } else {
        None
    }
}

/// `415-555-2671` and `1-415-555-2671`, with dashes, dots, spaces, or a slash after the area code.
fn north_american(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let (k, skip) = if candidate.has_lengths(&[3, 3, 4]) {
        (3, 0)
    } else if candidate.has_lengths(&[1, 3, 3, 4]) && candidate.value(0) == 1 {
        (4, 1)
    } else {
        return None;
    };
    // The last four digits in brackets are a year behind pages: `521, 436–444 (2015)`.
    if !ends_after(candidate, k) || candidate.group(k - 1).bracketed {
        return None;
    }
    let (digits, length) = candidate.digits(k);
    if !is_american(digits.get(skip..length)?) {
        return None;
    }
    let last = candidate.group(k - 1);
    let listed = last.separator == Separator::Space
        && (candidate.groups().len() > k || candidate.byte_before() == b' ' && digit_two_before(candidate));
    Some((
        k,
        if listed {
            Confidence::Low
        } else {
            Confidence::Medium
        },
    ))
}

/// Whether another number stands one space before the candidate: a list of numbers, not one.
fn digit_two_before(candidate: &Candidate<'_>) -> bool {
    candidate.start >= 2 && is_digit(candidate.text, candidate.start - 2)
}

/// `(415) 555-2671`, `(020) 7946 0958`, `(11) 4706-6184`, `(96) 627-277`.
fn bracketed(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let area = candidate.group(0).len();
    if is_word(candidate.text, candidate.start.wrapping_sub(1)) && candidate.byte_before() != 0 {
        return None;
    }
    if candidate.has_lengths(&[3, 3, 4]) && ends_after(candidate, 3) {
        let (digits, length) = candidate.digits(3);
        if is_american(&digits[..length]) {
            return Some((3, Confidence::High));
        }
    }
    let most = candidate.groups().len().min(5);
    let k = (2..=most)
        .rev()
        .find(|k| (8..=11).contains(&candidate.total(*k)) && ends_after(candidate, *k))?;
    if !(2..=5).contains(&area) || candidate.groups()[1..k].iter().any(|group| group.len() < 2) {
        return None;
    }
    let year =
        |index: usize| candidate.group(index).len() == 4 && (1800..=2100).contains(&candidate.value(index));
    if year(0) || year(1) && (k == 2 || year(2)) {
        return None;
    }
    let trunk = at(candidate.text, candidate.group(0).start) == b'0';
    // A volume and its pages look like `(96) 627-630`.
    let pages = k == 3
        && candidate
            .value(2)
            .checked_sub(candidate.value(1))
            .is_some_and(|length| length < 200);
    let telling = trunk || k >= 3 && !pages;
    Some((
        k,
        if telling {
            Confidence::Medium
        } else {
            Confidence::Low
        },
    ))
}

/// National layouts after a trunk zero: `020 7946 0958`, `07700 900123`, `01 23 45 67 89`, `030/1234567`.
fn trunk_zero(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let first = candidate.group(0);
    let leads = at(candidate.text, first.start) == b'0' && at(candidate.text, first.start + 1) != b'0';
    if !leads || !(2..=5).contains(&first.len()) {
        return None;
    }
    let most = candidate.groups().len();
    let k = (2..=most.min(5))
        .rev()
        .find(|k| (9..=12).contains(&candidate.total(*k)) && ends_after(candidate, *k))?;
    let total = candidate.total(k);
    let rest = &candidate.groups()[1..k];
    if rest.iter().any(|group| !(2..=8).contains(&group.len())) || candidate.joined_by(k, Separator::Bracket)
    {
        return None;
    }
    // A slash stands behind the area code, and otherwise in numbers of documents: `0932/01/2026`.
    if rest
        .iter()
        .skip(1)
        .any(|group| group.separator == Separator::Slash)
    {
        return None;
    }
    // Separators after the area code are all the same.
    if rest
        .iter()
        .skip(2)
        .any(|group| group.separator != rest[1].separator)
    {
        return None;
    }
    let lengths_fit = match k {
        2 => {
            (3..=5).contains(&first.len()) && (5..=8).contains(&rest[0].len())
                || first.len() == 2 && total >= 9
        }
        _ => total <= 11,
    };
    // `01 02 03 04 05 …` counts; it does not dial.
    let counts = (1..k).all(|index| candidate.value(index) == candidate.value(index - 1) + 1);
    let listed = most > k && candidate.group(k).separator == Separator::Space
        || candidate.byte_before() == b' ' && digit_two_before(candidate);
    let dotted_pair = k == 2 && rest[0].separator == Separator::Dot;
    // A social security number that was never issued is not a telephone either.
    let us_number = candidate.has_lengths(&[3, 2, 4]) && k == 3;
    // A place on the map: `-0351-03225`.
    let signed = candidate.byte_before() == b'-';
    if !lengths_fit || counts || dotted_pair || us_number || signed || hex_dump(candidate, k) {
        return None;
    }
    Some((
        k,
        if listed {
            Confidence::Low
        } else {
            Confidence::Medium
        },
    ))
}

/// Whether the groups are bytes in hexadecimal, with more of them before or after: `04 86 23 90 68 B8`.
fn hex_dump(candidate: &Candidate<'_>, k: usize) -> bool {
    let pair = |index: usize| {
        class_at(candidate.text, index) & HEX != 0 && class_at(candidate.text, index + 1) & HEX != 0
    };
    let end = candidate.group(k - 1).end;
    let follows = at(candidate.text, end) == b' ' && pair(end + 1) && !is_word(candidate.text, end + 3);
    let precedes = candidate.byte_before() == b' ' && candidate.start >= 3 && pair(candidate.start - 3);
    candidate.group(0).len() == 2 && (follows || precedes)
}

/// `11 98765-4321`: area, nine digits that start with 9, a space and a dash.
fn brazilian(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let layout = candidate.has_lengths(&[2, 5, 4])
        && candidate.group(1).separator == Separator::Space
        && candidate.group(2).separator == Separator::Dash
        && at(candidate.text, candidate.group(1).start) == b'9';
    (layout && ends_after(candidate, 3)).then_some((3, Confidence::Medium))
}

/// `8 (912) 345-67-89`, `0 (532) 345 67 89`: the trunk digit of Russia or Turkey, an area code in brackets, seven digits.
fn bracketed_after_trunk(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let layout = candidate.has_lengths(&[1, 3, 3, 2, 2])
        && matches!(candidate.value(0), 0 | 8)
        && candidate.group(1).bracketed;
    (layout && ends_after(candidate, 5)).then_some((5, Confidence::Medium))
}

/// `138 1234 5678`, `138-1234-5678`: a Chinese mobile number.
fn chinese(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let layout = candidate.has_lengths(&[3, 4, 4])
        && (130..200).contains(&candidate.value(0))
        && matches!(
            candidate.uniform_separator(3),
            Some(Separator::Space | Separator::Dash)
        );
    let alone = candidate.groups().len() == 3 && !digit_two_before(candidate);
    (layout && alone && ends_after(candidate, 3)).then_some((3, Confidence::Medium))
}

/// Any plausible grouping, next to a telling word.
fn named(candidate: &mut Candidate<'_>) -> Option<(usize, Confidence)> {
    let most = candidate.groups().len().min(6);
    let k = (1..=most)
        .rev()
        .find(|k| (6..=MAX_DIGITS).contains(&candidate.total(*k)) && ends_after(candidate, *k))?;
    let dotted_pair = k == 2 && candidate.group(1).separator == Separator::Dot;
    // `06-1-234-5678`: the area code of Budapest has one digit.
    let short = |index: usize| candidate.group(index).len() < 2 && !(index == 1 && candidate.total(k) >= 9);
    // `294.7176 355.0091` are two numbers.
    let joined = |separator: Separator| (1..k).any(|index| candidate.group(index).separator == separator);
    let decimals = joined(Separator::Dot) && joined(Separator::Space);
    if dotted_pair || decimals || (1..k).any(short) || !is_named(candidate, k) {
        return None;
    }
    if k == 1 {
        let group = candidate.group(0);
        let round = candidate.text[group.start..group.end].ends_with(b"000");
        if group.len() < 7 || round {
            return None;
        }
    }
    Some((k, Confidence::Low))
}

/// The end of an extension after a number that ends at `end`: `x751`, ` ext. 12`, ` #3`.
fn extension(text: &[u8], end: usize) -> Option<usize> {
    let mut position = run_end(text, end, 2, |b| matches!(b, b' ' | b','));
    let rest = text.get(position..)?;
    let mark = [&b"extension"[..], b"ext.", b"ext", b"x", b"#"]
        .into_iter()
        .find(|mark| rest.len() >= mark.len() && rest[..mark.len()].eq_ignore_ascii_case(mark))?;
    position += mark.len();
    if mark.len() > 1 {
        position = run_end(text, position, 2, |b| matches!(b, b' ' | b':'));
    }
    let last = run_end(text, position, 7, |b| b.is_ascii_digit());
    let digits = last - position;
    ((1..=6).contains(&digits) && !is_word(text, last)).then_some(last)
}
