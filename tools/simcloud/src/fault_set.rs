//! The faults that are active, and which of them strike a request.
//!
//! It decides; the front and the body carry the decision out.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::fault::{Fault, FaultKind};
use crate::question::Question;

/// A fault that is active, with what it has done so far.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveFault {
    /// The fault as it was set.
    #[serde(flatten)]
    pub fault: Fault,
    /// How many requests it was meant for.
    pub matched: u64,
    /// How many it struck.
    pub injected: u64,
}

/// What is done to one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Injury {
    /// Time added before the first byte.
    pub(crate) delay: Duration,
    /// The one other fault, if any.
    pub(crate) kind: Option<FaultKind>,
    /// How many faults struck.
    pub(crate) strikes: u64,
}

/// All active faults, in the order they were set.
#[derive(Debug, Default)]
pub(crate) struct FaultSet {
    active: Mutex<Vec<ActiveFault>>,
}

impl FaultSet {
    /// Adds a fault to those active.
    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push(ActiveFault { fault, matched: 0, injected: 0 });
    }

    /// Ends all faults.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// The active faults.
    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.lock().clone()
    }

    /// Decides what befalls a request: delays add up, of the other kinds the one
    /// set first wins and the others keep their count.
    pub(crate) fn strike(&self, question: &Question) -> Injury {
        let mut injury = Injury::default();
        let mut active = self.lock();
        if active.is_empty() {
            return injury;
        }
        let target = question.target();
        for entry in active.iter_mut() {
            if !entry.fault.matches(&question.method, &target) {
                continue;
            }
            entry.matched += 1;
            if !entry.matched.is_multiple_of(entry.fault.every.max(1)) {
                continue;
            }
            match entry.fault.kind {
                FaultKind::Slow(millis) => injury.delay += Duration::from_millis(millis),
                kind if injury.kind.is_none() => injury.kind = Some(kind),
                _ => continue,
            }
            entry.injected += 1;
            injury.strikes += 1;
        }
        active.retain(|entry| entry.fault.count.is_none_or(|count| entry.injected < count));
        injury
    }

    /// The list, whatever became of a thread that held it.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ActiveFault>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
