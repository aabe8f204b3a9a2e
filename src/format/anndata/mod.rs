//! AnnData meaning as a view over a tree of HDF5 or zarr nodes: which nodes make a data frame, a
//! sparse matrix, a categorical. It reads nothing: everything is said by attributes and shapes.
//!
//! Encodings are those of anndata's registry (`encoding-type`, `encoding-version`); files older than
//! 0.7 carry none and are known by their compound data sets (see [`legacy`]).
//! Files of other pipelines, and AnnData objects that do not lie at the root, are [`view`]'s.

pub mod awkward;
pub mod axes;
pub mod frame;
pub mod legacy;
mod loom;
pub mod meaning;
pub mod members;
pub mod spatialdata;
pub mod summary;
mod tenx;
pub mod view;
