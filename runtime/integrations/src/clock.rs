//! Time, as the circuit breaker and signatures see it: a trait, so that tests turn the clock by hand.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// No deadline is further away, because a time that far cannot be computed everywhere: a hundred years.
pub(crate) const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Where the current time comes from.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time that only goes forward, for the circuit breaker.
    fn now(&self) -> Instant;
    /// Time of the calendar, for signatures.
    fn wall(&self) -> SystemTime;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that stands until it is turned, for tests.
#[derive(Debug)]
pub struct ManualClock {
    begin: Instant,
    wall: SystemTime,
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// A clock that shows this time of the calendar.
    #[must_use]
    pub fn new(wall: SystemTime) -> Self {
        Self {
            begin: Instant::now(),
            wall,
            passed: Mutex::new(Duration::ZERO),
        }
    }

    /// Turns the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = passed.saturating_add(by);
    }

    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.begin + self.passed()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.passed()
    }
}
