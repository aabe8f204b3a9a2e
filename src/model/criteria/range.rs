//! Bounds of numbers and of times.

use serde::{Deserialize, Serialize};

use super::Moment;
use crate::error::{Error, Result};

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CountRange {
    /// The smallest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The largest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
}

/// Times from `from` on and before `to`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeRange {
    /// The first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Moment>,
    /// The first that is too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Moment>,
}

impl CountRange {
    pub(super) fn check(self, name: &str) -> Result<()> {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => {
                Err(Error::invalid(format!("criteria: '{name}' has the min {min} above the max {max}")))
            }
            _ => Ok(()),
        }
    }
}

impl TimeRange {
    pub(super) fn check(self, name: &str) -> Result<()> {
        match (self.from, self.to) {
            (Some(from), Some(to)) if from > to => {
                Err(Error::invalid(format!("criteria: '{name}' is from {from}, which is after its to {to}")))
            }
            _ => Ok(()),
        }
    }
}
