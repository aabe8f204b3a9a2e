//! Damaged chunk bytes: an error that names the array, or elements; never a panic, never a result of
//! another size.

use std::io::Write;

use bytes::Bytes;
use libdeflater::{CompressionLvl, Compressor};

use super::folder::{MemoryFolder, fetch, open, positions};
use crate::error::{Kind, Result};
use crate::format::zarr::{ZarrDecoder, ZarrStore};
use crate::model::chunk::Elements;
use crate::model::tree::{ArrayNode, Node};

fn check(label: &str, path: &str, array: &ArrayNode, result: Result<Elements>) -> bool {
    let count: u64 = array.chunk_shape.iter().product();
    match result {
        Ok(Elements::Fixed(bytes)) => assert_eq!(bytes.len() as u64, array.chunk_bytes(), "{label}"),
        Ok(Elements::Text(texts)) => assert_eq!(texts.len() as u64, count, "{label}"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::DataLoss, "{label}: {error:?}");
            assert!(error.message().contains(&format!("array '{path}'")), "{error:?}");
            return true;
        }
    }
    false
}

async fn damage(store: &ZarrStore, name: &str, path: &str, array: &ArrayNode, decoder: &ZarrDecoder) {
    let label = format!("{name}/{path}");
    let Some(position) = positions(&array.grid()).into_iter().next() else { return };
    let Some(bytes) = fetch(store, path, &position).await.unwrap() else { return };
    for length in 0..bytes.len() {
        let truncated = bytes.slice(..length);
        let refused = check(&label, path, array, decoder.decode(Some(truncated)));
        // A cut compressed stream may lack only its checksum; plain bytes must be whole.
        assert!(refused || !array.partly_readable, "{label}: {length} of {} bytes were taken", bytes.len());
    }
    for index in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut flipped = bytes.to_vec();
            flipped[index] ^= flip;
            check(&label, path, array, decoder.decode(Some(flipped.into())));
        }
    }
    let longer = [bytes.as_ref(), &[0, 1, 2]].concat();
    let refused = check(&label, path, array, decoder.decode(Some(longer.into())));
    assert!(refused || !array.partly_readable, "{label}: trailing bytes were taken");
}

#[tokio::test]
async fn damaged_chunks_are_data_loss() {
    std::panic::set_hook(Box::new(|info| {
        if !info.location().is_some_and(|at| at.file().contains("zarrs") || at.file().contains("registry")) {
            eprintln!("{info}");
        }
    }));
    for name in ["codecs_v2", "codecs_v3", "sharding_v3", "types_v3", "fortran_v2", "numcodecs_v2", "numcodecs_v3"] {
        let store = open(MemoryFolder::fixture(name)).await.unwrap();
        for (path, node) in &store.tree().nodes {
            if let Node::Array(array) = node
                && let Ok(decoder) = store.decoder(path)
            {
                damage(&store, name, path, array, &decoder).await;
            }
        }
    }
    let _ = std::panic::take_hook();
}

/// A checksum that is wrong is found even where the elements would decode.
#[tokio::test]
async fn checksums_are_checked() {
    for (name, path) in [
        ("codecs_v3", "crc32c"),
        ("codecs_v3", "zstd_checksum"),
        ("codecs_v3", "numcodecs_fletcher32"),
        ("codecs_v2", "filter_fletcher32"),
        ("numcodecs_v2", "crc32_end_plain"),
        ("numcodecs_v2", "crc32c_plain"),
        ("numcodecs_v2", "adler32_plain"),
        ("numcodecs_v2", "lzma"),
        ("numcodecs_v3", "crc32c"),
    ] {
        let store = open(MemoryFolder::fixture(name)).await.unwrap();
        let mut bytes = fetch(&store, path, &[0, 0]).await.unwrap().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let error = store.decoder(path).unwrap().decode(Some(bytes.into())).unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{path}: {error:?}");
    }
}

const BOMB_BYTES: usize = 32 << 20;

fn gzip_bomb() -> Vec<u8> {
    let mut compressor = Compressor::new(CompressionLvl::best());
    let zeros = vec![0; BOMB_BYTES];
    let mut packed = vec![0; compressor.gzip_compress_bound(zeros.len())];
    let length = compressor.gzip_compress(&zeros, &mut packed).unwrap();
    packed.truncate(length);
    packed
}

fn zstd_bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&vec![0; BOMB_BYTES]).unwrap();
    encoder.finish().unwrap()
}

fn lzma_bomb() -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    encoder.write_all(&vec![0; BOMB_BYTES]).unwrap();
    encoder.finish().unwrap()
}

/// An LZMA stream cannot ask for a dictionary beyond its limit.
#[tokio::test]
async fn the_memory_of_an_lzma_decoder_is_bounded() {
    // The header of an LZMA file of a dictionary of 4 GiB - 1 bytes.
    let alone = [&[0x5d, 0xff, 0xff, 0xff, 0xff][..], &[0xff; 8], &[0; 20]].concat();
    let store = open(MemoryFolder::fixture("numcodecs_v3")).await.unwrap();
    let error = store.decoder("lzma").unwrap().decode(Some(Bytes::from(alone))).unwrap_err();
    assert_eq!(error.kind(), Kind::DataLoss, "{error:?}");
    assert!(error.message().contains("memory"), "{error:?}");
}

/// Bytes that decode to far more than a chunk are refused at the chunk's size.
#[tokio::test]
async fn decompression_stops_at_the_size_of_a_chunk() {
    // A zstd frame whose header announces 2^62 bytes.
    let announced = [&[0x28, 0xb5, 0x2f, 0xfd, 0xe0][..], &(1_u64 << 62).to_le_bytes(), &[0; 8]].concat();
    let blosc = [2, 1, 0x33, 4, 0, 0, 0, 0x7f, 0, 0, 0, 0x7f, 20, 0, 0, 0, 0, 0, 0, 0].to_vec();
    let lz4 = [&[0, 0, 0, 0x7f][..], &[0; 20]].concat();
    let store = open(MemoryFolder::fixture("numcodecs_v3")).await.unwrap();
    for (path, bytes, words) in [("lz4", lz4, "announces 2130706432 bytes"), ("lzma", lzma_bomb(), "more than")] {
        let error = store.decoder(path).unwrap().decode(Some(Bytes::from(bytes))).unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{path}: {error:?}");
        assert!(error.message().contains(words), "{path}: {error:?}");
    }
    let store = open(MemoryFolder::fixture("codecs_v3")).await.unwrap();
    for (path, bytes, words) in [
        ("gzip", gzip_bomb(), "more than"),
        ("zstd", zstd_bomb(), "more than"),
        ("zstd", announced, "corrupt"),
        ("blosc_lz4_shuffle", blosc, "the header announces 2130706432 bytes, expected at most 128"),
    ] {
        let error = store.decoder(path).unwrap().decode(Some(Bytes::from(bytes))).unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss, "{path}: {error:?}");
        assert!(error.message().contains(words), "{path}: {error:?}");
    }
}
