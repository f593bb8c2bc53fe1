//! Load shed: so many requests at once, and no more. One gate for all transports.
//!
//! A request enters with its body: who sends slowly takes no place. [`Gate::look`] says before that whether it is worth
//! reading.

use crate::error::{Code, Result, ServiceError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The gate.
#[derive(Debug)]
pub struct Gate {
    inside: AtomicUsize,
    most: usize,
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub struct Place<'g>(&'g AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gate {
    /// A gate for so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            inside: AtomicUsize::new(0),
            most,
        }
    }

    /// Requests inside.
    #[must_use]
    pub fn inside(&self) -> usize {
        self.inside.load(Ordering::Acquire)
    }

    /// A place, if there is one.
    ///
    /// # Errors
    ///
    /// [`Code::Overloaded`].
    pub fn enter(&self) -> Result<Place<'_>> {
        let place = Place(&self.inside);
        if self.inside.fetch_add(1, Ordering::AcqRel) >= self.most {
            return Err(self.full());
        }
        Ok(place)
    }

    /// Whether there is a place now, without taking it.
    ///
    /// # Errors
    ///
    /// [`Code::Overloaded`].
    pub fn look(&self) -> Result<()> {
        if self.inside() < self.most {
            return Ok(());
        }
        Err(self.full())
    }

    fn full(&self) -> ServiceError {
        ServiceError::new(
            Code::Overloaded,
            format!("{} requests are being served", self.most),
        )
        .retry_after(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;

    #[test]
    fn places_are_given_back() {
        let gate = Gate::new(2);
        let (first, _second) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert!(gate.enter().is_err() && gate.look().is_err());
        assert_eq!(gate.inside(), 2);
        drop(first);
        assert!(gate.look().is_ok());
        assert!(gate.enter().is_ok());
    }
}
