//! How many decode at the same time, and who of those who wait goes first. Sits between reads and the pool of
//! blocking threads; knows neither chunks nor windows.
//!
//! Windows of one stream that share the threads evenly end at the same time, and then nothing is left to decode while
//! the next ones are fetched. So the oldest window goes first: the next one is fetched while the one between is decoded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::oneshot;

/// Permits to decode.
#[derive(Debug)]
pub struct Decoders {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    turn: Turn,
    granted: oneshot::Sender<Permit>,
}

/// One of the permits, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    decoders: Arc<Decoders>,
}

/// A place in a stream: first, or behind another one that has not ended. A place ends with its last clone.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    own: Arc<()>,
    before: Weak<()>,
}

impl Turn {
    /// The place behind this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { own: Arc::new(()), before: Arc::downgrade(&self.own) }
    }

    /// Whether nothing of what came before goes on.
    pub fn is_first(&self) -> bool {
        self.before.strong_count() == 0
    }
}

impl Decoders {
    /// `count` permits, at least one.
    pub fn new(count: usize) -> Self {
        Self { state: Mutex::new(State { free: count.max(1), waiting: VecDeque::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a permit. Those whose turn is first are served before others, each kind in order of coming; none is
    /// left free while somebody waits. None when the permits are gone, which they are not while somebody holds them.
    pub async fn permit(self: &Arc<Self>, turn: &Turn) -> Option<Permit> {
        let granted = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                drop(state);
                return Some(Permit { decoders: Arc::clone(self) });
            }
            let (sender, granted) = oneshot::channel();
            state.waiting.push_back(Waiter { turn: turn.clone(), granted: sender });
            granted
        };
        granted.await.ok()
    }

    /// Who is served next, if somebody waits; else the permit is free.
    fn released(&self) -> Option<Waiter> {
        let mut state = self.lock();
        loop {
            let first = state.waiting.iter().position(|waiter| waiter.turn.is_first()).unwrap_or(0);
            match state.waiting.remove(first) {
                Some(waiter) if waiter.granted.is_closed() => {}
                Some(waiter) => return Some(waiter),
                None => {
                    state.free += 1;
                    return None;
                }
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // A waiter that gives up just now hands its permit back by dropping it here: to the next one.
        if let Some(waiter) = self.decoders.released() {
            let permit = Self { decoders: Arc::clone(&self.decoders) };
            drop(waiter.granted.send(permit));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_oldest_goes_first_and_none_is_left_free() {
        let decoders = Arc::new(Decoders::new(1));
        let (oldest, held) = (Turn::default(), Turn::default());
        let next = oldest.next();
        assert!(oldest.is_first() && !next.is_first());
        let permit = decoders.permit(&held).now_or_never().unwrap();
        let mut later = Box::pin(decoders.permit(&next));
        let mut first = Box::pin(decoders.permit(&oldest));
        assert!(later.as_mut().now_or_never().is_none() && first.as_mut().now_or_never().is_none());
        drop(permit);
        assert!(later.as_mut().now_or_never().is_none());
        drop(first.as_mut().now_or_never().unwrap());
        assert!(later.as_mut().now_or_never().unwrap().is_some());
    }

    #[test]
    fn a_turn_comes_when_what_was_before_has_ended() {
        let oldest = Turn::default();
        let also = oldest.clone();
        let next = oldest.next();
        drop(oldest);
        assert!(!next.is_first());
        drop(also);
        assert!(next.is_first());
    }

    #[test]
    fn who_gives_up_passes_its_permit_on() {
        let decoders = Arc::new(Decoders::new(2));
        let turn = Turn::default();
        let permits: Vec<_> = (0..2).map(|_| decoders.permit(&turn).now_or_never().unwrap()).collect();
        let mut waits: Vec<_> = (0..100_000).map(|_| Box::pin(decoders.permit(&turn))).collect();
        assert!(waits.iter_mut().all(|wait| wait.as_mut().now_or_never().is_none()));
        let last = waits.pop().unwrap();
        drop(waits);
        drop(permits);
        assert!(last.now_or_never().unwrap().is_some());
        assert_eq!(decoders.lock().free, 2);
    }
}
