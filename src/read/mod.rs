//! Executes plans: locate, fetch, decode, assemble, within bounds of memory and requests.
//!
//! ```text
//! windows of rows ──▶ tasks, locations, requests (plan) ──fetch (bounded)──▶ decode (blocking pool)
//!                 ──scatter──▶ values ──to_arrow──▶ record batch, in order
//! ```
//! Dropping a stream drops its fetches; a decode that already runs ends with its chunk.

pub mod array;
pub mod awkward;
pub mod chunk_cache;
pub mod column;
pub mod context;
mod convert;
pub mod decoders;
pub mod dense;
mod drive;
pub mod field;
pub mod frame;
mod job;
pub mod joined;
mod lists;
pub mod memory;
pub mod nested;
mod output;
pub mod scatter;
pub mod sparse;
mod times;
pub mod to_arrow;
mod transpose;
pub mod united;
pub mod wide;
pub mod windowed;

#[cfg(test)]
mod tests;
