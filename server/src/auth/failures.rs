//! How often callers of one address may fail to prove who they are.
//!
//! Each failure costs a signature or a question to the store. Who has failed too often is refused unread, until a failure has
//! run out again (GCRA); a refusal is no failure.
//!
//! # Invariants
//!
//! - Memory is fixed. Addresses are spread over [`SLOTS`] by a hash with a random key; those that share one are counted
//!   together, and nobody can choose with whom.

use crate::shares::Address;
use std::hash::{BuildHasher as _, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counts at most.
const SLOTS: usize = 16 << 10;

/// Over which failures are counted.
const SPAN: Duration = Duration::from_secs(60);

/// Counts failures.
#[derive(Debug)]
pub(super) struct Failures {
    /// Microseconds after which one more failure is allowed.
    interval: u64,
    start: Instant,
    /// For each slot, when all of its failures have run out, in microseconds after `start`.
    until: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Failures {
    /// So many are allowed in a minute, and at once.
    pub(super) fn new(most: NonZeroU32) -> Self {
        Self {
            interval: (micros(SPAN) / u64::from(most.get())).max(1),
            start: Instant::now(),
            until: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }

    fn slot(&self, address: Address) -> Option<&AtomicU64> {
        let slot = usize::try_from(self.hasher.hash_one(address) % SLOTS as u64).ok()?;
        self.until.get(slot)
    }

    fn now(&self) -> u64 {
        micros(self.start.elapsed())
    }

    /// How long this address is not listened to.
    pub(super) fn wait(&self, address: Address) -> Option<Duration> {
        let until = self.slot(address)?.load(Ordering::Relaxed);
        let full = self.now() + micros(SPAN);
        (until + self.interval)
            .checked_sub(full)
            .filter(|wait| *wait > 0)
            .map(Duration::from_micros)
    }

    /// Counts a failure.
    pub(super) fn count(&self, address: Address) {
        let (now, most) = (self.now(), micros(SPAN));
        if let Some(slot) = self.slot(address) {
            let later = |until: u64| Some((until.max(now) + self.interval).min(now + most));
            // Always has a value, so it is always stored.
            slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later)
                .unwrap_or_default();
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::{Failures, SPAN};
    use crate::shares::Address;
    use std::num::NonZeroU32;
    use std::time::Duration;

    fn address(last: u8) -> Address {
        Address::of([192, 0, 2, last].into())
    }

    #[test]
    fn so_many_failures_are_allowed_and_then_none_until_they_run_out() {
        // One in twenty seconds: no machine is so slow that one runs out meanwhile.
        let mut failures = Failures::new(NonZeroU32::new(3).unwrap());
        for _ in 0..3 {
            assert_eq!(failures.wait(address(1)), None);
            failures.count(address(1));
        }
        let wait = failures.wait(address(1)).unwrap();
        assert!(wait <= SPAN / 3, "{wait:?}");
        // However many come at once, one waits no longer than for one.
        for _ in 0..100 {
            failures.count(address(1));
        }
        assert!(failures.wait(address(1)).unwrap() <= SPAN / 3);
        // Time that has passed counts.
        failures.start -= wait + Duration::from_secs(1);
        assert_eq!(failures.wait(address(1)), None);
        failures.count(address(1));
        assert!(failures.wait(address(1)).is_some());
    }

    #[test]
    fn addresses_are_counted_apart() {
        let failures = Failures::new(NonZeroU32::MIN);
        failures.count(address(1));
        assert!(failures.wait(address(1)).is_some());
        // Some may share its slot; all of them cannot.
        assert!((2..=255).any(|last| failures.wait(address(last)).is_none()));
    }
}
