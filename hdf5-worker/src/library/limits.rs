//! What the process may take from the system.

use std::io;

/// Files that stay open: the three that the parent gave.
const OPEN_FILES: u64 = 3;

/// Bounds the memory of this process to `memory_bytes` of address space, and forbids it to open
/// anything: no file, no socket, no library. External raw data, which libhdf5 would open by itself, thus
/// fails. For the whole process and for good.
pub(crate) fn confine(memory_bytes: u64) -> io::Result<()> {
    limit(libc::RLIMIT_AS, memory_bytes)?;
    limit(libc::RLIMIT_NOFILE, OPEN_FILES)?;
    limit(libc::RLIMIT_CORE, 0)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
type Resource = libc::c_int;

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let most = libc::rlimit { rlim_cur: most as libc::rlim_t, rlim_max: most as libc::rlim_t };
    // SAFETY: a valid struct, which is only read.
    if unsafe { libc::setrlimit(resource, &raw const most) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
