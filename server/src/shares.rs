//! How much of something is taken: in all, and by callers of one address. Connections are counted so, and the memory of bodies
//! that are being read and of answers that are not taken yet.
//!
//! # Invariants
//!
//! - Nobody takes more than is there, and nobody of one address more than the share of one.
//! - What was taken comes back when its [`Taken`] is dropped, whatever happened.
//! - Memory is bounded by what is taken: who has nothing is not remembered.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where callers come from who count as one: an IPv4 address, or a network of IPv6, which is given out whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// The address, or that of the network.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        self.0
    }

    /// Bits of an IPv6 address that say whose network it is.
    const NETWORK: u32 = 64;

    /// What a caller at this address counts as.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                let network = address.to_bits() & !(u128::MAX >> Self::NETWORK);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        })
    }
}

/// Why nothing was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Everything is taken.
    All,
    /// Callers of this address have their share.
    Address,
}

impl Full {
    /// As metrics and logs call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Address => "address",
        }
    }
}

/// So much of something. Cheap to clone; clones share it.
#[derive(Debug, Clone)]
pub struct Shares {
    all: usize,
    each: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    taken: usize,
    by_address: HashMap<Address, usize>,
}

/// What somebody took.
#[derive(Debug)]
pub struct Taken {
    shares: Shares,
    address: Address,
    amount: usize,
}

impl Shares {
    /// So much in all, and for callers of one address.
    #[must_use]
    pub fn new(all: usize, each: usize) -> Self {
        Self {
            all,
            each,
            counts: Arc::default(),
        }
    }

    /// How much there is in all.
    #[must_use]
    pub fn all(&self) -> usize {
        self.all
    }

    /// How much there is for callers of one address.
    #[must_use]
    pub fn of_one(&self) -> usize {
        self.each
    }

    /// How much is taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.counts().taken
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes some.
    ///
    /// # Errors
    ///
    /// [`Full`]; then nothing was taken.
    pub fn take(&self, address: Address, amount: usize) -> Result<Taken, Full> {
        let mut taken = Taken {
            shares: self.clone(),
            address,
            amount: 0,
        };
        taken.more(amount)?;
        Ok(taken)
    }
}

impl Taken {
    /// How much it is.
    #[must_use]
    pub fn amount(&self) -> usize {
        self.amount
    }

    /// Takes more.
    ///
    /// # Errors
    ///
    /// [`Full`]; then nothing more was taken.
    pub fn more(&mut self, amount: usize) -> Result<(), Full> {
        let mut counts = self.shares.counts();
        let taken = counts.taken.saturating_add(amount);
        if taken > self.shares.all {
            return Err(Full::All);
        }
        let own = counts.by_address.get(&self.address).copied().unwrap_or_default();
        let own = own.saturating_add(amount);
        if own > self.shares.each {
            return Err(Full::Address);
        }
        if own > 0 {
            counts.by_address.insert(self.address, own);
        }
        counts.taken = taken;
        drop(counts);
        self.amount += amount;
        Ok(())
    }
}

impl Taken {
    /// Gives some back, and no more than it is.
    pub fn less(&mut self, amount: usize) {
        let amount = amount.min(self.amount);
        let mut counts = self.shares.counts();
        counts.taken = counts.taken.saturating_sub(amount);
        if let Entry::Occupied(mut own) = counts.by_address.entry(self.address) {
            let left = own.get().saturating_sub(amount);
            if left == 0 {
                own.remove();
            } else {
                own.insert(left);
            }
        }
        drop(counts);
        self.amount -= amount;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.less(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Full, Shares};

    fn address(address: &str) -> Address {
        Address::of(address.parse().unwrap())
    }

    #[test]
    fn nobody_takes_more_than_is_theirs() {
        let shares = Shares::new(5, 3);
        let (one, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut first = shares.take(one, 2).unwrap();
        assert_eq!(shares.take(one, 2).unwrap_err(), Full::Address);
        first.more(1).unwrap();
        assert_eq!(first.more(1), Err(Full::Address));
        let second = shares.take(other, 2).unwrap();
        assert_eq!(shares.take(other, 1).unwrap_err(), Full::All);
        assert_eq!((shares.taken(), first.amount(), second.amount()), (5, 3, 2));
        first.less(2);
        assert_eq!((shares.taken(), first.amount()), (3, 1));
        first.more(2).unwrap();
        first.less(9);
        assert_eq!((shares.taken(), first.amount()), (2, 0));
        drop(first);
        assert_eq!(shares.taken(), 2);
        let third = shares.take(one, 3).unwrap();
        drop((second, third));
        assert_eq!(shares.taken(), 0);
        assert!(
            shares.counts().by_address.is_empty(),
            "who has nothing is forgotten"
        );
    }

    #[test]
    fn nothing_is_remembered_of_who_got_nothing() {
        let shares = Shares::new(1, 1);
        let held = shares.take(address("192.0.2.1"), 1).unwrap();
        for i in 0..100 {
            let refused = shares.take(address(&format!("198.51.100.{i}")), 1);
            assert_eq!(refused.unwrap_err(), Full::All);
        }
        assert_eq!(shares.counts().by_address.len(), 1);
        drop(held);
        let nothing = shares.take(address("192.0.2.9"), 0).unwrap();
        assert!(shares.counts().by_address.is_empty());
        drop(nothing);
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin() {
        assert_eq!(address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"));
        assert_ne!(address("2001:db8:0:1::1"), address("2001:db8:0:2::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
    }
}
