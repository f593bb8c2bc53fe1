//! Turns at what is scarce: so many at once, shared fairly between those who want one.
//!
//! The pool of long work ([`crate::heavy`]), changes of the active policies and queries of the decision log each have one. A
//! caller waits for a [`Turn`] and gives it back by dropping it.
//!
//! # Invariants
//!
//! - Nobody has more turns than [`Shape::own`], and nobody waits more than [`Shape::own_waiting`] times. What comes on top is
//!   refused with `rate_limited`.
//! - A free turn goes to whoever has the fewest; among those, to whoever has waited longest for one since their last.
//! - When no more than [`Shape::waiting`] wait, nobody is refused for what others do. When more would, the one who waits most
//!   often makes room: its newest wish is refused with `overloaded`.
//! - The server's own work is never refused.
//! - Memory is that of the turns and of those who wait, both bounded: nothing is kept of who wants nothing now.

use crate::error::{Code, Result, ServiceError};
use crate::identity::Identity;
use crate::telemetry::Metrics;
use prometheus_client::metrics::counter::Counter;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// When a refused caller should try again.
const AGAIN: Duration = Duration::from_secs(1);

/// Who wants a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The server itself, which follows its database or its files.
    Server,
    /// A caller, by [`Identity::fingerprint`].
    Caller([u8; 32]),
}

impl Owner {
    /// The owner that a caller is.
    #[must_use]
    pub fn of(identity: &Identity) -> Self {
        Self::Caller(identity.fingerprint())
    }
}

/// How many turns there are, and how they are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Turns at once.
    pub most: usize,
    /// Turns of one owner at once.
    pub own: usize,
    /// How many may wait.
    pub waiting: usize,
    /// How many of one owner may wait.
    pub own_waiting: usize,
}

/// Counts refusals.
#[derive(Debug, Clone, Default)]
pub struct Refused {
    /// Of owners who wanted more than their share.
    pub share: Counter,
    /// Of others, because too many wait.
    pub queue: Counter,
}

impl Refused {
    /// Those that a server counts; there from now on.
    #[must_use]
    pub fn of(metrics: &Metrics) -> Self {
        Self {
            share: metrics.sheds("share"),
            queue: metrics.sheds("queue"),
        }
    }
}

/// Turns at one thing. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What is waited for, for people.
    what: &'static str,
    shape: Shape,
    refused: Refused,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    /// Counts wishes and turns, to tell which came first.
    clock: u64,
    lanes: BTreeMap<Owner, Lane>,
}

/// The turns and wishes of one owner; gone when there are none.
#[derive(Debug, Default)]
struct Lane {
    running: usize,
    /// When it last got a turn; 0 where it has had none since it began to want one.
    served: u64,
    queue: VecDeque<Wish>,
}

type Answer = oneshot::Sender<Result<Turn>>;

#[derive(Debug)]
struct Wish {
    number: u64,
    answer: Answer,
}

/// The right to use what was waited for, given back when dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    owner: Owner,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.leave(self.owner);
    }
}

/// A wish that waits, taken back when dropped.
struct Waiting<'t> {
    turns: &'t Turns,
    owner: Owner,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.state();
        let State { waiting, lanes, .. } = &mut *state;
        if let Some(lane) = lanes.get_mut(&self.owner)
            && let Some(place) = lane.queue.iter().position(|wish| wish.number == self.number)
        {
            drop(lane.queue.remove(place));
            *waiting -= 1;
        }
        state.tidy(self.owner);
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn start(&mut self, owner: Owner) {
        let now = self.tick();
        let lane = self.lanes.entry(owner).or_default();
        lane.running += 1;
        lane.served = now;
        self.running += 1;
    }

    /// Forgets an owner who wants nothing.
    fn tidy(&mut self, owner: Owner) {
        if self
            .lanes
            .get(&owner)
            .is_some_and(|lane| lane.running == 0 && lane.queue.is_empty())
        {
            self.lanes.remove(&owner);
        }
    }

    /// Whose turn it is.
    fn next(&self, shape: &Shape) -> Option<Owner> {
        if self.running >= shape.most {
            return None;
        }
        self.lanes
            .iter()
            .filter(|(owner, lane)| lane.running < shape.turns(**owner))
            .filter_map(|(owner, lane)| {
                let first = lane.queue.front()?;
                Some(((lane.running, lane.served, first.number), *owner))
            })
            .min()
            .map(|(_, owner)| owner)
    }

    /// The newest wish of whoever waits most often, and more often than `owner` would.
    fn make_room(&mut self, owner: Owner) -> Option<Answer> {
        let own = self.lanes.get(&owner).map_or(0, |lane| lane.queue.len());
        let longest = self
            .lanes
            .iter_mut()
            .filter(|(other, _)| **other != Owner::Server)
            .max_by_key(|(_, lane)| lane.queue.len())
            .map(|(_, lane)| lane)
            .filter(|lane| owner == Owner::Server || lane.queue.len() > own + 1)?;
        let wish = longest.queue.pop_back()?;
        self.waiting -= 1;
        Some(wish.answer)
    }
}

impl Shape {
    /// For queries of a database with so many connections: half of them, and of these half for one owner, so that the
    /// others are there for what is short.
    #[must_use]
    pub fn of_queries(connections: u32) -> Self {
        let most = usize::try_from(connections).unwrap_or(usize::MAX).div_ceil(2);
        let own = most.div_ceil(2);
        Self {
            most,
            own,
            waiting: most.saturating_mul(16),
            own_waiting: own.saturating_mul(8),
        }
    }

    fn turns(&self, owner: Owner) -> usize {
        match owner {
            Owner::Server => self.most,
            Owner::Caller(_) => self.own,
        }
    }
}

impl Turns {
    /// Turns at `what`, none of them taken.
    #[must_use]
    pub fn new(what: &'static str, shape: Shape, refused: Refused) -> Self {
        Self(Arc::new(Inner {
            what,
            shape,
            refused,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn. Dropped before, it wants none any more.
    ///
    /// # Errors
    ///
    /// [`Code::RateLimited`] when as many of this owner wait as may, [`Code::Overloaded`] when too many others do.
    pub async fn take(&self, owner: Owner) -> Result<Turn> {
        let (wish, answer) = {
            let mut state = self.state();
            let lane = state.lanes.get(&owner);
            let (running, queued) = lane.map_or((0, 0), |lane| (lane.running, lane.queue.len()));
            let shape = &self.0.shape;
            if queued == 0 && state.running < shape.most && running < shape.turns(owner) {
                state.start(owner);
                return Ok(self.turn(owner));
            }
            if owner != Owner::Server && queued >= shape.own_waiting {
                self.0.refused.share.inc();
                return Err(self.refusal(Code::RateLimited, "of this caller"));
            }
            let mut displaced = None;
            if state.waiting >= shape.waiting {
                displaced = state.make_room(owner);
                if displaced.is_none() && owner != Owner::Server {
                    self.0.refused.queue.inc();
                    return Err(self.refusal(Code::Overloaded, "of all callers"));
                }
            }
            let number = state.tick();
            let (sender, answer) = oneshot::channel();
            state.waiting += 1;
            state.lanes.entry(owner).or_default().queue.push_back(Wish {
                number,
                answer: sender,
            });
            drop(state);
            if let Some(displaced) = displaced {
                self.0.refused.queue.inc();
                // Whoever waited may be gone.
                drop(displaced.send(Err(self.refusal(Code::Overloaded, "of all callers"))));
            }
            let wish = Waiting {
                turns: self,
                owner,
                number,
            };
            (wish, answer)
        };
        let answer = answer.await;
        drop(wish);
        answer.map_err(ServiceError::internal)?
    }

    /// How many have a turn, and how many wait.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let state = self.state();
        (state.running, state.waiting)
    }

    fn turn(&self, owner: Owner) -> Turn {
        Turn {
            turns: self.clone(),
            owner,
        }
    }

    fn refusal(&self, code: Code, whose: &str) -> ServiceError {
        ServiceError::new(code, format!("too many {} {whose} wait", self.0.what)).retry_after(AGAIN)
    }

    fn leave(&self, owner: Owner) {
        let mut granted = Vec::new();
        {
            let mut state = self.state();
            state.running -= 1;
            if let Some(lane) = state.lanes.get_mut(&owner) {
                lane.running -= 1;
            }
            while let Some(next) = state.next(&self.0.shape) {
                let wish = state.lanes.get_mut(&next).and_then(|lane| lane.queue.pop_front());
                let Some(wish) = wish else { break };
                state.waiting -= 1;
                state.start(next);
                granted.push((wish.answer, self.turn(next)));
            }
            state.tidy(owner);
        }
        for (answer, turn) in granted {
            // A turn that nobody waits for any more comes back by being dropped, here or with the channel.
            drop(answer.send(Ok(turn)));
        }
    }
}

#[cfg(test)]
mod tests;
