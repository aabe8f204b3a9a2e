//! Positions selected along one axis, in the asked order.

use std::sync::Arc;

use crate::error::{Error, Result};

/// The elements of one axis that a slice asks for, in the asked order, duplicates kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AxisSelection {
    /// `count` positions: `start`, `start + step`, … ; `step` may be negative, never 0.
    Range {
        /// First position.
        start: u64,
        /// Distance from one position to the next.
        step: i64,
        /// Number of positions.
        count: u64,
    },
    /// Positions one by one.
    Indices(Arc<[u64]>),
    /// Spans `[start, end)` one after the other (the entries of scattered sparse rows).
    Spans(Arc<[(u64, u64)]>),
}

/// `count` consecutive output positions from `destination` on, filled from `start`,
/// `start + step`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First source position.
    pub start: u64,
    /// Distance between source positions.
    pub step: i64,
    /// Number of positions.
    pub count: u64,
    /// First output position.
    pub destination: u64,
}

impl Run {
    /// Source position of the run's last element.
    pub fn last(&self) -> u64 {
        self.start.wrapping_add_signed(self.step.wrapping_mul(self.count.saturating_sub(1) as i64))
    }
}

impl AxisSelection {
    /// Every position of an axis of `length`.
    pub fn all(length: u64) -> Self {
        Self::Range { start: 0, step: 1, count: length }
    }

    /// Number of selected positions.
    pub fn len(&self) -> u64 {
        match self {
            Self::Range { count, .. } => *count,
            Self::Indices(indices) => indices.len() as u64,
            Self::Spans(spans) => spans.iter().map(|(start, end)| end - start).sum(),
        }
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is every position of an axis of `length`, in order.
    pub fn is_all(&self, length: u64) -> bool {
        matches!(self, Self::Range { start: 0, step: 1, count } if *count == length) || (length == 0 && self.is_empty())
    }

    /// Source position of output position `index`.
    pub fn get(&self, index: u64) -> Option<u64> {
        match self {
            Self::Range { start, step, count } => {
                (index < *count).then(|| start.wrapping_add_signed(step.wrapping_mul(index as i64)))
            }
            Self::Indices(indices) => indices.get(usize::try_from(index).ok()?).copied(),
            Self::Spans(spans) => {
                let mut skipped = 0;
                for (start, end) in spans.iter() {
                    let length = end - start;
                    if index < skipped + length {
                        return Some(start + index - skipped);
                    }
                    skipped += length;
                }
                None
            }
        }
    }

    /// All positions one by one.
    pub fn positions(&self) -> Vec<u64> {
        match self {
            Self::Range { start, step, count } => {
                (0..*count).map(|index| start.wrapping_add_signed(step.wrapping_mul(index as i64))).collect()
            }
            Self::Indices(indices) => indices.to_vec(),
            Self::Spans(spans) => spans.iter().flat_map(|(start, end)| *start..*end).collect(),
        }
    }

    /// The part `[offset, offset + count)` of the output positions.
    #[must_use]
    pub fn part(&self, offset: u64, count: u64) -> Self {
        let offset = offset.min(self.len());
        let count = count.min(self.len() - offset);
        match self {
            Self::Range { start, step, .. } => {
                let start = if count == 0 { 0 } else { start.wrapping_add_signed(step.wrapping_mul(offset as i64)) };
                Self::Range { start, step: *step, count }
            }
            Self::Indices(indices) => Self::Indices(indices[offset as usize..(offset + count) as usize].into()),
            Self::Spans(spans) => {
                let mut parts = Vec::new();
                let (mut skip, mut left) = (offset, count);
                for (start, end) in spans.iter() {
                    let length = end - start;
                    let taken = length.saturating_sub(skip).min(left);
                    if taken > 0 {
                        parts.push((start + skip, start + skip + taken));
                        left -= taken;
                    }
                    skip = skip.saturating_sub(length);
                }
                Self::Spans(parts.into())
            }
        }
    }

    /// This selection of the positions that `outer` selected: a subset of a subset.
    ///
    /// # Errors
    /// `OutOfRange` when this selection names a position that `outer` does not have.
    pub fn compose(&self, outer: &Self) -> Result<Self> {
        self.check(outer.len())?;
        match (outer, self) {
            (Self::Range { start: 0, step: 1, .. }, _) => Ok(self.clone()),
            (Self::Range { start, step, .. }, Self::Range { start: inner, step: inner_step, count }) => {
                Ok(Self::Range {
                    start: start.wrapping_add_signed(step.wrapping_mul(*inner as i64)),
                    step: step.wrapping_mul(*inner_step),
                    count: *count,
                })
            }
            (Self::Range { start, step, .. }, _) => Ok(Self::Indices(
                self.positions()
                    .into_iter()
                    .map(|index| start.wrapping_add_signed(step.wrapping_mul(index as i64)))
                    .collect(),
            )),
            _ => {
                let positions = outer.positions();
                Ok(Self::Indices(self.positions().into_iter().map(|index| positions[index as usize]).collect()))
            }
        }
    }

    /// Checks that every position is below `length`.
    ///
    /// # Errors
    /// `OutOfRange` naming the first position that is not.
    pub fn check(&self, length: u64) -> Result<()> {
        let outside = match self {
            Self::Range { count: 0, .. } => None,
            Self::Range { start, step, count } => {
                let last = (*step as i128) * (*count as i128 - 1) + *start as i128;
                let bad = |position: i128| position < 0 || position >= length as i128;
                [*start as i128, last].into_iter().find(|position| bad(*position))
            }
            Self::Indices(indices) => {
                indices.iter().find(|position| **position >= length).map(|position| *position as i128)
            }
            Self::Spans(spans) => {
                spans.iter().find(|(start, end)| start > end || *end > length).map(|(_, end)| *end as i128)
            }
        };
        match outside {
            None => Ok(()),
            Some(position) => {
                Err(Error::out_of_range(format!("index {position} is outside an axis of length {length}")))
            }
        }
    }

    /// The selection as maximal runs of constant step, in output order.
    pub fn runs(&self) -> Vec<Run> {
        match self {
            Self::Range { count: 0, .. } => Vec::new(),
            Self::Range { start, step, count } => {
                vec![Run { start: *start, step: *step, count: *count, destination: 0 }]
            }
            Self::Indices(indices) => runs_of(indices),
            Self::Spans(spans) => {
                let mut destination = 0;
                let mut runs: Vec<Run> = Vec::with_capacity(spans.len());
                for (start, end) in spans.iter().filter(|(start, end)| end > start) {
                    match runs.last_mut() {
                        Some(last) if last.start + last.count == *start => last.count += end - start,
                        _ => runs.push(Run { start: *start, step: 1, count: end - start, destination }),
                    }
                    destination += end - start;
                }
                runs
            }
        }
    }
}

/// Consecutive increasing indices joined to runs of step 1; everything else stays single.
fn runs_of(indices: &[u64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (destination, position) in indices.iter().enumerate() {
        match runs.last_mut() {
            Some(last) if last.start + last.count == *position => last.count += 1,
            _ => runs.push(Run { start: *position, step: 1, count: 1, destination: destination as u64 }),
        }
    }
    runs
}
