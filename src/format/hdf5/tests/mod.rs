//! Tests against files that h5py wrote and the values that h5py reads in them
//! (`tests/fixtures/generate_hdf5.py`, `tests/fixtures/generate_hdf5_index.py`).

mod clock;
mod corpus;
mod damage;
mod filters;
mod index;
mod laziness;
pub(in crate::format::hdf5) mod memory;
mod ranges;
mod refused;
