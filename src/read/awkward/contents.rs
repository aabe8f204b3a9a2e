//! Reads selected elements of an awkward form, level by level: what a level holds tells what of the
//! next is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, ListArray, NullArray, StringArray, StructArray,
    UInt32Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Field, Int64Type, UInt8Type};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::schema::is_nullable;
use super::size::{average_bytes, bounds, is_consecutive};
use super::{buffer, item};
use crate::error::{Error, Result};
use crate::format::Hierarchy;
use crate::format::anndata::awkward::Form;
use crate::model::selection::AxisSelection;
use crate::read::array::Caching;
use crate::read::context::ReadContext;
use crate::read::to_arrow::arrow_error;

/// Fields of a record that are read at the same time.
const FIELDS_IN_FLIGHT: usize = 8;
/// Windows that one may be larger than its first lists promised.
const LARGEST_WINDOW: u64 = 4;

/// One window's reading.
pub(super) struct Reading<'a> {
    context: &'a ReadContext,
    hierarchy: &'a Hierarchy,
    /// Bytes gathered so far.
    gathered: AtomicU64,
}

impl<'a> Reading<'a> {
    pub(super) fn new(context: &'a ReadContext, hierarchy: &'a Hierarchy) -> Self {
        Self { context, hierarchy, gathered: AtomicU64::new(0) }
    }

    /// Estimated bytes of each element of `form` at `rows`: lists of the first level are measured.
    pub(super) fn row_bytes<'b>(&'b self, form: &'b Form, rows: AxisSelection) -> BoxFuture<'b, Result<Vec<u64>>>
    where
        'a: 'b,
    {
        async move {
            let tree = self.hierarchy.tree();
            let each = |lengths: Vec<(u64, u64)>, bytes: u64| {
                lengths.into_iter().map(|(start, end)| (end - start).saturating_mul(bytes).saturating_add(8)).collect()
            };
            Ok(match form {
                Form::List { offsets, content } => {
                    each(self.spans(offsets, &rows).await?, average_bytes(tree, content))
                }
                Form::Text { offsets, .. } => each(self.spans(offsets, &rows).await?, 1),
                Form::Masked { content, .. } => self.row_bytes(content, rows).await?,
                Form::Record { fields } => {
                    let mut sums = vec![1_u64; rows.len() as usize];
                    for (_, form) in fields {
                        let sizes = self.row_bytes(form, rows.clone()).await?;
                        sums.iter_mut().zip(sizes).for_each(|(sum, size)| *sum = sum.saturating_add(size));
                    }
                    sums
                }
                Form::Indexed { index, content, .. } => {
                    let places = self.integers(index, rows).await?;
                    let present = AxisSelection::Indices(present(&places));
                    let mut sizes = self.row_bytes(content, present).await?.into_iter();
                    places.iter().map(|place| if *place < 0 { 8 } else { sizes.next().unwrap_or(8) }).collect()
                }
                _ => vec![average_bytes(tree, form); rows.len() as usize],
            })
        }
        .boxed()
    }

    /// The elements of `form` at `rows`, in that order.
    pub(super) fn read<'b>(&'b self, form: &'b Form, rows: AxisSelection) -> BoxFuture<'b, Result<ArrayRef>>
    where
        'a: 'b,
    {
        async move {
            match form {
                Form::Empty if rows.is_empty() => Ok(Arc::new(NullArray::new(0)) as ArrayRef),
                Form::Empty => Err(Error::data_loss("elements of an empty array are asked for")),
                Form::Values { data } => self.buffer(data, rows, Caching::Bypass).await,
                Form::Text { offsets, data, is_text } => {
                    let spans = self.spans(offsets, &rows).await?;
                    self.texts(data, spans, *is_text).await
                }
                Form::List { offsets, content } => {
                    let spans = self.spans(offsets, &rows).await?;
                    self.lists(spans, content).await
                }
                Form::ListRanges { starts, stops, content } => {
                    let (starts, stops) =
                        tokio::try_join!(self.integers(starts, rows.clone()), self.integers(stops, rows))?;
                    let spans = starts.into_iter().zip(stops).map(|(start, stop)| checked_span(start, stop));
                    self.lists(spans.collect::<Result<_>>()?, content).await
                }
                Form::FixedList { size, content } => self.fixed_lists(*size, content, rows).await,
                Form::Record { fields } => self.record(fields, rows).await,
                Form::Indexed { index, optional, content } => self.indexed(index, *optional, content, rows).await,
                Form::Masked { mask, valid_when, bits, content } => {
                    let (valid, values) = tokio::try_join!(
                        self.validity(mask, *valid_when, *bits, rows.clone()),
                        self.read(content, rows)
                    )?;
                    with_nulls(values, valid)
                }
            }
        }
        .boxed()
    }

    /// The elements of the buffer at `path` at `rows`; counts them.
    async fn buffer(&self, path: &str, rows: AxisSelection, caching: Caching) -> Result<ArrayRef> {
        let item = self.hierarchy.tree().array(path)?.data_type.item_size() as u64;
        let bytes = rows.len().saturating_mul(item);
        let limit = self.context.window_bytes.saturating_mul(LARGEST_WINDOW);
        if self.gathered.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > limit {
            return Err(Error::resource_exhausted(format!(
                "the rows of one window hold more than {limit} bytes, stream_memory allows no more: ask for fewer rows"
            )));
        }
        buffer(self.context, self.hierarchy, path, rows, caching).await
    }

    async fn integers(&self, path: &str, rows: AxisSelection) -> Result<Vec<i64>> {
        let array = self.buffer(path, rows, Caching::Keep).await?;
        let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
        let cast = arrow::compute::cast_with_options(&array, &ArrowType::Int64, &options);
        let cast = cast.map_err(|error| Error::data_loss(format!("buffer '{path}': expected integers: {error}")))?;
        Ok(cast.as_primitive::<Int64Type>().values().to_vec())
    }

    /// Start and end of the lists at `rows` in their content.
    async fn spans(&self, offsets: &str, rows: &AxisSelection) -> Result<Vec<(u64, u64)>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.integers(offsets, bounds(rows)).await?;
        let pair = |pair: &[i64]| match pair {
            [start, stop] => checked_span(*start, *stop),
            _ => Err(Error::internal("offsets do not come in pairs")),
        };
        if is_consecutive(rows) {
            found.windows(2).map(pair).collect()
        } else {
            found.chunks_exact(2).map(pair).collect()
        }
    }

    async fn texts(&self, data: &str, spans: Vec<(u64, u64)>, is_text: bool) -> Result<ArrayRef> {
        let offsets = offsets_of(&spans)?;
        let bytes = self.buffer(data, filled(&spans), Caching::Bypass).await?;
        let bytes = bytes.as_primitive_opt::<UInt8Type>();
        let bytes = bytes.ok_or_else(|| Error::data_loss(format!("buffer '{data}' of texts holds no bytes")))?;
        let bytes = bytes.values().inner().clone();
        if !is_text {
            return Ok(Arc::new(BinaryArray::try_new(offsets, bytes, None).map_err(arrow_error)?));
        }
        let texts = StringArray::try_new(offsets, bytes, None);
        let texts = texts.map_err(|error| Error::data_loss(format!("buffer '{data}': text is not UTF-8: {error}")))?;
        Ok(Arc::new(texts))
    }

    async fn lists(&self, spans: Vec<(u64, u64)>, content: &Form) -> Result<ArrayRef> {
        let offsets = offsets_of(&spans)?;
        let items = self.read(content, filled(&spans)).await?;
        let field = item(&items, is_nullable(content));
        Ok(Arc::new(ListArray::try_new(field, offsets, items, None).map_err(arrow_error)?))
    }

    async fn fixed_lists(&self, size: u64, content: &Form, rows: AxisSelection) -> Result<ArrayRef> {
        let span = |row: u64| (row.saturating_mul(size), row.saturating_add(1).saturating_mul(size));
        let count = usize::try_from(rows.len()).map_err(|_| Error::resource_exhausted("too many lists"))?;
        let spans: Vec<_> = rows.positions().into_iter().map(span).collect();
        let items = self.read(content, filled(&spans)).await?;
        let field = item(&items, is_nullable(content));
        let size = i32::try_from(size).map_err(|_| Error::unimplemented("lists of more than 2^31 elements"))?;
        let lists = FixedSizeListArray::try_new_with_length(field, size, items, None, count);
        Ok(Arc::new(lists.map_err(arrow_error)?))
    }

    async fn record(&self, fields: &[(String, Form)], rows: AxisSelection) -> Result<ArrayRef> {
        let count = usize::try_from(rows.len()).map_err(|_| Error::resource_exhausted("too many records"))?;
        let reads: Vec<_> = fields.iter().map(|(_, form)| self.read(form, rows.clone())).collect();
        let columns: Vec<ArrayRef> = stream::iter(reads).buffered(FIELDS_IN_FLIGHT).try_collect().await?;
        if columns.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(count, None)));
        }
        let named = fields.iter().zip(&columns);
        let named = named.map(|((name, form), column)| Field::new(name, column.data_type().clone(), is_nullable(form)));
        Ok(Arc::new(StructArray::try_new(named.collect(), columns, None).map_err(arrow_error)?))
    }

    async fn indexed(&self, index: &str, optional: bool, content: &Form, rows: AxisSelection) -> Result<ArrayRef> {
        let places = self.integers(index, rows).await?;
        if !optional && places.iter().any(|place| *place < 0) {
            return Err(Error::data_loss(format!(
                "buffer '{index}': a negative position, where no value may be missing"
            )));
        }
        let values = self.read(content, AxisSelection::Indices(present(&places))).await?;
        if values.len() == places.len() {
            return Ok(values);
        }
        let mut next = 0_u32;
        let mut place = |position: &i64| {
            (*position >= 0).then(|| {
                next += 1;
                next - 1
            })
        };
        let taken: UInt32Array = places.iter().map(&mut place).collect();
        if values.data_type() == &ArrowType::Null {
            return Ok(Arc::new(NullArray::new(places.len())));
        }
        arrow::compute::take(&values, &taken, None).map_err(arrow_error)
    }

    /// Which of the elements at `rows` are there.
    async fn validity(
        &self,
        mask: &str,
        valid_when: bool,
        bits: Option<bool>,
        rows: AxisSelection,
    ) -> Result<BooleanBuffer> {
        let Some(least_first) = bits else {
            let mask = self.integers(mask, rows).await?;
            return Ok(mask.iter().map(|byte| (*byte != 0) == valid_when).collect());
        };
        let positions = rows.positions();
        let bytes = AxisSelection::Indices(positions.iter().map(|position| position / 8).collect());
        let bytes = self.integers(mask, bytes).await?;
        let bit = |(byte, position): (&i64, &u64)| {
            let shift = if least_first { position % 8 } else { 7 - position % 8 };
            ((byte >> shift) & 1 == 1) == valid_when
        };
        Ok(bytes.iter().zip(&positions).map(bit).collect())
    }
}

/// The positions that are not negative.
fn present(places: &[i64]) -> Arc<[u64]> {
    places.iter().filter_map(|place| u64::try_from(*place).ok()).collect()
}

fn checked_span(start: i64, stop: i64) -> Result<(u64, u64)> {
    match (u64::try_from(start), u64::try_from(stop)) {
        (Ok(start), Ok(stop)) if start <= stop => Ok((start, stop)),
        _ => Err(Error::data_loss(format!("a list from {start} to {stop}"))),
    }
}

/// The elements of all lists, one list after the other.
fn filled(spans: &[(u64, u64)]) -> AxisSelection {
    AxisSelection::Spans(spans.iter().copied().filter(|(start, end)| end > start).collect())
}

/// Offsets of lists of the lengths of `spans`, back to back.
fn offsets_of(spans: &[(u64, u64)]) -> Result<OffsetBuffer<i32>> {
    let mut offsets = Vec::with_capacity(spans.len() + 1);
    let mut end = 0_u64;
    offsets.push(0_i32);
    for (start, stop) in spans {
        end = end.saturating_add(stop - start);
        let too_many = |_| Error::resource_exhausted("a window has more than 2^31 elements in its lists");
        offsets.push(i32::try_from(end).map_err(too_many)?);
    }
    Ok(OffsetBuffer::new(offsets.into()))
}

/// `values` without those that are not `valid`.
fn with_nulls(values: ArrayRef, valid: BooleanBuffer) -> Result<ArrayRef> {
    if values.data_type() == &ArrowType::Null {
        return Ok(values);
    }
    let nulls = NullBuffer::union(Some(&NullBuffer::new(valid)), values.nulls());
    let data = values.to_data().into_builder().nulls(nulls).build().map_err(arrow_error)?;
    Ok(arrow::array::make_array(data))
}
