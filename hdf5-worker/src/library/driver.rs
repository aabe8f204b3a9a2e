//! The file driver: read-only files whose bytes come from the [session](crate::session).
//!
//! The C library calls these functions with what they returned before: a `DriverFile` that is the
//! first field of a [`Remote`] made by [`open`]. A panic in one of them ends the process, which the
//! parent notices.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulong, c_void};

use super::failure::{Failed, Result};
use super::ffi::{self, Address, DriverClass, DriverFile, Id, Status};
use crate::session::{self, RemoteFile};

const FAILED: Status = -1;
/// Greatest address of a file.
const GREATEST_ADDRESS: Address = i64::MAX as Address;
/// A number above those that the library keeps for itself.
const DRIVER_NUMBER: c_int = 600;

/// An open file.
#[repr(C)]
struct Remote {
    base: DriverFile,
    file: RemoteFile,
    end_of_allocated: Address,
}

/// The class of the driver. The library keeps a pointer to it.
struct Class(DriverClass);

// SAFETY: it is never changed, and its only pointers are to a constant text and to functions.
unsafe impl Sync for Class {}

static CLASS: Class = Class(DriverClass {
    version: ffi::DRIVER_CLASS_VERSION,
    value: DRIVER_NUMBER,
    name: c"parent".as_ptr(),
    greatest_address: GREATEST_ADDRESS,
    close_degree: ffi::H5F_CLOSE_WEAK,
    terminate: None,
    superblock_size: None,
    superblock_encode: None,
    superblock_decode: None,
    fapl_size: 0,
    fapl_get: None,
    fapl_copy: None,
    fapl_free: None,
    dxpl_size: 0,
    dxpl_copy: None,
    dxpl_free: None,
    open: Some(open),
    close: Some(close),
    compare: Some(compare),
    query: Some(query),
    get_type_map: None,
    allocate: None,
    free: None,
    get_end_of_allocated: Some(get_end_of_allocated),
    set_end_of_allocated: Some(set_end_of_allocated),
    get_end_of_file: Some(get_end_of_file),
    get_handle: None,
    read: Some(read),
    write: Some(write),
    read_vector: None,
    write_vector: None,
    read_selection: None,
    write_selection: None,
    flush: None,
    truncate: None,
    lock: None,
    unlock: None,
    delete: None,
    control: None,
    free_list_map: [0; ffi::MEMORY_TYPES],
});

/// Makes the driver known to the library; returns its identifier, which stays valid.
pub(super) fn register() -> Result<Id> {
    // SAFETY: the class is of the version that the library checks, and lives as long as the process.
    let id = unsafe { ffi::H5FDregister(&raw const CLASS.0) };
    if id < 0 { Err(Failed::last("file driver")) } else { Ok(id) }
}

/// Opens a file for reading; null when there is none or it is to be written.
///
/// # Safety
/// `name` is a text that ends with a null byte.
unsafe extern "C" fn open(name: *const c_char, flags: c_uint, _access: Id, _greatest: Address) -> *mut DriverFile {
    if name.is_null() || flags != ffi::H5F_ACC_RDONLY {
        return std::ptr::null_mut();
    }
    // SAFETY: see above.
    let Ok(name) = unsafe { CStr::from_ptr(name) }.to_str() else { return std::ptr::null_mut() };
    let Ok(Some(file)) = session::open(name) else { return std::ptr::null_mut() };
    // The library fills the fields of the base.
    let base = DriverFile {
        driver: 0,
        class: std::ptr::null(),
        serial: 0,
        access_flags: 0,
        feature_flags: 0,
        greatest_address: 0,
        base_address: 0,
        threshold: 0,
        alignment: 0,
        paged_aggregation: false,
    };
    Box::into_raw(Box::new(Remote { base, file, end_of_allocated: 0 })).cast()
}

/// Closes a file.
///
/// # Safety
/// `file` was made by [`open`] and is not used again.
unsafe extern "C" fn close(file: *mut DriverFile) -> Status {
    // SAFETY: see above.
    drop(unsafe { Box::from_raw(file.cast::<Remote>()) });
    0
}

/// Orders files by number: what has one number is one file.
///
/// # Safety
/// Both were made by [`open`].
unsafe extern "C" fn compare(left: *const DriverFile, right: *const DriverFile) -> c_int {
    // SAFETY: see above.
    let (left, right) = unsafe { (&*left.cast::<Remote>(), &*right.cast::<Remote>()) };
    left.file.number.cmp(&right.file.number) as c_int
}

/// The driver has no features: the library then reads what it needs, when it needs it.
///
/// # Safety
/// `flags` is null or a place for a number.
unsafe extern "C" fn query(_file: *const DriverFile, flags: *mut c_ulong) -> Status {
    // SAFETY: see above.
    if let Some(flags) = unsafe { flags.as_mut() } {
        *flags = 0;
    }
    0
}

/// # Safety
/// `file` was made by [`open`].
unsafe extern "C" fn get_end_of_allocated(file: *const DriverFile, _kind: c_int) -> Address {
    // SAFETY: see above.
    unsafe { (*file.cast::<Remote>()).end_of_allocated }
}

/// # Safety
/// `file` was made by [`open`]; nothing else refers to it during the call.
unsafe extern "C" fn set_end_of_allocated(file: *mut DriverFile, _kind: c_int, address: Address) -> Status {
    // SAFETY: see above.
    unsafe { (*file.cast::<Remote>()).end_of_allocated = address };
    0
}

/// # Safety
/// `file` was made by [`open`].
unsafe extern "C" fn get_end_of_file(file: *const DriverFile, _kind: c_int) -> Address {
    // SAFETY: see above.
    unsafe { (*file.cast::<Remote>()).file.size }
}

/// Reads bytes.
///
/// # Safety
/// `file` was made by [`open`]; `buffer` has room for `size` bytes.
unsafe extern "C" fn read(
    file: *mut DriverFile,
    _kind: c_int,
    _transfer: Id,
    address: Address,
    size: usize,
    buffer: *mut c_void,
) -> Status {
    if size == 0 {
        return 0;
    }
    if buffer.is_null() || size > isize::MAX as usize || address.checked_add(size as u64).is_none() {
        return FAILED;
    }
    // SAFETY: see above. The bytes are initialised first, as a slice must be.
    let (file, target) = unsafe {
        std::ptr::write_bytes(buffer.cast::<u8>(), 0, size);
        ((*file.cast::<Remote>()).file, std::slice::from_raw_parts_mut(buffer.cast::<u8>(), size))
    };
    if session::read(file, address, target).is_ok() { 0 } else { FAILED }
}

/// Refuses to write. The library wants the function to be there.
unsafe extern "C" fn write(
    _file: *mut DriverFile,
    _kind: c_int,
    _transfer: Id,
    _address: Address,
    _size: usize,
    _buffer: *const c_void,
) -> Status {
    FAILED
}
