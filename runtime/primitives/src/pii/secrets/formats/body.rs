//! The characters of a part of a key, by a table with a bit for each kind.

use Body::{Alnum, Base64, Digit, Hex, Lower, Tilde, Upper, Url, Wide};

/// Characters of a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii::secrets) enum Body {
    /// Digits.
    Digit,
    /// Hexadecimal digits.
    Hex,
    /// Capital letters and digits.
    Upper,
    /// Small letters and digits.
    Lower,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `_`, `-`.
    Url,
    /// Letters, digits, `+`, `/`, `=`.
    Base64,
    /// Letters, digits, `_`, `-`, `.`, `=`, `/`, `+`.
    Wide,
    /// Letters, digits, `_`, `-`, `.`, `~`.
    Tilde,
}

impl Body {
    const ALL: [Body; 9] = [Digit, Hex, Upper, Lower, Alnum, Url, Base64, Wide, Tilde];

    /// Whether `byte` is one of them.
    #[inline(always)]
    pub(in crate::pii::secrets) fn has(self, byte: u8) -> bool {
        BODIES[usize::from(byte)] >> self as u32 & 1 != 0
    }

    const fn holds(self, byte: u8) -> bool {
        let alnum = byte.is_ascii_alphanumeric();
        match self {
            Body::Digit => byte.is_ascii_digit(),
            Body::Hex => byte.is_ascii_hexdigit(),
            Body::Upper => alnum && !byte.is_ascii_lowercase(),
            Body::Lower => alnum && !byte.is_ascii_uppercase(),
            Body::Alnum => alnum,
            Body::Url => alnum || matches!(byte, b'_' | b'-'),
            Body::Base64 => alnum || matches!(byte, b'+' | b'/' | b'='),
            Body::Wide => alnum || matches!(byte, b'_' | b'-' | b'.' | b'=' | b'/' | b'+'),
            Body::Tilde => alnum || matches!(byte, b'_' | b'-' | b'.' | b'~'),
        }
    }
}

/// By byte, a bit for each [`Body`] that has it.
static BODIES: [u16; 256] = bodies();

const fn bodies() -> [u16; 256] {
    let mut bodies = [0; 256];
    let mut value = 0;
    while value < bodies.len() {
        let mut index = 0;
        while index < Body::ALL.len() {
            let body = Body::ALL[index];
            if body.holds(value as u8) {
                bodies[value] |= 1 << body as u32;
            }
            index += 1;
        }
        value += 1;
    }
    bodies
}
