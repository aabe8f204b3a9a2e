//! BloscLZ, blosc's own codec: literal runs and back references, no header, no checksum.

use super::super::damaged;
use crate::error::{Error, Result};

const NAME: &str = "blosclz";
/// Control bytes below this start a literal run of one byte more than they say.
const LITERAL_LIMIT: u8 = 32;
/// What the three upper bits of a control byte say when more bytes of the length follow.
const LONG: u8 = 7;
/// The shortest back reference, less what its control byte says.
const SHORTEST: usize = 2;
/// The largest distance that the control byte and one byte more can say.
const NEAR: usize = 8191;

/// Fills `place` with what `encoded` holds.
///
/// # Errors
/// `DataLoss` when the stream ends early, refers back before its start, or holds another number of
/// bytes.
pub(super) fn decompress(encoded: &[u8], place: &mut [u8]) -> Result<()> {
    let mut rest = encoded;
    let mut filled = 0;
    // A stream starts with a literal run; the upper bits of its length say something else.
    let mut mask = LITERAL_LIMIT - 1;
    while let Some((&control, tail)) = rest.split_first() {
        let control = control & mask;
        mask = u8::MAX;
        rest = tail;
        filled = if control < LITERAL_LIMIT {
            literal(&mut rest, place, filled, usize::from(control) + 1)?
        } else {
            back_reference(&mut rest, place, filled, control)?
        };
    }
    if filled == place.len() {
        Ok(())
    } else {
        Err(damaged(NAME, format_args!("a stream holds {filled} bytes, expected {}", place.len())))
    }
}

/// Copies `length` bytes of `rest` to `place` from `filled` on; gives how much is filled then.
fn literal(rest: &mut &[u8], place: &mut [u8], filled: usize, length: usize) -> Result<usize> {
    let (run, tail) = rest.split_at_checked(length).ok_or_else(ends_early)?;
    let end = filled.saturating_add(length);
    let room = place.len();
    place.get_mut(filled..end).ok_or_else(|| too_long(room))?.copy_from_slice(run);
    *rest = tail;
    Ok(end)
}

/// Repeats bytes that are filled already; gives how much is filled then.
fn back_reference(rest: &mut &[u8], place: &mut [u8], filled: usize, control: u8) -> Result<usize> {
    let mut length = usize::from(control >> 5) + SHORTEST;
    if control >> 5 == LONG {
        loop {
            let more = byte(rest)?;
            length = length.saturating_add(usize::from(more));
            if more != u8::MAX {
                break;
            }
        }
    }
    let high = usize::from(control & (LITERAL_LIMIT - 1)) << 8;
    let mut distance = high + usize::from(byte(rest)?);
    if distance == NEAR {
        distance += usize::from(byte(rest)?) << 8;
        distance += usize::from(byte(rest)?);
    }
    let distance = distance + 1;
    let start = filled
        .checked_sub(distance)
        .ok_or_else(|| damaged(NAME, format_args!("a reference {distance} bytes back at byte {filled}")))?;
    let end = filled.saturating_add(length);
    if end > place.len() {
        return Err(too_long(place.len()));
    }
    repeat(place, start, filled, end);
    Ok(end)
}

/// Fills `place` from `filled` to `end` with the bytes from `start` on, which may reach into what is
/// being filled: then they are a period, and each copy doubles how often it is there.
/// `start < filled` and `end` is not behind `place`.
fn repeat(place: &mut [u8], start: usize, filled: usize, end: usize) {
    let mut at = filled;
    while at < end {
        let count = (at - start).min(end - at);
        place.copy_within(start..start + count, at);
        at += count;
    }
}

fn byte(rest: &mut &[u8]) -> Result<u8> {
    let (&first, tail) = rest.split_first().ok_or_else(ends_early)?;
    *rest = tail;
    Ok(first)
}

fn ends_early() -> Error {
    damaged(NAME, "the stream ends early")
}

fn too_long(room: usize) -> Error {
    damaged(NAME, format_args!("the stream holds more than {room} bytes"))
}
