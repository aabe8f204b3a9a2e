//! Against frames that the library wrote (`tests/fixtures/generate_blosc2.py`), damaged ones, and frames
//! that no library writes. Files with the HDF5 filter are compared in `format::hdf5::tests::corpus`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine;
use libdeflater::crc32;
use proptest::prelude::*;
use serde::Deserialize;

use super::{blosclz, decompress, filters};
use crate::error::Kind;

/// Bytes of a small frame, of which each one is changed.
const SMALL: usize = 700;

#[derive(Deserialize)]
struct Entry {
    encoded: String,
    values: Vec<u32>,
    #[serde(default)]
    bytes: usize,
    #[serde(default)]
    crc: u32,
    refused: Option<String>,
}

impl Entry {
    fn encoded(&self) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(&self.encoded).unwrap()
    }
}

fn entries() -> BTreeMap<String, Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/blosc2_frames.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn frames_hold_what_the_library_says() {
    let (mut read, mut refused) = (0, 0);
    for (name, entry) in entries() {
        let encoded = entry.encoded();
        let found = decompress(&encoded, &entry.values, entry.bytes.max(1 << 20));
        if let Some(words) = &entry.refused {
            let error = found.unwrap_err();
            assert_eq!(error.kind(), Kind::Unimplemented, "{name}: {error}");
            assert!(error.message().contains(words.as_str()), "{name}: {error}");
            refused += 1;
            continue;
        }
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((found.len(), crc32(&found)), (entry.bytes, entry.crc), "{name}");
        // What is behind a frame or chunk is not looked at.
        let longer = [&encoded[..], &[0xff; 9]].concat();
        assert_eq!(decompress(&longer, &entry.values, entry.bytes).unwrap(), found, "{name}");
        if let Some(less) = entry.bytes.checked_sub(1) {
            let error = decompress(&encoded, &entry.values, less).unwrap_err();
            assert_eq!(error.kind(), Kind::DataLoss, "{name}: {error}");
            assert!(error.message().contains(&format!("expected at most {less}")), "{name}: {error}");
        }
        read += 1;
    }
    assert!(read >= 45 && refused >= 8, "{read} read, {refused} refused");
}

#[test]
fn an_array_of_another_shape_is_damaged() {
    let entries = entries();
    let entry = &entries["array of (20, 30)"];
    let encoded = entry.encoded();
    for shape in [&[2, 30, 20][..], &[1, 600], &[3, 20, 30], &[3, 20, 30, 1], &[2, 20], &[u32::MAX, 20, 30]] {
        let values = [&[1, 0, 4, 0, 5, 1, 0], shape].concat();
        let Err(error) = decompress(&encoded, &values, entry.bytes) else { panic!("{shape:?}") };
        assert_eq!(error.kind(), Kind::DataLoss, "{error}");
        assert!(error.message().contains("an array of shape [20, 30]"), "{error}");
    }
    assert!(decompress(&encoded, &[1, 0, 4, 0, 5, 1, 0], entry.bytes).is_ok());
}

#[test]
fn a_frame_that_is_cut_off_is_damaged() {
    for (name, entry) in entries().into_iter().filter(|(_, entry)| entry.refused.is_none()) {
        let encoded = entry.encoded();
        let step = encoded.len().div_ceil(SMALL);
        for keep in (0..encoded.len()).step_by(step) {
            let error = decompress(&encoded[..keep], &entry.values, entry.bytes).unwrap_err();
            assert_eq!(error.kind(), Kind::DataLoss, "{name}, {keep} bytes: {error}");
        }
    }
}

/// Values of the filter, a frame, and how many bytes it holds.
type Known = (Vec<u32>, Vec<u8>, usize);

/// Frames that are quick to read.
fn small_frames() -> &'static [Known] {
    static FRAMES: OnceLock<Vec<Known>> = OnceLock::new();
    FRAMES.get_or_init(|| {
        let entries = entries().into_values().filter(|entry| entry.bytes < 30_000);
        entries.map(|entry| (entry.values.clone(), entry.encoded(), entry.bytes)).collect()
    })
}

#[test]
fn a_changed_byte_ends() {
    let (mut frames, mut errors) = (0, 0);
    for (name, entry) in entries() {
        let encoded = entry.encoded();
        if encoded.len() > SMALL || entry.bytes > 13_000 {
            continue;
        }
        frames += 1;
        for at in 0..encoded.len() {
            for change in [1, 0x10, 0x80, 0xff] {
                let mut changed = encoded.clone();
                changed[at] ^= change;
                match decompress(&changed, &entry.values, entry.bytes) {
                    Ok(found) => assert!(found.len() <= entry.bytes, "{name}, byte {at}"),
                    Err(error) => {
                        assert!(
                            matches!(error.kind(), Kind::DataLoss | Kind::Unimplemented),
                            "{name}, byte {at}: {error}"
                        );
                        errors += 1;
                    }
                }
            }
        }
    }
    assert!(frames > 20 && errors > 5_000, "{frames} frames, {errors} errors");
}

/// A chunk of plain bytes with blocks of `block` bytes.
fn plain_chunk(plain: &[u8], block: usize) -> Vec<u8> {
    let mut chunk = vec![0; 32];
    chunk[..4].copy_from_slice(&[5, 1, 0x07, 1]);
    for (at, size) in [(4, plain.len()), (8, block), (12, plain.len() + 32)] {
        chunk[at..at + 4].copy_from_slice(&(size as u32).to_le_bytes());
    }
    chunk.extend_from_slice(plain);
    chunk
}

/// A frame of `chunks` of `chunk_bytes` each, `plain_bytes` in all, with an array of `axes`: length, chunk, block.
fn array_frame(axes: &[[u64; 3]], item: u32, plain_bytes: u64, chunk_bytes: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    let rank = axes.len() as u8;
    let mut meta = vec![0x97, 0, rank, 0x90 + rank];
    meta.extend(axes.iter().flat_map(|axis| [&[0xd3][..], &axis[0].to_be_bytes()].concat()));
    for of in [1, 2] {
        meta.push(0x90 + rank);
        meta.extend(axes.iter().flat_map(|axis| [&[0xd2][..], &(axis[of] as u32).to_be_bytes()].concat()));
    }
    let stored = chunks.concat();
    let mut offsets = Vec::new();
    let mut at = 0_u64;
    for chunk in chunks {
        offsets.extend_from_slice(&at.to_le_bytes());
        at += chunk.len() as u64;
    }
    let offsets = plain_chunk(&offsets, offsets.len().max(1));
    let header_length = 112 + meta.len();
    let length = (header_length + stored.len() + offsets.len()) as u64;
    let mut frame = [&[0x9e][..], b"\xa8b2frame\0\xd2", &(header_length as u32).to_be_bytes(), b"\xcf"].concat();
    frame.extend(
        [&length.to_be_bytes()[..], &[0xa4, 0x12, 0, 0, 3, 0xd3], &plain_bytes.to_be_bytes(), b"\xd3"].concat(),
    );
    frame
        .extend([&(stored.len() as u64).to_be_bytes()[..], b"\xd2", &item.to_be_bytes(), b"\xd2\0\0\0\0\xd2"].concat());
    frame.extend([&chunk_bytes.to_be_bytes()[..], &[0xd1, 0, 1, 0xd1, 0, 1, 0xc2, 0xd8, 6], &[0; 16]].concat());
    frame.extend([0x93, 0xcd, 0, 0, 0xde, 0, 1, 0xa4]);
    frame.extend(
        [&b"b2nd\xd2"[..], &(header_length as u32 - 5 - meta.len() as u32).to_be_bytes(), &[0xdc, 0, 1]].concat(),
    );
    frame.extend([&b"\xc6"[..], &(meta.len() as u32).to_be_bytes(), &meta].concat());
    assert_eq!(frame.len(), header_length);
    [frame, stored, offsets].concat()
}

/// All positions below `counts`, in C order.
fn positions(counts: &[u64]) -> Vec<Vec<u64>> {
    counts.iter().fold(vec![Vec::new()], |positions, count| {
        let extend = |position: Vec<u64>| (0..*count).map(move |at| [position.as_slice(), &[at]].concat());
        positions.into_iter().flat_map(extend).collect()
    })
}

/// The frame of an array of bytes, element by element; padding is 0xee.
fn frame_naively(axes: &[[u64; 3]], plain: &[u8]) -> Vec<u8> {
    let counts = |of: fn(&[u64; 3]) -> u64| axes.iter().map(of).collect::<Vec<_>>();
    let mut chunks = Vec::new();
    for chunk in positions(&counts(|axis| axis[0].div_ceil(axis[1]))) {
        let mut bytes = Vec::new();
        for block in positions(&counts(|axis| axis[1].div_ceil(axis[2]))) {
            for inside in positions(&counts(|axis| axis[2])) {
                let at = axes.iter().enumerate().try_fold(0, |at, (number, axis)| {
                    let in_chunk = block[number] * axis[2] + inside[number];
                    let position = chunk[number] * axis[1] + in_chunk;
                    (in_chunk < axis[1] && position < axis[0]).then_some(at * axis[0] + position)
                });
                bytes.push(at.map_or(0xee, |at| plain[at as usize]));
            }
        }
        chunks.push(bytes);
    }
    let block: u64 = axes.iter().map(|axis| axis[2]).product();
    let chunk_bytes = chunks.first().map_or(0, Vec::len);
    let stored: Vec<_> = chunks.iter().map(|chunk| plain_chunk(chunk, block as usize)).collect();
    array_frame(axes, 1, (chunk_bytes * chunks.len()) as u64, chunk_bytes as u32, &stored)
}

fn axis() -> impl Strategy<Value = [u64; 3]> {
    (1_u64..9, 1_u64..7).prop_flat_map(|(length, chunk)| (1..=chunk).prop_map(move |block| [length, chunk, block]))
}

proptest! {
    #[test]
    fn arrays_are_put_together(axes in proptest::collection::vec(axis(), 0..5), seed: u8) {
        let count: u64 = axes.iter().map(|axis| axis[0]).product();
        let plain: Vec<u8> = (0..count).map(|at| (at as u8).wrapping_mul(37).wrapping_add(seed)).collect();
        let frame = frame_naively(&axes, &plain);
        match decompress(&frame, &[], plain.len()) {
            Ok(found) => prop_assert_eq!(found, plain),
            Err(error) => {
                // A block larger than the whole array, or mostly padding: no writer makes it.
                let block: u64 = axes.iter().map(|axis| axis[2]).product();
                prop_assert!(block > count || error.kind() == Kind::Unimplemented, "{error}");
            }
        }
    }

    #[test]
    fn blosclz_undoes_streams(steps in proptest::collection::vec((any::<bool>(), 1_usize..40, any::<u16>(), any::<u8>()), 1..60)) {
        let (encoded, plain) = blosclz_stream(&steps);
        let mut place = vec![0; plain.len()];
        blosclz::decompress(&encoded, &mut place).unwrap();
        prop_assert_eq!(&place, &plain);
        for length in [plain.len() - 1, plain.len() + 1] {
            let error = blosclz::decompress(&encoded, &mut vec![0; length]).unwrap_err();
            prop_assert_eq!(error.kind(), Kind::DataLoss);
        }
    }

    #[test]
    fn noise_ends(noise in proptest::collection::vec(any::<u8>(), 0..300), room in 0_usize..600) {
        let _ = blosclz::decompress(&noise, &mut vec![0; room]);
        if let Ok(plain) = decompress(&noise, &[], 1000) {
            prop_assert!(plain.len() <= 1000);
        }
    }

    #[test]
    fn changed_frames_end(
        frame in any::<prop::sample::Index>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header: bool,
    ) {
        let frames = small_frames();
        let (values, encoded, bytes) = frame.get(frames);
        let mut changed = encoded.clone();
        // Headers lie at the start of a frame, behind which the chunk with its header is.
        let range = if in_header { encoded.len().min(230) } else { encoded.len() };
        for (at, value) in changes {
            changed[at.index(range)] = value;
        }
        if let Ok(found) = decompress(&changed, values, *bytes) {
            prop_assert!(found.len() <= *bytes);
        }
    }

    #[test]
    fn noise_behind_a_header_ends(
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        codec in 0_u8..5, filter in 0_u8..4, split: bool, size in 1_u8..20, plain in 1_u32..1000, block in 1_u32..400,
    ) {
        let mut chunk = plain_chunk(&noise, 1);
        chunk[2] = 0x05 | codec << 5 | u8::from(split) << 4;
        chunk[3] = size;
        chunk[4..8].copy_from_slice(&plain.to_le_bytes());
        chunk[8..12].copy_from_slice(&block.to_le_bytes());
        chunk[21] = filter;
        if let Ok(found) = decompress(&chunk, &[], 1000) {
            prop_assert_eq!(found.len(), plain as usize);
        }
    }

    #[test]
    fn delta_undoes_the_definition(plain in proptest::collection::vec(any::<u8>(), 1..200), size in 1_usize..25, cut in any::<prop::sample::Index>()) {
        let word = match size { 1 | 2 | 4 => size, size if size % 8 == 0 => 8, _ => 1 };
        let whole = |bytes: &[u8]| bytes.len() / word * word;
        let mut first = plain.clone();
        for at in word..whole(&plain) {
            first[at] ^= plain[at - word];
        }
        let steps = filters::of([0, 0, 0, 0, 0, 3], [0; 6], size).unwrap();
        let mut second = vec![0; plain.len()];
        prop_assert_eq!(&*filters::undo(&steps, &mut first, &mut second, None).unwrap(), &plain[..]);
        let other = &plain[cut.index(plain.len())..];
        let mut coded = other.to_vec();
        for at in 0..whole(other) {
            coded[at] ^= plain[at];
        }
        let mut second = vec![0; other.len()];
        prop_assert_eq!(&*filters::undo(&steps, &mut coded, &mut second, Some(&plain)).unwrap(), other);
    }
}

/// A stream of literal runs and references of all forms, and what it holds.
fn blosclz_stream(steps: &[(bool, usize, u16, u8)]) -> (Vec<u8>, Vec<u8>) {
    let (mut encoded, mut plain) = (Vec::new(), Vec::new());
    for (number, (is_literal, length, distance, value)) in steps.iter().enumerate() {
        if *is_literal || number == 0 {
            let run: Vec<u8> = (0..(*length).min(32)).map(|at| value.wrapping_add(at as u8 * 3)).collect();
            let marker = if number == 0 { 0x20 } else { 0 };
            encoded.push((run.len() as u8 - 1) | marker);
            encoded.extend_from_slice(&run);
            plain.extend_from_slice(&run);
            continue;
        }
        // Long references now and then, so that distances get far.
        let length = if *value > 200 { length * 400 } else { length + 2 };
        let distance = usize::from(*distance) % plain.len() + 1;
        let below = distance - 1;
        let (high, low) = if below < 8191 { (below >> 8, below & 0xff) } else { (31, 255) };
        let short = length - 2;
        encoded.push(((short.min(7) << 5) | high) as u8);
        if short >= 7 {
            encoded.extend(std::iter::repeat_n(255, (short - 7) / 255));
            encoded.push(((short - 7) % 255) as u8);
        }
        encoded.push(low as u8);
        if below >= 8191 {
            encoded.extend_from_slice(&((below - 8191) as u16).to_be_bytes());
        }
        for _ in 0..length {
            plain.push(plain[plain.len() - distance]);
        }
    }
    (encoded, plain)
}

#[test]
fn what_a_frame_announces_is_bounded() {
    let chunk = plain_chunk(&[1; 64], 64);
    let chunks = std::slice::from_ref(&chunk);
    type Row<'a> = (&'a [[u64; 3]], u32, u64, u32, Kind, &'a str);
    let rows: [Row<'_>; 8] = [
        (&[[1 << 62, 1 << 30, 1 << 30]], 8, 1 << 40, 1 << 30, Kind::DataLoss, "an array of ["),
        (&[[1 << 40, 1 << 30, 1]], 1, 1 << 40, 1 << 30, Kind::DataLoss, "1099511627776 bytes are announced"),
        (&[[64, 1 << 30, 1 << 30]], 1, 1 << 30, 1 << 30, Kind::DataLoss, "1073741824 bytes are announced"),
        (&[[1, 1 << 30, 64]], 1, 1 << 30, 1 << 30, Kind::Unimplemented, "padded to 1073741824"),
        (&[[64, 1, 1]; 16], 1, 64, 64, Kind::DataLoss, "an array of ["),
        (&[[64, 64, 64]], 1, 128, 64, Kind::DataLoss, "128 bytes in chunks of 64, expected 64"),
        (&[[64, 64, 65]], 1, 64, 64, Kind::DataLoss, "no dimension"),
        (&[[64, 0, 0]], 1, 64, 64, Kind::DataLoss, "no dimension"),
    ];
    for (axes, item, plain, chunk_bytes, kind, words) in rows {
        let error = decompress(&array_frame(axes, item, plain, chunk_bytes, chunks), &[], 64).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(words), "{error}, expected {words}");
    }
    let frame = array_frame(&[[64, 64, 64]], 1, 64, 64, chunks);
    assert_eq!(decompress(&frame, &[], 64).unwrap(), [1; 64]);
    let smaller = array_frame(&[[64, 64, 32]], 1, 64, 64, chunks);
    let error = decompress(&smaller, &[], 64).unwrap_err();
    assert!(error.message().contains("a chunk of other blocks than of 32 bytes"), "{error}");
    let mut other = array_frame(&[[64, 64, 64]], 1, 64, 64, chunks);
    // Without its name, the array is bytes one after another: a million chunks of one byte.
    other[95] = b'x';
    assert_eq!(decompress(&other, &[], 64).unwrap(), [1; 64]);
    other[58..62].copy_from_slice(&1_u32.to_be_bytes());
    other[30..38].copy_from_slice(&1_000_000_u64.to_be_bytes());
    let error = decompress(&other, &[], 1_000_000).unwrap_err();
    assert!(error.message().contains("1000000 bytes in 1000000 chunks of 1"), "{error}");
}

#[test]
fn formats_that_are_not_known_are_refused() {
    let chunk = plain_chunk(&[1; 64], 64);
    let frame = array_frame(&[[64, 64, 64]], 1, 64, 64, std::slice::from_ref(&chunk));
    let rows = [
        (&frame, 25, 0x14, "a frame of format version 4"),
        (&frame, 25, 0x52, "chunks of variable length"),
        (&frame, 25, 0x92, "blocks of variable length"),
        (&frame, 26, 1, "a frame of type 1"),
        (&frame, 113, 1, "metalayer b2nd of version 1"),
        (&chunk, 0, 2, "a chunk of format version 2"),
        (&chunk, 0, 7, "a chunk of format version 7"),
        (&chunk, 2, 0x03, "with the flags 0x03"),
        (&chunk, 30, 1, "blocks of variable length"),
        (&chunk, 31, 0x01, "a dictionary"),
        (&chunk, 31, 0x02, "a larger header"),
        (&chunk, 31, 0x08, "a lazy chunk"),
        (&chunk, 31, 0x80, "an instrumented codec"),
        (&chunk, 31, 0x50, "special values 5"),
    ];
    for (bytes, at, value, words) in rows {
        let mut changed = bytes.clone();
        changed[at] = value;
        let error = decompress(&changed, &[], 64).unwrap_err();
        assert_eq!(error.kind(), Kind::Unimplemented, "{words}: {error}");
        assert!(error.message().contains(words), "{error}, expected {words}");
    }
    for (flags, plugin, words) in
        [(0x45, 0, "snappy"), (0xa5, 0, "codec 5"), (0xc5, 32, "ndlz"), (0xc5, 200, "codec 200 of a plugin")]
    {
        let mut changed = chunk.clone();
        (changed[2], changed[22]) = (flags, plugin);
        let error = decompress(&changed, &[], 64).unwrap_err();
        assert!(error.kind() == Kind::Unimplemented && error.message().contains(words), "{error}, expected {words}");
    }
}
