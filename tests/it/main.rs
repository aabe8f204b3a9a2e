//! Tests of the crate as a whole, in one binary: linking is the slow part.

mod tidy;
