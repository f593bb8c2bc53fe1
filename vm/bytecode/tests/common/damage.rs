//! Generators of damage to bytes.

use proptest::prelude::*;
use proptest::sample::select;

/// What happens to bytes on a bad day.
#[derive(Debug, Clone)]
pub(crate) enum Damage {
    Flip(usize, u8),
    Truncate(usize),
    Insert(usize, u8),
    Remove(usize),
    Set(usize, u8),
}

pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<usize>().prop_map(Damage::Truncate),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<usize>().prop_map(Damage::Remove),
        (any::<usize>(), select(vec![0u8, 1, 0x7f, 0x80, 0xff])).prop_map(|(at, byte)| Damage::Set(at, byte)),
    ]
}

pub(crate) fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let n = bytes.len();
    match *damage {
        Damage::Flip(at, bit) => bytes[at % n] ^= 1 << bit,
        Damage::Truncate(at) => bytes.truncate(at % n),
        Damage::Insert(at, byte) => bytes.insert(at % n, byte),
        Damage::Remove(at) => {
            bytes.remove(at % n);
        }
        Damage::Set(at, byte) => bytes[at % n] = byte,
    }
}
