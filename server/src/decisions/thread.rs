//! The threads on which the writer masks and waits for disks, and on which what waits in the spool is read.
//!
//! Not the runtime's pool for blocking work: evaluations on that pool may wait for a place in the queue
//! ([`super::Log::record`]), and if they held all of its threads, the writer that makes room could never run.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does one job after the other. Ends when it is dropped and its job is done.
#[derive(Debug)]
pub(crate) struct Thread {
    jobs: mpsc::Sender<Job>,
}

impl Thread {
    /// # Errors
    ///
    /// When the system has no thread left.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (jobs, todo) = mpsc::channel::<Job>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            for job in todo {
                // The message is on stderr already, and whoever waits for the job learns that it broke.
                drop(catch_unwind(AssertUnwindSafe(job)));
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does a job on the thread.
    ///
    /// # Errors
    ///
    /// When the job panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (answer, result) = oneshot::channel();
        let job = move || drop(answer.send(job()));
        let broken = || io::Error::other("the thread of the decision log did not finish its work");
        self.jobs.send(Box::new(job)).map_err(|_| broken())?;
        result.await.map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use super::Thread;

    #[tokio::test]
    async fn a_job_that_panics_fails_and_the_next_one_is_done() {
        let thread = Thread::start("test").unwrap();
        let broken = thread.run(|| -> u32 { panic!("on purpose") }).await;
        assert!(broken.is_err());
        assert_eq!(thread.run(|| 7).await.unwrap(), 7);
    }
}
