//! libhdf5 in a process of its own: what its parent cannot read by itself, it asks this one for.
//!
//! ```text
//! parent ──Command──▶ worker: libhdf5 ──read-only file driver──▶ Question ──▶ parent (pinned ranges)
//!        ◀─Message───                 ◀────────────────────────── Supply ◀──
//! ```
//!
//! The worker opens no file and no socket: every byte comes over standard input from the parent, which
//! holds the credentials, the pins and the budgets. When the C library crashes, hangs or takes too
//! much memory, only the worker ends.
//!
//! Without the feature `library` this crate is only [`protocol`]: no C code is built or linked.

pub mod protocol;

#[cfg_attr(not(any(feature = "library", test)), expect(dead_code, reason = "only the worker reads; tested always"))]
mod blocks;
#[cfg(feature = "library")]
mod library;
#[cfg(feature = "library")]
mod serve;
#[cfg(feature = "library")]
mod session;

#[cfg(feature = "library")]
pub use serve::{run, serve};
