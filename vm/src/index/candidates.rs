//! Rules to run: sets that are taken out in order.

/// Rules to run: a bit for each, and a bit for each word that has any, so that taking them out in order costs what is
/// in, not what could be.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    words: Vec<u64>,
    summary: Vec<u64>,
}

/// A position in [`Candidates`].
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    /// Bits of the current word that are left, and its number.
    bits: u64,
    word: usize,
    /// The current word of the summary.
    at: usize,
}

impl Candidates {
    /// None, of so many rules.
    pub(crate) fn of(rules: usize) -> Self {
        let words = rules.div_ceil(64);
        Self {
            words: vec![0; words],
            summary: vec![0; words.div_ceil(64)],
        }
    }

    pub(super) fn clear(&mut self) {
        for (at, summary) in self.summary.iter_mut().enumerate() {
            while *summary != 0 {
                let bit = summary.trailing_zeros() as usize;
                *summary &= *summary - 1;
                if let Some(word) = self.words.get_mut(at * 64 + bit) {
                    *word = 0;
                }
            }
        }
    }

    #[inline]
    pub(super) fn add(&mut self, word: u32, bits: u64) {
        let place = word as usize;
        if let (Some(word), Some(summary)) = (self.words.get_mut(place), self.summary.get_mut(place / 64)) {
            *word |= bits;
            *summary |= 1 << (place % 64);
        }
    }

    #[cold]
    pub(super) fn add_all(&mut self, rules: u32) {
        for word in 0..rules.div_ceil(64) {
            let rest = rules - 64 * word;
            self.add(word, if rest >= 64 { u64::MAX } else { (1 << rest) - 1 });
        }
    }

    /// Takes up what was added to the word of `rule`, which was taken out last. Only what stands behind it counts.
    pub(crate) fn refill(&mut self, cursor: &mut Cursor, rule: u32) {
        if let Some(word) = self.words.get_mut(cursor.word) {
            let behind = u64::MAX.checked_shl(rule % 64 + 1).unwrap_or(0);
            cursor.bits |= std::mem::take(word) & behind;
        }
    }

    /// Takes the next rule out, in ascending order.
    #[inline]
    pub(crate) fn next(&mut self, cursor: &mut Cursor) -> Option<u32> {
        while cursor.bits == 0 {
            let summary = self.summary.get_mut(cursor.at)?;
            if *summary == 0 {
                cursor.at += 1;
                continue;
            }
            cursor.word = cursor.at * 64 + summary.trailing_zeros() as usize;
            *summary &= *summary - 1;
            cursor.bits = std::mem::take(self.words.get_mut(cursor.word)?);
        }
        let bit = cursor.bits.trailing_zeros();
        cursor.bits &= cursor.bits - 1;
        u32::try_from(cursor.word).ok().map(|word| word * 64 + bit)
    }
}
