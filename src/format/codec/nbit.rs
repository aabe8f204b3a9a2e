//! HDF5's n-bit filter: numbers stored by their used bits only, packed from the highest bit of each byte.
//!
//! Undoing puts the bits of a number at their offset in its bytes and leaves the others zero; giving the
//! number its sign is the business of whoever knows its type. The parameters describe the type
//! (H5Znbit.c): count, whether nothing is packed, elements, then one part after the other.

use super::{damaged, zeroed};
use crate::error::Result;

/// Parts inside parts at most.
const MAX_DEPTH: usize = 32;

/// How one part of an element is packed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// A number: bytes, byte order, used bits, lowest used bit.
    Number { size: usize, big_endian: bool, bits: usize, offset: usize },
    /// The same part, so many times.
    Array { count: usize, part: Box<Part> },
    /// Parts at byte offsets.
    Compound { size: usize, parts: Vec<(usize, Part)> },
    /// Bytes as they are.
    Plain { size: usize },
}

/// Whether `parameters` are ones that [`decompress`] follows.
pub(crate) fn is_known(parameters: &[u32]) -> bool {
    parse(parameters).is_some()
}

/// The elements in `encoded`.
///
/// # Errors
/// `DataLoss` when there are more than `limit` bytes of them, or fewer bits than they need.
pub(crate) fn decompress(encoded: &[u8], parameters: &[u32], limit: usize) -> Result<Vec<u8>> {
    let (count, part) = parse(parameters).ok_or_else(|| damaged("nbit", "parameters that make no sense"))?;
    let size = part.size();
    let total = size.checked_mul(count).filter(|total| *total <= limit);
    let total = total.ok_or_else(|| damaged("nbit", format_args!("{count} elements of {size} bytes")))?;
    let mut elements = zeroed(total)?;
    let mut bits = Bits { bytes: encoded, at: 0 };
    for element in elements.chunks_exact_mut(size.max(1)) {
        part.unpack(&mut bits, element)?;
    }
    Ok(elements)
}

/// Elements of a chunk, and how one is packed.
fn parse(parameters: &[u32]) -> Option<(usize, Part)> {
    let [_, _, count, rest @ ..] = parameters else { return None };
    let mut rest = rest.iter().map(|number| *number as usize);
    let part = parse_part(&mut rest, 0)?;
    Some((*count as usize, part)).filter(|(_, part)| part.size() > 0)
}

fn parse_part(rest: &mut dyn Iterator<Item = usize>, depth: usize) -> Option<Part> {
    if depth > MAX_DEPTH {
        return None;
    }
    match (rest.next()?, rest.next()?) {
        (1, size) => {
            let (order, bits, offset) = (rest.next()?, rest.next()?, rest.next()?);
            let fits = bits > 0 && bits.checked_add(offset)? <= size.checked_mul(8)? && order <= 1;
            fits.then_some(Part::Number { size, big_endian: order == 1, bits, offset })
        }
        (2, size) => {
            let part = Box::new(parse_part(rest, depth + 1)?);
            let count = size.checked_div(part.size()).filter(|count| count.checked_mul(part.size()) == Some(size))?;
            Some(Part::Array { count, part })
        }
        (3, size) => {
            let count = rest.next()?;
            let mut parts = Vec::new();
            for _ in 0..count {
                let offset = rest.next()?;
                let part = parse_part(rest, depth + 1)?;
                if offset.checked_add(part.size())? > size {
                    return None;
                }
                parts.push((offset, part));
            }
            Some(Part::Compound { size, parts })
        }
        (4, size) => Some(Part::Plain { size }),
        _ => None,
    }
}

impl Part {
    fn size(&self) -> usize {
        match self {
            Self::Number { size, .. } | Self::Compound { size, .. } | Self::Plain { size } => *size,
            Self::Array { count, part } => count.saturating_mul(part.size()),
        }
    }

    /// Fills `element`, which is zeroed and has the part's size.
    fn unpack(&self, packed: &mut Bits<'_>, element: &mut [u8]) -> Result<()> {
        match self {
            Self::Number { size, big_endian, bits, offset } => {
                // From the highest bit to the lowest, bytes counted from the lowest.
                for bit in (*offset..offset + bits).rev() {
                    let byte = if *big_endian { size.saturating_sub(1 + bit / 8) } else { bit / 8 };
                    if let Some(byte) = element.get_mut(byte) {
                        *byte |= packed.next()? << (bit % 8);
                    }
                }
                Ok(())
            }
            Self::Array { part, .. } => {
                element.chunks_exact_mut(part.size().max(1)).try_for_each(|element| part.unpack(packed, element))
            }
            Self::Compound { parts, .. } => parts.iter().try_for_each(|(offset, part)| {
                let place = element.get_mut(*offset..offset.saturating_add(part.size())).unwrap_or_default();
                part.unpack(packed, place)
            }),
            Self::Plain { .. } => element.iter_mut().try_for_each(|byte| {
                *byte = (0..8).try_fold(0, |byte, _| Ok::<u8, crate::error::Error>(byte << 1 | packed.next()?))?;
                Ok(())
            }),
        }
    }
}

/// Bits from the highest of the first byte on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn next(&mut self) -> Result<u8> {
        let byte = self.bytes.get(self.at / 8).ok_or_else(|| damaged("nbit", "fewer bits than elements need"))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit)
    }
}
