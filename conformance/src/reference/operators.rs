//! 1.3: the operators that read texts as something else: without case, as addresses, as instants.
//!
//! Written to be read, one meaning a function. Case is that of the standard library's characters; addresses are rows of
//! bits; days and time zones are those of `jiff`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZoneDatabase;
use regex::Regex;
use serde_json::{Number, Value};
use std::net::IpAddr;
use std::sync::LazyLock;

/// "compares with simple Unicode case folding": where a text is found in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    Anywhere,
    Start,
    End,
}

/// Whether `needle` is at that place of `text`, whatever the case.
pub(super) fn found_ignoring_case(text: &str, needle: &str, place: Place) -> bool {
    let text: String = text.chars().map(fold).collect();
    let needle: String = needle.chars().map(fold).collect();
    match place {
        Place::Whole => text == needle,
        Place::Anywhere => text.contains(&needle),
        Place::Start => text.starts_with(&needle),
        Place::End => text.ends_with(&needle),
    }
}

/// One character for all that differ in case only: the small letter of the capital letter, where these are single ones.
fn fold(c: char) -> char {
    let single = |c: char, mut to: Vec<char>| {
        if to.len() == 1 { to.remove(0) } else { c }
    };
    match c {
        // Has a capital letter, but `CaseFolding.txt` has no entry for it.
        '\u{131}' => c,
        // Of Unicode 17; the language has the folding of Unicode 16.
        '\u{a7ce}' | '\u{a7cf}' | '\u{a7d2}'..='\u{a7d5}' | '\u{16ea0}'..='\u{16ed3}' => c,
        // Fold to each other, although their capitals are several letters.
        '\u{1fd3}' => '\u{390}',
        '\u{1fe3}' => '\u{3b0}',
        '\u{fb05}' => '\u{fb06}',
        _ => {
            let upper = single(c, c.to_uppercase().collect());
            single(upper, upper.to_lowercase().collect())
        }
    }
}

/// `eq` with `ignoreCase`: "of every string in F and V at any depth of values, keys not folded".
pub(super) fn equal_ignoring_case(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => found_ignoring_case(a, b, Place::Whole),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal_ignoring_case(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, a)| b.get(k).is_some_and(|b| equal_ignoring_case(a, b)))
        }
        _ => super::equal(a, b),
    }
}

/// An address as the bits of its family: "mapped ones count as IPv4", so 32 or 128 of them.
pub(super) fn address(value: &Value) -> Option<String> {
    let address: IpAddr = value.as_str()?.parse().ok()?;
    Some(match address {
        IpAddr::V4(v4) => format!("{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => format!("{:032b}", u32::from(v4)),
            None => format!("{:0128b}", u128::from(v6)),
        },
    })
}

/// The leading bits of a network, and how many its addresses have. `None` for what is no network.
fn network(value: &Value) -> Option<(String, usize)> {
    let text = value.as_str()?;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let bits = match address.parse().ok()? {
        IpAddr::V4(v4) => format!("{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => format!("{:0128b}", u128::from(v6)),
    };
    let length = match length {
        None => bits.len(),
        Some(digits) => {
            let n: usize = digits.parse().ok()?;
            if n.to_string() != digits || n > bits.len() {
                return None;
            }
            n
        }
    };
    let (head, rest) = bits.split_at(length);
    if rest.contains('1') {
        return None;
    }
    // "also in networks": the first 96 bits of mapped addresses are 80 zeros and 16 ones.
    let mapped = format!("{}{}", "0".repeat(80), "1".repeat(16));
    match head.strip_prefix(&mapped) {
        Some(v4) if bits.len() == 128 => Some((v4.to_owned(), 32)),
        _ => Some((head.to_owned(), bits.len())),
    }
}

/// `in_cidr`: `None` is an error.
pub(super) fn in_cidr(f: &Value, v: &Value) -> Option<bool> {
    let address = address(f)?;
    let list = match v {
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    };
    let networks: Option<Vec<(String, usize)>> = list.iter().map(network).collect();
    Some(
        networks?
            .iter()
            .any(|(head, bits)| address.len() == *bits && address.starts_with(head.as_str())),
    )
}

const SECOND: i128 = 1_000_000_000;

/// An instant in nanoseconds from the epoch: "RFC 3339 text with an offset, or epoch milliseconds (a number)".
pub(super) fn instant(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => instant_of_text(text),
        Value::Number(n) => instant_of_number(n),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn instant_of_text(text: &str) -> Option<i128> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
        r"\A([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))\z",
    )
    .expect("a pattern")
    });
    let parts = PATTERN.captures(text)?;
    let number = |i: usize| -> i64 { parts.get(i).map_or(0, |m| m.as_str().parse().expect("digits")) };
    let small = |i: usize| i8::try_from(number(i)).expect("two digits");
    let year = i16::try_from(number(1)).expect("four digits");
    let day = Date::new(year, small(2), small(3)).ok()?;
    let (hour, minute, second) = (number(4), number(5), number(6));
    let (offset_hours, offset_minutes) = (number(9), number(10));
    if hour > 23 || minute > 59 || second > 60 || offset_hours > 23 || offset_minutes > 59 {
        return None;
    }
    let epoch = Date::constant(1970, 1, 1);
    let days = i64::from(day.since(epoch).ok()?.get_days());
    let offset = offset_hours * 3600 + offset_minutes * 60;
    let offset = if parts.get(8).is_some_and(|sign| sign.as_str() == "-") {
        -offset
    } else {
        offset
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    // "Compared to the nanosecond (more digits cut off)".
    let fraction = parts.get(7).map_or("", |m| m.as_str());
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    Some(i128::from(seconds) * SECOND + nanos.parse::<i128>().expect("digits"))
}

/// "|ms| <= 8.64e15". A double is the decimal number that it is written as.
fn instant_of_number(n: &Number) -> Option<i128> {
    let text = match (n.as_i64(), n.as_u64(), n.as_f64()) {
        (Some(n), ..) => n.to_string(),
        (None, Some(n), _) => n.to_string(),
        // In full, without an exponent.
        (None, None, Some(x)) => format!("{x}"),
        (None, None, None) => return None,
    };
    let negative = text.starts_with('-');
    let text = text.trim_start_matches('-');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i128 = whole.parse().ok()?;
    let limit = 8_640_000_000_000_000;
    if whole > limit || whole == limit && fraction.contains(|c| c != '0') {
        return None;
    }
    let nanos: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let cut = fraction.chars().skip(6).any(|c| c != '0');
    let nanos = whole * 1_000_000 + nanos.parse::<i128>().expect("digits");
    // Ruling: what is cut off is cut off towards the past, as it is in text.
    Some(if negative { -nanos - i128::from(cut) } else { nanos })
}

/// `time_between`: `None` is an error.
pub(super) fn time_between(f: &Value, v: &Value) -> Option<bool> {
    let mut seconds = i64::try_from(instant(f)?.div_euclid(SECOND)).expect("within the years of instants");
    // Ruling: far from now as in the same year of the calendar's cycle of 400 years.
    let cycle = 146_097 * 86_400;
    while seconds > Timestamp::MAX.as_second() {
        seconds -= cycle;
    }
    while seconds < Timestamp::MIN.as_second() {
        seconds += cycle;
    }
    let name = v["timezone"].as_str().expect("the compiler refuses others");
    static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    let zone = ZONES.get(name).expect("the compiler refuses others");
    let local = zone.to_datetime(Timestamp::from_second(seconds).expect("brought into the range"));
    let clock = i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
    let (start, end) = (time_of_day(&v["start"]), time_of_day(&v["end"]));
    let today = usize::try_from(local.weekday().to_monday_zero_offset()).expect("a day");
    let yesterday = (today + 6) % 7;
    let listed = |day: usize| {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        match &v["days"] {
            Value::Array(days) => days.iter().any(|d| d.as_str() == Some(names[day])),
            _ => true,
        }
    };
    // "start included, end not; a span over midnight belongs to the day on which it starts"
    Some(if start < end {
        start <= clock && clock < end && listed(today)
    } else {
        start <= clock && listed(today) || clock < end && listed(yesterday)
    })
}

fn time_of_day(value: &Value) -> i64 {
    let text = value.as_str().expect("the compiler refuses others");
    let mut parts = text
        .split(':')
        .map(|part| part.parse::<i64>().expect("the compiler refuses others"));
    let mut next = || parts.next().unwrap_or(0);
    next() * 3600 + next() * 60 + next()
}

#[cfg(test)]
mod tests {
    use super::fold;
    use policy_bytecode::casefold;
    use std::collections::HashMap;

    #[test]
    fn characters_fold_alike_in_the_product() {
        let mut known: HashMap<char, char> = HashMap::new();
        let mut back: HashMap<char, char> = HashMap::new();
        for c in '\0'..=char::MAX {
            let (own, other) = (fold(c), casefold::fold(c));
            assert_eq!(*known.entry(own).or_insert(other), other, "{c:?}");
            assert_eq!(*back.entry(other).or_insert(own), own, "{c:?}");
        }
    }
}
