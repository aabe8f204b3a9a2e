//! LZF, the fast filter of h5py: literal runs and back references, no header, no checksum.

use super::damaged;
use crate::error::{Error, Result};

/// Control bytes below this start a literal run of one byte more than they say.
const LITERAL_LIMIT: u8 = 32;

/// The bytes before compression. `expected` is the size they should have; more than `limit` bytes
/// are refused.
///
/// # Errors
/// `DataLoss` when the stream ends early, refers back before its start, or holds more than `limit`
/// bytes.
pub fn decompress(encoded: &[u8], expected: usize, limit: usize) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    plain
        .try_reserve(expected.min(limit))
        .map_err(|_| Error::resource_exhausted(format!("{expected} bytes of memory for a chunk cannot be had")))?;
    let mut rest = encoded;
    while let Some((&control, tail)) = rest.split_first() {
        rest = if control < LITERAL_LIMIT {
            literal(&mut plain, tail, usize::from(control) + 1)?
        } else {
            back_reference(&mut plain, tail, control, limit)?
        };
        if plain.len() > limit {
            return Err(damaged("lzf", format_args!("the stream holds more than {limit} bytes")));
        }
    }
    Ok(plain)
}

fn literal<'a>(plain: &mut Vec<u8>, rest: &'a [u8], length: usize) -> Result<&'a [u8]> {
    let (run, tail) = rest.split_at_checked(length).ok_or_else(ends_early)?;
    plain.extend_from_slice(run);
    Ok(tail)
}

fn back_reference<'a>(plain: &mut Vec<u8>, mut rest: &'a [u8], control: u8, limit: usize) -> Result<&'a [u8]> {
    let mut length = usize::from(control >> 5);
    if length == 7 {
        let (&more, tail) = rest.split_first().ok_or_else(ends_early)?;
        length += usize::from(more);
        rest = tail;
    }
    let (&low, tail) = rest.split_first().ok_or_else(ends_early)?;
    let distance = (usize::from(control & 0x1f) << 8) + usize::from(low) + 1;
    let length = length + 2;
    let start = plain
        .len()
        .checked_sub(distance)
        .ok_or_else(|| damaged("lzf", format_args!("a reference {distance} bytes back at byte {}", plain.len())))?;
    if plain.len() + length > limit {
        return Err(damaged("lzf", format_args!("the stream holds more than {limit} bytes")));
    }
    // The source may reach into what is being written, so bytes are copied one by one.
    for at in start..start + length {
        if let Some(&byte) = plain.get(at) {
            plain.push(byte);
        }
    }
    Ok(tail)
}

fn ends_early() -> Error {
    damaged("lzf", "the stream ends early")
}
