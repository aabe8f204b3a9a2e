//! Little-endian numbers at fixed places of a structure.

/// The number of 2 bytes at `at`.
pub(super) fn two(bytes: &[u8], at: usize) -> Option<u16> {
    fixed(bytes, at).map(u16::from_le_bytes)
}

/// The number of 4 bytes at `at`.
pub(super) fn four(bytes: &[u8], at: usize) -> Option<u32> {
    fixed(bytes, at).map(u32::from_le_bytes)
}

/// The number of 8 bytes at `at`.
pub(super) fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    fixed(bytes, at).map(u64::from_le_bytes)
}

fn fixed<const LENGTH: usize>(bytes: &[u8], at: usize) -> Option<[u8; LENGTH]> {
    bytes.get(at..at.checked_add(LENGTH)?)?.try_into().ok()
}
