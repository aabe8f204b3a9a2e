//! Answers for compressed sparse matrices by their stored axis: as lists of entries, as dense rows, or
//! one row per entry. Rows of a matrix stored by columns are [`turned`]'s.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, PrimitiveArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field, Fields, Int64Type, Schema, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;

use super::array::{ArrayPlan, ArrayValues, Caching, plan_array, read_array};
use super::context::ReadContext;
use super::to_arrow::{arrow_error, arrow_type, to_arrow};
use super::windowed::{Blocks, Window, Windowed, blocks_of};
use crate::error::{Error, Result, ResultExt};
use crate::format::Hierarchy;
use crate::format::anndata::meaning::Sparse;
use crate::model::selection::AxisSelection;
use crate::plan::tasks::window_tasks;

mod coo;
mod dense_rows;
mod gather;
pub mod indexed;
mod indices;
mod minor;
mod piece;
pub mod turned;

use indices::Indices;
use minor::MinorMap;

/// Rows whose pointers are read together.
const POINTER_BLOCK_ROWS: u64 = 256 * 1024;

/// The same where rows do not follow each other: each pointer is a read of its own then.
const SCATTERED_BLOCK_ROWS: u64 = 32 * 1024;

/// What the slices of a sparse matrix become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One list of (index, value) per slice.
    Lists,
    /// One list of all values per slice, gaps filled by zeros.
    Dense,
    /// One row per entry, in the order of the stored axis: row, column, value.
    Coordinates,
}

/// A selection of a sparse matrix: one output row per selected slice of the stored axis.
#[derive(Debug)]
pub struct SparseAnswer {
    hierarchy: Hierarchy,
    sparse: Sparse,
    major: AxisSelection,
    minor: Option<Arc<MinorMap>>,
    minor_length: u64,
    index_type: ArrowType,
    value_type: ArrowType,
    schema: SchemaRef,
    form: Form,
}

impl SparseAnswer {
    /// The slices `major` of the stored axis, restricted to `minor` on the other axis.
    ///
    /// # Errors
    /// `Unimplemented` for element types that are not served, `OutOfRange` for the selections,
    /// `InvalidArgument` for a column that would stand twice.
    pub fn new(
        hierarchy: Hierarchy,
        sparse: Sparse,
        name: &str,
        major: AxisSelection,
        minor: AxisSelection,
        form: Form,
    ) -> Result<Self> {
        let tree = hierarchy.tree();
        let value_type = arrow_type(&tree.array(&sparse.data())?.data_type)?;
        if !value_type.is_numeric() && value_type != ArrowType::Boolean {
            return Err(Error::unimplemented(format!("sparse matrix '{}' of {value_type}", sparse.path)));
        }
        let index_type = match arrow_type(&tree.array(&sparse.indices())?.data_type)? {
            ArrowType::Int64 | ArrowType::UInt64 | ArrowType::UInt32 => ArrowType::Int64,
            ArrowType::Int8 | ArrowType::Int16 | ArrowType::Int32 | ArrowType::UInt8 | ArrowType::UInt16 => {
                ArrowType::Int32
            }
            other => return Err(Error::unimplemented(format!("sparse indices of {other} in '{}'", sparse.path))),
        };
        major.check(sparse.shape[sparse.major])?;
        let stored = sparse.shape[1 - sparse.major];
        minor.check(stored)?;
        let minor_length = minor.len();
        let map = if minor.is_all(stored) { None } else { Some(Arc::new(MinorMap::new(&minor, stored)?)) };
        let shape = shape_of(sparse.major, major.len(), minor_length);
        let schema = Arc::new(match form {
            Form::Lists => Schema::new(vec![entries_field(name, &index_type, &value_type, sparse.major, shape)]),
            Form::Dense => Schema::new(vec![dense_rows::field(name, &value_type, minor_length)?]),
            Form::Coordinates => coo::schema(name, &value_type)?,
        });
        Ok(Self { hierarchy, sparse, major, minor: map, minor_length, index_type, value_type, schema, form })
    }

    /// The same with lists whose indices are of `index_type`, which holds every output position.
    #[must_use]
    pub fn with_index_type(mut self, index_type: ArrowType) -> Self {
        self.schema = with_index_type(&self.schema, &index_type);
        Self { index_type, ..self }
    }

    /// Type of the indices in lists.
    pub fn index_type(&self) -> &ArrowType {
        &self.index_type
    }

    /// Bytes of one entry: index (or row and column) and value.
    fn entry_bytes(&self) -> u64 {
        let position =
            if self.form == Form::Coordinates { coo::POSITION_BYTES } else { width(&self.index_type) as u64 };
        position + width(&self.value_type) as u64
    }

    /// Average bytes of one output row, for splitting.
    fn average_row_bytes(&self) -> Result<u64> {
        let entries = self.hierarchy.tree().array(&self.sparse.data())?.element_count()?;
        let rows = self.sparse.shape[self.sparse.major].max(1);
        Ok(self.row_bytes(entries.div_ceil(rows)))
    }

    fn row_bytes(&self, entries: u64) -> u64 {
        entries.saturating_mul(self.entry_bytes()).saturating_add(self.dense_bytes()).saturating_add(4)
    }

    /// Bytes of a slice with its gaps filled; none for other forms.
    fn dense_bytes(&self) -> u64 {
        let dense = self.form == Form::Dense;
        if dense { self.minor_length.saturating_mul(width(&self.value_type) as u64) } else { 0 }
    }

    /// Entries of the smaller chunks of indices and values.
    fn entries_of_a_chunk(&self) -> u64 {
        let length = |path: &str| {
            let node = self.hierarchy.tree().array(path).ok();
            node.and_then(|node| node.chunk_shape.first().copied()).unwrap_or(1)
        };
        length(&self.sparse.indices()).min(length(&self.sparse.data())).max(1)
    }

    /// First and last entry of each selected slice in `rows`.
    async fn spans(&self, context: &ReadContext, rows: Range<u64>) -> Result<Vec<(u64, u64)>> {
        let part = self.major.part(rows.start, rows.end - rows.start);
        let consecutive = matches!(part, AxisSelection::Range { step: 1, .. });
        let selection = match &part {
            AxisSelection::Range { start, step: 1, count } => {
                AxisSelection::Range { start: *start, step: 1, count: count + 1 }
            }
            other => AxisSelection::Spans(other.positions().into_iter().map(|row| (row, row + 2)).collect()),
        };
        let path = self.sparse.indptr();
        let pointers = [selection];
        let pointers = read_array(context, &self.hierarchy, &path, &pointers, Caching::Keep);
        // The entries come next: where they lie is looked up meanwhile. A failure shows up there.
        let (indices, data) = (self.sparse.indices(), self.sparse.data());
        let tables = [indices.as_str(), data.as_str()];
        let (values, _) = tokio::join!(pointers, self.hierarchy.load_tables(&tables));
        let values = values?;
        let count = values.shape.iter().product::<u64>() as usize;
        let pointers = to_arrow(&self.hierarchy, &values.data_type, values.values, count).await?;
        let pointers = as_u64(&pointers).with_context(|| format!("pointers '{path}'"))?;
        let pointers = pointers.values();
        let spans: Vec<(u64, u64)> = if consecutive {
            pointers.windows(2).map(|pair| (pair[0], pair[1])).collect()
        } else {
            pointers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
        };
        let entries = self.hierarchy.tree().array(&self.sparse.data())?.element_count()?;
        match spans.iter().find(|(start, end)| start > end || *end > entries) {
            None => Ok(spans),
            Some((start, end)) => Err(Error::data_loss(format!(
                "pointers '{path}': entries {start} to {end} do not lie in order within {entries}"
            ))),
        }
    }

    /// Indices and values of the entries in `spans`, as stored.
    async fn entries(&self, context: &ReadContext, spans: &[(u64, u64)]) -> Result<(Indices, ArrayRef)> {
        let selection = [AxisSelection::Spans(spans.iter().copied().filter(|(start, end)| end > start).collect())];
        let (indices, data) = (self.sparse.indices(), self.sparse.data());
        let (indices, data) = tokio::try_join!(
            read_array(context, &self.hierarchy, &indices, &selection, Caching::Bypass),
            read_array(context, &self.hierarchy, &data, &selection, Caching::Bypass),
        )?;
        let count = selection[0].len() as usize;
        let data = to_arrow(&self.hierarchy, &data.data_type, data.values, count).await?;
        Ok((self.checked_indices(context, indices).await?, data))
    }

    /// Stored indices, none outside their axis.
    async fn checked_indices(&self, context: &ReadContext, indices: ArrayValues) -> Result<Indices> {
        let count = indices.shape.iter().product::<u64>() as usize;
        let indices = to_arrow(&self.hierarchy, &indices.data_type, indices.values, count).await?;
        let (path, stored) = (self.sparse.indices(), self.sparse.shape[1 - self.sparse.major]);
        let check = move || Indices::checked(&indices, stored).with_context(|| format!("indices '{path}'"));
        context.compute((count as u64).saturating_mul(4), check).await
    }
}

#[async_trait]
impl Windowed for SparseAnswer {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> u64 {
        self.major.len()
    }

    fn total_rows(&self) -> Option<u64> {
        (self.form != Form::Coordinates).then(|| self.rows())
    }

    fn bytes(&self) -> Option<u64> {
        None
    }

    fn estimated_row_bytes(&self) -> u64 {
        self.average_row_bytes().unwrap_or(1)
    }

    fn blocks(&self, rows: Range<u64>) -> Blocks {
        let together = matches!(self.major, AxisSelection::Range { step: 1, .. });
        blocks_of(rows, if together { POINTER_BLOCK_ROWS } else { SCATTERED_BLOCK_ROWS })
    }

    async fn windows(&self, context: &ReadContext, block: Range<u64>) -> Result<Vec<Window>> {
        let mut windows: Vec<Window> = Vec::new();
        let (chunk, mut parts, most_parts) = (self.entries_of_a_chunk(), 0_u64, window_tasks(context.window_bytes));
        for (row, span) in (block.start..).zip(self.spans(context, block.clone()).await?) {
            let bytes = self.row_bytes(span.1 - span.0);
            match windows.last_mut() {
                Some(window)
                    if window.bytes.saturating_add(bytes) <= context.window_bytes
                        && parts + parts_of(window.spans.last(), span, chunk) <= most_parts =>
                {
                    parts += parts_of(window.spans.last(), span, chunk);
                    window.rows.end = row + 1;
                    window.bytes += bytes;
                    window.spans.push(span);
                }
                _ => {
                    parts = parts_of(None, span, chunk);
                    windows.push(Window { rows: row..row + 1, bytes, spans: vec![span] });
                }
            }
        }
        Ok(windows)
    }

    async fn read(&self, context: &ReadContext, window: Window) -> Result<RecordBatch> {
        let (indices, values) = self.entries(context, &window.spans).await?;
        let (minor, index_type, form) = (self.minor.clone(), self.index_type.clone(), self.form);
        let (major_axis, minor_length) = (self.sparse.major, self.minor_length);
        // Filtering and filling are work for the pool, as decoding is, unless there is little of it.
        let columns = context.compute(window.bytes, move || {
            let (indices, values, offsets) = kept_entries(minor.as_deref(), indices, values, &window.spans)?;
            Ok(match form {
                Form::Lists => vec![lists(&index_type, indices.into_array(), values, &offsets)?],
                Form::Dense => vec![match indices {
                    Indices::Narrow(indices) => dense_rows::rows(&indices, &values, &offsets, minor_length)?,
                    Indices::Wide(indices) => dense_rows::rows(&indices, &values, &offsets, minor_length)?,
                }],
                Form::Coordinates => {
                    let indices = as_type(indices.into_array(), &ArrowType::Int64)?;
                    let indices = indices.as_primitive::<Int64Type>().clone();
                    coo::columns(major_axis, window.rows.start, indices, values, &offsets)
                }
            })
        });
        RecordBatch::try_new(self.schema(), columns.await?).map_err(arrow_error)
    }

    async fn plan(&self, context: &ReadContext, window: Window) -> Result<Vec<(String, ArrayPlan)>> {
        let spans = window.spans.iter().copied().filter(|(start, end)| end > start);
        let selection = [AxisSelection::Spans(spans.collect())];
        let mut plans = Vec::with_capacity(2);
        for path in [self.sparse.indices(), self.sparse.data()] {
            let plan = plan_array(context, &self.hierarchy, &path, &selection).await?;
            plans.push((path, plan));
        }
        Ok(plans)
    }
}

/// Chunks of `chunk` entries that the slice `(start, end)` touches beside those of the slice before it.
fn parts_of(before: Option<&(u64, u64)>, (start, end): (u64, u64), chunk: u64) -> u64 {
    if end <= start {
        return 0;
    }
    let known = before.is_some_and(|(_, last)| *last == start && start % chunk != 0);
    (end - 1) / chunk - start / chunk + u64::from(!known)
}

/// Refuses a selection on the axis of length `stored` that is not the major one, when the map of its
/// positions would crowd out the windows.
///
/// # Errors
/// `ResourceExhausted` when it does not fit a quarter of the memory budget.
pub fn check_minor(context: &ReadContext, selection: &AxisSelection, stored: u64) -> Result<()> {
    let positions = if selection.is_all(stored) { 0 } else { stored.saturating_add(selection.len()) };
    let (bytes, most) = (positions.saturating_mul(4), context.memory_bytes() / 4);
    if bytes <= most {
        return Ok(());
    }
    Err(Error::resource_exhausted(format!(
        "a selection across the stored axis of a sparse matrix takes {bytes} bytes, memory_budget has {most} bytes for that"
    )))
}

/// One list of (index, value) per output row. `indices` are of any type of integers.
fn lists(index_type: &ArrowType, indices: ArrayRef, values: ArrayRef, offsets: &[usize]) -> Result<ArrayRef> {
    let too_many = || Error::resource_exhausted("a window has more than 2^31 sparse entries");
    let offsets: Vec<i32> =
        offsets.iter().map(|at| i32::try_from(*at).map_err(|_| too_many())).collect::<Result<_>>()?;
    let indices = as_type(indices, index_type)?;
    let fields = entry_fields(index_type, values.data_type());
    let entries = StructArray::try_new(fields, vec![indices, values], None).map_err(arrow_error)?;
    let item = Arc::new(Field::new("item", entries.data_type().clone(), false));
    let lists = ListArray::try_new(item, OffsetBuffer::new(offsets.into()), Arc::new(entries), None);
    Ok(Arc::new(lists.map_err(arrow_error)?))
}

fn entry_fields(index_type: &ArrowType, value_type: &ArrowType) -> Fields {
    vec![Field::new("index", index_type.clone(), false), Field::new("value", value_type.clone(), false)].into()
}

/// Rows and columns of an answer of `slices` slices of the axis `axis`, each of `length` positions.
fn shape_of(axis: usize, slices: u64, length: u64) -> [u64; 2] {
    if axis == 0 { [slices, length] } else { [length, slices] }
}

/// `schema` with indices of `index_type` in its lists of entries; other forms have none.
fn with_index_type(schema: &SchemaRef, index_type: &ArrowType) -> SchemaRef {
    let retyped = |field: &Arc<Field>| match field.data_type() {
        ArrowType::List(item) => match item.data_type() {
            ArrowType::Struct(fields) if fields.len() == 2 => {
                let entries = ArrowType::Struct(entry_fields(index_type, fields[1].data_type()));
                let item = Field::new(item.name(), entries, item.is_nullable());
                Arc::new(field.as_ref().clone().with_data_type(ArrowType::List(Arc::new(item))))
            }
            _ => Arc::clone(field),
        },
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(retyped).collect::<Vec<_>>()))
}

/// The field of lists of entries of slices of axis `major`, marked with the form and the shape of the answer.
pub(super) fn entries_field(name: &str, index: &ArrowType, value: &ArrowType, major: usize, shape: [u64; 2]) -> Field {
    let item = Field::new("item", ArrowType::Struct(entry_fields(index, value)), false);
    let extension = if major == 0 { "sliceflight.csr_row" } else { "sliceflight.csc_column" };
    let metadata = serde_json::json!({ "shape": shape }).to_string();
    Field::new(name, ArrowType::List(Arc::new(item)), false).with_metadata(
        [
            ("ARROW:extension:name".to_owned(), extension.to_owned()),
            ("ARROW:extension:metadata".to_owned(), metadata),
            ("shape".to_owned(), serde_json::json!(shape).to_string()),
        ]
        .into(),
    )
}

fn width(data_type: &ArrowType) -> usize {
    data_type.primitive_width().unwrap_or(1)
}

/// Indices, values and offsets of the entries that `minor` keeps, of slices of the lengths of `spans`.
fn kept_entries(
    minor: Option<&MinorMap>,
    indices: Indices,
    values: ArrayRef,
    spans: &[(u64, u64)],
) -> Result<(Indices, ArrayRef, Vec<usize>)> {
    let mut offsets = Vec::with_capacity(spans.len() + 1);
    offsets.push(0_usize);
    for (start, end) in spans {
        offsets.push(offsets.last().copied().unwrap_or(0) + (end - start) as usize);
    }
    let Some(map) = minor else { return Ok((indices, values, offsets)) };
    let (indices, entries, offsets) = indices.kept(map, &offsets)?;
    let values = arrow::compute::take(&values, &UInt32Array::from(entries), None).map_err(arrow_error)?;
    Ok((indices, values, offsets))
}

/// Positions as another type of integers, which holds them.
fn as_type(positions: ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    if positions.data_type() == to {
        return Ok(positions);
    }
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(&positions, to, &options).map_err(arrow_error)
}

/// Integers of any type as unsigned 64-bit ones.
fn as_u64(array: &ArrayRef) -> Result<PrimitiveArray<UInt64Type>> {
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    let cast = arrow::compute::cast_with_options(array, &ArrowType::UInt64, &options);
    let cast = cast.map_err(|error| Error::data_loss(format!("expected integers from 0 on: {error}")))?;
    Ok(cast.as_primitive::<UInt64Type>().clone())
}
