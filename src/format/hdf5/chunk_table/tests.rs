use proptest::prelude::*;

use super::{ChunkTable, Frame, put, take, unzigzag, zigzag};
use crate::error::Kind;
use crate::format::hdf5::parser::StoredChunk;
use crate::format::hdf5::record::pack;
use crate::model::chunk::ChunkLocation;

fn frame(shape: &[u64], chunk_shape: &[u64]) -> Frame {
    Frame {
        shape: shape.to_vec(),
        chunk_shape: chunk_shape.to_vec(),
        base: 512,
        object_size: 1 << 20,
        plain_edges: false,
    }
}

fn chunk(first: &[u64], address: u64, length: u64) -> StoredChunk {
    StoredChunk { first: first.to_vec(), address, length, filter_mask: 0 }
}

proptest! {
    #[test]
    fn numbers_survive(number in any::<u64>()) {
        let mut bytes = Vec::new();
        put(&mut bytes, number);
        put(&mut bytes, zigzag(number));
        let mut rest = bytes.as_slice();
        prop_assert_eq!(take(&mut rest), Some(number));
        prop_assert_eq!(unzigzag(take(&mut rest).unwrap()), number);
        prop_assert!(rest.is_empty());
    }

    /// A table finds what a search of the list finds, before and after its record.
    #[test]
    fn tables_find_what_is_listed(
        places in proptest::collection::btree_map((0_u64..7, 0_u64..5), (0_u64..900_000, 0_u64..90_000, any::<u32>()), 0..35),
    ) {
        let frame = frame(&[20, 22], &[3, 5]);
        let chunks: Vec<StoredChunk> = places
            .iter()
            .rev()
            .map(|((row, column), (address, length, filter_mask))| StoredChunk {
                first: vec![row * 3, column * 5],
                address: *address,
                length: *length,
                filter_mask: *filter_mask,
            })
            .collect();
        let table = ChunkTable::build(&frame, chunks).unwrap();
        let again = ChunkTable::decode(&frame, &table.encode().unwrap()).unwrap();
        prop_assert_eq!(&again, &table);
        for row in 0..7 {
            for column in 0..5 {
                let expected = match places.get(&(row, column)) {
                    Some((address, length, filter_mask)) => {
                        ChunkLocation::Range { offset: address + 512, length: *length, filter_mask: *filter_mask }
                    }
                    None => ChunkLocation::Missing,
                };
                prop_assert_eq!(again.locate(&[row, column]).unwrap(), expected);
            }
        }
    }

    #[test]
    fn records_of_noise_are_refused_or_fit(plain in proptest::collection::vec(any::<u8>(), 0..60)) {
        let frame = frame(&[20, 22], &[3, 5]);
        let head = [2, 7, 5];
        let record = pack(super::MAGIC, &[&head[..], &plain].concat()).unwrap();
        if let Some(table) = ChunkTable::decode(&frame, &record) {
            for number in 0..35 {
                if let ChunkLocation::Range { offset, length, .. } = table.locate(&[number / 5, number % 5]).unwrap() {
                    prop_assert!(offset + length <= frame.object_size);
                }
            }
        }
    }
}

#[test]
fn bad_chunks_are_refused() {
    let frame = frame(&[20, 22], &[3, 5]);
    for (chunks, words) in [
        (vec![chunk(&[0, 0], 1 << 20, 10)], "has 10 bytes at byte 1049088, the object has 1048576 bytes"),
        (vec![chunk(&[0, 0], (1 << 20) - 512 - 9, 10)], "the object has 1048576 bytes"),
        (vec![chunk(&[0, 0], u64::MAX - 3, 10)], "the object has 1048576 bytes"),
        (vec![chunk(&[0, 0], 8, u64::MAX - 3)], "the object has 1048576 bytes"),
        (vec![chunk(&[1, 0], 8, 8)], "expected multiples of [3, 5]"),
        (vec![chunk(&[0], 8, 8)], "in a shape of [20, 22]"),
        (vec![chunk(&[3, 5], 8, 8), chunk(&[0, 0], 8, 8), chunk(&[3, 5], 16, 8)], "twice"),
    ] {
        let error = ChunkTable::build(&frame, chunks).unwrap_err();
        assert_eq!(error.kind(), Kind::DataLoss);
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn chunks_left_behind_by_a_smaller_shape_do_not_count() {
    let table = ChunkTable::build(&frame(&[6, 5], &[3, 5]), vec![chunk(&[6, 0], 8, 8), chunk(&[3, 0], 24, 8)]).unwrap();
    assert_eq!(table.locate(&[0, 0]).unwrap(), ChunkLocation::Missing);
    assert_eq!(table.locate(&[1, 0]).unwrap(), ChunkLocation::Range { offset: 536, length: 8, filter_mask: 0 });
    assert_eq!(table.locate(&[2, 0]).unwrap_err().kind(), Kind::OutOfRange);
}

#[test]
fn edges_without_filters_skip_all_filters() {
    let mut frame = frame(&[7], &[3]);
    frame.plain_edges = true;
    let table = ChunkTable::build(&frame, vec![chunk(&[3], 8, 8), chunk(&[6], 24, 8)]).unwrap();
    let mask = |at| match table.locate(&[at]).unwrap() {
        ChunkLocation::Range { filter_mask, .. } => filter_mask,
        other => panic!("{other:?}"),
    };
    assert_eq!((mask(1), mask(2)), (0, u32::MAX));
}

#[test]
fn records_of_another_grid_are_refused() {
    let table = ChunkTable::build(&frame(&[20], &[3]), vec![chunk(&[3], 8, 8)]).unwrap();
    let record = table.encode().unwrap();
    assert!(ChunkTable::decode(&frame(&[20], &[3]), &record).is_some());
    assert!(ChunkTable::decode(&frame(&[20], &[4]), &record).is_none());
    assert!(ChunkTable::decode(&frame(&[20, 1], &[3, 1]), &record).is_none());
    let mut small = frame(&[20], &[3]);
    small.object_size = 520;
    assert!(ChunkTable::decode(&small, &record).is_none(), "the chunk ends at byte 528");
}

/// `count` chunks of one dimension, each of a size and behind a gap that `next` gives.
fn long_table(count: u64, mut next: impl FnMut() -> (u64, u64)) -> (Frame, ChunkTable) {
    let mut frame = frame(&[count * 10], &[10]);
    frame.object_size = 1 << 40;
    let mut address = 4096;
    let chunks = (0..count).map(|number| {
        let (gap, length) = next();
        address += gap;
        let chunk = StoredChunk { first: vec![number * 10], address, length, filter_mask: 0 };
        address += length;
        chunk
    });
    let table = ChunkTable::build(&frame, chunks.collect()).unwrap();
    (frame, table)
}

fn bytes_per_chunk(name: &str, frame: &Frame, table: &ChunkTable) -> f64 {
    let record = table.encode().unwrap();
    let start = std::time::Instant::now();
    assert_eq!(ChunkTable::decode(frame, &record).unwrap(), *table);
    let bytes = record.len() as f64 / table.entries.len() as f64;
    println!("{name}: {} chunks, {bytes:.2} bytes each, decoded in {:?}", table.entries.len(), start.elapsed());
    bytes
}

#[test]
fn a_record_takes_at_most_four_bytes_per_chunk() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    // As gzip leaves 20,000 indices, one after the other, a node of the index between them now and then.
    let mut mixed = random;
    let (frame, table) = long_table(100_000, || {
        let gap = if mixed(40) == 0 { 2616 } else { 0 };
        (gap, 20_000 + mixed(9_000))
    });
    assert!(bytes_per_chunk("sizes that differ", &frame, &table) <= 4.0);
    let (frame, table) = long_table(100_000, || (0, 80_000));
    assert!(bytes_per_chunk("one size", &frame, &table) <= 0.1);
    // Sizes up to a megabyte at places that nothing foretells: no bound is promised, this is what it takes.
    let (frame, table) = long_table(100_000, || (random(1 << 22), 1 + random(1 << 20)));
    assert!(bytes_per_chunk("random sizes and places", &frame, &table) <= 8.0);
}

#[test]
fn a_record_with_any_bit_changed_is_refused_or_the_same() {
    let (frame, table) = long_table(40, {
        let mut number = 0;
        move || {
            number += 7;
            (number % 5 * 100, 3_000 + number * number)
        }
    });
    let record = table.encode().unwrap();
    for bit in 0..record.len() * 8 {
        let mut damaged = record.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let decoded = ChunkTable::decode(&frame, &damaged);
        assert!(decoded.is_none_or(|decoded| decoded == table), "bit {bit}");
    }
    for length in 0..record.len() {
        assert!(ChunkTable::decode(&frame, &record[..length]).is_none(), "{length} bytes");
    }
    let mut old = record;
    old[7] = 1;
    assert!(ChunkTable::decode(&frame, &old).is_none(), "an older version");
}
