//! When a call is made again: how long to wait, and what `Retry-After` says.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// How often and with what pauses a call is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// Attempts after the first.
    pub retries: u32,
    /// The longest pause before the first retry; it doubles with each.
    pub base: Duration,
    /// No pause is longer, unless the server asks for it with `Retry-After`.
    pub cap: Duration,
}

impl Default for RetrySettings {
    /// Two retries, 50 ms, one second.
    fn default() -> Self {
        Self {
            retries: 2,
            base: Duration::from_millis(50),
            cap: Duration::from_secs(1),
        }
    }
}

impl RetrySettings {
    /// The pause before retry number `retry` (from 0): anywhere between nothing and the longest ("full jitter"), so that callers
    /// that failed together do not come back together.
    pub(crate) fn pause(&self, retry: u32, random: u64) -> Duration {
        let longest = self
            .base
            .saturating_mul(1_u32.checked_shl(retry).unwrap_or(u32::MAX))
            .min(self.cap);
        // 53 bits, as many as a double holds: a share below 1.
        let share = (random >> 11) as f64 / (1_u64 << 53) as f64;
        longest.mul_f64(share)
    }
}

/// A random number for a pause; where there is none, the longest pause.
pub(crate) fn random() -> u64 {
    getrandom::u64().unwrap_or(u64::MAX)
}

/// What `Retry-After` asks for, in seconds or as a date; `None` where it is absent or not understood, which leaves the usual pause.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are more than anybody waits.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    let now = Timestamp::try_from(now).ok()?;
    let wait = until.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::{RetrySettings, retry_after};
    use http::{HeaderMap, HeaderValue};
    use std::time::{Duration, SystemTime};

    #[test]
    fn pauses_double_up_to_the_cap_and_spread_over_the_whole_range() {
        let settings = RetrySettings {
            retries: 40,
            base: Duration::from_millis(100),
            cap: Duration::from_secs(1),
        };
        assert_eq!(settings.pause(0, 0), Duration::ZERO);
        let near = |pause: Duration, millis: u128| {
            assert!(pause.as_millis().abs_diff(millis) <= 1, "{pause:?} {millis}");
        };
        near(settings.pause(0, u64::MAX / 2), 50);
        near(settings.pause(0, u64::MAX), 100);
        near(settings.pause(2, u64::MAX), 400);
        near(settings.pause(5, u64::MAX), 1000);
        near(settings.pause(39, u64::MAX), 1000);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_717);
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(read("Sun, 06 Nov 1993 08:49:37 GMT"), None, "that was a Saturday");
        assert_eq!(
            read("Sat, 06 Nov 1993 08:49:37 GMT"),
            Some(Duration::ZERO),
            "long ago"
        );
        assert_eq!(
            read("99999999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read(""), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
