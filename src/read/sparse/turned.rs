//! Rows of a matrix that is stored by columns.
//!
//! The entries of all selected columns are read piece by piece; those of a window of rows are kept and
//! sorted by row. When all rows may fit one window, that is one pass over indices and values. Otherwise
//! one pass over the indices counts the entries of each row first, windows are cut by the counts, and
//! each window is one pass of its own.
//!
//! A column index is such a matrix: its columns are turned into rows of the matrix that it is of, and then the
//! answer has the index type of that matrix, and the order of entries in its rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType as ArrowType, Schema, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use futures::stream::{self, StreamExt};

use super::gather::{self, Gathered, Sorted, Stored};
use super::minor::MinorMap;
use super::piece::{Piece, pieces};
use super::{Form, SparseAnswer, as_u64, check_minor, coo, dense_rows, entries_field, lists, shape_of, width};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Sparse;
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::read::array::{ArrayPlan, Caching, Values, plan_array, read_array};
use crate::read::context::ReadContext;
use crate::read::to_arrow::{arrow_error, to_arrow};
use crate::read::windowed::{Blocks, Window, Windowed, one_block};

/// Columns whose pointers are read together.
const POINTER_BLOCK_COLUMNS: u64 = 32 * 1024;

/// Pieces that are read at the same time, by one pass.
const PIECES_IN_FLIGHT: usize = 2;

/// The part of a window's memory that pieces take.
const PIECES_PART: u64 = 4;

/// Bytes of a row beside its entries: offsets, as they are counted and as they are sent.
const ROW_BYTES: u64 = 24;

/// Room for entries that repeat a place, in a window whose entries were not counted.
const REPEATED_BYTES: u64 = 64 * 1024;

/// A selection of a sparse matrix: one output row per selected position of the other axis than the
/// stored one.
#[derive(Debug)]
pub struct TurnedAnswer {
    /// The selected columns with all of their entries.
    stored: SparseAnswer,
    rows: AxisSelection,
    map: Option<Arc<MinorMap>>,
    /// Output rows of one stored row at most.
    most_outputs: u64,
    /// Path of the place of each entry in its row, where rows are put in that order.
    places: Option<String>,
    index_type: ArrowType,
    schema: SchemaRef,
    form: Form,
}

impl TurnedAnswer {
    /// The slices `columns` of the stored axis and `rows` of the other, as `form` per row.
    ///
    /// # Errors
    /// As [`SparseAnswer::new`]; `ResourceExhausted` when the map of the rows does not fit a quarter of
    /// the memory budget.
    pub fn new(
        context: &ReadContext,
        hierarchy: Hierarchy,
        sparse: Sparse,
        name: &str,
        columns: AxisSelection,
        rows: AxisSelection,
        form: Form,
    ) -> Result<Self> {
        let (stored_rows, axis) = (sparse.shape[1 - sparse.major], 1 - sparse.major);
        rows.check(stored_rows)?;
        let (count, width) = (rows.len(), columns.len());
        let all = AxisSelection::all(stored_rows);
        let stored = SparseAnswer::new(hierarchy, sparse, name, columns, all, Form::Lists)?;
        let map = if rows.is_all(stored_rows) {
            None
        } else {
            check_minor(context, &rows, stored_rows)?;
            Some(Arc::new(MinorMap::new(&rows, stored_rows)?))
        };
        let most_outputs = map.as_ref().map_or(1, |map| map.most_outputs());
        let fits = i32::try_from(width).is_ok();
        let index_type = if fits { stored.index_type.clone() } else { ArrowType::Int64 };
        let schema = match form {
            Form::Lists => {
                let shape = shape_of(axis, count, width);
                Schema::new(vec![entries_field(name, &index_type, &stored.value_type, axis, shape)])
            }
            Form::Dense => Schema::new(vec![dense_rows::field(name, &stored.value_type, width)?]),
            Form::Coordinates => coo::schema(name, &stored.value_type)?,
        };
        let schema = Arc::new(schema);
        Ok(Self { stored, rows, map, most_outputs, places: None, index_type, schema, form })
    }

    /// The same with lists whose indices are of `index_type`, which holds every output column.
    #[must_use]
    pub fn with_index_type(mut self, index_type: ArrowType) -> Self {
        self.schema = super::with_index_type(&self.schema, &index_type);
        Self { index_type, ..self }
    }

    /// The same with the entries of a row in the order that the array at `path` says: its element for an entry
    /// is the place of that entry in its row. Only matters where columns are asked for in ascending order: any
    /// other order is the answer's.
    #[must_use]
    pub fn with_places(self, path: String) -> Self {
        let is_order = match &self.stored.major {
            AxisSelection::Range { step, count, .. } => *step > 0 && *count > 1,
            other => other.len() > 1 && other.positions().windows(2).all(|pair| pair[0] < pair[1]),
        };
        Self { places: is_order.then_some(path), ..self }
    }

    /// Type of the indices in lists.
    pub fn index_type(&self) -> &ArrowType {
        &self.index_type
    }

    /// The axis of the matrix that the answer's rows are.
    fn axis(&self) -> usize {
        1 - self.stored.sparse.major
    }

    /// Bytes of an entry while it is gathered, which are no less than those of an entry in the answer.
    fn entry_bytes(&self) -> u64 {
        let position = if self.form == Form::Coordinates { coo::POSITION_BYTES } else { 8 };
        position + self.value_bytes() + if self.places.is_some() { 4 } else { 0 }
    }

    fn value_bytes(&self) -> u64 {
        width(&self.stored.value_type) as u64
    }

    /// Bytes of a row beside its entries.
    fn row_bytes(&self) -> u64 {
        let dense = if self.form == Form::Dense { self.columns().saturating_mul(self.value_bytes()) } else { 0 };
        dense.saturating_add(ROW_BYTES)
    }

    fn columns(&self) -> u64 {
        self.stored.major.len()
    }

    /// Entries of a piece: raw indices and values, the indices as integers of 64 bits, and places.
    fn piece_entries(&self, context: &ReadContext) -> u64 {
        let places = if self.places.is_some() { 8 } else { 0 };
        let bytes = (width(&self.stored.index_type) + width(&self.stored.value_type)) as u64 + 8 + places;
        (context.window_bytes / PIECES_PART / bytes).max(1)
    }

    /// The pieces of the columns in `block`.
    async fn pieces(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Piece>> {
        let (tree, sparse) = (self.stored.hierarchy.tree(), &self.stored.sparse);
        let chunk = |path: &str| tree.array(path).map(|node| node.chunk_shape.first().copied().unwrap_or(1));
        let chunk = chunk(&sparse.indices())?.max(chunk(&sparse.data())?);
        let spans = self.stored.spans(context, block.clone()).await?;
        Ok(pieces(block.start, &spans, self.piece_entries(context), chunk))
    }

    /// Entries of all selected columns.
    async fn entries(&self, context: &ReadContext) -> Result<u64> {
        let mut entries = 0_u64;
        for block in self.blocks_of_columns() {
            let spans = self.stored.spans(context, block).await?;
            entries = spans.iter().fold(entries, |total, (start, end)| total.saturating_add(end - start));
        }
        Ok(entries)
    }

    fn blocks_of_columns(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let columns = self.columns();
        let block = move |at: u64| at * POINTER_BLOCK_COLUMNS..((at + 1) * POINTER_BLOCK_COLUMNS).min(columns);
        (0..columns.div_ceil(POINTER_BLOCK_COLUMNS)).map(block)
    }

    /// The window of all `rows`, when they fit it for certain: by the entries of the columns, or as no
    /// place comes more than twice.
    fn single(&self, context: &ReadContext, rows: &Range<u64>, entries: u64) -> Option<Window> {
        let count = rows.end - rows.start;
        let bytes = |entries: u64| entries.saturating_mul(self.entry_bytes());
        let stored = bytes(entries.saturating_mul(self.most_outputs));
        let places = bytes(count.saturating_mul(self.columns()).saturating_mul(2)).saturating_add(REPEATED_BYTES);
        let bytes = stored.min(places).saturating_add(count.saturating_mul(self.row_bytes()));
        let fits = bytes <= most_bytes(context);
        let piece = pieces_bytes(context).min(entries.saturating_mul(self.entry_bytes() + 8));
        fits.then(|| Window { rows: rows.clone(), bytes: bytes.saturating_add(piece), spans: Vec::new() })
    }

    /// The entries of each output row of `rows`: one pass over the indices.
    async fn counts(&self, context: &ReadContext, rows: &Range<u64>) -> Result<Vec<u32>> {
        let mut counts = vec![0_u32; usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX)];
        for block in self.blocks_of_columns() {
            let pieces = self.pieces(context, block).await?;
            let reads = pieces.iter().map(|piece| self.indices(context, piece));
            let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(PIECES_IN_FLIGHT);
            while let Some(indices) = reads.next().await {
                let (indices, map, rows) = (indices?, self.map.clone(), rows.clone());
                let work = move || {
                    gather::count(indices.values(), map.as_deref(), &rows, &mut counts);
                    Ok(counts)
                };
                counts = context.decode(work).await?;
            }
        }
        Ok(counts)
    }

    async fn indices(&self, context: &ReadContext, piece: &Piece) -> Result<PrimitiveArray<UInt64Type>> {
        let (hierarchy, path) = (&self.stored.hierarchy, self.stored.sparse.indices());
        let indices = read_array(context, hierarchy, &path, &selection(piece), Caching::Bypass).await?;
        let indices = self.stored.checked_indices(context, indices).await?;
        context.compute(piece.len().saturating_mul(8), move || as_u64(&indices.into_array())).await
    }

    async fn values(&self, context: &ReadContext, piece: &Piece) -> Result<Values> {
        let (hierarchy, path) = (&self.stored.hierarchy, self.stored.sparse.data());
        Ok(read_array(context, hierarchy, &path, &selection(piece), Caching::Bypass).await?.values)
    }

    /// The places of the entries of `piece`, where rows are put in that order.
    async fn places(&self, context: &ReadContext, piece: &Piece) -> Result<Option<Vec<u32>>> {
        let Some(path) = &self.places else { return Ok(None) };
        let read = read_array(context, &self.stored.hierarchy, path, &selection(piece), Caching::Bypass).await?;
        match (read.data_type, read.values) {
            (DataType::UInt32, Values::Fixed(bytes)) => {
                let (places, _) = bytes.as_slice().as_chunks::<4>();
                Ok(Some(places.iter().map(|place| u32::from_le_bytes(*place)).collect()))
            }
            _ => Err(Error::data_loss(format!("places '{path}' are not unsigned integers of 32 bits"))),
        }
    }

    /// The entries of `piece` that lie in `window`.
    async fn gathered(&self, context: &ReadContext, piece: Piece, window: &Window) -> Result<Gathered> {
        let (indices, values, places) = tokio::try_join!(
            self.indices(context, &piece),
            self.values(context, &piece),
            self.places(context, &piece)
        )?;
        let Values::Fixed(values) = values else {
            return Err(Error::internal("values of a sparse matrix are texts"));
        };
        let (map, rows, most, width) = (self.map.clone(), window.rows.clone(), window.bytes, self.item_size()?);
        let work = move || {
            let (values, places) = (values.as_slice(), places.as_deref());
            let stored = Stored { indices: indices.values(), values, width, places };
            gather::gather(&piece, stored, map.as_deref(), &rows, most)
        };
        context.decode(work).await
    }

    /// All entries that lie in `window`: one pass over indices and values.
    async fn pass(&self, context: &ReadContext, window: &Window) -> Result<Vec<Gathered>> {
        let (mut all, mut bytes) = (Vec::new(), 0_u64);
        for block in self.blocks_of_columns() {
            let reads = self.pieces(context, block).await?.into_iter();
            let reads: Vec<_> = reads.map(|piece| self.gathered(context, piece, window)).collect();
            let mut reads = stream::iter(reads).buffered(PIECES_IN_FLIGHT);
            while let Some(gathered) = reads.next().await {
                let gathered = gathered?;
                bytes = bytes.saturating_add(gathered.bytes());
                if bytes > window.bytes {
                    return Err(gather::too_many(window.bytes));
                }
                all.push(gathered);
            }
        }
        Ok(all)
    }

    /// Bytes of one stored value.
    fn item_size(&self) -> Result<usize> {
        Ok(self.stored.hierarchy.tree().array(&self.stored.sparse.data())?.data_type.item_size())
    }

    /// The columns of the answer for the rows from `first` on.
    async fn columns_of(&self, sorted: Sorted, first: u64) -> Result<Vec<ArrayRef>> {
        let Sorted { columns, values, offsets } = sorted;
        let hierarchy = &self.stored.hierarchy;
        let data_type = hierarchy.tree().array(&self.stored.sparse.data())?.data_type.clone();
        let values = to_arrow(hierarchy, &data_type, Values::Fixed(values.into()), columns.len()).await?;
        Ok(match self.form {
            Form::Dense => vec![dense_rows::rows(&columns, &values, &offsets, self.columns())?],
            Form::Lists => {
                let columns = Arc::new(PrimitiveArray::<UInt64Type>::from(columns));
                vec![lists(&self.index_type, columns, values, &offsets)?]
            }
            Form::Coordinates => {
                let columns = Int64Array::from_iter_values(columns.into_iter().map(u64::cast_signed));
                coo::columns(self.axis(), first, columns, values, &offsets)
            }
        })
    }

    /// Windows of as many rows as fit when every row has as many entries as the average one.
    fn guessed(&self, context: &ReadContext, rows: &Range<u64>, entries: u64) -> Vec<Window> {
        let stored_rows = self.stored.minor_length.max(1);
        let row_bytes = (entries.div_ceil(stored_rows)).saturating_mul(self.entry_bytes());
        let row_bytes = row_bytes.saturating_add(self.row_bytes());
        let step = (most_bytes(context) / row_bytes).max(1);
        let window = |start: u64| {
            let end = start.saturating_add(step).min(rows.end);
            Window { rows: start..end, bytes: (end - start).saturating_mul(row_bytes), spans: Vec::new() }
        };
        let starts = std::iter::successors(Some(rows.start), |start| start.checked_add(step));
        starts.take_while(|start| *start < rows.end).map(window).collect()
    }
}

#[async_trait]
impl Windowed for TurnedAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.rows.len()
    }

    fn total_rows(&self) -> Option<u64> {
        (self.form != Form::Coordinates).then(|| self.rows())
    }

    fn is_divisible(&self) -> bool {
        false
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        one_block((!rows.is_empty()).then_some(rows))
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let entries = self.entries(context).await?;
        if let Some(single) = self.single(context, &block, entries) {
            return Ok(vec![single]);
        }
        // Room for the counts, for the pieces in flight and for the windows that come of it.
        let counting = (block.end - block.start).saturating_mul(4).saturating_add(pieces_bytes(context));
        let _permit = context.reserve(counting).await?;
        let counts = self.counts(context, &block).await?;
        let mut start = block.start;
        let windows = gather::cut(&counts, self.entry_bytes(), self.row_bytes(), most_bytes(context));
        Ok(windows
            .into_iter()
            .map(|(end, bytes)| {
                let rows = start..block.start + end as u64;
                start = rows.end;
                Window { rows, bytes: bytes.saturating_add(pieces_bytes(context)), spans: Vec::new() }
            })
            .collect())
    }

    async fn foreseen(&self, context: &ReadContext, block: Range<u64>) -> Result<(Vec<Window>, bool)> {
        let entries = self.entries(context).await?;
        match self.single(context, &block, entries) {
            Some(single) => Ok((vec![single], true)),
            None => Ok((self.guessed(context, &block, entries), false)),
        }
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let pieces = self.pass(context, &window).await?;
        let rows = usize::try_from(window.rows.end - window.rows.start).unwrap_or(usize::MAX);
        let width = self.item_size()?;
        let sorted = context.decode(move || gather::sorted(pieces, rows, width)).await?;
        let columns = self.columns_of(sorted, window.rows.start).await?;
        RecordBatch::try_new(self.schema(), columns).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let (indices, data) = (self.stored.sparse.indices(), self.stored.sparse.data());
        // The pass that counts goes before the first of several windows.
        let counted = window.rows.start == 0 && window.rows.end < self.rows();
        let mut plans = Vec::new();
        for block in self.blocks_of_columns() {
            for piece in self.pieces(context, block).await? {
                let counting = counted.then_some(&indices);
                for path in counting.into_iter().chain([&indices, &data]).chain(&self.places) {
                    let plan = plan_array(context, &self.stored.hierarchy, path, &selection(&piece)).await?;
                    plans.push((path.clone(), plan));
                }
            }
        }
        Ok(plans)
    }
}

/// The entries of `piece` as positions of the arrays of indices and values.
fn selection(piece: &Piece) -> [AxisSelection; 1] {
    [AxisSelection::Spans(piece.parts.iter().map(|part| (part.start, part.end)).collect())]
}

/// Bytes of the rows of a window.
fn most_bytes(context: &ReadContext) -> u64 {
    context.window_bytes - pieces_bytes(context)
}

/// Bytes of the pieces that are read for a window.
fn pieces_bytes(context: &ReadContext) -> u64 {
    context.window_bytes / PIECES_PART
}
