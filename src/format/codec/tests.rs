use proptest::prelude::*;

use super::{deflate, fletcher32, lzf, shuffle};
use crate::error::Kind;

/// Shuffle as its definition says it.
fn shuffle_naively(plain: &[u8], size: usize) -> Vec<u8> {
    let count = plain.len() / size;
    let mut out: Vec<u8> =
        (0..size).flat_map(|byte| (0..count).map(move |element| plain[element * size + byte])).collect();
    out.extend_from_slice(&plain[count * size..]);
    out
}

/// LZF with literal runs only, and one back reference for every repeated byte run.
fn lzf_naively(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < plain.len() {
        let run = plain[at..].iter().take_while(|byte| **byte == plain[at]).count().min(264);
        out.extend_from_slice(&[0, plain[at]]);
        at += 1;
        let mut rest = run - 1;
        at += if rest >= 3 { rest } else { 0 };
        if rest >= 3 {
            rest -= 2;
            if rest < 7 {
                out.extend_from_slice(&[(rest as u8) << 5, 0]);
            } else {
                out.extend_from_slice(&[7 << 5, (rest - 7) as u8, 0]);
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn unshuffle_undoes_the_definition(plain in proptest::collection::vec(any::<u8>(), 0..300), size in 1_usize..20) {
        prop_assert_eq!(shuffle::unshuffle(&shuffle_naively(&plain, size), size).unwrap(), plain);
    }

    #[test]
    fn lzf_undoes_runs(plain in proptest::collection::vec((any::<u8>(), 1_usize..400), 0..20)) {
        let plain: Vec<u8> = plain.into_iter().flat_map(|(byte, count)| vec![byte; count]).collect();
        let encoded = lzf_naively(&plain);
        prop_assert_eq!(&lzf::decompress(&encoded, plain.len(), plain.len()).unwrap(), &plain);
        if !plain.is_empty() {
            let error = lzf::decompress(&encoded, plain.len(), plain.len() - 1).unwrap_err();
            prop_assert_eq!(error.kind(), Kind::DataLoss);
        }
    }

    #[test]
    fn lzf_of_noise_ends(encoded in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(plain) = lzf::decompress(&encoded, 10, 1000) {
            prop_assert!(plain.len() <= 1000);
        }
    }

    #[test]
    fn deflate_undoes_itself(plain in proptest::collection::vec(any::<u8>(), 0..3000), guess in 0_usize..4000) {
        let encoded = deflate::compress(&plain).unwrap();
        prop_assert_eq!(&deflate::decompress(&encoded, guess, 5000).unwrap(), &plain);
    }

    #[test]
    fn fletcher_finds_a_changed_byte(plain in proptest::collection::vec(0_u8..255, 1..2000), at in any::<prop::sample::Index>()) {
        let mut encoded = plain.clone();
        encoded.extend_from_slice(&fletcher32::checksum(&plain).to_le_bytes());
        prop_assert_eq!(fletcher32::verify(&encoded).unwrap(), &plain[..]);
        encoded[at.index(plain.len())] ^= 1;
        prop_assert_eq!(fletcher32::verify(&encoded).unwrap_err().kind(), Kind::DataLoss);
    }
}

#[test]
fn fletcher_of_known_bytes() {
    // Values of libhdf5's own checksum test for odd and even lengths.
    assert_eq!(fletcher32::checksum(&[0, 1, 0, 2]), 0x0004_0003);
    assert_eq!(fletcher32::checksum(&[1, 2, 3]), 0x0504_0402);
    assert_eq!(fletcher32::verify(&[1, 2, 3]).unwrap_err().kind(), Kind::DataLoss);
}

#[test]
fn fletcher_does_not_overflow() {
    for length in [719, 720, 5000, 100_001] {
        let data = vec![0xff_u8; length];
        let words = data.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |byte| u64::from(*byte)));
        let (low, high) = words.fold((0, 0), |(low, high), word| ((low + word) % 65535, (high + low + word) % 65535));
        let found = fletcher32::checksum(&data);
        assert_eq!((u64::from(found & 0xffff) % 65535, u64::from(found >> 16) % 65535), (low, high));
    }
}

#[test]
fn deflate_refuses_more_than_the_limit() {
    let encoded = deflate::compress(&[7; 10_000]).unwrap();
    let error = deflate::decompress(&encoded, 100, 9_999).unwrap_err();
    assert!(error.message().contains("more than 9999 bytes"), "{error}");
    assert_eq!(deflate::decompress(b"no zlib", 100, 100).unwrap_err().kind(), Kind::DataLoss);
}
