//! Plans against naive walking over every element.

use proptest::prelude::*;

use std::time::Duration;

use super::requests::{Merging, requests};
use super::tasks::{effort, tasks, window_parts, window_tasks};
use super::window::{WindowBounds, windows};
use crate::error::Kind;
use crate::model::chunk::ChunkLocation;
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::model::tree::ArrayNode;
use crate::read::scatter::{Span, copy_elements, one_span};

fn node(shape: &[u64], chunk_shape: &[u64], partly_readable: bool) -> ArrayNode {
    ArrayNode {
        shape: shape.to_vec(),
        is_null: false,
        data_type: DataType::UInt32,
        chunk_shape: chunk_shape.to_vec(),
        filters: Vec::new(),
        partly_readable,
        attributes: serde_json::Map::new(),
        storage: serde_json::Value::Null,
    }
}

/// Any selection of an axis of `length`.
fn selection(length: u64) -> BoxedStrategy<AxisSelection> {
    if length == 0 {
        return Just(AxisSelection::all(0)).boxed();
    }
    let range = (0..length, -5_i64..=5, 0..=length).prop_map(move |(start, step, count)| {
        let step = if step == 0 { 1 } else { step };
        let room = if step > 0 { (length - 1 - start) / step.unsigned_abs() } else { start / step.unsigned_abs() };
        AxisSelection::Range { start, step, count: count.min(room + 1) }
    });
    let indices =
        proptest::collection::vec(0..length, 0..12).prop_map(|indices| AxisSelection::Indices(indices.into()));
    let spans = proptest::collection::vec((0..=length, 0..=length), 0..6)
        .prop_map(|pairs| AxisSelection::Spans(pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect()));
    prop_oneof![range, indices, spans].boxed()
}

#[derive(Debug, Clone)]
struct Case {
    shape: Vec<u64>,
    chunks: Vec<u64>,
    selection: Vec<AxisSelection>,
    partly: bool,
}

fn case() -> impl Strategy<Value = Case> {
    proptest::collection::vec((0_u64..9, 1_u64..5), 1..4).prop_flat_map(|axes| {
        let selections: Vec<_> = axes.iter().map(|(length, _)| selection(*length)).collect();
        (Just(axes), selections, any::<bool>()).prop_map(|(axes, selection, partly)| Case {
            shape: axes.iter().map(|(length, _)| *length).collect(),
            chunks: axes.iter().map(|(_, chunk)| *chunk).collect(),
            selection,
            partly,
        })
    })
}

/// Flat index of `position` in an array of `shape`.
fn flat(position: &[u64], shape: &[u64]) -> u64 {
    position.iter().zip(shape).fold(0, |index, (at, length)| index * length + at)
}

/// Every position of `shape`, in C order.
fn positions(shape: &[u64]) -> Vec<Vec<u64>> {
    shape.iter().fold(vec![Vec::new()], |all, length| {
        all.into_iter().flat_map(|prefix| (0..*length).map(move |at| [prefix.clone(), vec![at]].concat())).collect()
    })
}

/// The elements of the part of a chunk that a task reads: each element is its flat index in the array,
/// elements outside the array are `u32::MAX`.
fn part(case: &Case, position: &[u64], rows: Option<&std::ops::Range<u64>>) -> (Vec<u8>, Vec<u64>) {
    let mut shape = case.chunks.clone();
    let first = rows.map_or(0, |rows| rows.start);
    if let Some(rows) = rows {
        shape[0] = rows.end - rows.start;
    }
    let mut bytes = Vec::new();
    for mut local in positions(&shape) {
        local[0] += first;
        let absolute: Vec<u64> =
            local.iter().zip(position).zip(&case.chunks).map(|((at, chunk), length)| chunk * length + at).collect();
        let inside = absolute.iter().zip(&case.shape).all(|(at, length)| at < length);
        let value = if inside { flat(&absolute, &case.shape) as u32 } else { u32::MAX };
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    (bytes, shape)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn tasks_move_every_selected_element(case in case()) {
        let node = node(&case.shape, &case.chunks, case.partly);
        let output_shape: Vec<u64> = case.selection.iter().map(AxisSelection::len).collect();
        let total = output_shape.iter().product::<u64>() as usize;
        let mut output = vec![0xEE_u8; total * 4];
        for task in tasks(&node, &case.selection).unwrap() {
            let (bytes, shape) = part(&case, &task.position, task.rows.as_ref());
            copy_elements((&bytes, &shape), (&mut output, &output_shape), &task.runs, 4).unwrap();
            // Elements that lie together in both are the same ones.
            if let Some(Span { source, destination, count, .. }) = one_span(&shape, &output_shape, &task.runs) {
                prop_assert_eq!(&output[4 * destination..][..4 * count], &bytes[4 * source..][..4 * count]);
            }
        }
        let expected: Vec<u8> = positions(&output_shape)
            .into_iter()
            .flat_map(|position| {
                let source: Vec<u64> = position.iter().zip(&case.selection).map(|(at, axis)| axis.positions()[*at as usize]).collect();
                (flat(&source, &case.shape) as u32).to_le_bytes()
            })
            .collect();
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn only_chunks_with_selected_elements_are_tasks(case in case()) {
        let node = node(&case.shape, &case.chunks, false);
        let found: Vec<Vec<u64>> = tasks(&node, &case.selection).unwrap().into_iter().map(|task| task.position).collect();
        let mut expected = std::collections::BTreeSet::new();
        let output_shape: Vec<u64> = case.selection.iter().map(AxisSelection::len).collect();
        for position in positions(&output_shape) {
            expected.insert(position.iter().zip(&case.selection).zip(&case.chunks).map(|((at, axis), chunk)| axis.positions()[*at as usize] / chunk).collect::<Vec<_>>());
        }
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn part_and_compose_are_those_of_the_positions(
        (outer, inner, offset, count) in (1_u64..20).prop_flat_map(selection).prop_flat_map(|outer| {
            let inner = selection(outer.len());
            (Just(outer), inner, 0_u64..25, 0_u64..25)
        })
    ) {
        let all = outer.positions();
        let expected: Vec<u64> = all.iter().copied().skip(offset as usize).take(count as usize).collect();
        prop_assert_eq!(outer.part(offset, count).positions(), expected);
        let expected: Vec<u64> = inner.positions().into_iter().map(|at| all[at as usize]).collect();
        prop_assert_eq!(inner.compose(&outer).unwrap().positions(), expected);
        for (at, position) in all.iter().enumerate() {
            prop_assert_eq!(outer.get(at as u64), Some(*position));
        }
        prop_assert_eq!(outer.get(all.len() as u64), None);
    }

    #[test]
    fn windows_cover_the_rows_once_within_the_bound(
        selection in (1_u64..40).prop_flat_map(selection), chunk in 1_u64..9, most in 1_u64..12
    ) {
        let rows = selection.len();
        let cuts = windows(&selection, 0..rows, WindowBounds::of_rows(most, chunk)).unwrap();
        let mut next = 0;
        for cut in &cuts {
            prop_assert_eq!(cut.start, next);
            prop_assert!(cut.end > cut.start && cut.end - cut.start <= most);
            next = cut.end;
        }
        prop_assert_eq!(next, rows);
    }

    #[test]
    fn requests_hold_each_range_once_and_respect_the_bounds(
        chunks in proptest::collection::vec((0_u64..2000, 1_u64..100), 1..40), gap in 0_u64..50, longest in 50_u64..400
    ) {
        let node = node(&[1], &[1], false);
        let selection = [AxisSelection::all(1)];
        let one = tasks(&node, &selection).unwrap().remove(0);
        let all: Vec<_> = chunks.iter().map(|_| one.clone()).collect();
        let locations: Vec<_> = chunks.iter().map(|(offset, length)| ChunkLocation::Range { offset: *offset, length: *length, filter_mask: 0 }).collect();
        let (requests, local) = requests(&node, &all, &locations, Merging { gap, longest, spread: 1, frugal: false }).unwrap();
        prop_assert!(local.is_empty());
        let mut served = vec![0; chunks.len()];
        for request in &requests {
            let whole = request.range.clone().unwrap();
            prop_assert!(whole.end - whole.start <= longest.max(100));
            for (task, part) in &request.members {
                let part = part.clone().unwrap();
                let (offset, length) = chunks[*task];
                prop_assert_eq!(whole.start + part.start..whole.start + part.end, offset..offset + length);
                served[*task] += 1;
            }
        }
        prop_assert!(served.iter().all(|times| *times == 1));
        // Two requests that the bounds allow to be one are one.
        for pair in requests.windows(2) {
            let (left, right) = (pair[0].range.clone().unwrap(), pair[1].range.clone().unwrap());
            let first = right.start..right.start + chunks[pair[1].members[0].0].1;
            prop_assert!(first.start > left.end + gap || first.end.max(left.end) - left.start > longest);
        }
    }
}

proptest! {
    #[test]
    fn parts_of_objects_are_merged_within_their_object(
        parts in proptest::collection::vec((0_usize..3, 0_u64..2000, 1_u64..100), 1..40), gap in 0_u64..50, longest in 50_u64..400
    ) {
        let node = node(&[1], &[1], false);
        let one = tasks(&node, &[AxisSelection::all(1)]).unwrap().remove(0);
        let all: Vec<_> = parts.iter().map(|_| one.clone()).collect();
        let location = |(object, offset, length): &(usize, u64, u64)| ChunkLocation::Object {
            place: None,
            path: format!("shard{object}"), length: None, part: Some(*offset..*offset + *length),
        };
        let locations: Vec<_> = parts.iter().map(location).collect();
        let merging = Merging { gap, longest, spread: 1, frugal: false };
        let (found, local) = requests(&node, &all, &locations, merging).unwrap();
        prop_assert!(local.is_empty());
        let mut served = vec![0; parts.len()];
        for request in &found {
            for (task, part) in &request.members {
                let (object, offset, length) = parts[*task];
                let (whole, part) = (request.range.clone().unwrap(), part.clone().unwrap());
                prop_assert_eq!(request.object.clone(), Some(format!("shard{object}")));
                prop_assert_eq!(whole.start + part.start..whole.start + part.end, offset..offset + length);
                served[*task] += 1;
            }
        }
        prop_assert!(served.iter().all(|times| *times == 1));
        // Each object has the requests that the same ranges have in a file of one object.
        for object in 0..3 {
            let in_file = |(_, offset, length): &(usize, u64, u64)| ChunkLocation::Range { offset: *offset, length: *length, filter_mask: 0 };
            let alone: Vec<_> = parts.iter().filter(|part| part.0 == object).map(in_file).collect();
            let (expected, _) = requests(&node, &all[..alone.len()], &alone, merging).unwrap();
            let name = Some(format!("shard{object}"));
            let of_object: Vec<_> = found.iter().filter(|request| request.object == name).map(|request| request.range.clone()).collect();
            prop_assert_eq!(of_object, expected.into_iter().map(|request| request.range).collect::<Vec<_>>());
        }
    }
}

#[test]
fn an_enormous_axis_is_refused_and_not_planned_without_end() {
    let rows = 1_u64 << 60;
    let error = windows(&AxisSelection::all(rows), 0..rows, WindowBounds::of_rows(1000, 8)).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert!(error.message().contains(&rows.to_string()), "{error}");
    let few = windows(&AxisSelection::all(rows), rows - 3000..rows, WindowBounds::of_rows(1000, 8)).unwrap();
    assert_eq!(few.first().map(|window| window.start), Some(rows - 3000));
    let error =
        tasks(&node(&[1, rows], &[1, 1], false), &[AxisSelection::all(1), AxisSelection::all(rows)]).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
}

#[test]
fn a_partly_readable_array_reads_only_its_rows() {
    let node = node(&[1000, 10], &[1000, 10], true);
    let rows = AxisSelection::Indices([3, 4, 5, 700].into());
    let all = tasks(&node, &[rows, AxisSelection::all(10)]).unwrap();
    let locations = vec![ChunkLocation::Range { offset: 64, length: 40_000, filter_mask: 0 }; all.len()];
    let (requests, _) =
        requests(&node, &all, &locations, Merging { gap: 100, longest: 1 << 20, spread: 1, frugal: false }).unwrap();
    let ranges: Vec<_> = requests.iter().map(|request| request.range.clone().unwrap()).collect();
    assert_eq!(ranges, [64 + 120..64 + 240, 64 + 28_000..64 + 28_040]);
}

#[test]
fn a_truncated_chunk_is_named() {
    let node = node(&[1000], &[1000], true);
    let all = tasks(&node, &[AxisSelection::all(1000)]).unwrap();
    let locations = vec![ChunkLocation::Range { offset: 64, length: 100, filter_mask: 0 }];
    let error = requests(&node, &all, &locations, Merging::default()).unwrap_err();
    assert_eq!(error.to_string(), "chunk at offset 64 is truncated: expected at least 4000 bytes, found 100");
}

#[test]
fn long_parts_of_rows_are_split() {
    // Rows of 4 MiB: two of them are one part.
    let node = node(&[7, 1 << 20], &[7, 1 << 20], true);
    let rows = |step: i64| AxisSelection::Range { start: if step > 0 { 1 } else { 5 }, step, count: 5 };
    let column = AxisSelection::Indices([9].as_slice().into());
    let parts = |step| -> Vec<_> {
        let tasks = tasks(&node, &[rows(step), column.clone()]).unwrap();
        tasks.into_iter().map(|task| (task.rows.unwrap(), task.runs[0].to_vec())).collect()
    };
    let run = |start, step, count, destination| vec![crate::model::selection::Run { start, step, count, destination }];
    assert_eq!(parts(1), [(1..3, run(0, 1, 2, 0)), (3..5, run(0, 1, 2, 2)), (5..6, run(0, 1, 1, 4))]);
    assert_eq!(parts(-1), [(4..6, run(1, -1, 2, 0)), (2..4, run(1, -1, 2, 2)), (1..2, run(0, -1, 1, 4))]);
}

#[test]
fn the_gap_follows_the_pace_of_the_store() {
    let gap = |milliseconds: u64, megabytes: u64, in_flight: usize| {
        Merging::at_pace(Duration::from_millis(milliseconds), megabytes * 1_000_000, in_flight).gap
    };
    // 47 kB and 469 kB, down to powers of two.
    assert_eq!(gap(30, 100, 64), 32 << 10);
    assert_eq!(gap(30, 1000, 64), 256 << 10);
    // Bounds, and numbers that a store never shows.
    assert_eq!(gap(0, 1000, 16), 4 << 10);
    assert_eq!(gap(30, 0, 16), 4 << 10);
    assert_eq!(gap(5000, 5000, 1), 2 << 20);
    assert_eq!(Merging::at_pace(Duration::MAX, u64::MAX, 0).gap, 2 << 20);
    assert_eq!(gap(20, 1250, 16), 1 << 20);
}

#[test]
fn a_frugal_gap_adds_a_sixteenth_at_most_beyond_16_kib() {
    let node = node(&[64 << 20], &[64 << 10], false);
    let rows: Vec<u64> = (0..64).map(|chunk| chunk * (64 << 10)).collect();
    let all = tasks(&node, &[AxisSelection::Indices(rows.into())]).unwrap();
    // 64 chunks of 96 KiB, with narrow and wide gaps in turn: 384 KiB may be fetched for nothing.
    let fetched = |frugal: bool, narrow: u64, wide: u64| {
        let mut offset = 0;
        let mut locations = Vec::new();
        for chunk in 0..64 {
            locations.push(ChunkLocation::Range { offset, length: 96 << 10, filter_mask: 0 });
            offset += (96 << 10) + if chunk % 2 == 0 { narrow } else { wide };
        }
        let merging = Merging { gap: 256 << 10, longest: 64 << 20, spread: 1, frugal };
        let (requests, _) = requests(&node, &all, &locations, merging).unwrap();
        let bytes: u64 = requests.iter().filter_map(super::requests::request_bytes).sum();
        (requests.len(), (bytes >> 10) - 64 * 96)
    };
    // No request is longer than all that is asked for, so that at least two are needed, and one gap is left out.
    assert_eq!(fetched(false, 10 << 10, 90 << 10), (2, 32 * 10 + 30 * 90));
    assert_eq!(fetched(true, 10 << 10, 90 << 10), (32, 32 * 10));
    // More than a sixteenth, in gaps that are not worth a request; and in gaps that are.
    assert_eq!(fetched(true, 15 << 10, 16 << 10), (2, 31 * 15 + 31 * 16));
    assert_eq!(fetched(true, 20 << 10, 90 << 10), (64, 0));
}

#[test]
fn a_read_is_spread_over_the_requests_that_may_be_in_flight() {
    let node = node(&[64 << 20], &[64 << 10], false);
    // KiB of the requests for so many chunks of 128 KiB.
    let lengths = |chunks: u64, merging: Merging| {
        let all = tasks(&node, &[AxisSelection::Range { start: 0, step: 1, count: chunks * (64 << 10) }]).unwrap();
        let location = |chunk: u64| ChunkLocation::Range { offset: chunk << 17, length: 1 << 17, filter_mask: 0 };
        let locations: Vec<_> = (0..chunks).map(location).collect();
        let (requests, _) = requests(&node, &all, &locations, merging).unwrap();
        requests
            .iter()
            .map(|request| request.range.as_ref().map_or(0, |range| (range.end - range.start) >> 10))
            .collect::<Vec<_>>()
    };
    assert_eq!(lengths(64, Merging::with_gap(0, 16)), [512; 16]);
    // Over no more than 32, not shorter than 256 KiB, nor longer than 8 MiB.
    assert_eq!(lengths(256, Merging::with_gap(0, 96)), [1024; 32]);
    assert_eq!(lengths(16, Merging::with_gap(0, 96)), [256; 8]);
    assert_eq!(lengths(256, Merging::with_gap(0, 1)), [8192; 4]);
    assert_eq!(lengths(96, Merging::default()), [8192, 4096]);
}

proptest! {
    #[test]
    fn windows_touch_no_more_parts_than_they_may(
        selection in (1_u64..60).prop_flat_map(selection), chunk in 1_u64..9, length in 1_u64..9, most in 1_u64..20, parts in 1_u64..5
    ) {
        let rows = selection.len();
        let bounds = WindowBounds { rows: most, border: chunk, part_rows: length, parts };
        let positions = selection.positions();
        let mut next = 0;
        for cut in windows(&selection, 0..rows, bounds).unwrap() {
            prop_assert_eq!(cut.start, next);
            prop_assert!(cut.end > cut.start && cut.end - cut.start <= most);
            let of: std::collections::BTreeSet<u64> =
                positions[cut.start as usize..cut.end as usize].iter().map(|at| at / length).collect();
            prop_assert!(of.len() as u64 <= parts, "{cut:?} touches {of:?}");
            next = cut.end;
        }
        prop_assert_eq!(next, rows);
    }

    #[test]
    fn effort_and_window_parts_bound_the_tasks(case in case(), axis in 0_usize..3) {
        let node = node(&case.shape, &case.chunks, case.partly);
        let found = tasks(&node, &case.selection).unwrap().len() as u64;
        prop_assert!(found <= effort(&node, &case.selection), "{found} tasks");
        let axis = axis % case.shape.len();
        let (length, parts) = window_parts(&node, &case.selection, axis, window_tasks(0));
        let touched: std::collections::BTreeSet<u64> =
            case.selection[axis].positions().into_iter().map(|at| at / length).collect();
        // Of small arrays every window may have all parts.
        prop_assert!(touched.len() as u64 <= parts);
    }
}

#[test]
fn windows_of_enormous_axes_are_cut_at_once() {
    let started = std::time::Instant::now();
    let rows = 1_u64 << 58;
    let most = rows / (1 << 18);
    // A chunk longer than every window, and steps: no row is looked at one by one.
    for step in [1, 7, -1, -3] {
        let count = rows / 8;
        let start = if step > 0 { 0 } else { rows - 1 };
        let selection = AxisSelection::Range { start, step, count };
        let cuts = windows(&selection, 0..count, WindowBounds::of_rows(most, rows)).unwrap();
        assert_eq!(cuts.last().map(|cut| cut.end), Some(count));
    }
    // One row per chunk: windows have 2^15 chunks.
    let node = node(&[1 << 30], &[1], false);
    let all = [AxisSelection::all(1 << 30)];
    let (part_rows, parts) = window_parts(&node, &all, 0, window_tasks(u64::MAX));
    assert_eq!((part_rows, parts), (1, 1 << 15));
    let bounds = WindowBounds { rows: u64::MAX, border: 1, part_rows, parts };
    let cuts = windows(&all[0], 0..1 << 30, bounds).unwrap();
    assert_eq!(cuts.len(), 1 << 15);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn tasks_share_the_runs_of_an_axis() {
    let columns: Vec<u64> = (0..100_000).map(|at| at * 7919 % 100_000).collect();
    let selection = [AxisSelection::all(64), AxisSelection::Indices(columns.into())];
    let all = tasks(&node(&[64, 100_000], &[1, 100_000], false), &selection).unwrap();
    assert_eq!(all.len(), 64);
    assert!(all.iter().all(|task| std::sync::Arc::ptr_eq(&task.runs[1], &all[0].runs[1])));
}

#[test]
fn more_chunks_than_a_plan_may_have_are_refused() {
    let error = tasks(&node(&[1 << 20], &[1], false), &[AxisSelection::all(1 << 20)]).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    let scattered = AxisSelection::Range { start: 0, step: 1 << 15, count: 1 << 20 };
    let error = tasks(&node(&[1 << 40], &[1 << 40], true), &[scattered]).unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
}
