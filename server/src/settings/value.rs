//! How values of settings are written: durations, sizes, booleans, keys.

use base64::Engine as _;
use secrecy::SecretBox;
use std::time::Duration;

/// `true`, `false`, `1`, `0`, `yes`, `no`, `on`, `off`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A number with `ms`, `s`, `m`, `h`, `d` or `w`; without a unit, seconds.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

/// A number with `KB`, `MB`, `GB` (or `KiB` …, which mean the same here: powers of 1024); without a unit, bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

/// A password as it may stand in a URL.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// `ID:BASE64` of 32 bytes.
pub(crate) fn encryption_key(text: &str) -> Option<(String, SecretBox<[u8; 32]>)> {
    let (id, key) = text.split_once(':')?;
    let plain = id
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let bytes = zeroize::Zeroizing::new(base64::engine::general_purpose::STANDARD.decode(key).ok()?);
    let key: [u8; 32] = bytes.as_slice().try_into().ok()?;
    (plain && !id.is_empty()).then(|| (id.to_owned(), SecretBox::new(Box::new(key))))
}
