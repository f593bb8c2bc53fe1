//! A bounded pool for what may take long: compiling, loading, evaluations of long texts.
//!
//! The async threads never run such work themselves. An identity has all workers at most, and half as many again are
//! there for others alone; who waits for one takes turns ([`crate::turns`]).
//!
//! # Invariants
//!
//! - A job ends when nobody waits for it: it is told by [`Stop`], at its deadline and as soon as the future that ran it is
//!   dropped, which is what transports do when the deadline has passed or the connection is gone.
//! - A job that has not begun by then never does.

use crate::error::{Code, Result, ServiceError};
use crate::telemetry::Metrics;
use crate::telemetry::request::carry;
use crate::turns::{Owner, Refused, Shape, Turn, Turns};
use std::time::Instant;

/// Jobs of one owner that may wait, for each worker.
const OWN_WAITING: usize = 8;
/// Jobs that may wait, for each worker.
const WAITING: usize = 32;

/// Changes of the active policies that may wait, of one owner and of all. One is made at a time.
const OWN_CHANGES: usize = 8;
const CHANGES: usize = 64;

/// For whom work is done, and until when it is of use.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// For whom.
    pub owner: Owner,
    /// Until when; `None` is until it is done.
    pub until: Option<Instant>,
}

impl Work {
    /// What the server does for itself.
    pub const SERVER: Self = Self {
        owner: Owner::Server,
        until: None,
    };
}

/// Says to a job when to stop. Cheap to clone; clones say the same.
#[derive(Debug, Clone)]
pub struct Stop(policy_bytecode::Stop);

impl Stop {
    /// Says to stop when the time of this work is over.
    #[must_use]
    pub fn of(work: Work) -> Self {
        Self(match work.until {
            Some(until) => policy_bytecode::Stop::at(until),
            None => policy_bytecode::Stop::when_asked(),
        })
    }

    /// The same for compiling, verifying and loading.
    #[must_use]
    pub fn handle(&self) -> &policy_bytecode::Stop {
        &self.0
    }

    /// The error of work that was stopped.
    #[must_use]
    pub fn stopped() -> ServiceError {
        ServiceError::new(Code::DeadlineExceeded, policy_bytecode::Stopped.to_string())
    }

    /// Whether somebody still waits for what is being done.
    ///
    /// # Errors
    ///
    /// [`Code::DeadlineExceeded`] when nobody does.
    pub fn check(&self) -> Result<()> {
        self.0.check().map_err(|_| Self::stopped())
    }
}

/// Tells the job when whoever waits for it is gone.
struct Waiter(Stop);

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.0.ask();
    }
}

/// The pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heavy {
    workers: Turns,
    changes: Turns,
}

impl Heavy {
    /// A pool of so many workers for one owner.
    #[must_use]
    pub fn new(workers: usize, metrics: &Metrics) -> Self {
        let many = |each: usize| workers.saturating_mul(each);
        let pool = Shape {
            most: workers.saturating_add(workers.div_ceil(2)),
            own: workers,
            waiting: many(WAITING),
            own_waiting: many(OWN_WAITING),
        };
        let changes = Shape {
            most: 1,
            own: 1,
            waiting: CHANGES,
            own_waiting: OWN_CHANGES,
        };
        Self {
            workers: Turns::new("pieces of long work", pool, Refused::of(metrics)),
            changes: Turns::new("changes of policies", changes, Refused::of(metrics)),
        }
    }

    /// Runs a job.
    ///
    /// # Errors
    ///
    /// [`Code::RateLimited`] when too much work of this owner waits, [`Code::Overloaded`] when too much of all does,
    /// [`Code::DeadlineExceeded`] when its time was over before it began, [`Code::Internal`] when the job panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        work: Work,
        job: impl FnOnce(&Stop) -> T + Send + 'static,
    ) -> Result<T> {
        let turn = self.workers.take(work.owner).await?;
        let stop = Stop::of(work);
        stop.check()?;
        let waiter = Waiter(stop.clone());
        let job = carry(move || {
            // Held until the job is done, even where nobody waits for it any more.
            let held = turn;
            let result = stop.check().map(|()| job(&stop));
            drop(held);
            result
        });
        let done = tokio::task::spawn_blocking(job).await;
        drop(waiter);
        done.map_err(ServiceError::internal)?
    }

    /// How many jobs run, and how many wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        self.workers.load()
    }

    /// Waits for a turn to change the active policies.
    ///
    /// # Errors
    ///
    /// As [`Heavy::run`], for changes.
    pub async fn turn_to_change(&self, work: Work) -> Result<Turn> {
        self.changes.take(work.owner).await
    }
}

#[cfg(test)]
mod tests {
    use super::{Heavy, Work};
    use crate::error::{Code, Result};
    use crate::telemetry::Metrics;
    use crate::turns::Owner;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    fn of(n: u8) -> Work {
        Work {
            owner: Owner::Caller([n; 32]),
            until: None,
        }
    }

    #[tokio::test]
    async fn a_full_share_refuses_and_recovers_and_others_go_on() {
        let pool = Heavy::new(1, &Metrics::new());
        let (release, wait) = mpsc::channel::<()>();
        let first = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(of(1), move |_| wait.recv().is_ok()).await })
        };
        tokio::task::yield_now().await;
        let waiting: Vec<_> = (0..8)
            .map(|i| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.run(of(1), move |_| i).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(pool.run(of(1), |_| 0).await.unwrap_err().code, Code::RateLimited);
        assert_eq!(pool.run(of(2), |_| 5).await.unwrap(), 5);
        assert_eq!(pool.run(Work::SERVER, |_| 6).await.unwrap(), 6);
        release.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        for (i, job) in waiting.into_iter().enumerate() {
            assert_eq!(job.await.unwrap().unwrap(), i);
        }
        assert_eq!(pool.run(of(1), |_| 7).await.unwrap(), 7);
        assert_eq!(
            pool.run(of(1), |_| if true { panic!("broken") } else { 1 })
                .await
                .unwrap_err()
                .code,
            Code::Internal
        );
        assert_eq!(pool.run(of(1), |_| 8).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_job_hears_that_nobody_waits_for_it() {
        let pool = Heavy::new(1, &Metrics::new());
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let (ended, end) = tokio::sync::oneshot::channel();
        let caller = {
            let pool = pool.clone();
            tokio::spawn(async move {
                pool.run(of(1), move |stop| {
                    begun.send(()).unwrap();
                    while stop.check().is_ok() {
                        std::thread::yield_now();
                    }
                    ended.send(()).unwrap();
                })
                .await
            })
        };
        beginning.await.unwrap();
        caller.abort();
        // Comes, or the test never ends.
        end.await.unwrap();
        assert_eq!(pool.run(of(1), |_| 1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_job_ends_at_its_deadline_and_does_not_begin_after_it() {
        let pool = Heavy::new(1, &Metrics::new());
        let soon = Work {
            until: Some(Instant::now() + Duration::from_millis(20)),
            ..of(1)
        };
        let ended = pool
            .run(soon, |stop| {
                loop {
                    if let Err(error) = stop.check() {
                        return error.code;
                    }
                    std::thread::yield_now();
                }
            })
            .await;
        // Told while it ran, or too late to begin on a slow machine.
        let code = ended.unwrap_or_else(|error| error.code);
        assert_eq!(code, Code::DeadlineExceeded);
        let over: Result<()> = pool.run(soon, |_| panic!("began")).await;
        assert_eq!(over.unwrap_err().code, Code::DeadlineExceeded);
    }
}
