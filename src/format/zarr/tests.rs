//! Stores written by the reference writer, read through keys and chunk bytes as the pipeline does.

mod corrupt;
mod elements;
mod filters;
mod folder;
mod open;
mod refused;
mod shards;
