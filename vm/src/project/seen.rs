//! Which entries of one object were seen.

use bumpalo::Bump;

/// Which entries of one object were seen. Objects with more than 64 entries keep the rest in the arena.
pub(super) struct Seen<'a> {
    pub(super) first: u64,
    rest: &'a mut [u64],
}

impl<'a> Seen<'a> {
    #[inline]
    pub(super) fn new(entries: usize, bump: &'a Bump) -> Self {
        let rest: &mut [u64] = if entries > 64 {
            bump.alloc_slice_fill_copy((entries - 64).div_ceil(64), 0)
        } else {
            &mut []
        };
        Self { first: 0, rest }
    }

    #[inline]
    pub(super) fn get(&self, entry: usize) -> bool {
        if entry < 64 {
            return self.first >> entry & 1 == 1;
        }
        self.rest
            .get((entry - 64) / 64)
            .is_some_and(|w| w >> (entry % 64) & 1 == 1)
    }

    /// Adds an entry; whether it was there.
    #[inline]
    pub(super) fn put(&mut self, entry: usize) -> bool {
        let word = match entry.checked_sub(64) {
            None => &mut self.first,
            Some(entry) => match self.rest.get_mut(entry / 64) {
                Some(word) => word,
                None => return false,
            },
        };
        let bit = 1 << (entry % 64);
        let was = *word & bit != 0;
        *word |= bit;
        was
    }
}
