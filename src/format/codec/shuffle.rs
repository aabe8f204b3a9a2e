//! The byte shuffle: all first bytes of the elements, then all second bytes, and so on.

use super::zeroed;
use crate::error::Result;

/// The bytes before shuffling elements of `element_size` bytes. Bytes behind the last whole element
/// were not moved.
///
/// # Errors
/// `ResourceExhausted` when there is no memory for the copy.
pub fn unshuffle(encoded: &[u8], element_size: usize) -> Result<Vec<u8>> {
    let mut plain = zeroed(encoded.len())?;
    unshuffle_into(encoded, &mut plain, element_size);
    Ok(plain)
}

/// [`unshuffle`] into `plain`, which is as long as `encoded`.
pub(super) fn unshuffle_into(encoded: &[u8], plain: &mut [u8], element_size: usize) {
    let count = encoded.len().checked_div(element_size).unwrap_or(0);
    if element_size <= 1 || count <= 1 {
        plain.copy_from_slice(encoded);
        return;
    }
    for (byte, plane) in encoded.chunks_exact(count).take(element_size).enumerate() {
        for (element, value) in plain.chunks_exact_mut(element_size).zip(plane) {
            if let Some(place) = element.get_mut(byte) {
                *place = *value;
            }
        }
    }
    let moved = count * element_size;
    if let (Some(to), Some(from)) = (plain.get_mut(moved..), encoded.get(moved..)) {
        to.copy_from_slice(from);
    }
}
