//! Words and what they say, found by their first three bytes: most words of a text are in no dictionary, and are told so by
//! one load.
//!
//! Words are written in small letters where they are ASCII, and heard in any case. Where a word stands twice, the first counts.

/// Buckets of words.
const BUCKETS: usize = 1024;
/// No word; also how many there can be.
const NONE: u16 = u16::MAX;

/// A table of `N` words.
pub(super) struct Dictionary<T: 'static, const N: usize> {
    words: &'static [(&'static str, T); N],
    /// The first word of each bucket.
    first: [u16; BUCKETS],
    /// The next word of the same bucket, in the order of `words`.
    next: [u16; N],
}

impl<T: Copy, const N: usize> Dictionary<T, N> {
    /// The dictionary of `words`.
    pub(super) const fn of(words: &'static [(&'static str, T); N]) -> Self {
        assert!(N < NONE as usize, "words are numbered by two bytes");
        let mut first = [NONE; BUCKETS];
        let mut next = [NONE; N];
        let mut row = N;
        while row > 0 {
            row -= 1;
            let bucket = bucket(words[row].0.as_bytes());
            next[row] = first[bucket];
            first[bucket] = row as u16;
        }
        Dictionary { words, first, next }
    }

    /// The rows whose words may begin as `word` does: all that do, and a few others.
    #[inline]
    pub(super) fn alike(&self, word: &[u8]) -> impl Iterator<Item = (&'static str, T)> {
        let mut row = self.first[bucket(word)];
        std::iter::from_fn(move || {
            let found = *self.words.get(usize::from(row))?;
            row = self.next[usize::from(row)];
            Some(found)
        })
    }

    /// Whether words may begin as `word` does.
    #[inline]
    pub(super) fn has_alike(&self, word: &[u8]) -> bool {
        self.first[bucket(word)] != NONE
    }

    /// What `word` says, in any case.
    #[inline]
    pub(super) fn find(&self, word: &[u8]) -> Option<T> {
        self.alike(word)
            .find(|(known, _)| known.len() == word.len() && word.eq_ignore_ascii_case(known.as_bytes()))
            .map(|(_, says)| says)
    }
}

/// The bucket of words that begin as `word` does, whatever the case.
#[inline(always)]
const fn bucket(word: &[u8]) -> usize {
    let (a, b, c) = match word {
        [a, b, c, ..] => (*a, *b, *c),
        [a, b] => (*a, *b, 0),
        [a] => (*a, 0, 0),
        [] => (0, 0, 0),
    };
    let beginning = (a as u32) << 16 | (b as u32) << 8 | c as u32;
    // The bit by which small letters differ from capitals.
    let spread = (beginning | 0x20_20_20).wrapping_mul(0x9E37_79B1);
    (spread >> (u32::BITS - BUCKETS.ilog2())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_the_first_counts() {
        static WORDS: Dictionary<u8, 5> =
            Dictionary::of(&[("phone", 1), ("phones", 2), ("ip", 3), ("PHONE", 4), ("é", 5)]);
        assert_eq!(WORDS.find(b"Phone"), Some(1));
        assert_eq!(WORDS.find(b"phones"), Some(2));
        assert_eq!(WORDS.find(b"IP"), Some(3));
        assert_eq!(WORDS.find("é".as_bytes()), Some(5));
        assert_eq!(WORDS.find(b"phon"), None);
        assert_eq!(WORDS.find(b""), None);
        assert!(WORDS.has_alike(b"phobia"));
        assert_eq!(WORDS.alike(b"phobia").count(), 3);
    }
}
