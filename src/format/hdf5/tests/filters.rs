//! Chunks of every served filter, cut off and changed: an error, or elements of the right size.

use bytes::Bytes;

use super::memory::{fixture, open_fixture};
use crate::error::{Error, Kind};
use crate::format::hdf5::Hdf5File;
use crate::model::chunk::{ChunkLocation, Elements};
use crate::model::tree::Node;

/// Chunks that are tried of a file, and the bytes of one, at most.
const MAX_CHUNKS: usize = 10;
const MAX_BYTES: u64 = 700;

fn elements(decoded: Result<Elements, Error>) -> Result<Bytes, Error> {
    decoded.map(|elements| match elements {
        Elements::Fixed(bytes) => bytes,
        Elements::Text(_) => panic!("texts"),
    })
}

/// Small filtered first chunks, with the paths of their arrays.
async fn chunks(file: &Hdf5File) -> Vec<(String, ChunkLocation)> {
    let mut found = Vec::new();
    for (path, node) in &file.tree().nodes {
        let Node::Array(array) = node else { continue };
        if file.decoder(path).is_err() {
            continue;
        }
        let location = file.locate(path, &[vec![0; array.shape.len()]]).await.unwrap().remove(0);
        if matches!(location, ChunkLocation::Range { length, filter_mask: 0, .. } if length <= MAX_BYTES) {
            found.push((path.clone(), location));
        }
    }
    // Evenly from all arrays, as neighbours are alike.
    let step = found.len().div_ceil(MAX_CHUNKS).max(1);
    found.into_iter().step_by(step).collect()
}

/// Tries `name`; gives how many changes of a byte were found. `padded` bytes at the end of a chunk
/// may be missing.
async fn damage(name: &str, padded: usize) -> usize {
    let file = open_fixture(name).await;
    let bytes = std::fs::read(fixture(name)).unwrap();
    let chunks = chunks(&file).await;
    assert!(chunks.len() >= 4, "{} chunks of {name}", chunks.len());
    let mut errors = 0;
    for (path, location) in chunks {
        let ChunkLocation::Range { offset, length, .. } = location else { panic!("{location:?}") };
        let encoded = &bytes[offset as usize..(offset + length) as usize];
        let decoder = file.decoder(&path).unwrap();
        let decode = |bytes: &[u8]| elements(decoder.decode(Some(Bytes::copy_from_slice(bytes)), &location));
        let plain = decode(encoded).unwrap();
        for keep in 0..encoded.len() {
            match decode(&encoded[..keep]) {
                Ok(found) => {
                    assert!(keep + padded >= encoded.len(), "{path} of {keep} of {} bytes", encoded.len());
                    assert_eq!(found, plain, "{path} of {keep} bytes");
                }
                Err(error) => check(&error, &path),
            }
        }
        for at in 0..encoded.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut changed = encoded.to_vec();
                changed[at] ^= change;
                match decode(&changed) {
                    Ok(found) => assert_eq!(found.len(), plain.len(), "{path}, byte {at}"),
                    Err(error) => {
                        check(&error, &path);
                        errors += 1;
                    }
                }
            }
        }
    }
    errors
}

fn check(error: &Error, path: &str) {
    // A changed byte may name a codec or a format that nobody has.
    let is_refused = error.kind() == Kind::Unimplemented && error.message().contains("blosc2: ");
    assert!(error.kind() == Kind::DataLoss || is_refused, "{error}");
    assert!(error.message().contains(&format!("'{path}'")), "{error}");
}

macro_rules! damaged {
    ($($test:ident: $file:literal, $padded:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            let errors = damage($file, $padded).await;
            assert!(errors > 100, "only {errors} changes were found");
        })*
    };
}

damaged! {
    zstd: "hdf5/filter_zstd.h5", 0;
    lz4: "hdf5/filter_lz4.h5", 0;
    blosc: "hdf5/filter_blosc.h5", 0;
    blosc2: "hdf5/filter_blosc2_codecs.h5", 0;
    blosc2_pytables: "hdf5/filter_blosc2_pytables.h5", 0;
    bitshuffle: "hdf5/filter_bitshuffle.h5", 0;
    bzip2: "hdf5/filter_bzip2.h5", 0;
    szip: "hdf5/filter_szip.h5", 1;
    scaleoffset: "hdf5/filter_scaleoffset.h5", 1;
}

/// The library takes a block for decompressed that ends before the size in the header.
#[tokio::test]
async fn a_blosc_buffer_of_fewer_bytes_than_announced_is_damaged() {
    let name = "hdf5/filter_blosc.h5";
    let file = open_fixture(name).await;
    let bytes = std::fs::read(fixture(name)).unwrap();
    let mut messages = Vec::new();
    for path in file.tree().nodes.keys().filter(|path| path.ends_with("/steps") && !path.starts_with("all")) {
        let location = file.locate(path, &[vec![0]]).await.unwrap().remove(0);
        let ChunkLocation::Range { offset, length, .. } = location else { panic!("{location:?}") };
        let mut changed = bytes[offset as usize..(offset + length) as usize].to_vec();
        assert_eq!(changed[4..8], 1608_u32.to_le_bytes(), "{path}");
        // Bytes of all, and bytes of a block.
        changed[4] += 1;
        changed[8] += 1;
        match crate::format::zarr::blosc::decompress(&changed, 5000) {
            Ok(plain) => assert_eq!(plain.len(), 1609, "{path}"),
            Err(error) => messages.push(error.message().to_owned()),
        }
        let error = crate::format::zarr::blosc::decompress(&changed, 1608).unwrap_err();
        assert_eq!(error.message(), "blosc: the header announces 1609 bytes, expected at most 1608");
    }
    let expected = "blosc: decompressed to 1608 bytes, the header announces 1609";
    assert!(messages.iter().any(|message| message == expected), "{messages:?}");
}
