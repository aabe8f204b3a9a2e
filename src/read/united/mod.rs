//! The answers of several AnnData as the answer of one, as `anndata.concat` makes it.
//!
//! ```text
//! member's answer ──▶ aligned (columns of a matrix) or columns (of a table) ──▶ concat, in asked order
//! ```
//! Sits between the answers of single files and the engine, which says which member gives which rows.
//! Opens nothing, and reads only through the members' answers.

pub mod aligned;
pub mod categories;
pub mod columns;
pub mod concat;
pub mod filled;
mod natural;
pub mod order;
pub mod promote;
mod spread;
