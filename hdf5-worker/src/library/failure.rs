//! Failures of the C library: what its error stack says.

use std::ffi::{CStr, c_uint, c_void};

use super::ffi;
use crate::protocol::Failure;

/// Bytes of one message at most.
const MAX_MESSAGE_BYTES: usize = 2000;

/// How the library begins to say that this build, or this process, lacks something.
const LACKING: [&str; 2] = ["required filter", "unable to open external raw data file"];

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// What the caller can do.
    pub(crate) kind: Failure,
    /// In words.
    pub(crate) message: String,
}

/// A result that fails with [`Failed`].
pub(crate) type Result<T> = std::result::Result<T, Failed>;

impl Failed {
    /// The command does not fit the file.
    pub(crate) fn misused(message: impl Into<String>) -> Self {
        Self { kind: Failure::Misused, message: message.into() }
    }

    /// This build cannot do it.
    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self { kind: Failure::Unsupported, message: message.into() }
    }

    /// What the library just failed at, and why: its error stack, the cause first.
    pub(super) fn last(what: &str) -> Self {
        let mut stack = Vec::<String>::new();
        let place = (&raw mut stack).cast::<c_void>();
        // SAFETY: `add` gets the stack that lives here, and only during this call.
        unsafe {
            ffi::H5Ewalk2(ffi::H5E_DEFAULT, ffi::H5E_WALK_UPWARD, Some(add), place);
            ffi::H5Eclear2(ffi::H5E_DEFAULT);
        }
        // The library has no numbers for these but those of any failed filter and any file not opened.
        let unsupported = stack.iter().any(|line| LACKING.iter().any(|lacking| line.starts_with(lacking)));
        let kind = if unsupported { Failure::Unsupported } else { Failure::Corrupt };
        let mut message = format!("{what}: ");
        for (number, line) in stack.iter().enumerate() {
            if message.len() + line.len() > MAX_MESSAGE_BYTES {
                break;
            }
            message.push_str(if number == 0 { "" } else { ", " });
            message.push_str(line);
        }
        Self { kind, message }
    }
}

/// The failure behind a negative result.
pub(super) fn check(result: ffi::Status, what: &str) -> Result<()> {
    if result < 0 { Err(Failed::last(what)) } else { Ok(()) }
}

/// Adds one entry of the error stack.
///
/// # Safety
/// `stack` is a `Vec<String>` that nobody else uses; `entry` is null or valid during the call.
unsafe extern "C" fn add(_number: c_uint, entry: *const ffi::ErrorEntry, stack: *mut c_void) -> ffi::Status {
    // SAFETY: see above; texts of the library end with a null byte.
    unsafe {
        let (Some(entry), Some(stack)) = (entry.as_ref(), stack.cast::<Vec<String>>().as_mut()) else { return 0 };
        if !entry.description.is_null() {
            stack.push(CStr::from_ptr(entry.description).to_string_lossy().into_owned());
        }
    }
    0
}
