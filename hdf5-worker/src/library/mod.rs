//! libhdf5, behind an interface that is safe to call: the only place of the project with `unsafe`.
//!
//! Every function of the C library is called on the one thread that called [`Library::start`] first
//! ([`Library`] cannot leave it). What is read from the C library (names, counts, sizes) is checked
//! like anything else from outside. Its structs and enumerations are declared here, after the headers
//! of the version that [`Library::start`] checks for; enumerations travel as integers, because a newer
//! library may have more of them.

#![expect(unsafe_code, reason = "calls a C library and is called back by it; see the comments at each use")]

mod conversion;
mod dataset;
mod driver;
mod failure;
mod ffi;
mod handle;
mod limits;
mod offer;

use std::ffi::CString;
use std::marker::PhantomData;

pub(crate) use dataset::{Dataset, Read};
pub(crate) use failure::{Failed, Result};
pub(crate) use limits::confine;

use failure::check;
use handle::Handle;

/// The version of the C library whose structs are declared here.
const VERSION: (u32, u32) = (2, 2);
/// Bytes of decoded chunks kept per dataset.
const CHUNK_CACHE_BYTES: usize = 32 << 20;
/// Places of that cache; a prime, about a hundred times the chunks that fit.
const CHUNK_CACHE_PLACES: usize = 12_421;
/// Other files that stay open.
const OPEN_FILES: u32 = 64;

/// The started library.
pub(crate) struct Library {
    access: Handle,
    /// The library holds to one thread.
    _one_thread: PhantomData<*const ()>,
}

impl Library {
    /// Starts the library with the file driver and nothing else: no plugins, no messages on stderr.
    pub(crate) fn start() -> Result<Self> {
        let (mut major, mut minor, mut release) = (0, 0, 0);
        // SAFETY: three valid places for three numbers.
        check(unsafe { ffi::H5get_libversion(&raw mut major, &raw mut minor, &raw mut release) }, "start")?;
        if (major, minor) != VERSION {
            return Err(Failed::misused(format!("libhdf5 {major}.{minor}.{release}, expected {VERSION:?}")));
        }
        // SAFETY: these take numbers and null pointers, as their documentation allows.
        unsafe {
            check(ffi::H5open(), "start")?;
            check(ffi::H5Eset_auto2(ffi::H5E_DEFAULT, None, std::ptr::null_mut()), "silence")?;
            check(ffi::H5PLset_loading_state(0), "forbid plugins")?;
        }
        // SAFETY: the class is a property list class of the library, set by `H5open`.
        let access = Handle::new(unsafe { ffi::H5Pcreate(ffi::H5P_CLS_FILE_ACCESS_ID_g) }, "property list")?;
        let driver = driver::register()?;
        // SAFETY: both handles are valid; the driver has no information of its own.
        unsafe {
            check(ffi::H5Pset_driver(access.id(), driver, std::ptr::null()), "set driver")?;
            check(ffi::H5Pset_cache(access.id(), 0, CHUNK_CACHE_PLACES, CHUNK_CACHE_BYTES, 0.75), "set cache")?;
            check(ffi::H5Pset_fclose_degree(access.id(), ffi::H5F_CLOSE_WEAK), "set close degree")?;
            check(ffi::H5Pset_elink_file_cache_size(access.id(), OPEN_FILES), "set open files")?;
        }
        Ok(Self { access, _one_thread: PhantomData })
    }

    /// Opens a file for reading.
    pub(crate) fn open(&self, name: &str) -> Result<File> {
        let text = c_text(name)?;
        // SAFETY: a text that ends with a null byte, and a valid property list.
        let id = unsafe { ffi::H5Fopen(text.as_ptr(), ffi::H5F_ACC_RDONLY, self.access.id()) };
        Ok(File { handle: Handle::new(id, "file")? })
    }
}

/// An open file. It ends with the last of its datasets, as the files that datasets open do.
pub(crate) struct File {
    handle: Handle,
}

impl File {
    /// Opens the dataset at `path`.
    pub(crate) fn dataset(&self, path: &str) -> Result<Dataset> {
        let text = c_text(path)?;
        // SAFETY: a valid file and a text that ends with a null byte.
        let id = unsafe { ffi::H5Dopen2(self.handle.id(), text.as_ptr(), ffi::H5P_DEFAULT) };
        Dataset::new(Handle::new(id, "dataset")?)
    }
}

fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Failed::misused("a name holds a null character"))
}
