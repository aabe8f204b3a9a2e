//! Runs on disk against a stable sort in memory, and whole builds of more than one run.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use proptest::prelude::*;

use super::matrices::{context, indexes, matrix, open, read, write};
use crate::engine::column_index::runs::{Entries, Runs};
use crate::model::request::{Selector, SliceRequest};
use crate::read::context::ReadContext;

proptest! {
    /// Runs of any length, cut anywhere, merged in blocks of any columns.
    #[test]
    fn merged_runs_are_the_entries_sorted_by_column(
        rows in proptest::collection::vec(proptest::collection::vec((0_u32..6, any::<u16>()), 0..7), 1..9),
        cut in 1_usize..9,
        blocks in proptest::collection::vec(1_usize..4, 6),
        with_places in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Runs::create(&folder.path().join("runs"), 6, 2, with_places).unwrap();
        let entries = rows.concat();
        let mut pointers = vec![0_u64];
        pointers.extend(rows.iter().scan(0, |end, row| { *end += row.len() as u64; Some(*end) }));
        for (number, piece) in entries.chunks(cut).enumerate() {
            let columns: Vec<u32> = piece.iter().map(|(column, _)| *column).collect();
            let values: Vec<u8> = piece.iter().flat_map(|(_, value)| value.to_le_bytes()).collect();
            let first = (number * cut) as u64;
            let (columns, values, pointers) = (columns.as_slice(), values.as_slice(), pointers.as_slice());
            runs.append(&Entries { columns, values, first, first_row: 0, pointers }).unwrap();
        }
        let ordered = rows.iter().all(|row| row.is_sorted_by_key(|(column, _)| *column));
        prop_assert_eq!(runs.is_ordered, ordered);
        let named = rows.iter().enumerate().flat_map(|(row, entries)| {
            entries.iter().enumerate().map(move |(place, (column, value))| (*column, row as u32, place as u32, *value))
        });
        let mut expected: Vec<_> = named.collect();
        expected.sort_by_key(|(column, ..)| *column);
        let numbers = |bytes: &[u8]| bytes.chunks(4).map(|item| u32::from_le_bytes(item.try_into().unwrap())).collect::<Vec<_>>();
        let (mut start, mut found) = (0, Vec::new());
        for length in blocks {
            let columns = start..(start + length).min(6);
            start = columns.end;
            let count = runs.totals[columns.clone()].iter().sum();
            let merged = runs.merged(columns.clone(), count).unwrap();
            let values = merged.values.chunks(2).map(|item| u16::from_le_bytes(item.try_into().unwrap()));
            let mut names = Vec::new();
            for column in columns.clone() {
                names.extend(std::iter::repeat_n(column as u32, runs.totals[column] as usize));
                // The same, part by part.
                let parts = runs.parts(column, 2).unwrap();
                let parts = parts.into_iter().flat_map(|(run, part)| numbers(&runs.read_part(run, part).unwrap().rows));
                let rows: Vec<u32> = expected.iter().filter(|entry| entry.0 == column as u32).map(|entry| entry.1).collect();
                prop_assert_eq!(parts.collect::<Vec<_>>(), rows);
            }
            let places = if with_places { numbers(&merged.places) } else { vec![0; count as usize] };
            let rows = numbers(&merged.rows);
            prop_assert_eq!(rows.len(), count as usize);
            found.extend(names.into_iter().zip(rows).zip(places).zip(values).map(|(((column, row), place), value)| (column, row, place, value)));
        }
        if !with_places {
            expected.iter_mut().for_each(|entry| entry.2 = 0);
        }
        prop_assert_eq!(found, expected);
    }
}

/// Several runs, several blocks of columns, and a column with more entries than fit a block.
#[tokio::test(flavor = "multi_thread")]
async fn a_matrix_larger_than_the_memory_is_indexed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let row = |row: u32| vec![(0, row as f32), (1 + row % 50, -1.0), (60 + row % 3, 0.0)];
    let slices = (0..130_000).map(row).collect();
    write(&source, &slices, 70, 0);
    let hierarchy = open(&source).await;
    let indexes = indexes(&folder.path().join("indexes"), 1 << 30, 0).await;
    let narrow = ReadContext::new(8 << 20, 4 << 20, 2, 4, Duration::from_secs(60));
    let built = indexes.build(&narrow, &matrix(&hierarchy)).await.unwrap();
    assert_eq!(built["entries"], 390_000);
    let axes = vec![Vec::new(), vec![Selector::Index(vec![61, 0, 7])]];
    let request = SliceRequest { axes, ..SliceRequest::default() };
    let (expected, _) = read(&context(), &hierarchy, &request, None).await.unwrap();
    let (found, columns) = read(&context(), &hierarchy, &request, Some(&indexes)).await.unwrap();
    assert!(columns.unwrap().is_used());
    assert_eq!(found, expected);
}

#[tokio::test]
async fn more_columns_than_fit_the_memory_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    write(&source, &vec![vec![(0, 1.0)]], 1 << 20, 0);
    let matrix = matrix(&open(&source).await);
    let indexes = indexes(&folder.path().join("indexes"), 1 << 30, 0).await;
    let narrow = ReadContext::new(8 << 20, 4 << 20, 2, 4, Duration::from_secs(60));
    let store = std::sync::Arc::clone(&indexes.store);
    let place = store.workplace(&matrix.name).unwrap();
    let error = super::super::build::build(&narrow, &matrix, place, &AtomicU64::new(0)).await.unwrap_err();
    assert!(error.message().contains("1048576 columns") && error.message().contains("stream_memory"), "{error}");
    assert!(std::fs::read_dir(store.root()).unwrap().next().is_none());
}
