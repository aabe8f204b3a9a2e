use proptest::prelude::*;

use super::{bitshuffle, bzip2, deflate, fletcher32, lz4, lzf, shuffle, zstd};
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

/// Bitshuffle of one block as its definition says it: bit `b` of element `e` is bit `b * count + e`.
fn bitshuffle_naively(plain: &[u8], size: usize) -> Vec<u8> {
    let count = plain.len() / size;
    let mut out = vec![0; plain.len()];
    for element in 0..count {
        for bit in 0..size * 8 {
            let value = plain[element * size + bit / 8] >> (bit % 8) & 1;
            let to = bit * count + element;
            out[to / 8] |= value << (to % 8);
        }
    }
    out
}

/// The blocks of `plain` and what is left behind the last multiple of 8 elements.
fn bitshuffle_blocks(plain: &[u8], size: usize, block: usize) -> (Vec<Vec<u8>>, &[u8]) {
    let (blocks, left) = plain.split_at(plain.len() / size / 8 * 8 * size);
    (blocks.chunks(block * size).map(|block| bitshuffle_naively(block, size)).collect(), left)
}

/// Size of all, size of a block, and per block its size and bytes, as LZ4 and bitshuffle have it.
fn framed(total: usize, block: usize, blocks: &[Vec<u8>], left: &[u8]) -> Vec<u8> {
    let mut out = (total as u64).to_be_bytes().to_vec();
    out.extend_from_slice(&(block as u32).to_be_bytes());
    for block in blocks {
        out.extend_from_slice(&(block.len() as u32).to_be_bytes());
        out.extend_from_slice(block);
    }
    out.extend_from_slice(left);
    out
}

proptest! {
    #[test]
    fn bitshuffle_undoes_the_definition(
        elements in proptest::collection::vec(any::<[u8; 12]>(), 0..200),
        size in 1_usize..13,
        eights in 1_usize..8,
    ) {
        let plain: Vec<u8> = elements.iter().flat_map(|element| element[..size].to_vec()).collect();
        let block = eights * 8;
        let (blocks, left) = bitshuffle_blocks(&plain, size, block);
        let parameters = |compression| bitshuffle::Parameters::of(&[0, 2, size as u32, block as u32, compression]).unwrap();
        let encoded = [blocks.concat(), left.to_vec()].concat();
        prop_assert_eq!(&bitshuffle::decompress(&encoded, parameters(0), plain.len()).unwrap(), &plain);

        let packed: Vec<_> = blocks.iter().map(|block| lz4_flex::block::compress(block)).collect();
        let encoded = framed(plain.len(), block * size, &packed, left);
        prop_assert_eq!(&bitshuffle::decompress(&encoded, parameters(2), plain.len()).unwrap(), &plain);

        let packed: Vec<_> = blocks.iter().map(|block| ::zstd::bulk::compress(block, 1).unwrap()).collect();
        let encoded = framed(plain.len(), block * size, &packed, left);
        prop_assert_eq!(&bitshuffle::decompress(&encoded, parameters(3), plain.len()).unwrap(), &plain);
    }

    #[test]
    fn lz4_undoes_blocks(plain in proptest::collection::vec(0_u8..3, 0..500), block in 1_usize..200) {
        let packed = |block: &[u8]| {
            let packed = lz4_flex::block::compress(block);
            if packed.len() < block.len() { packed } else { block.to_vec() }
        };
        let blocks: Vec<_> = plain.chunks(block).map(packed).collect();
        let encoded = framed(plain.len(), block, &blocks, &[]);
        prop_assert_eq!(&lz4::decompress(&encoded, plain.len()).unwrap(), &plain);
    }

    #[test]
    fn noise_ends(noise in proptest::collection::vec(any::<u8>(), 0..300), total in 0_u64..2000, block in 0_u32..200) {
        let encoded = [&total.to_be_bytes()[..], &block.to_be_bytes(), &noise].concat();
        for compression in [0, 2, 3] {
            let parameters = bitshuffle::Parameters::of(&[0, 2, 4, block, compression]).unwrap();
            if let Ok(plain) = bitshuffle::decompress(&encoded, parameters, 1000) {
                prop_assert!(plain.len() <= 1000);
            }
        }
        if let Ok(plain) = lz4::decompress(&encoded, 1000) {
            prop_assert_eq!(plain.len() as u64, total);
        }
    }
}

#[test]
fn more_than_the_limit_is_refused() {
    let plain = vec![7; 100_000];
    let zstd = ::zstd::bulk::compress(&plain, 3).unwrap();
    let mut bzip2 = Vec::new();
    let mut encoder = ::bzip2::bufread::BzEncoder::new(&plain[..], ::bzip2::Compression::fast());
    std::io::Read::read_to_end(&mut encoder, &mut bzip2).unwrap();
    let framed = framed(usize::MAX, 8, &[], &[]);
    let parameters = bitshuffle::Parameters::of(&[0, 2, 4, 0, 2]).unwrap();
    assert_eq!(zstd::decompress(&zstd, 100_000).unwrap(), plain);
    assert_eq!(bzip2::decompress(&bzip2, 10, 100_000).unwrap(), plain);
    for result in [
        zstd::decompress(&zstd, 99_999),
        bzip2::decompress(&bzip2, 10, 99_999),
        lz4::decompress(&framed, 99_999),
        bitshuffle::decompress(&framed, parameters, 99_999),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss);
        assert!(error.message().contains("99999"), "{error}");
    }
}

#[test]
fn bitshuffle_of_unknown_parameters_is_none() {
    assert!(bitshuffle::Parameters::of(&[0, 2, 4, 0, 1]).is_none());
    assert!(bitshuffle::Parameters::of(&[0, 2, 0]).is_none());
    assert!(bitshuffle::Parameters::of(&[]).is_none());
    let seven = bitshuffle::Parameters::of(&[0, 2, 4, 7, 0]).unwrap();
    assert_eq!(bitshuffle::decompress(&[0; 64], seven, 64).unwrap_err().kind(), Kind::DataLoss);
}
