//! HDF5's Fletcher-32: sums over big-endian 16-bit words, stored as four little-endian bytes behind
//! the data. It differs from the textbook in the byte order of the words and in the odd last byte.

use super::damaged;
use crate::error::Result;

/// Bytes of the stored checksum.
pub const CHECKSUM_SIZE: usize = 4;

/// Words that can be added before the 32-bit sums have to be folded.
const FOLD_AFTER: usize = 360;

/// The data before its checksum, which is verified. Files of HDF5 before 1.6.3 hold the checksum
/// with the bytes of each half swapped; that is accepted, as libhdf5 does.
///
/// # Errors
/// `DataLoss` when the checksum is missing or differs.
pub fn verify(encoded: &[u8]) -> Result<&[u8]> {
    let Some((plain, stored)) = encoded.split_last_chunk::<CHECKSUM_SIZE>() else {
        return Err(damaged("fletcher32", format_args!("{} bytes are too few for a checksum", encoded.len())));
    };
    let expected = u32::from_le_bytes(*stored);
    let found = checksum(plain);
    let swapped = ((found & 0x00ff_00ff) << 8) | ((found >> 8) & 0x00ff_00ff);
    if expected == found || expected == swapped {
        Ok(plain)
    } else {
        Err(damaged("fletcher32", format_args!("expected checksum {expected:#010x}, found {found:#010x}")))
    }
}

/// HDF5's Fletcher-32 of `data`.
pub fn checksum(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0_u32, 0_u32);
    let (pairs, odd) = data.as_chunks::<2>();
    for block in pairs.chunks(FOLD_AFTER) {
        for pair in block {
            low += u32::from(u16::from_be_bytes(*pair));
            high += low;
        }
        (low, high) = (fold(low), fold(high));
    }
    if let [last] = odd {
        low += u32::from(*last) << 8;
        high += low;
        (low, high) = (fold(low), fold(high));
    }
    (fold(high) << 16) | fold(low)
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}
