//! Tests against files that h5py wrote and the values that h5py reads in them
//! (`tests/fixtures/generate_hdf5.py`).

mod corpus;
mod damage;
mod filters;
mod laziness;
pub(in crate::format::hdf5) mod memory;
