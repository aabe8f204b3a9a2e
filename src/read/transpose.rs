//! Copies the selected elements of a chunk of a matrix to their places in its transpose.

use crate::error::{Error, Result};
use crate::model::selection::Run;

/// Rows of the answer that are filled together, so that neither side is walked with a long stride.
const TILE: u64 = 32;

/// Copies elements of `item` bytes from a chunk of the shape `[rows, columns]` to an answer that has
/// `height` stored rows selected and holds them as its columns: C order of `[width, height]`. `runs`
/// select and place along the stored rows, then the stored columns.
///
/// # Errors
/// `Internal` when a run leaves the chunk or the answer, or the array is no matrix.
pub(super) fn copy_transposed(
    source: (&[u8], &[u64]),
    destination: (&mut [u8], u64),
    runs: &[Vec<Run>],
    item: usize,
) -> Result<()> {
    let ((bytes, &[_, row_length]), [of_rows, of_columns]) = (source, runs) else {
        return Err(Error::internal("what is read transposed is no matrix"));
    };
    let (target, height) = destination;
    let mut copy = |row: u64, column: u64, to: (u64, u64)| -> Option<()> {
        let from = bytes_of(row.checked_mul(row_length)?.checked_add(column)?, item)?;
        let to = bytes_of(to.1.checked_mul(height)?.checked_add(to.0)?, item)?;
        if column >= row_length {
            return None;
        }
        target.get_mut(to)?.copy_from_slice(bytes.get(from)?);
        Some(())
    };
    for (rows, columns) in of_rows.iter().flat_map(|rows| of_columns.iter().map(move |columns| (rows, columns))) {
        if rows.destination.saturating_add(rows.count) > height {
            return Err(Error::internal("a planned run leaves its answer"));
        }
        for tile in (0..columns.count).step_by(TILE as usize) {
            for down in 0..rows.count {
                for across in tile..columns.count.min(tile + TILE) {
                    let place = (rows.destination + down, columns.destination + across);
                    copy(position(rows, down), position(columns, across), place)
                        .ok_or_else(|| Error::internal("a transposed element leaves its chunk or its answer"))?;
                }
            }
        }
    }
    Ok(())
}

/// The bytes of element `index`.
fn bytes_of(index: u64, item: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(index).ok()?.checked_mul(item)?;
    Some(start..start.checked_add(item)?)
}

/// Source position of element `index` of a run.
fn position(run: &Run, index: u64) -> u64 {
    run.start.wrapping_add_signed(run.step.wrapping_mul(index as i64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::data_type::DataType;
    use crate::model::selection::AxisSelection;
    use crate::model::tree::{ArrayNode, Attributes};
    use crate::plan::tasks::tasks;

    fn matrix(shape: [u64; 2], chunk_shape: [u64; 2]) -> ArrayNode {
        ArrayNode {
            shape: shape.to_vec(),
            is_null: false,
            data_type: DataType::UInt32,
            chunk_shape: chunk_shape.to_vec(),
            filters: vec!["gzip".to_owned()],
            partly_readable: false,
            attributes: Attributes::new(),
            storage: serde_json::Value::Null,
        }
    }

    /// The chunk at `position`, each element its place in the whole matrix; beyond it something else.
    fn chunk(node: &ArrayNode, position: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in 0..node.chunk_shape[0] {
            for column in 0..node.chunk_shape[1] {
                let (row, column) =
                    (position[0] * node.chunk_shape[0] + row, position[1] * node.chunk_shape[1] + column);
                let inside = row < node.shape[0] && column < node.shape[1];
                let value = if inside { row * node.shape[1] + column } else { u64::from(u32::MAX) };
                bytes.extend((value as u32).to_le_bytes());
            }
        }
        bytes
    }

    fn selection(length: u64) -> impl Strategy<Value = AxisSelection> {
        let indices =
            prop::collection::vec(0..length, 0..12).prop_map(|indices| AxisSelection::Indices(indices.into()));
        let back = Just(AxisSelection::Range { start: length - 1, step: -1, count: length });
        let strided = (1..4_i64).prop_map(move |step| AxisSelection::Range {
            start: 0,
            step,
            count: length.div_ceil(step.unsigned_abs()),
        });
        prop_oneof![indices, back, strided, Just(AxisSelection::all(length))]
    }

    fn case() -> impl Strategy<Value = ([u64; 2], [u64; 2], AxisSelection, AxisSelection)> {
        let lengths = (1..40_u64, 1..80_u64, 1..9_u64, 1..50_u64);
        lengths.prop_flat_map(|(rows, columns, high, wide)| {
            (Just([rows, columns]), Just([high, wide]), selection(rows), selection(columns))
        })
    }

    proptest! {
        #[test]
        fn every_element_is_that_of_the_transpose((shape, chunk_shape, rows, columns) in case()) {
            let node = matrix(shape, chunk_shape);
            let height = rows.len();
            let mut found = vec![0_u8; (height * columns.len() * 4) as usize];
            for task in tasks(&node, &[rows.clone(), columns.clone()]).unwrap() {
                let bytes = chunk(&node, &task.position);
                copy_transposed((&bytes, &chunk_shape), (&mut found, height), &task.runs, 4).unwrap();
            }
            let expected: Vec<u8> = columns
                .positions()
                .iter()
                .flat_map(|column| rows.positions().into_iter().map(move |row| row * shape[1] + column))
                .flat_map(|value| (value as u32).to_le_bytes())
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_run_that_leaves_is_refused() {
        let run = |start, count, destination| vec![Run { start, step: 1, count, destination }];
        let mut target = [0_u8; 6];
        let mut check = |rows, columns| copy_transposed((&[0; 6], &[2, 3]), (&mut target, 2), &[rows, columns], 1);
        assert!(check(run(0, 2, 0), run(0, 3, 0)).is_ok());
        assert!(check(run(0, 3, 0), run(0, 3, 0)).is_err(), "beyond the height");
        assert!(check(run(1, 2, 0), run(0, 3, 0)).is_err(), "beyond the chunk's rows");
        assert!(check(run(0, 1, 0), run(1, 3, 0)).is_err(), "beyond the chunk's columns");
        assert!(check(run(0, 1, 1), run(0, 1, 3)).is_err(), "beyond the width");
        assert!(copy_transposed((&[0; 6], &[6]), (&mut [0; 6], 1), &[run(0, 6, 0)], 1).is_err());
    }
}
