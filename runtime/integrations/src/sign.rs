//! Signatures of callers, dates in them, and random ids.

#[cfg(feature = "shield")]
use crate::failure::Failure;
use jiff::Timestamp;
use ring::hmac;
use std::time::SystemTime;

/// A time as RFC 3339 writes it, to the millisecond; `None` outside of the years that it can write.
pub(crate) fn rfc3339(time: SystemTime) -> Option<String> {
    let time = Timestamp::try_from(time).ok()?;
    Some(format!("{time:.3}"))
}

/// The signature of a caller: HMAC-SHA256 of `id|issued-at` in hexadecimal digits.
pub(crate) fn caller(secret: &[u8], id: &str, issued_at: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hex(hmac::sign(&key, format!("{id}|{issued_at}").as_bytes()).as_ref())
}

/// An id that nobody else has: a random UUID (version 4).
///
/// # Errors
///
/// [`Failure::NoRandomness`].
#[cfg(feature = "shield")]
pub(crate) fn random_id() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Failure::NoRandomness)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex(&bytes);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    Ok(parts.join("-"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |bits: u8| DIGITS[usize::from(bits & 0x0f)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(*byte)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{caller, rfc3339};
    use std::time::{Duration, SystemTime};

    #[test]
    fn callers_sign_as_the_contract_says() {
        let at = rfc3339(SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_460_800_000)).unwrap();
        assert_eq!(at, "2025-11-30T00:00:00.000Z");
        // Computed with Python's `hmac`.
        assert_eq!(
            caller(b"shared-secret", "policyd", &at),
            "7f24437d8ef45547263efd60e2d20bd94ae44ba105ccc780a3182ba6616d58db"
        );
    }

    #[cfg(feature = "shield")]
    #[test]
    fn ids_are_random_uuids() {
        let (first, second) = (super::random_id().unwrap(), super::random_id().unwrap());
        assert_ne!(first, second);
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert!(matches!(first.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
