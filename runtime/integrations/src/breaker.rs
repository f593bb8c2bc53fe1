//! Circuit breaker: a service that fails is left alone for a while, and then asked by few calls first.
//!
//! ```text
//!            `failures` in a row                `open_for` passed
//!  closed ──────────────────────────► open ─────────────────────────► half-open
//!    ▲                                 ▲                                  │
//!    │                                 └──────── a probe fails ───────────┤
//!    └─────────────────────────── a probe succeeds ───────────────────────┘
//! ```
//!
//! # Invariants
//!
//! - At most `probes` calls are under way while half-open. A call that is given up (its future dropped) gives its place back and
//!   counts neither way.
//! - What began before a change of state has no effect on the state after it.
//! - The time comes from a [`Clock`] that the caller passes in.

use crate::clock::{Clock, LONGEST};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When the circuit breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failed attempts in a row after which it opens; 0 means that it never does.
    pub failures: u32,
    /// How long nobody is asked.
    pub open_for: Duration,
    /// How many calls may try at once afterwards; 0 counts as 1.
    pub probes: u32,
}

impl Default for BreakerSettings {
    /// Five failures, ten seconds, one probe.
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(10),
            probes: 1,
        }
    }
}

/// The state of a circuit breaker, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Nobody is asked.
    Open,
    /// A few calls try whether the service works again.
    HalfOpen,
}

/// A circuit breaker; see the head of this file.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Counts changes of state: a permit of an earlier state has no effect.
    generation: u64,
}

#[derive(Debug)]
enum State {
    Closed { failed: u32 },
    Open { until: Instant },
    HalfOpen { under_way: u32 },
}

/// The right to make one attempt. Dropping it without a result gives the place back.
#[derive(Debug)]
#[must_use = "an attempt whose result is not told counts as given up"]
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    told: bool,
}

impl Breaker {
    /// A closed circuit breaker.
    pub fn new(settings: BreakerSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            clock,
            inner: Mutex::new(Inner {
                state: State::Closed { failed: 0 },
                generation: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the right to make one attempt.
    ///
    /// # Errors
    ///
    /// How long the breaker stays open; zero where probes are under way and their results are awaited.
    pub fn admit(&self) -> Result<Permit<'_>, Duration> {
        let mut inner = self.lock();
        if let State::Open { until } = inner.state {
            let left = until.saturating_duration_since(self.clock.now());
            if !left.is_zero() {
                return Err(left);
            }
            inner.change(State::HalfOpen { under_way: 0 });
        }
        if let State::HalfOpen { under_way } = &mut inner.state {
            if *under_way >= self.settings.probes.max(1) {
                return Err(Duration::ZERO);
            }
            *under_way += 1;
        }
        Ok(Permit {
            breaker: self,
            generation: inner.generation,
            told: false,
        })
    }

    /// The state as of now.
    pub fn state(&self) -> BreakerState {
        match self.lock().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { until } if until > self.clock.now() => BreakerState::Open,
            State::Open { .. } | State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl Inner {
    fn change(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }
}

impl Permit<'_> {
    /// The service answered.
    pub fn succeeded(mut self) {
        self.told = true;
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        match &mut inner.state {
            State::Closed { failed } => *failed = 0,
            State::HalfOpen { .. } => inner.change(State::Closed { failed: 0 }),
            State::Open { .. } => {}
        }
    }

    /// The service cannot be reached, or is not able to answer.
    pub fn failed(mut self) {
        self.told = true;
        let settings = self.breaker.settings;
        let until = self.breaker.clock.now() + settings.open_for.min(LONGEST);
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        let opens = match &mut inner.state {
            State::Closed { failed } => {
                *failed = failed.saturating_add(1);
                settings.failures != 0 && *failed >= settings.failures
            }
            State::HalfOpen { .. } => true,
            State::Open { .. } => false,
        };
        if opens {
            inner.change(State::Open { until });
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.told {
            return;
        }
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        if let State::HalfOpen { under_way } = &mut inner.state {
            *under_way = under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, BreakerSettings, BreakerState};
    use crate::clock::ManualClock;
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    fn breaker(failures: u32) -> (Breaker, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
        let settings = BreakerSettings {
            failures,
            open_for: Duration::from_secs(10),
            probes: 1,
        };
        (Breaker::new(settings, clock.clone()), clock)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_a_probe() {
        let (breaker, clock) = breaker(3);
        breaker.admit().unwrap().failed();
        breaker.admit().unwrap().failed();
        breaker.admit().unwrap().succeeded();
        breaker.admit().unwrap().failed();
        breaker.admit().unwrap().failed();
        assert_eq!(
            breaker.state(),
            BreakerState::Closed,
            "a success in between counts anew"
        );
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(10));
        clock.advance(Duration::from_secs(9));
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let probe = breaker.admit().unwrap();
        assert_eq!(breaker.admit().unwrap_err(), Duration::ZERO, "one probe at once");
        probe.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Closed, "the count begins anew");
    }

    #[test]
    fn a_failed_probe_opens_again_for_the_whole_time() {
        let (breaker, clock) = breaker(1);
        breaker.admit().unwrap().failed();
        clock.advance(Duration::from_secs(12));
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(10));
    }

    #[test]
    fn a_probe_that_is_given_up_gives_its_place_back() {
        let (breaker, clock) = breaker(1);
        breaker.admit().unwrap().failed();
        clock.advance(Duration::from_secs(10));
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.admit().unwrap().succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn what_began_before_it_opened_neither_closes_nor_prolongs() {
        let (breaker, clock) = breaker(1);
        let early = breaker.admit().unwrap();
        let late_failure = breaker.admit().unwrap();
        breaker.admit().unwrap().failed();
        early.succeeded();
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(Duration::from_secs(5));
        late_failure.failed();
        assert_eq!(breaker.admit().unwrap_err(), Duration::from_secs(5));
    }

    #[test]
    fn it_may_stay_open_for_ever() {
        let settings = BreakerSettings {
            failures: 1,
            open_for: Duration::MAX,
            probes: 1,
        };
        let clock = Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH));
        let breaker = Breaker::new(settings, clock);
        breaker.admit().unwrap().failed();
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn zero_failures_means_never() {
        let (breaker, _) = breaker(0);
        for _ in 0..100 {
            breaker.admit().unwrap().failed();
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
