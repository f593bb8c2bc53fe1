//! Bytes: a writer and a bounds-checked reader for the code section, and the decode error of the whole crate.
//!
//! Integers in code are LEB128, so that small operands take one byte. Everything that reads returns an error with the
//! byte offset at which it gave up; nothing here panics.

pub mod numbers;

/// Why bytes are not a module or a bundle. Offsets are bytes from the start of what was decoded: of the bundle for its
/// container, of the module section for its tables, of a function's code for its instructions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end in the middle of something.
    #[error("truncated at byte {offset}")]
    Truncated {
        /// Byte at which reading gave up.
        offset: usize,
    },
    /// The bytes do not start like a bundle.
    #[error("not a policy bundle (wrong magic number)")]
    BadMagic,
    /// Made by an incompatible version.
    #[error("{what} version {found} is not supported; this build reads version {supported}")]
    UnsupportedVersion {
        /// Version of what.
        what: &'static str,
        /// What the bytes say.
        found: u16,
        /// What this build reads.
        supported: u16,
    },
    /// A number with no meaning in its place, such as an unknown opcode.
    #[error("invalid {what} at byte {offset}")]
    BadValue {
        /// Byte at which the number stands.
        offset: usize,
        /// What was being read.
        what: &'static str,
    },
    /// A section is absent.
    #[error("section `{section}` is missing")]
    MissingSection {
        /// Its name.
        section: &'static str,
    },
    /// A section that this build does not know and that must not be skipped, or one that occurs twice.
    #[error("section {id} is unknown or occurs twice")]
    BadSection {
        /// Its number.
        id: u16,
    },
    /// A section's contents do not decode.
    #[error("section `{section}` does not decode")]
    BadTable {
        /// Its name.
        section: &'static str,
    },
    /// Bytes follow where none should.
    #[error("unexpected bytes from {offset}")]
    TrailingBytes {
        /// Where they start.
        offset: usize,
    },
    /// The digest does not match the contents: the bytes were changed after they were made.
    #[error("digest does not match the contents: the bundle was changed")]
    DigestMismatch,
    /// A signature does not verify against its own public key.
    #[error("a signature does not verify")]
    BadSignature,
    /// Larger than allowed.
    #[error("{what}: {actual} exceeds the limit of {limit}")]
    LimitExceeded {
        /// What is too large.
        what: &'static str,
        /// What is allowed.
        limit: usize,
        /// What was found.
        actual: usize,
    },
}

/// Appends LEB128 integers to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A LEB128 integer: 1 to 5 bytes.
    pub fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push((value & 0x7F) as u8);
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the start.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offset >= self.bytes.len()
    }

    /// One byte.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] at the end.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let byte = *self
            .bytes
            .get(self.offset)
            .ok_or(DecodeError::Truncated { offset: self.offset })?;
        self.offset += 1;
        Ok(byte)
    }

    /// `count` bytes.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let end = self
            .offset
            .checked_add(count)
            .ok_or(DecodeError::Truncated { offset: self.offset })?;
        let slice = self
            .bytes
            .get(self.offset..end)
            .ok_or(DecodeError::Truncated { offset: self.offset })?;
        self.offset = end;
        Ok(slice)
    }

    /// A little-endian `u16`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] at the end.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().rev().fold(0, |n, b| n << 8 | u16::from(*b)))
    }

    /// A little-endian `u32`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] at the end.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    /// A LEB128 integer in its shortest form.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] at the end, [`DecodeError::BadValue`] above 32 bits or with needless bytes.
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let start = self.offset;
        let bad = DecodeError::BadValue {
            offset: start,
            what: "integer",
        };
        let mut value: u32 = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            let part = u32::from(byte & 0x7F);
            if shift == 28 && part > 0xF {
                return Err(bad);
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(bad)
                } else {
                    Ok(value)
                };
            }
        }
        Err(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_survive_the_round_trip(values: Vec<u32>) {
            let mut writer = Writer::new();
            for value in &values { writer.varint(*value); }
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            for value in &values { prop_assert_eq!(reader.varint().unwrap(), *value); }
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(_value) = reader.varint() {}
        }
    }
}
