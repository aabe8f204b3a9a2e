//! sliceflight: an Arrow Flight server for slices of HDF5, zarr, AnnData and parquet data where they lie.
//!
//! The way through it, and which module may use which, is in `ARCHITECTURE.md`.

pub mod cli;
pub mod config;
pub mod engine;
pub mod error;
pub mod flight;
pub mod format;
pub mod model;
pub mod plan;
pub mod read;
pub mod registry;
pub mod select;
pub mod server;
pub mod storage;
pub mod table;
pub mod telemetry;
pub mod ticket;
