//! Tests of and with libhdf5, in one binary: what the worker serves, how it fails, and the chunk tables
//! and elements of every fixture as the C library sees them.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it does not expect")]

mod folder;
mod oracle;
mod refused;
mod served;
mod worker;
