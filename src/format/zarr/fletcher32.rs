//! The fletcher32 checksum that HDF5 and numcodecs put behind a chunk.
//!
//! The codec library has it too, but leaves out the last byte of an odd number of bytes and so takes
//! whole chunks for corrupt. The steps are those of HDF5's `H5_checksum_fletcher32`.

/// Bytes of the checksum, little-endian, behind the data.
const CHECKSUM_BYTES: usize = 4;
/// Pairs of bytes that are summed before the sums are folded, so that they stay below 32 bits.
const PAIRS_PER_FOLD: usize = 360;

/// The data before the checksum, if the checksum is theirs.
pub(super) fn strip(encoded: &[u8]) -> Option<&[u8]> {
    let (data, stored) = encoded.split_at_checked(encoded.len().checked_sub(CHECKSUM_BYTES)?)?;
    (checksum(data).to_le_bytes() == stored).then_some(data)
}

fn checksum(data: &[u8]) -> u32 {
    let (mut sum, mut sum_of_sums) = (0_u32, 0_u32);
    let (pairs, last) = data.as_chunks::<2>();
    for block in pairs.chunks(PAIRS_PER_FOLD) {
        for pair in block {
            sum += u32::from(u16::from_be_bytes(*pair));
            sum_of_sums += sum;
        }
        (sum, sum_of_sums) = (fold(sum), fold(sum_of_sums));
    }
    if let [last] = last {
        sum += u32::from(*last) << 8;
        sum_of_sums += sum;
        (sum, sum_of_sums) = (fold(sum), fold(sum_of_sums));
    }
    (fold(sum_of_sums) << 16) | fold(sum)
}

fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}
