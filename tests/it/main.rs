//! Tests of the crate as a whole, in one binary: linking is the slow part.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod tidy;
