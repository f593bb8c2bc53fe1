//! Bytes as lower-case hexadecimal digits: digests, hashes, keys.

/// Appends the digits. Allocates nothing where `out` has the room, so that no secret stays behind in freed memory.
pub(crate) fn push(bytes: &[u8], out: &mut String) {
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        out.push(char::from_digit(u32::from(digit), 16).unwrap_or('?'));
    }
}

/// The digits.
#[must_use]
pub fn of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    push(bytes, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn every_byte_has_two_digits() {
        assert_eq!(of(&[]), "");
        assert_eq!(of(&[0, 9, 10, 0x7f, 0xff]), "00090a7fff");
    }
}
