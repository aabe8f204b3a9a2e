//! Which slices of sparse matrices are served from a column index.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Resolver;
use crate::engine::column_index::{ColumnIndexes, Matrix, OpenIndex};
use crate::error::Result;
use crate::format::anndata::meaning::Sparse;
use crate::model::selection::AxisSelection;
use crate::read::context::ReadContext;
use crate::read::sparse::indexed::IndexedAnswer;
use crate::read::sparse::turned::TurnedAnswer;
use crate::read::sparse::{Form, SparseAnswer};
use crate::read::windowed::Windowed;

/// An entry of an index costs so much less than one of the matrix: its chunks are near, and decode faster.
const ADVANTAGE: u64 = 4;

/// A slice of a sparse matrix across the axis that it is stored by.
#[derive(Clone, Debug)]
pub(in crate::engine) struct ColumnSlice {
    indexes: Arc<ColumnIndexes>,
    matrix: Matrix,
    context: ReadContext,
    /// The answer without an index.
    pub(in crate::engine) direct: Arc<dyn Windowed>,
    /// Entries that are decoded with an index and without.
    entries: [u64; 2],
    /// Whether there is an index, and whether it is used.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    NotCheaper,
    Used,
}

impl ColumnSlice {
    /// Says that the slice is read: often enough, its index is built.
    pub(in crate::engine) fn asked(&self) {
        if self.state == State::Missing && self.is_cheaper() {
            self.indexes.asked(&self.context, &self.matrix);
        }
    }

    /// Whether an index would be used if there were one.
    fn is_cheaper(&self) -> bool {
        self.entries[0] / ADVANTAGE <= self.entries[1]
    }

    /// Whether the index is used.
    pub(in crate::engine) fn is_used(&self) -> bool {
        self.state == State::Used
    }

    /// What `explain` says of it.
    pub(in crate::engine) fn summary(&self) -> Value {
        let progress = self.indexes.progress(&self.matrix);
        let state = match (self.state, progress) {
            (State::Used, _) => "used",
            (State::NotCheaper, _) => "not cheaper",
            (State::Missing, Some(_)) => "building",
            (State::Missing, None) => "missing",
        };
        let [with, without] = self.entries;
        let mut summary = json!({ "state": state, "entries_with": with, "entries_without": without });
        if let (Value::Object(fields), "building", Some(progress)) = (&mut summary, state, progress) {
            fields.insert("progress".into(), json!(progress));
        }
        summary
    }
}

/// An answer of a sparse matrix, by its stored axis or turned.
pub(super) enum Direct {
    Stored(SparseAnswer),
    Turned(TurnedAnswer),
}

impl Resolver<'_> {
    /// `direct`, from the index of the matrix where there is one and it is cheaper; `selection` are the
    /// positions of both axes.
    pub(super) async fn indexed(
        &self,
        direct: Direct,
        sparse: &Sparse,
        selection: &[AxisSelection],
        form: Form,
    ) -> Result<(Arc<dyn Windowed>, Option<ColumnSlice>)> {
        let (across, stored) = (1 - sparse.major, sparse.shape[1 - sparse.major]);
        let indexes = self.indexes.filter(|_| !selection[across].is_all(stored));
        let matrix = indexes.and_then(|_| Matrix::of(self.hierarchy, sparse));
        let (Some(indexes), Some(matrix)) = (indexes, matrix) else {
            return Ok((direct.shared(), None));
        };
        let entries = costs(self.hierarchy, sparse, selection)?;
        let index = indexes.find(&matrix).await;
        let indexed = index.as_ref().and_then(|index| self.answer_of(index, &direct, selection, form).ok());
        let (context, direct) = (self.context.clone(), direct.shared());
        let (indexes, state) = (Arc::clone(indexes), State::Missing);
        let mut slice = ColumnSlice { indexes, matrix, context, direct: Arc::clone(&direct), entries, state };
        if index.is_none() {
            return Ok((direct, Some(slice)));
        }
        slice.state = State::NotCheaper;
        let Some(indexed) = indexed.filter(|_| slice.is_cheaper()) else { return Ok((direct, Some(slice))) };
        let keeper = slice.indexes.keeper(&slice.matrix);
        let answer = IndexedAnswer::new(indexed, direct, keeper)?;
        slice.state = State::Used;
        Ok((Arc::new(answer), Some(slice)))
    }

    /// The answer from `index` in the form of `direct`.
    fn answer_of(
        &self,
        index: &OpenIndex,
        direct: &Direct,
        selection: &[AxisSelection],
        form: Form,
    ) -> Result<Arc<dyn Windowed>> {
        let (hierarchy, sparse, name) = (index.hierarchy.clone(), index.sparse.clone(), self.name());
        let (columns, rows) = (selection[sparse.major].clone(), selection[1 - sparse.major].clone());
        Ok(match direct {
            Direct::Stored(direct) => {
                let answer = TurnedAnswer::new(self.context, hierarchy, sparse, name, columns, rows, form)?;
                let answer = answer.with_index_type(direct.index_type().clone());
                match &index.places {
                    Some(places) => Arc::new(answer.with_places(places.clone())),
                    None => Arc::new(answer),
                }
            }
            Direct::Turned(direct) => {
                let answer = SparseAnswer::new(hierarchy, sparse, name, columns, rows, form)?;
                Arc::new(answer.with_index_type(direct.index_type().clone()))
            }
        })
    }
}

impl Direct {
    fn shared(self) -> Arc<dyn Windowed> {
        match self {
            Self::Stored(answer) => Arc::new(answer),
            Self::Turned(answer) => Arc::new(answer),
        }
    }
}

/// Entries that are decoded for `selection` from an index, and from the matrix, by the average slice of each axis.
fn costs(hierarchy: &crate::format::Hierarchy, sparse: &Sparse, selection: &[AxisSelection]) -> Result<[u64; 2]> {
    let data = hierarchy.tree().array(&sparse.data())?;
    let entries = data.element_count()?;
    let chunk = data.chunk_shape.first().copied().unwrap_or(1);
    let cost = |axis: usize, chunk: u64| {
        let (length, selected) = (sparse.shape[axis].max(1), &selection[axis]);
        let average = u128::from(entries) * u128::from(selected.len()) / u128::from(length);
        let runs = match selected {
            AxisSelection::Range { step: 1, .. } => 1,
            AxisSelection::Spans(spans) => spans.len() as u64,
            other => other.len(),
        };
        let parts = u64::try_from(average).unwrap_or(u64::MAX).saturating_add(runs.saturating_mul(chunk));
        parts.min(entries)
    };
    let index_chunk = crate::format::zarr::write::CHUNK_ELEMENTS as u64;
    Ok([cost(1 - sparse.major, index_chunk), cost(sparse.major, chunk)])
}
