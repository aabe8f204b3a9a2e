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

/// `count` little-endian integers of `width` bytes (at most 8), back to back from `offset` of each element,
/// of whose bits only `bits` from bit `shift` on count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrow {
    /// First byte of the first integer within an element.
    pub offset: usize,
    /// Bytes of one integer.
    pub width: usize,
    /// How many integers.
    pub count: usize,
    /// Lowest bit that counts.
    pub shift: u32,
    /// Bits that count, at least 1.
    pub bits: u32,
    /// Whether the highest of them is the sign.
    pub signed: bool,
}

/// Gives the integers that `narrows` name in each element of `size` bytes their values.
pub fn widen(elements: &mut [u8], size: usize, narrows: &[Narrow]) {
    if narrows.is_empty() {
        return;
    }
    for element in elements.chunks_exact_mut(size.max(1)) {
        for narrow in narrows {
            let end = narrow.width.saturating_mul(narrow.count).saturating_add(narrow.offset);
            if let Some(numbers) = element.get_mut(narrow.offset..end) {
                numbers.chunks_exact_mut(narrow.width.max(1)).for_each(|number| narrow.widen(number));
            }
        }
    }
}

impl Narrow {
    fn widen(&self, number: &mut [u8]) {
        let stored = number.iter().rev().fold(0_u64, |stored, byte| (stored << 8) | u64::from(*byte));
        let value = value_of(stored, self.shift, self.bits, self.signed).to_le_bytes();
        number.iter_mut().zip(value).for_each(|(byte, value)| *byte = value);
    }
}

/// The integer in `bits` bits from bit `shift` of `stored`, as two's complement of 64 bits.
pub fn value_of(stored: u64, shift: u32, bits: u32, signed: bool) -> u64 {
    let unused = 64_u32.saturating_sub(bits).min(63);
    let top = stored.checked_shr(shift).unwrap_or(0) << unused;
    if signed { (top.cast_signed() >> unused).cast_unsigned() } else { top >> unused }
}

#[cfg(test)]
mod tests {
    use super::{Narrow, widen};

    #[test]
    fn bits_become_integers_with_their_sign() {
        let narrow = |signed| Narrow { offset: 1, width: 2, count: 2, shift: 3, bits: 9, signed };
        let stored = |value: u16| (value << 3 | 0xf007).to_le_bytes();
        let element = [&[0xff][..], &stored(0x1ff), &stored(0x0ff)].concat();
        let mut signed = element.clone();
        widen(&mut signed, 5, &[narrow(true)]);
        assert_eq!(signed, [&[0xff][..], &(-1_i16).to_le_bytes(), &255_i16.to_le_bytes()].concat());
        let mut unsigned = element;
        widen(&mut unsigned, 5, &[narrow(false)]);
        assert_eq!(unsigned, [&[0xff][..], &511_u16.to_le_bytes(), &255_u16.to_le_bytes()].concat());
    }
}
