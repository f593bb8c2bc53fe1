//! Ids of decisions, made one after another without asking the system for chance and locks for each.
//!
//! An id is a UUID of version 7: when it was made, and behind that a number that begins by chance in every millisecond and
//! grows by chance within it. So ids of one source are in the order in which they were made, and those of others differ:
//! two sources meet in one of 2^74 numbers at the same millisecond.
//!
//! # Not done here
//!
//! Secrecy: whoever has seen some ids may guess the next ones. Nothing is allowed to who knows one.

use crate::clock::now_ms;
use crate::storage::model::DecisionId;

/// Bits of the number, and of how much it grows at most.
const NUMBER: u32 = 74;
const STEP: u32 = 32;
/// Bits behind the variant.
const LOW: u32 = 62;

/// A source of ids.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// When the last one was made, and its number.
    at_ms: u64,
    number: u128,
    /// `None` before the first id.
    chance: Option<Chance>,
}

impl Ids {
    /// An id that was not there before, behind all earlier ones of this source.
    pub(super) fn next(&mut self) -> DecisionId {
        self.at(u64::try_from(now_ms()).unwrap_or(0))
    }

    fn at(&mut self, now_ms: u64) -> DecisionId {
        if self.chance.is_none() {
            self.chance = Chance::new();
        }
        let Some(chance) = &mut self.chance else {
            // The system has no chance to give now: `uuid` knows what to do then.
            return DecisionId::fresh();
        };
        if now_ms > self.at_ms {
            self.at_ms = now_ms;
            // Room to grow: the highest bit is free.
            let number = u128::from(chance.next()) << 64 | u128::from(chance.next());
            self.number = number >> (u128::BITS - NUMBER + 1);
        } else {
            // The clock stands still, or was put back.
            self.number += u128::from(chance.next() >> (u64::BITS - STEP)) + 1;
            if self.number >> NUMBER != 0 {
                self.at_ms += 1;
                self.number = u128::from(chance.next());
            }
        }
        let high = self.number >> LOW;
        let low = self.number & ((1 << LOW) - 1);
        let bits = u128::from(self.at_ms) << 80 | 7 << 76 | high << 64 | 2 << LOW | low;
        DecisionId::from(bits.to_be_bytes())
    }
}

/// Numbers by chance, from one that the system gave: PCG XSL RR 128/64.
#[derive(Debug)]
struct Chance(u128);

impl Chance {
    fn new() -> Option<Self> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).ok()?;
        Some(Self(u128::from_ne_bytes(seed)))
    }

    fn next(&mut self) -> u64 {
        const MULTIPLIER: u128 = 0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645;
        const INCREMENT: u128 = 0x5851_F42D_4C95_7F2D_1405_7B7E_F767_814F;
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        let (high, low) = ((self.0 >> 64) as u64, self.0 as u64);
        (high ^ low).rotate_right((self.0 >> 122) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::{Chance, Ids};
    use crate::storage::model::DecisionId;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_in_order_whatever_the_clock_does_and_none_comes_twice() {
        let (mut one, mut other) = (Ids::default(), Ids::default());
        let mut all = BTreeSet::new();
        let mut last = None;
        for n in 0..200_000_u64 {
            // Stands still, goes on, is put back.
            let now = 1_800_000_000_000 + n / 1000 - (n / 50_000) * 30;
            let id = one.at(now);
            assert!(last < Some(id), "{last:?} {id}");
            last = Some(id);
            assert!(all.insert(id) && all.insert(other.at(now)));
        }
    }

    #[test]
    fn an_id_is_a_uuid_of_its_time() {
        let mut ids = Ids::default();
        for now in [1, 1_800_000_000_000, 1_800_000_000_000, (1 << 48) - 1] {
            let id = ids.at(now);
            let uuid = uuid::Uuid::from_slice(id.as_bytes()).unwrap();
            assert_eq!(
                (uuid.get_version_num(), uuid.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
            assert_eq!(id.as_bytes()[..6], now.to_be_bytes()[2..]);
            assert!(!id.is_of_time() && DecisionId::of_time(now as i64) < id);
        }
        let before = DecisionId::fresh();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let between = Ids::default().next();
        std::thread::sleep(std::time::Duration::from_millis(3));
        assert!(before < between && between < DecisionId::fresh());
    }

    #[test]
    fn numbers_of_a_millisecond_that_run_out_go_on_in_the_next() {
        let mut ids = Ids::default();
        let first = ids.at(5);
        ids.number = (1 << super::NUMBER) - 1;
        let next = ids.at(5);
        assert!(first < next);
        assert_eq!(next.as_bytes()[..6], [0, 0, 0, 0, 0, 6]);
    }

    #[test]
    fn every_bit_of_chance_is_set_about_half_of_the_time() {
        let mut chance = Chance::new().unwrap();
        let mut set = [0_u32; 64];
        for _ in 0..4096 {
            let number = chance.next();
            for (bit, set) in set.iter_mut().enumerate() {
                *set += u32::try_from(number >> bit & 1).unwrap();
            }
        }
        // Ten times the deviation that is expected.
        assert!(set.iter().all(|set| (1728..2368).contains(set)), "{set:?}");
    }
}
