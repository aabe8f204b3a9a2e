//! Identifiers of the C library, released when dropped.

use super::failure::{Failed, Result};
use super::ffi;

/// An identifier that is released when dropped.
pub(super) struct Handle(ffi::Id);

impl Handle {
    /// Takes over what a function of the library returned; negative is its failure.
    pub(super) fn new(id: ffi::Id, what: &str) -> Result<Self> {
        if id < 0 { Err(Failed::last(what)) } else { Ok(Self(id)) }
    }

    /// The identifier, valid while this lives.
    pub(super) fn id(&self) -> ffi::Id {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: this owns one reference; that of an object in a file that was closed is gone, which
        // the library notices by itself.
        unsafe { ffi::H5Idec_ref(self.0) };
    }
}
