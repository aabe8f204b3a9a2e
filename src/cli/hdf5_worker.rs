//! `hdf5-worker`: libhdf5 for a server, over standard input and output.

use clap::Args;

use crate::error::{Error, Result};

/// Options of `hdf5-worker`.
#[derive(Debug, Args)]
pub(super) struct Hdf5Worker {
    /// Address space of the process, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    memory: u64,
}

impl Hdf5Worker {
    /// Serves until standard input ends.
    pub(super) fn run(&self) -> Result<()> {
        hdf5_worker::run(self.memory)
            .map_err(|error| Error::unavailable("the worker for HDF5 stopped").with_source(error))
    }
}
