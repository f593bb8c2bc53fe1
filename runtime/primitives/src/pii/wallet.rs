//! Cryptocurrency addresses: Bitcoin (Base58Check, Bech32) by checksum, Ethereum by form.

use super::bytes::slice;
use super::checksum::{base58check, bech32};
use super::context::Topic;
use super::scan::Scanner;
use super::types::{Confidence, PiiType};

/// Characters of the shortest.
pub(super) const SHORTEST: usize = 26;

/// Looks at the word `start..end`. Returns its end if it is an address that counts.
pub(super) fn scan_word(scanner: &mut Scanner<'_, '_>, start: usize, end: usize) -> Option<usize> {
    let word = slice(scanner.text, start, end);
    let confidence = match word {
        [b'1' | b'3', ..] if (SHORTEST..=35).contains(&word.len()) && base58check(word) => Confidence::High,
        [b'b', b'c', b'1', data @ ..] if (39..=87).contains(&data.len()) && bech32(b"bc", data) => {
            Confidence::High
        }
        [b'0', b'x', hex @ ..] if hex.len() == 40 && hex.iter().all(u8::is_ascii_hexdigit) => {
            // Contracts and padded constants have the same form; mixed case is a checksum that people paste.
            let mixed = hex.iter().any(u8::is_ascii_uppercase) && hex.iter().any(u8::is_ascii_lowercase);
            if mixed || scanner.nearby(start).has(Topic::Wallet) {
                Confidence::Medium
            } else {
                Confidence::Low
            }
        }
        _ => return None,
    };
    scanner.step(end - start);
    scanner.emit(PiiType::CryptoWallet, start, end, confidence);
    (confidence >= Confidence::Medium).then_some(end)
}
