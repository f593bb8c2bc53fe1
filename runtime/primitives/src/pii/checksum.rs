//! Check digits of the formats we know. Pure functions over digits; no text, no offsets.
//!
//! Each is compared with a slower, independent formulation in `pii/tests.rs`.

use sha2::{Digest, Sha256};

/// Luhn (ISO/IEC 7812): cards, Canadian SIN. `digits` are values 0–9, most significant first.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let mut sum = 0u32;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let doubled = if place % 2 == 1 { digit * 2 } else { digit };
        sum += u32::from(if doubled > 9 { doubled - 9 } else { doubled });
    }
    !digits.is_empty() && sum.is_multiple_of(10)
}

/// ISO 7064 mod 97-10 of an IBAN without separators: the first four characters count last. Letters are 10–35.
pub(super) fn iban_mod97(chars: &[u8]) -> bool {
    if chars.len() < 5 {
        return false;
    }
    let (head, tail) = chars.split_at(4);
    let mut rest = 0u32;
    for &c in tail.iter().chain(head) {
        rest = match c {
            b'0'..=b'9' => (rest * 10 + u32::from(c - b'0')) % 97,
            b'A'..=b'Z' => (rest * 100 + u32::from(c - b'A') + 10) % 97,
            b'a'..=b'z' => (rest * 100 + u32::from(c - b'a') + 10) % 97,
            _ => return false,
        };
    }
    rest == 1
}

/// NHS number: weights 10 to 2 over nine digits, tenth is the check digit, mod 11.
pub(super) fn nhs(digits: &[u8]) -> bool {
    let [head @ .., check] = digits else { return false };
    if head.len() != 9 {
        return false;
    }
    let sum: u32 = head
        .iter()
        .zip((2u32..=10).rev())
        .map(|(&d, weight)| u32::from(d) * weight)
        .sum();
    (11 - sum % 11) % 11 == u32::from(*check)
}

/// Brazilian CPF: eleven digits, the last two are check digits; eleven equal digits are not issued.
pub(super) fn cpf(digits: &[u8]) -> bool {
    if digits.len() != 11 || digits.iter().all(|d| *d == digits[0]) {
        return false;
    }
    let check = |length: usize| {
        let top = length as u32 + 1;
        let sum: u32 = digits[..length]
            .iter()
            .zip((2..=top).rev())
            .map(|(&d, weight)| u32::from(d) * weight)
            .sum();
        match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        }
    };
    check(9) == u32::from(digits[9]) && check(10) == u32::from(digits[10])
}

/// Verhoeff (Aadhaar): products in the dihedral group of order 10.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    /// Position permutation, applied `place` times; it has order 8.
    const PERMUTE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut state = 0u8;
    for (place, &digit) in digits.iter().rev().enumerate() {
        let mut moved = digit;
        for _ in 0..place % 8 {
            moved = PERMUTE[usize::from(moved)];
        }
        state = dihedral(state, moved);
    }
    !digits.is_empty() && state == 0
}

/// The product of two elements of the dihedral group: 0–4 are rotations, 5–9 reflections.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Base58Check of a 25-byte payload (Bitcoin addresses): the last four bytes repeat a double SHA-256 of the others.
pub(super) fn base58check(text: &[u8]) -> bool {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut payload = [0u8; 25];
    for &c in text {
        let Some(value) = ALPHABET.iter().position(|a| *a == c) else {
            return false;
        };
        let mut carry = value as u32;
        for byte in payload.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, check) = payload.split_at(21);
    let digest = Sha256::digest(Sha256::digest(body));
    digest.as_slice().starts_with(check)
}

/// Bech32 and Bech32m (BIP 173, BIP 350) of a lower-case address with the given human-readable part.
pub(super) fn bech32(prefix: &[u8], data: &[u8]) -> bool {
    const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const BECH32M: u32 = 0x2bc8_30a3;
    let mut state = 1u32;
    for &c in prefix {
        state = bech32_step(state, u32::from(c >> 5));
    }
    state = bech32_step(state, 0);
    for &c in prefix {
        state = bech32_step(state, u32::from(c & 31));
    }
    for &c in data {
        let Some(value) = ALPHABET.iter().position(|a| *a == c) else {
            return false;
        };
        state = bech32_step(state, value as u32);
    }
    state == 1 || state == BECH32M
}

/// One step of the Bech32 polynomial over GF(32).
fn bech32_step(state: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = state >> 25;
    let mut next = (state & 0x01ff_ffff) << 5 ^ value;
    for (bit, term) in GENERATOR.iter().enumerate() {
        if top >> bit & 1 == 1 {
            next ^= term;
        }
    }
    next
}
