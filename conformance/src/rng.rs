//! The source of choices for generators: a small seeded generator, or the bytes of a fuzzer.
//!
//! Choices from bytes let a fuzzer change one decision of a generated pair by changing one byte. When the bytes are
//! used up, a generator seeded by them goes on, so that every input yields a complete pair.

/// See the module documentation.
#[derive(Debug, Clone)]
pub struct Rng {
    bytes: Vec<u8>,
    position: usize,
    state: u64,
}

impl Rng {
    /// Choices that depend on `seed` alone. The same seed gives the same choices on every platform.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            bytes: Vec::new(),
            position: 0,
            state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D,
        }
    }

    /// Choices read off `bytes`, two bytes each.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        // FNV-1a, so that what follows the bytes depends on them.
        let state = bytes.iter().fold(0xCBF2_9CE4_8422_2325_u64, |h, b| {
            (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01B3)
        });
        Self {
            bytes: bytes.to_vec(),
            position: 0,
            state,
        }
    }

    /// 64 bits (SplitMix64).
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n < 2 {
            return 0;
        }
        let raw = match self.bytes.get(self.position..self.position + 2) {
            Some(pair) => {
                self.position += 2;
                u64::from(pair[0]) << 8 | u64::from(pair[1])
            }
            None => self.next_u64() >> 16,
        };
        usize::try_from(raw % n as u64).unwrap_or(0)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.below(100) < usize::from(percent)
    }

    /// One of `items`.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Index of a weight, in proportion to the weights.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        let total: u32 = weights.iter().sum();
        let mut at = self.below(total as usize);
        for (i, weight) in weights.iter().enumerate() {
            let weight = *weight as usize;
            if at < weight {
                return i;
            }
            at -= weight;
        }
        0
    }

    /// Brings `items` into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }
}
