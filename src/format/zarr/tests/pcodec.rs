//! Files of pcodec that say more than is there.

use pco::standalone::simple_compress;
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use crate::error::Kind;
use crate::format::zarr::pcodec::pcodec;

/// Numbers in a few values, far apart.
fn few_values() -> Vec<u64> {
    (0..4096_u64).map(|at| (at * 7919 % 61).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

fn bytes(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Where the first chunk's metadata starts: behind its type (of u64: 2) and the count of its numbers.
fn metadata(encoded: &[u8], count: usize) -> usize {
    let count = u32::try_from(count - 1).unwrap().to_le_bytes();
    let preamble = [2, count[0], count[1], count[2]];
    4 + encoded.windows(4).position(|bytes| bytes == preamble).expect("a chunk of so many numbers")
}

#[test]
fn every_way_of_coding_is_decoded() {
    let numbers = few_values();
    for mode in [ModeSpec::Classic, ModeSpec::TryDict, ModeSpec::TryIntMult(3), ModeSpec::Auto] {
        for delta in [DeltaSpec::NoOp, DeltaSpec::TryConsecutive(2), DeltaSpec::TryLookback] {
            let config = ChunkConfig::default().with_mode_spec(mode.clone()).with_delta_spec(delta.clone());
            let encoded = simple_compress(&numbers, &config).unwrap();
            let decoded = pcodec(&encoded, numbers.len() as u64 * 8).unwrap();
            assert_eq!(decoded, bytes(&numbers), "{mode:?} {delta:?}");
        }
    }
}

#[test]
fn a_dictionary_that_is_not_there_is_refused_before_it_is_set_aside() {
    let numbers = few_values();
    let config = ChunkConfig::default().with_mode_spec(ModeSpec::TryDict).with_delta_spec(DeltaSpec::NoOp);
    let mut encoded = simple_compress(&numbers, &config).unwrap();
    let at = metadata(&encoded, numbers.len());
    let head = u32::from_le_bytes(encoded[at..at + 4].try_into().unwrap());
    assert_eq!((head & 0xf, head >> 4), (4, 61), "a dictionary of 61 values");
    // All 25 bits of the count.
    encoded[at..at + 4].copy_from_slice(&(4_u32 | ((1 << 25) - 1) << 4).to_le_bytes());
    let error = pcodec(&encoded, numbers.len() as u64 * 8).unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss);
    assert!(error.message().contains("a dictionary of 33554431 values"), "{error}");
}

#[test]
fn a_window_wider_than_the_chunk_is_refused_before_it_is_set_aside() {
    let numbers = few_values();
    let config = ChunkConfig::default().with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::TryLookback);
    let mut encoded = simple_compress(&numbers, &config).unwrap();
    let at = metadata(&encoded, numbers.len());
    // 4 bits: no mode. 4 bits: delta by looking back. 5 bits: log 2 of the window, minus one.
    let head = u16::from_le_bytes([encoded[at], encoded[at + 1]]);
    assert_eq!((head & 0xff, head >> 8 & 0x1f), (0x20, 11), "a window of 2^12 numbers");
    encoded[at + 1] = encoded[at + 1] & !0x1f | 23;
    let error = pcodec(&encoded, numbers.len() as u64 * 8).unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss);
    assert!(error.message().contains("a window of 2^24 numbers for a chunk of 4096"), "{error}");
}

#[test]
fn more_or_other_numbers_than_expected_are_refused() {
    let numbers = few_values();
    let encoded = simple_compress(&numbers, &ChunkConfig::default()).unwrap();
    for expected in [8, numbers.len() as u64 * 8 - 8, numbers.len() as u64 * 8 + 8, 7] {
        assert_eq!(pcodec(&encoded, expected).unwrap_err().kind(), Kind::DataLoss, "{expected}");
    }
    for cut in [0, 5, 10, encoded.len() / 2, encoded.len() - 1] {
        assert_eq!(pcodec(&encoded[..cut], numbers.len() as u64 * 8).unwrap_err().kind(), Kind::DataLoss, "{cut}");
    }
}
