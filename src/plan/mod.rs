//! Decides what to read, and nothing else: pure functions from an array's metadata and a selection to
//! chunks, ranges and requests. Nothing here waits, fetches or decodes.
//!
//! ```text
//! ArrayNode + AxisSelection per axis ──tasks──▶ ChunkTask… ──locate (format)──▶ locations
//!                                    ──requests──▶ coalesced Requests, each serving some tasks
//! ```

mod entries;
pub mod requests;
pub mod tasks;
pub mod window;

#[cfg(test)]
mod tests;
