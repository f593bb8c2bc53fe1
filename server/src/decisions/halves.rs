//! What one caller has of the queue: half of its places, and half of its bytes, at most. So there is room for others,
//! whatever one caller asks for while the sinks are slow.
//!
//! # Invariants
//!
//! - Callers are told apart by their owners ([`Identity::fingerprint`](crate::identity::Identity::fingerprint)): who has many
//!   keys has one half.
//! - A decision of any size fits at last.
//! - Who has nothing in the queue, and waits for nothing, is forgotten before twice as many are remembered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Callers that are remembered without a look at who may be forgotten.
const FEW: usize = 1024;

/// The halves of all callers.
#[derive(Debug)]
pub(super) struct Halves {
    places: usize,
    pieces: u32,
    callers: Mutex<Callers>,
}

#[derive(Debug, Default)]
struct Callers {
    /// Owners are hashes already, and those of addresses are few.
    known: HashMap<[u8; 32], Half>,
    /// How many were in use when last looked at.
    used: usize,
    /// Who asked last, and most likely asks again.
    last: Option<([u8; 32], Half)>,
}

/// The half of one caller. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
struct Half {
    places: Arc<Semaphore>,
    pieces: Arc<Semaphore>,
}

/// What a decision takes of the half of its caller, given back when dropped.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) place: OwnedSemaphorePermit,
    pub(super) pieces: Option<OwnedSemaphorePermit>,
}

impl Half {
    /// Whether somebody has some of it, or waits for some.
    fn in_use(&self) -> bool {
        Arc::strong_count(&self.places) > 1 || Arc::strong_count(&self.pieces) > 1
    }
}

impl Halves {
    /// Halves of a queue with so many places and pieces of memory.
    pub(super) fn of(places: usize, pieces: usize) -> Self {
        Self {
            places: places.div_ceil(2),
            pieces: u32::try_from(pieces.div_ceil(2)).unwrap_or(u32::MAX),
            callers: Mutex::default(),
        }
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn half(&self, owner: &[u8; 32]) -> Half {
        let mut callers = self.callers();
        if let Some((last, half)) = &callers.last
            && last == owner
        {
            return half.clone();
        }
        let half = match callers.known.get(owner) {
            Some(half) => half.clone(),
            None => self.new_half(owner, &mut callers),
        };
        callers.last = Some((*owner, half.clone()));
        half
    }

    fn new_half(&self, owner: &[u8; 32], callers: &mut Callers) -> Half {
        if callers.known.len() >= 2 * callers.used + FEW {
            // It would look as if somebody had some of it.
            callers.last = None;
            callers.known.retain(|_, half| half.in_use());
            callers.used = callers.known.len();
        }
        let half = Half {
            places: Arc::new(Semaphore::new(self.places)),
            pieces: Arc::new(Semaphore::new(self.pieces as usize)),
        };
        callers.known.insert(*owner, half.clone());
        half
    }

    /// Takes a place and so many pieces of the half of a caller, if they are free.
    pub(super) fn try_take(&self, owner: &[u8; 32], pieces: u32) -> Option<Own> {
        let half = self.half(owner);
        let place = half.places.try_acquire_owned().ok()?;
        let pieces = match pieces.min(self.pieces) {
            0 => None,
            pieces => Some(half.pieces.try_acquire_many_owned(pieces).ok()?),
        };
        Some(Own { place, pieces })
    }

    /// Waits for them. `None` never: they are there as long as the log is.
    pub(super) async fn take(&self, owner: &[u8; 32], pieces: u32) -> Option<Own> {
        let half = self.half(owner);
        let place = half.places.acquire_owned().await.ok()?;
        let pieces = match pieces.min(self.pieces) {
            0 => None,
            pieces => Some(half.pieces.acquire_many_owned(pieces).await.ok()?),
        };
        Some(Own { place, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, Halves};

    fn owner(n: usize) -> [u8; 32] {
        let mut owner = [0; 32];
        for (to, from) in owner.iter_mut().zip(n.to_be_bytes()) {
            *to = from;
        }
        owner
    }

    #[test]
    fn nobody_has_more_than_half() {
        let halves = Halves::of(4, 100);
        let first = halves.try_take(&owner(1), 0).unwrap();
        let second = halves.try_take(&owner(1), 50).unwrap();
        assert!(halves.try_take(&owner(1), 0).is_none());
        let _theirs = [halves.try_take(&owner(2), 30), halves.try_take(&owner(2), 20)].map(Option::unwrap);
        drop(first);
        assert!(halves.try_take(&owner(1), 1).is_none(), "no bytes are left");
        // What was refused holds no place.
        let _place = halves.try_take(&owner(1), 0).unwrap();
        // The place may be free before the bytes are.
        let super::Own { place, pieces } = second;
        drop(place);
        assert!(halves.try_take(&owner(1), 1).is_none());
        drop(pieces);
        // A decision of any size fits at last.
        assert!(halves.try_take(&owner(1), u32::MAX).is_some());
    }

    #[test]
    fn who_has_nothing_is_forgotten() {
        let halves = Halves::of(4, 4);
        let held: Vec<_> = (0..FEW).map(|n| halves.try_take(&owner(n), 1).unwrap()).collect();
        for n in 0..10 * FEW {
            assert!(halves.try_take(&owner(n), 0).is_some());
        }
        assert!(halves.callers().known.len() <= 4 * FEW);
        // Those who have something are not.
        for n in 0..FEW {
            assert!(halves.try_take(&owner(n), 2).is_none());
        }
        drop(held);
    }
}
