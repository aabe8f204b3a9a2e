//! Whether a dataset can be given exactly: its elements in a type that exists, through filters that are here.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::conversion::{Purpose, converted};
use super::dataset::{Dataset, encoded};
use super::failure::{Failed, Result, check};
use super::ffi;
use super::handle::Handle;

/// Bytes of a filter's name that are read.
const MAX_NAME_BYTES: usize = 256;

/// A filter that is not here, and its number in the dataset.
struct Lacking {
    index: u32,
    id: c_int,
    name: String,
}

impl Dataset {
    /// The type of its elements when they are converted, as `H5Tencode` gives it.
    ///
    /// # Errors
    /// `Unsupported` where no type holds them exactly, or what they are stored in cannot be read here.
    pub(crate) fn offered_type(&self) -> Result<Vec<u8>> {
        // SAFETY: a valid dataset.
        let creation = Handle::new(unsafe { ffi::H5Dget_create_plist(self.handle.id()) }, "property list")?;
        // SAFETY: a valid property list.
        let external = unsafe { ffi::H5Pget_external_count(creation.id()) };
        check(external, "external files")?;
        if external > 0 {
            return Err(Failed::unsupported("its external storage is not opened here"));
        }
        self.check_filters(&creation)?;
        // SAFETY: a valid data type.
        let texts = unsafe { ffi::H5Tis_variable_str(self.data_type.id()) };
        check(texts, "data type")?;
        if texts != 0 { self.encoded_type() } else { encoded(&converted(&self.data_type, Purpose::Describe)?) }
    }

    /// The type in which converted elements are read.
    pub(super) fn memory_type(&self) -> Result<Handle> {
        converted(&self.data_type, Purpose::Read)
    }

    /// Filters that are not here are no obstacle where every stored chunk was left out by them.
    fn check_filters(&self, creation: &Handle) -> Result<()> {
        let lacking = lacking(creation)?;
        if lacking.is_empty() {
            return Ok(());
        }
        // A chunk has 32 flags: a filter behind them is applied always.
        let mut applied = Applied { needed: 0 };
        let place = (&raw mut applied).cast::<c_void>();
        // SAFETY: `add_mask` gets what lives here, and only during this call.
        check(unsafe { ffi::H5Dchunk_iter(self.handle.id(), ffi::H5P_DEFAULT, Some(add_mask), place) }, "chunks")?;
        let needed = |filter: &&Lacking| match 1_u32.checked_shl(filter.index) {
            Some(flag) => applied.needed & flag != 0,
            None => applied.needed != 0,
        };
        match lacking.iter().find(needed) {
            Some(Lacking { id, name, .. }) => {
                Err(Failed::unsupported(format!("it has no filter '{name}' (id {id}) either")))
            }
            None => Ok(()),
        }
    }
}

/// Filters that some stored chunk went through, as flags.
struct Applied {
    needed: c_uint,
}

/// Adds the filters of one chunk.
///
/// # Safety
/// `applied` is an [`Applied`] that nobody else uses.
unsafe extern "C" fn add_mask(
    _offset: *const ffi::Size,
    mask: c_uint,
    _address: ffi::Address,
    _size: ffi::Size,
    applied: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    match unsafe { applied.cast::<Applied>().as_mut() } {
        Some(applied) => {
            applied.needed |= !mask;
            0
        }
        None => 1,
    }
}

fn lacking(creation: &Handle) -> Result<Vec<Lacking>> {
    // SAFETY: a valid property list.
    let count = unsafe { ffi::H5Pget_nfilters(creation.id()) };
    let count = c_uint::try_from(count).map_err(|_| Failed::last("filters"))?;
    let mut lacking = Vec::new();
    for index in 0..count {
        let (mut flags, mut parameters, mut configuration) = (0, 0, 0);
        let mut name = [0 as c_char; MAX_NAME_BYTES];
        // SAFETY: room for no parameters and for a name of the length given, which ends with a null byte.
        let id = unsafe {
            ffi::H5Pget_filter2(
                creation.id(),
                index,
                &raw mut flags,
                &raw mut parameters,
                std::ptr::null_mut(),
                MAX_NAME_BYTES - 1,
                name.as_mut_ptr(),
                &raw mut configuration,
            )
        };
        check(id, "filter")?;
        // SAFETY: a number.
        let available = unsafe { ffi::H5Zfilter_avail(id) };
        check(available, "filter")?;
        if available == 0 {
            // SAFETY: the last byte is null, whatever the library wrote before it.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
            lacking.push(Lacking { index, id, name });
        }
    }
    Ok(lacking)
}
