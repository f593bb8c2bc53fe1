//! Spans of time and moments as people give them on the command line: `90s`, `15m`, `1h`, `7d`, `2w`; for moments also
//! RFC 3339.

use jiff::{SignedDuration, Timestamp};

/// Seconds of a unit.
const UNITS: [(char, u64); 5] = [
    ('s', 1),
    ('m', 60),
    ('h', 3600),
    ('d', 24 * 3600),
    ('w', 7 * 24 * 3600),
];

/// Seconds of a span: a whole number and its unit.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no span of time such as 90s, 15m, 1h, 7d or 2w");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let (_, length) = UNITS
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let number = text
        .strip_suffix(unit)
        .filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = number.and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(length).ok_or_else(wrong)
}

/// A moment: so long ago, or in RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    before(Timestamp::now(), text)
}

fn before(now: Timestamp, text: &str) -> Result<Timestamp, String> {
    let wrong = || {
        format!(
            "`{text}` is no time: write how long ago, such as 1h or 7d, or RFC 3339 such as 2026-11-29T08:00:00Z"
        )
    };
    if text.contains('-') {
        return text.parse().map_err(|_| wrong());
    }
    let seconds = i64::try_from(seconds(text).map_err(|_| wrong())?).map_err(|_| wrong())?;
    now.checked_sub(SignedDuration::from_secs(seconds))
        .map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::{before, seconds};

    #[test]
    fn spans_have_a_unit() {
        for (text, expected) in [
            ("90s", 90),
            ("15m", 900),
            ("1h", 3600),
            ("7d", 604_800),
            ("2w", 1_209_600),
            ("0s", 0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "h",
            "1",
            "1.5h",
            "-1h",
            "+1h",
            "1 h",
            "1h30m",
            "1y",
            "99999999999999999999s",
            "99999999999999999d",
        ] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_spans_ago_or_written_out() {
        let now = "2026-11-30T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("1h", "2026-11-30T11:00:00Z"),
            ("2d", "2026-11-28T12:00:00Z"),
            ("2026-11-29T08:00:00Z", "2026-11-29T08:00:00Z"),
            ("2026-11-29T08:00:00+02:00", "2026-11-29T06:00:00Z"),
        ] {
            assert_eq!(before(now, text).unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "yesterday",
            "2026-11-29",
            "2026-11-29T08:00:00",
            "1",
            "999999999w",
        ] {
            assert!(before(now, text).is_err(), "{text}");
        }
    }
}
