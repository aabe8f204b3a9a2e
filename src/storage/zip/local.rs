//! The header before an entry's content, which says where the content starts. Pure.

use super::directory::{Entry, LOCAL_HEADER_BYTES};
use super::fields::two;
use crate::error::{Error, Result};

/// Where the content of `entry` starts. `bytes` start with its local header; entries end before `limit`.
///
/// # Errors
/// `DataLoss` when they do not, or the content would not lie before `limit`.
pub(super) fn data_start(bytes: &[u8], entry: &Entry, limit: u64) -> Result<u64> {
    let damaged =
        |what: &str| Error::data_loss(format!("entry '{}' at {} is damaged: {what}", entry.name, entry.offset));
    let (Some(flags), Some(method), Some(name_bytes), Some(extra_bytes)) =
        (two(bytes, 6), two(bytes, 8), two(bytes, 26), two(bytes, 28))
    else {
        return Err(damaged("its header is cut off"));
    };
    let name_start = LOCAL_HEADER_BYTES as usize;
    let name = bytes.get(name_start..name_start + usize::from(name_bytes)).unwrap_or_default();
    if !bytes.starts_with(b"PK\x03\x04") || method != entry.method || !entry.is_called(name, flags) {
        return Err(damaged("another header is there than the directory tells"));
    }
    let header = LOCAL_HEADER_BYTES + u64::from(name_bytes) + u64::from(extra_bytes);
    let start = entry.offset.saturating_add(header);
    if start.checked_add(entry.compressed).is_none_or(|end| end > limit) {
        return Err(damaged("its content leaves the archive"));
    }
    Ok(start)
}
