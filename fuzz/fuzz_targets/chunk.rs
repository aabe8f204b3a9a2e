//! The input is a chunk of an HDF5 dataset with its filters: one byte tells how many filters, each has
//! its number, the count of its parameters and the parameters; then the mask, the chunk's size and the
//! encoded bytes. What is decoded has exactly the size that was asked for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sliceflight::format::hdf5::fuzzing::undo_filters;

const FILTERS: [u16; 14] = [1, 2, 3, 4, 5, 6, 307, 32000, 32001, 32004, 32008, 32015, 32013, 32026];
const LARGEST_CHUNK: u32 = 1 << 20;

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*first))
    }
}

fn decode(bytes: &[u8]) -> Option<()> {
    let mut input = Input(bytes);
    let mut filters = Vec::new();
    for _ in 0..input.byte()? % 4 {
        let number = FILTERS[usize::from(input.byte()?) % FILTERS.len()];
        let mut parameters = Vec::new();
        for _ in 0..input.byte()? % 24 {
            parameters.push(input.word()?);
        }
        filters.push((number, parameters));
    }
    let mask = u32::from(input.byte()?);
    let size = (input.word()? % LARGEST_CHUNK) as usize;
    if let Ok(decoded) = undo_filters(&filters, mask, input.0, size) {
        assert_eq!(decoded.len(), size);
    }
    Some(())
}

fuzz_target!(|input: &[u8]| {
    sliceflight_fuzz::allow_caught_panics();
    let _ = decode(input);
});
