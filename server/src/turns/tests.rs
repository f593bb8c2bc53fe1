//! Who is next.

use super::{Owner, Refused, Shape, Turn, Turns};
use crate::error::{Code, Result};
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

fn who(n: u8) -> Owner {
    Owner::Caller([n; 32])
}

fn turns(most: usize, own: usize, waiting: usize, own_waiting: usize) -> Turns {
    let shape = Shape {
        most,
        own,
        waiting,
        own_waiting,
    };
    Turns::new("things", shape, Refused::default())
}

type Taking<'t> = Pin<Box<dyn Future<Output = Result<Turn>> + 't>>;

fn poll(taking: &mut Taking<'_>) -> Poll<Result<Turn>> {
    taking.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// A wish that waits.
fn wish(turns: &Turns, owner: Owner) -> Taking<'_> {
    let mut taking: Taking<'_> = Box::pin(turns.take(owner));
    assert!(poll(&mut taking).is_pending());
    taking
}

fn now(turns: &Turns, owner: Owner) -> Result<Turn> {
    match pin!(turns.take(owner)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("has to wait"),
    }
}

fn ready(taking: &mut Taking<'_>) -> Result<Turn> {
    match poll(taking) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("has to wait"),
    }
}

#[test]
fn one_owner_never_has_all_turns_nor_all_places_in_the_queue() {
    let turns = turns(3, 2, 8, 3);
    let held = [now(&turns, who(1)).unwrap(), now(&turns, who(1)).unwrap()];
    let flood: Vec<_> = (0..3).map(|_| wish(&turns, who(1))).collect();
    let refused = now(&turns, who(1)).unwrap_err();
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after.is_some());
    // Another one is served at once.
    drop(now(&turns, who(2)).unwrap());
    assert_eq!(turns.load(), (2, 3));
    drop(flood);
    drop(held);
    assert_eq!(turns.load(), (0, 0));
    assert!(turns.state().lanes.is_empty());
}

#[test]
fn a_free_turn_goes_to_who_has_the_fewest() {
    let turns = turns(2, 2, 8, 8);
    let [first, second] = [now(&turns, who(1)).unwrap(), now(&turns, who(1)).unwrap()];
    let mut more = [wish(&turns, who(1)), wish(&turns, who(1))];
    let mut other = wish(&turns, who(2));
    drop(first);
    let theirs = ready(&mut other).unwrap();
    assert!(poll(&mut more[0]).is_pending());
    drop(second);
    drop((ready(&mut more[0]).unwrap(), theirs));
    drop(ready(&mut more[1]).unwrap());
    assert_eq!(turns.load(), (0, 0));
}

#[test]
fn those_who_wait_take_turns() {
    let turns = turns(1, 1, 16, 8);
    let mut held = now(&turns, who(1)).unwrap();
    let mut flood: Vec<_> = (0..4).map(|_| wish(&turns, who(1))).collect();
    let mut others: Vec<_> = (0..2).map(|_| wish(&turns, who(2))).collect();
    for (mine, theirs) in [(0, 0), (1, 1)] {
        drop(held);
        // Not first in time, and first in turn.
        let other = ready(&mut others[theirs]).unwrap();
        assert!(poll(&mut flood[mine]).is_pending());
        drop(other);
        held = ready(&mut flood[mine]).unwrap();
    }
    drop(held);
    drop(ready(&mut flood[2]).unwrap());
}

#[test]
fn a_full_queue_makes_room_at_the_cost_of_who_fills_it() {
    let turns = turns(1, 1, 4, 4);
    let held = now(&turns, who(1)).unwrap();
    let mut flood: Vec<_> = (0..4).map(|_| wish(&turns, who(1))).collect();
    let other = wish(&turns, who(2));
    assert_eq!(ready(&mut flood[3]).unwrap_err().code, Code::Overloaded);
    let third = wish(&turns, who(3));
    assert_eq!(ready(&mut flood[2]).unwrap_err().code, Code::Overloaded);
    // Two and two: nobody waits more often than the next one would.
    let again = now(&turns, who(1)).unwrap_err();
    assert_eq!(again.code, Code::Overloaded);
    assert_eq!(turns.load(), (1, 4));
    // The server itself always has a place.
    let mut server = wish(&turns, Owner::Server);
    drop((flood, other, third));
    drop(held);
    drop(ready(&mut server).unwrap());
    assert_eq!(turns.load(), (0, 0));
}

#[test]
fn who_gives_up_leaves_nothing_behind() {
    let turns = turns(1, 1, 2, 2);
    for _ in 0..10 {
        let held = now(&turns, who(1)).unwrap();
        let (given_up, mut patient) = (wish(&turns, who(2)), wish(&turns, who(2)));
        drop(given_up);
        assert_eq!(turns.load(), (1, 1));
        drop(held);
        drop(ready(&mut patient).unwrap());
        // Given up after the turn was granted, before it was taken.
        let held = now(&turns, who(1)).unwrap();
        let granted = wish(&turns, who(2));
        drop(held);
        assert_eq!(turns.load(), (1, 0));
        drop(granted);
        assert_eq!(turns.load(), (0, 0));
    }
    assert!(turns.state().lanes.is_empty());
}
