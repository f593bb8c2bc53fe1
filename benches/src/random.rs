//! The random numbers that workloads and texts are made from: the same everywhere, for ever.

/// MT19937, seeded and drawn from as CPython's `random.Random` does.
pub(crate) struct Twister {
    state: [u32; 624],
    next: usize,
}

impl Twister {
    /// `random.Random(seed)`.
    pub(crate) fn new(seed: usize) -> Self {
        let mut state = [0u32; 624];
        let mut previous = 19_650_218;
        for (i, word) in state.iter_mut().enumerate() {
            if i > 0 {
                previous = 1_812_433_253u32
                    .wrapping_mul(previous ^ previous >> 30)
                    .wrapping_add(low_word(i));
            }
            *word = previous;
        }
        let mut i = 1;
        let mut step = |state: &mut [u32; 624], factor: u32, add: &dyn Fn(usize) -> u32| {
            let previous = state[i - 1];
            state[i] = (state[i] ^ (previous ^ previous >> 30).wrapping_mul(factor)).wrapping_add(add(i));
            i += 1;
            if i == 624 {
                state[0] = state[623];
                i = 1;
            }
        };
        // The key is the seed alone, so its index is always 0.
        for _ in 0..624 {
            step(&mut state, 1_664_525, &|_| low_word(seed));
        }
        for _ in 0..623 {
            step(&mut state, 1_566_083_941, &|i| low_word(i).wrapping_neg());
        }
        state[0] = 0x8000_0000;
        Self { state, next: 624 }
    }

    fn word(&mut self) -> u32 {
        if self.next == 624 {
            for i in 0..624 {
                let joined = self.state[i] & 0x8000_0000 | self.state[(i + 1) % 624] & 0x7fff_ffff;
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ joined >> 1 ^ twist;
            }
            self.next = 0;
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9d2c_5680;
        y ^= y << 15 & 0xefc6_0000;
        y ^ y >> 18
    }

    /// `randrange(count)`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let bits = usize::BITS - count.leading_zeros();
        loop {
            let drawn = (self.word() >> (32 - bits)) as usize;
            if drawn < count {
                return drawn;
            }
        }
    }

    pub(crate) fn choice<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub(crate) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let (a, b) = (self.word() >> 5, self.word() >> 6);
        let unit = (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0;
        low + (high - low) * unit
    }
}

/// Seeds and indices here are far below 2^32.
fn low_word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
