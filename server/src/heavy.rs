//! A bounded pool for what may take long: compiling, loading, evaluations of long texts.
//!
//! The async threads never run such work themselves. At most `workers` jobs run at once and eight times as many wait; more
//! are refused with `overloaded`, so that a flood of them cannot hold up the rest of the server.

use crate::error::{Code, Result, ServiceError};
use crate::telemetry::request::carry;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Jobs that may wait, for each worker.
const WAITING: usize = 8;

/// The pool. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heavy {
    running: Arc<Semaphore>,
    taken: Arc<AtomicUsize>,
    most: usize,
}

/// A place in the pool; given back when dropped, whatever happened to the job.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Heavy {
    /// A pool of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(workers)),
            taken: Arc::new(AtomicUsize::new(0)),
            most: workers.saturating_mul(WAITING + 1),
        }
    }

    /// Runs a job.
    ///
    /// # Errors
    ///
    /// [`Code::Overloaded`] when too many jobs wait, [`Code::Internal`] when the job panicked.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = Place(Arc::clone(&self.taken));
        if self.taken.fetch_add(1, Ordering::AcqRel) >= self.most {
            return Err(
                ServiceError::new(Code::Overloaded, "too much long work is waiting")
                    .retry_after(Duration::from_secs(1)),
            );
        }
        let permit = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(ServiceError::internal)?;
        let job = carry(job);
        let done = tokio::task::spawn_blocking(move || {
            // Held until the job is done, even where nobody waits for it any more.
            let held = (permit, place);
            let result = job();
            drop(held);
            result
        });
        done.await.map_err(ServiceError::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::Heavy;
    use crate::error::Code;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_full_pool_refuses_and_recovers() {
        let pool = Heavy::new(1);
        let (release, wait) = mpsc::channel::<()>();
        let first = {
            let pool = pool.clone();
            tokio::spawn(async move { pool.run(move || wait.recv().is_ok()).await })
        };
        tokio::task::yield_now().await;
        let waiting: Vec<_> = (0..8)
            .map(|i| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.run(move || i).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(pool.run(|| 0).await.unwrap_err().code, Code::Overloaded);
        release.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
        for (i, job) in waiting.into_iter().enumerate() {
            assert_eq!(job.await.unwrap().unwrap(), i);
        }
        assert_eq!(pool.run(|| 7).await.unwrap(), 7);
        assert_eq!(
            pool.run(|| if true { panic!("broken") } else { 1 })
                .await
                .unwrap_err()
                .code,
            Code::Internal
        );
        assert_eq!(pool.run(|| 8).await.unwrap(), 8);
    }
}
