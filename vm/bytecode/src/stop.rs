//! Stopping: how whoever asked for long work says that it is not wanted any more.
//!
//! Compiling, verifying and loading take as long as policies are large. Each of them looks at a [`Stop`] between the
//! things that it does, rule by rule and pattern by pattern, and gives up when it is asked to: at a deadline, or because
//! nobody waits for the result. What gives up has no result; there is no half of one. It lives in this crate because
//! this is the one that everything with long work in it knows.
//!
//! A handle that never stops anything, which is the default, costs one comparison for each look.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// Whether to go on. Clones are one handle: what asks one of them to stop asks all.
///
/// ```
/// use policy_bytecode::Stop;
/// use std::time::{Duration, Instant};
///
/// let stop = Stop::at(Instant::now() + Duration::from_secs(60));
/// assert!(stop.check().is_ok());
/// stop.ask(); // the caller is gone
/// assert!(stop.clone().check().is_err());
/// assert!(!Stop::never().is_asked());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Stop(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    asked: AtomicBool,
    until: Until,
}

/// What stops work of itself.
#[derive(Debug)]
enum Until {
    /// Nothing: somebody has to ask.
    Asked,
    Deadline(Instant),
    /// The number of looks that are left.
    Looks(AtomicU64),
}

/// The work was stopped, so there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was stopped before it was done: its time is over, or nobody waits for it")]
pub struct Stopped;

impl Stop {
    /// Never stops anything; the default.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// Stops when it is [asked](Self::ask) to.
    #[must_use]
    pub fn when_asked() -> Self {
        Self::until(Until::Asked)
    }

    /// Stops at `deadline`, or before when it is [asked](Self::ask) to.
    #[must_use]
    pub fn at(deadline: Instant) -> Self {
        Self::until(Until::Deadline(deadline))
    }

    /// Stops at the look after so many: for tests, which must not depend on how long anything takes. [`Self::looks_left`]
    /// says how often work looked.
    #[must_use]
    pub fn after(looks: u64) -> Self {
        Self::until(Until::Looks(AtomicU64::new(looks)))
    }

    fn until(until: Until) -> Self {
        Self(Some(Arc::new(Shared {
            asked: AtomicBool::new(false),
            until,
        })))
    }

    /// Asks whoever looks at this handle, or a clone of it, to stop. Nothing happens where it [never](Self::never) stops.
    pub fn ask(&self) {
        if let Some(shared) = &self.0 {
            shared.asked.store(true, Ordering::Relaxed);
        }
    }

    /// Whether to stop. One look: reads the clock where there is a deadline.
    #[must_use]
    #[inline]
    pub fn is_asked(&self) -> bool {
        match &self.0 {
            None => false,
            Some(shared) => shared.look(),
        }
    }

    /// As [`Self::is_asked`], for `?`.
    ///
    /// # Errors
    ///
    /// [`Stopped`] when it is asked to.
    #[inline]
    pub fn check(&self) -> Result<(), Stopped> {
        if self.is_asked() { Err(Stopped) } else { Ok(()) }
    }

    /// Looks that are left of those given to [`Self::after`]; `None` for every other handle.
    #[must_use]
    pub fn looks_left(&self) -> Option<u64> {
        match self.0.as_deref().map(|shared| &shared.until) {
            Some(Until::Looks(left)) => Some(left.load(Ordering::Relaxed)),
            Some(Until::Asked | Until::Deadline(_)) | None => None,
        }
    }
}

impl Shared {
    fn look(&self) -> bool {
        if self.asked.load(Ordering::Relaxed) {
            return true;
        }
        let over = match &self.until {
            Until::Asked => false,
            Until::Deadline(deadline) => Instant::now() >= *deadline,
            Until::Looks(left) => left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err(),
        };
        if over {
            // Clocks are not read again, and all clones agree.
            self.asked.store(true, Ordering::Relaxed);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;
    use std::time::{Duration, Instant};

    #[test]
    fn a_deadline_that_is_over_stops_and_one_to_come_does_not() {
        assert!(Stop::at(Instant::now()).is_asked());
        let later = Stop::at(Instant::now() + Duration::from_secs(3600));
        assert!(!later.is_asked());
        later.clone().ask();
        assert!(later.is_asked());
    }

    #[test]
    fn never_means_never() {
        let never = Stop::never();
        never.ask();
        assert!(never.check().is_ok() && Stop::default().check().is_ok());
    }

    #[test]
    fn looks_are_counted() {
        let stop = Stop::after(2);
        assert!(!stop.is_asked() && !stop.clone().is_asked());
        assert_eq!(stop.looks_left(), Some(0));
        assert!(stop.is_asked() && stop.is_asked());
    }
}
