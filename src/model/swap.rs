//! Numbers inside stored elements whose bytes have to be reversed to become little-endian.

use serde::{Deserialize, Serialize};

/// `count` numbers of `width` bytes, back to back from `offset` of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// First byte of the first number within an element.
    pub offset: usize,
    /// Bytes of one number.
    pub width: usize,
    /// How many numbers.
    pub count: usize,
}

/// Reverses the numbers that `swaps` name in each element of `size` bytes.
pub fn reverse(elements: &mut [u8], size: usize, swaps: &[Swap]) {
    if swaps.is_empty() {
        return;
    }
    for element in elements.chunks_exact_mut(size.max(1)) {
        for Swap { offset, width, count } in swaps {
            let end = width.saturating_mul(*count).saturating_add(*offset);
            if let Some(numbers) = element.get_mut(*offset..end) {
                numbers.chunks_exact_mut((*width).max(1)).for_each(<[u8]>::reverse);
            }
        }
    }
}
