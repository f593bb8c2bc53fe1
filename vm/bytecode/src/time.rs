//! Instants and windows of time: what `before`, `after` and `time_between` compare.
//!
//! Shared by the checks at compile time, the verifier and the VM, so that all of them give one answer. The data of time
//! zones is compiled in; the machine's own is never looked at.

use crate::number::Number;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::fmt::Write as _;
use std::sync::OnceLock;

const SECONDS_OF_A_DAY: i64 = 86_400;
/// The Gregorian calendar, days of the week included, repeats after so many seconds.
const CYCLE: i64 = 146_097 * SECONDS_OF_A_DAY;
/// Milliseconds from the epoch, either way, beyond which a number is no instant.
const MAX_MILLIS: i64 = 8_640_000_000_000_000;
const NANOS_OF_A_MILLI: u128 = 1_000_000;
const NANOS_OF_A_SECOND: i128 = 1_000_000_000;

/// A point in time, to the nanosecond; what is finer is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant {
    /// Seconds from the epoch, towards the past of the instant.
    seconds: i64,
    nanos: u32,
}

impl Instant {
    /// Reads RFC 3339 text with an offset: `2025-03-01T12:00:00Z`, `2025-03-01 12:00:00.5+01:00`. `T` and `Z` may be small
    /// letters, a space may stand for `T`, and second 60 is the next second. Linear in the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (head, rest) = bytes.split_at_checked(19)?;
        let &[
            y1,
            y2,
            y3,
            y4,
            b'-',
            o1,
            o2,
            b'-',
            d1,
            d2,
            b'T' | b't' | b' ',
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
        ] = head
        else {
            return None;
        };
        let year = two(y1, y2)? * 100 + two(y3, y4)?;
        let month = two(o1, o2).filter(|n| (1..=12).contains(n))?;
        let day = two(d1, d2).filter(|n| (1..=days_of(year, month)).contains(n))?;
        let hour = two(h1, h2).filter(|n| *n <= 23)?;
        let minute = two(m1, m2).filter(|n| *n <= 59)?;
        let second = two(s1, s2).filter(|n| *n <= 60)?;
        let (nanos, rest) = match rest.split_first() {
            Some((b'.', digits)) => fraction(digits)?,
            _other => (0, rest),
        };
        let offset = match *rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let hours = two(h1, h2).filter(|n| *n <= 23)?;
                let minutes = two(m1, m2).filter(|n| *n <= 59)?;
                let offset = hours * 3600 + minutes * 60;
                if sign == b'-' { -offset } else { offset }
            }
            _ => return None,
        };
        let seconds =
            days_from_epoch(year, month, day) * SECONDS_OF_A_DAY + hour * 3600 + minute * 60 + second
                - offset;
        Some(Self { seconds, nanos })
    }

    /// Milliseconds from the epoch, at most 8.64e15 either way. A double means the decimal number that it is written as.
    #[must_use]
    pub fn from_number(number: Number) -> Option<Self> {
        match number {
            Number::Int(n) => Self::from_millis(n),
            Number::UInt(_) => None,
            Number::Float(x) => {
                #[expect(clippy::cast_precision_loss, reason = "the limit is a double")]
                if x.is_nan() || x.abs() > MAX_MILLIS as f64 {
                    return None;
                }
                if x.fract() == 0.0 {
                    #[expect(clippy::cast_possible_truncation, reason = "whole, and far inside the range")]
                    return Self::from_millis(x as i64);
                }
                let mut text = Short::default();
                write!(text, "{x:e}").ok()?;
                Self::from_decimal(text.as_str()?)
            }
        }
    }

    fn from_millis(millis: i64) -> Option<Self> {
        if !(-MAX_MILLIS..=MAX_MILLIS).contains(&millis) {
            return None;
        }
        let nanos = u32::try_from(millis.rem_euclid(1000)).ok()? * 1_000_000;
        Some(Self {
            seconds: millis.div_euclid(1000),
            nanos,
        })
    }

    /// Milliseconds from the epoch as a decimal number in JSON's spelling, of any length. Linear in the text.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent_of(exponent)),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // How many of the digits stand before the point of the number of nanoseconds.
        let mut before = i64::try_from(whole.len())
            .ok()?
            .saturating_add(exponent)
            .saturating_add(6);
        let mut nanos: u128 = 0;
        let mut cut = false;
        let limit = u128::try_from(MAX_MILLIS).ok()? * NANOS_OF_A_MILLI;
        for byte in whole.bytes().chain(fraction.bytes()) {
            let digit = u128::from(byte.checked_sub(b'0').filter(|d| *d <= 9)?);
            if before > 0 {
                nanos = nanos * 10 + digit;
                if nanos > limit {
                    return None;
                }
            } else {
                cut |= digit != 0;
            }
            before = before.saturating_sub(1);
        }
        if nanos > 0 {
            while before > 0 {
                nanos *= 10;
                if nanos > limit {
                    return None;
                }
                before -= 1;
            }
        }
        if nanos == limit && cut {
            return None;
        }
        let nanos = i128::try_from(nanos).ok()?;
        // Cut off as in text: towards the past.
        let nanos = if negative { -nanos - i128::from(cut) } else { nanos };
        Some(Self {
            seconds: i64::try_from(nanos.div_euclid(NANOS_OF_A_SECOND)).ok()?,
            nanos: u32::try_from(nanos.rem_euclid(NANOS_OF_A_SECOND)).ok()?,
        })
    }
}

/// Two decimal digits.
fn two(a: u8, b: u8) -> Option<i64> {
    let digit = |b: u8| b.checked_sub(b'0').filter(|d| *d <= 9);
    Some(i64::from(digit(a)? * 10 + digit(b)?))
}

/// The nanoseconds of a fraction, at least one digit, and what stands behind it.
fn fraction(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let length = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = bytes
        .split_at_checked(length)
        .filter(|(digits, _)| !digits.is_empty())?;
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some((padded.fold(0, |n, b| n * 10 + u32::from(b - b'0')), rest))
}

/// An exponent of any length; far outside the range of instants it is only known to be so.
fn exponent_of(text: &str) -> i64 {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = digits.bytes().fold(0i64, |n, b| {
        n.saturating_mul(10)
            .saturating_add(i64::from(b.wrapping_sub(b'0')))
    });
    if negative { -value } else { value }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _long => 31,
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, which is taken to have been in use always.
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years that start in March, so that the day that is not always there is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A short text on the stack.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    length: usize,
}

impl Short {
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.bytes.get(..self.length)?).ok()
    }
}

impl std::fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// The days of a week, as windows name them, from Monday on.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The keys of a window.
pub const WINDOW_KEYS: [&str; 4] = ["start", "end", "days", "timezone"];

/// A window of local time.
#[derive(Debug, Clone)]
pub struct Window {
    /// Seconds from midnight; included.
    start: i64,
    /// Seconds from midnight; not included. Before `start` where the window goes over midnight.
    end: i64,
    /// A bit for each of [`DAYS`] on which the window starts.
    days: u8,
    zone: TimeZone,
}

/// Why something is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowProblem {
    /// `start` is no time of day.
    Start,
    /// `end` is no time of day.
    End,
    /// `start` and `end` are the same.
    Empty,
    /// There are no days.
    NoDays,
    /// This entry of `days` is no day.
    Day(usize),
    /// There is no such time zone.
    Zone,
}

impl Window {
    /// `start` and `end` are `HH:MM` or `HH:MM:SS`, `end` also `24:00`; without `days` it is all of them.
    ///
    /// # Errors
    ///
    /// [`WindowProblem`], the first one.
    pub fn new(start: &str, end: &str, days: Option<&[&str]>, zone: &str) -> Result<Self, WindowProblem> {
        let start = time_of_day(start)
            .filter(|s| *s < SECONDS_OF_A_DAY)
            .ok_or(WindowProblem::Start)?;
        let end = time_of_day(end).ok_or(WindowProblem::End)?;
        if start == end {
            return Err(WindowProblem::Empty);
        }
        let mut mask = 0x7f;
        if let Some(days) = days {
            mask = 0;
            for (i, day) in days.iter().enumerate() {
                let known = DAYS.iter().position(|d| d == day).ok_or(WindowProblem::Day(i))?;
                mask |= 1 << known;
            }
            if mask == 0 {
                return Err(WindowProblem::NoDays);
            }
        }
        Ok(Self {
            start,
            end,
            days: mask,
            zone: self::zone(zone).ok_or(WindowProblem::Zone)?,
        })
    }

    /// Whether the clock of the window's time zone shows a time inside it at that instant. A window over midnight
    /// belongs to the day on which it starts.
    #[must_use]
    pub fn holds(&self, at: Instant) -> bool {
        let local = at.seconds + self.offset(at.seconds);
        let day = local.div_euclid(SECONDS_OF_A_DAY);
        let time = local.rem_euclid(SECONDS_OF_A_DAY);
        // The epoch was a Thursday.
        let starts_on = |day: i64| self.days >> (day + 3).rem_euclid(7) & 1 == 1;
        if self.start < self.end {
            (self.start..self.end).contains(&time) && starts_on(day)
        } else {
            time >= self.start && starts_on(day) || time < self.end && starts_on(day - 1)
        }
    }

    /// Seconds by which local time is ahead. Beyond the years that zones are known for, as in the same year of the
    /// calendar's cycle.
    fn offset(&self, seconds: i64) -> i64 {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        let known = if seconds < first {
            first + (seconds - first).rem_euclid(CYCLE)
        } else if seconds > last {
            last - (last - seconds).rem_euclid(CYCLE)
        } else {
            seconds
        };
        match Timestamp::from_second(known) {
            Ok(at) => i64::from(self.zone.to_offset(at).seconds()),
            // INVARIANT: brought into the range above.
            Err(_) => 0,
        }
    }
}

/// Seconds from midnight of `HH:MM` or `HH:MM:SS`, up to `24:00`.
fn time_of_day(text: &str) -> Option<i64> {
    let (h1, h2, m1, m2, s1, s2) = match *text.as_bytes() {
        [h1, h2, b':', m1, m2] => (h1, h2, m1, m2, b'0', b'0'),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (h1, h2, m1, m2, s1, s2),
        _ => return None,
    };
    let minute = two(m1, m2).filter(|n| *n <= 59)?;
    let second = two(s1, s2).filter(|n| *n <= 59)?;
    let seconds = two(h1, h2)? * 3600 + minute * 60 + second;
    (seconds <= SECONDS_OF_A_DAY).then_some(seconds)
}

/// The zones that are compiled in.
fn zones() -> &'static TimeZoneDatabase {
    static ZONES: OnceLock<TimeZoneDatabase> = OnceLock::new();
    ZONES.get_or_init(TimeZoneDatabase::bundled)
}

/// The time zone of an IANA name, spelled as IANA spells it.
fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    let found = zones().get(name).ok()?;
    (found.iana_name() == Some(name) && !found.is_unknown()).then_some(found)
}

/// Names of all time zones.
#[must_use]
pub fn zone_names() -> Vec<String> {
    let mut names: Vec<String> = zones().available().map(|name| name.to_string()).collect();
    names.retain(|name| zone(name).is_some());
    names
}

#[cfg(test)]
mod tests {
    use super::{Instant, Window, WindowProblem, zone, zone_names};
    use crate::number::Number;

    fn at(text: &str) -> Instant {
        Instant::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn instants_of_text() {
        assert_eq!(at("1970-01-01T00:00:00Z"), Instant { seconds: 0, nanos: 0 });
        assert_eq!(at("2000-02-29t12:00:00z"), at("2000-02-29 13:00:00+01:00"));
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
        assert_eq!(at("2016-12-31T23:59:60.5Z"), at("2017-01-01T00:00:00.500Z"));
        assert_eq!(
            at("1969-12-31T23:59:59.9999999999Z"),
            Instant {
                seconds: -1,
                nanos: 999_999_999
            }
        );
        assert_eq!(at("2025-01-01T00:00:00-00:00"), at("2025-01-01T00:00:00Z"));
        assert_eq!(at("0000-01-01T00:00:00Z").seconds, -62_167_219_200);
        assert_eq!(at("9999-12-31T23:59:59Z").seconds, 253_402_300_799);
        assert!(at("2025-01-01T00:00:00.000000001Z") > at("2025-01-01T00:00:00Z"));
        assert_eq!(
            at(&format!("2025-01-01T00:00:00.{}Z", "0".repeat(10_000))),
            at("2025-01-01T00:00:00Z")
        );
        for text in [
            "",
            "2025-01-01",
            "2025-01-01T00:00:00",
            "2025-01-01T00:00Z",
            "2025-01-01T00:00:00.Z",
            "2025-01-01T00:00:00+01",
            "2025-01-01T00:00:00+0100",
            "2025-01-01T00:00:00+24:00",
            "2025-01-01T00:00:00+01:60",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:60:00Z",
            "2025-01-01T00:00:61Z",
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "2025-00-01T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-01-00T00:00:00Z",
            "+2025-01-01T00:00:00Z",
            "2025-01-01T00:00:00Z ",
            " 2025-01-01T00:00:00Z",
            "2025-01-01_00:00:00Z",
            "2025-01-01T00:00:00,5Z",
            "2025-01-01T00:00:00Z[Europe/Berlin]",
            "２０２５-01-01T00:00:00Z",
            "1735689600",
        ] {
            assert_eq!(Instant::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn instants_of_numbers() {
        let int = |n| Instant::from_number(Number::Int(n));
        let float = |x| Instant::from_number(Number::Float(x));
        assert_eq!(int(0), Some(at("1970-01-01T00:00:00Z")));
        assert_eq!(int(-1), Some(at("1969-12-31T23:59:59.999Z")));
        assert_eq!(float(1_700_000_000_000.0), int(1_700_000_000_000));
        assert_eq!(
            float(0.3),
            Some(Instant {
                seconds: 0,
                nanos: 300_000
            })
        );
        assert_eq!(
            float(-0.3),
            Some(Instant {
                seconds: -1,
                nanos: 999_700_000
            })
        );
        assert_eq!(
            float(-1e-9),
            Some(Instant {
                seconds: -1,
                nanos: 999_999_999
            })
        );
        assert_eq!(float(5e-324), int(0));
        assert!(int(8_640_000_000_000_000).is_some() && int(8_640_000_000_000_001).is_none());
        assert!(int(-8_640_000_000_000_000).is_some() && int(i64::MIN).is_none());
        assert!(float(8.64e15).is_some() && float(8.640_000_000_000_001e15).is_none());
        assert!(float(f64::INFINITY).is_none() && float(f64::NAN).is_none());
        assert!(Instant::from_number(Number::UInt(u64::MAX)).is_none());
    }

    #[test]
    fn instants_of_decimals() {
        let decimal = Instant::from_decimal;
        assert_eq!(decimal("1.5"), Instant::from_number(Number::Float(1.5)));
        assert_eq!(decimal("15e-1"), decimal("1.5"));
        assert_eq!(decimal("0.00000015E+7"), decimal("1.5"));
        assert_eq!(decimal("1.5000000000000000000000000001"), decimal("1.5"));
        assert_eq!(
            decimal("-1e-400"),
            Some(Instant {
                seconds: -1,
                nanos: 999_999_999
            })
        );
        assert_eq!(decimal("0e999999999999999999999"), decimal("0"));
        assert_eq!(decimal("1e-999999999999999999999"), decimal("0"));
        assert_eq!(decimal("1e999999999999999999999"), None);
        assert!(decimal("8640000000000000").is_some() && decimal("8640000000000000.0000000000001").is_none());
        assert!(
            decimal("-8640000000000000").is_some() && decimal("-8640000000000000.0000000000001").is_none()
        );
        assert_eq!(decimal(&"9".repeat(100_000)), None);
        assert_eq!(decimal(&format!("0.{}1", "0".repeat(100_000))), decimal("0"));
    }

    fn window(start: &str, end: &str, days: Option<&[&str]>, zone: &str) -> Window {
        Window::new(start, end, days, zone).unwrap()
    }

    #[test]
    fn windows_within_a_day() {
        let office = window("09:00", "17:30", Some(&["mon", "fri"]), "UTC");
        // A Monday.
        assert!(
            office.holds(at("2025-03-03T09:00:00Z")) && office.holds(at("2025-03-03T17:29:59.999999999Z"))
        );
        assert!(!office.holds(at("2025-03-03T17:30:00Z")) && !office.holds(at("2025-03-03T08:59:59.999Z")));
        assert!(!office.holds(at("2025-03-04T10:00:00Z")) && office.holds(at("2025-03-07T10:00:00Z")));
        let day = window("00:00", "24:00", Some(&["sun"]), "UTC");
        assert!(day.holds(at("2025-03-02T00:00:00Z")) && day.holds(at("2025-03-02T23:59:59Z")));
        assert!(!day.holds(at("2025-03-03T00:00:00Z")) && !day.holds(at("2025-03-01T23:59:59Z")));
    }

    #[test]
    fn windows_over_midnight_belong_to_the_day_on_which_they_start() {
        let night = window("22:00", "06:00", Some(&["fri"]), "UTC");
        assert!(night.holds(at("2025-03-07T22:00:00Z")) && night.holds(at("2025-03-08T05:59:59Z")));
        assert!(!night.holds(at("2025-03-07T05:00:00Z")) && !night.holds(at("2025-03-08T06:00:00Z")));
        assert!(!night.holds(at("2025-03-08T22:00:00Z")));
        let late = window("22:00", "00:00", None, "UTC");
        assert!(late.holds(at("2025-03-07T23:59:59Z")) && !late.holds(at("2025-03-08T00:00:00Z")));
    }

    #[test]
    fn windows_follow_the_clock_of_their_zone() {
        let night = window("02:00", "03:00", None, "Europe/Berlin");
        // The clock goes from 02:00 to 03:00 on 30 March 2025, and through that hour twice on 26 October.
        assert!(night.holds(at("2025-03-29T01:30:00Z")));
        assert!(!night.holds(at("2025-03-30T00:59:59Z")) && !night.holds(at("2025-03-30T01:00:00Z")));
        assert!(night.holds(at("2025-10-26T00:30:00Z")) && night.holds(at("2025-10-26T01:30:00Z")));
        assert!(!night.holds(at("2025-10-26T02:00:00Z")));
        let half = window("05:30", "05:31", None, "Asia/Kolkata");
        assert!(half.holds(at("1990-01-01T00:00:00Z")));
        // Local days: Sunday evening in UTC is Monday morning in Tokyo.
        let monday = window("00:00", "24:00", Some(&["mon"]), "Asia/Tokyo");
        assert!(monday.holds(at("2025-03-02T15:00:00Z")) && !monday.holds(at("2025-03-03T15:00:00Z")));
    }

    #[test]
    fn far_instants_follow_the_cycle() {
        let berlin = window("12:00", "12:01", None, "Europe/Berlin");
        // 23 cycles after a summer day and a winter day of 2025.
        for (text, utc_hour) in [("2025-07-01T10:00:30Z", 10), ("2025-01-01T11:00:30Z", 11)] {
            let near = at(text);
            assert!(berlin.holds(near), "{utc_hour}");
            let far = Instant {
                seconds: near.seconds + 600 * super::CYCLE,
                nanos: 0,
            };
            assert!(berlin.holds(far), "{utc_hour}");
        }
        let past = window("00:00", "24:00", None, "Europe/Berlin");
        for n in [-8_640_000_000_000_000, 8_640_000_000_000_000] {
            assert!(past.holds(Instant::from_number(Number::Int(n)).unwrap()));
        }
    }

    #[test]
    fn problems_of_windows() {
        let problem = |s, e, d: Option<&[&str]>, z| Window::new(s, e, d, z).map(|_| ()).unwrap_err();
        assert_eq!(problem("9:00", "17:00", None, "UTC"), WindowProblem::Start);
        assert_eq!(problem("24:00", "17:00", None, "UTC"), WindowProblem::Start);
        assert_eq!(problem("09:00", "24:01", None, "UTC"), WindowProblem::End);
        assert_eq!(problem("09:00", "24:00:01", None, "UTC"), WindowProblem::End);
        assert_eq!(problem("09:00", "17:60", None, "UTC"), WindowProblem::End);
        assert_eq!(problem("09:00", "09:00:00", None, "UTC"), WindowProblem::Empty);
        assert_eq!(problem("09:00", "17:00", Some(&[]), "UTC"), WindowProblem::NoDays);
        assert_eq!(
            problem("09:00", "17:00", Some(&["mon", "Tue"]), "UTC"),
            WindowProblem::Day(1)
        );
        for zone in [
            "",
            "Europe/Bärlin",
            "europe/berlin",
            "CEST",
            "+01:00",
            "Etc/Unknown",
            "local",
        ] {
            assert_eq!(
                problem("09:00", "17:00", None, zone),
                WindowProblem::Zone,
                "{zone}"
            );
        }
    }

    #[test]
    fn every_named_zone_is_there() {
        let names = zone_names();
        assert!(names.len() > 400 && names.iter().all(|name| zone(name).is_some()));
        assert!(names.iter().any(|n| n == "Europe/Berlin") && names.iter().any(|n| n == "UTC"));
    }
}
