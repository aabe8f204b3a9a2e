//! Lets the allocator give back what a server frees.
//!
//! glibc raises the size from which it maps buffers by themselves with each buffer that is freed, up to 32
//! MiB; then chunks of ever new sizes come from heaps that hardly shrink, and the memory of the process
//! grows with the slices that were served, though the program holds no more. A fixed size stops that, and
//! glibc takes it from the environment of a starting process only. What is set there already stays.

/// Starts this program anew, in the same process, with the allocator's settings in its environment; returns
/// where they are there, are not needed, or it cannot be done.
pub(super) fn settle() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::settle();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    /// Bytes from which a buffer is mapped by itself, and free bytes at the end of a heap that are given back.
    const SETTINGS: [(&str, &str); 2] = [("MALLOC_MMAP_THRESHOLD_", "65536"), ("MALLOC_TRIM_THRESHOLD_", "65536")];

    pub(super) fn settle() {
        let is_set = |name: &str| std::env::var_os(name).is_some();
        if SETTINGS.iter().any(|(name, _)| is_set(name)) || is_set("GLIBC_TUNABLES") {
            return;
        }
        let mut arguments = std::env::args_os();
        let Some(name) = arguments.next() else { return };
        let Ok(program) = std::env::current_exe() else { return };
        // Returns only when it fails, and then the server runs as it is: it uses more memory, nothing else.
        let _failed = Command::new(program).arg0(name).args(arguments).envs(SETTINGS).exec();
    }
}
