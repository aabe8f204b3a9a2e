//! Selectors of one axis to positions.
//!
//! Sits between the request's selectors and planning. Every selector narrows what the ones before it
//! left: positions, masks and slices count within that subset, `names` and `where` look at its
//! elements. Reads names, and the columns that a `where` names, at most once per selector.

use std::collections::HashMap;
use std::fmt::Debug;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, LargeStringArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;

use super::predicate::Predicate;
use super::slice;
use crate::error::{Error, Result, ResultExt};
use crate::model::request::Selector;
use crate::model::selection::AxisSelection;

/// Most positions that a list of indices, a mask, names or a filter may select one by one (8 bytes
/// each). Ranges are not bounded.
pub const MAX_POSITIONS: u64 = 1 << 25;

/// Most missing names that an error lists.
const MAX_NAMES_IN_ERROR: usize = 5;

/// The table along one axis: its names and its columns.
#[async_trait]
pub trait AxisTable: Debug + Send + Sync {
    /// Columns of the table, the index column under its name; none for an axis without a table.
    fn schema(&self) -> SchemaRef;

    /// Names of all positions, a text array (`Utf8`, `LargeUtf8`, `Utf8View`, or a dictionary of one).
    ///
    /// # Errors
    /// `InvalidArgument` when the axis has no names, and the errors of reading them.
    async fn names(&self) -> Result<ArrayRef>;

    /// All rows of the named columns, in that order.
    ///
    /// # Errors
    /// `InvalidArgument` when the axis has no table, and the errors of reading it.
    async fn columns(&self, names: &[String]) -> Result<RecordBatch>;
}

/// The axis of a plain array: it has neither names nor a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTable;

#[async_trait]
impl AxisTable for NoTable {
    fn schema(&self) -> SchemaRef {
        SchemaRef::new(arrow::datatypes::Schema::empty())
    }

    async fn names(&self) -> Result<ArrayRef> {
        Err(Error::invalid("the axis has no names: select by slice, index or mask"))
    }

    async fn columns(&self, _names: &[String]) -> Result<RecordBatch> {
        Err(Error::invalid("the axis has no table for a where: select by slice, index or mask"))
    }
}

/// The positions that `selectors` leave of an axis of `length`, composed left to right; all of them
/// when there are no selectors.
///
/// # Errors
/// `InvalidArgument` for a malformed selector, `OutOfRange` for an index outside, `NotFound` for a
/// missing name or column, `ResourceExhausted` beyond [`MAX_POSITIONS`], and the errors of `table`.
pub async fn resolve(selectors: &[Selector], length: u64, table: &dyn AxisTable) -> Result<AxisSelection> {
    let mut selection = AxisSelection::all(length);
    for selector in selectors {
        selection = narrow(&selection, selector, length, table).await?;
    }
    Ok(selection)
}

async fn narrow(
    selection: &AxisSelection,
    selector: &Selector,
    length: u64,
    table: &dyn AxisTable,
) -> Result<AxisSelection> {
    let so_far = selection.len();
    let inner = match selector {
        Selector::All => return Ok(selection.clone()),
        Selector::Slice { start, stop, step } => slice::slice(*start, *stop, *step, so_far)?,
        Selector::Integer(index) => from_positions(vec![slice::position(*index, so_far)?]),
        Selector::Index(indices) => {
            check_count(indices.len() as u64, "indices")?;
            from_positions(indices.iter().map(|index| slice::position(*index, so_far)).collect::<Result<_>>()?)
        }
        Selector::Mask { bits, length } => mask(bits, *length, so_far)?,
        Selector::Names(names) => {
            check_count(names.len() as u64, "names")?;
            let axis_names = text(&table.names().await?)?;
            check_rows(axis_names.len(), length, "names")?;
            let (names, selection) = (names.clone(), selection.clone());
            computed(move || find_names(&names, &axis_names, &selection)).await?
        }
        Selector::Where(filter) => return keep(selection, filter, length, table).await,
    };
    inner.compose(selection)
}

/// The positions of `selection`, in its order, whose rows meet `filter`.
async fn keep(selection: &AxisSelection, filter: &str, length: u64, table: &dyn AxisTable) -> Result<AxisSelection> {
    let schema = table.schema();
    if schema.fields().is_empty() {
        return Err(Error::invalid("the axis has no table for a where: select by slice, index or mask"));
    }
    let predicate = Predicate::parse(filter, schema)?;
    let batch = if predicate.columns().is_empty() {
        rows_without_columns(length)?
    } else {
        table.columns(predicate.columns()).await?
    };
    check_rows(batch.num_rows(), length, "the columns of the filter")?;
    let selection = selection.clone();
    computed(move || {
        let matches = predicate.evaluate(&batch)?;
        matching(&selection, &matches)
    })
    .await
    .with_context(|| "where")
}

fn matching(selection: &AxisSelection, matches: &BooleanArray) -> Result<AxisSelection> {
    let holds = |position: &u64| {
        usize::try_from(*position).is_ok_and(|row| row < matches.len() && !matches.is_null(row) && matches.value(row))
    };
    let mut positions = Vec::new();
    for position in each(selection).filter(holds) {
        positions.push(position);
        check_count(positions.len() as u64, "rows that meet the filter")?;
    }
    Ok(from_positions(positions))
}

/// The set bits among `length` positions.
fn mask(bits: &[u8], stated: Option<u64>, length: u64) -> Result<AxisSelection> {
    if let Some(found) = stated.filter(|found| *found != length) {
        return Err(Error::invalid(format!("mask has {found} positions, expected {length}")));
    }
    let expected = length.div_ceil(8);
    if bits.len() as u64 != expected {
        let found = bits.len();
        return Err(Error::invalid(format!("mask has {found} bytes, expected {expected} for {length} positions")));
    }
    let used = length % 8;
    if let Some(last) = bits.last().filter(|last| used != 0 && **last >> used != 0) {
        return Err(Error::invalid(format!(
            "mask sets bits beyond its {length} positions: last byte is {last:#010b}, expected 0 from bit {used} on"
        )));
    }
    check_count(bits.iter().map(|byte| u64::from(byte.count_ones())).sum(), "positions of a mask")?;
    let mut positions = Vec::new();
    for (byte, base) in bits.iter().zip((0_u64..).step_by(8)) {
        positions.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| base + bit));
    }
    Ok(from_positions(positions))
}

/// Where each of the asked names is within `selection`.
fn find_names(asked: &[String], names: &LargeStringArray, selection: &AxisSelection) -> Result<AxisSelection> {
    enum Found {
        Nowhere,
        Once(u64),
        Again,
    }
    let mut places: HashMap<&str, Found> = asked.iter().map(|name| (name.as_str(), Found::Nowhere)).collect();
    for (index, position) in (0_u64..).zip(each(selection)) {
        let row = usize::try_from(position).ok().filter(|row| *row < names.len() && names.is_valid(*row));
        if let Some(place) = row.and_then(|row| places.get_mut(names.value(row))) {
            *place = if matches!(place, Found::Nowhere) { Found::Once(index) } else { Found::Again };
        }
    }
    let mut positions = Vec::with_capacity(asked.len());
    let mut missing: Vec<&str> = Vec::new();
    for name in asked {
        match places.get(name.as_str()) {
            Some(Found::Once(index)) => positions.push(*index),
            Some(Found::Again) => {
                return Err(Error::invalid(format!("name {name:?} is not unique on the axis: select it by index")));
            }
            _ => missing.push(name),
        }
    }
    if missing.is_empty() { Ok(from_positions(positions)) } else { Err(names_missing(&missing, selection.len())) }
}

fn names_missing(missing: &[&str], length: u64) -> Error {
    let shown: Vec<String> = missing.iter().take(MAX_NAMES_IN_ERROR).map(|name| format!("{name:?}")).collect();
    let more = match missing.len().saturating_sub(MAX_NAMES_IN_ERROR) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::not_found(format!("names not found among {length} on the axis: {}{more}", shown.join(", ")))
}

/// The names as one plain text array.
fn text(names: &ArrayRef) -> Result<LargeStringArray> {
    let value_type = match names.data_type() {
        DataType::Dictionary(_, value_type) => value_type.as_ref(),
        other => other,
    };
    if !value_type.is_string() {
        return Err(Error::invalid(format!("the axis's names are {value_type}, expected text: select by index")));
    }
    let plain = arrow::compute::cast(names, &DataType::LargeUtf8)
        .map_err(|error| Error::internal("names cannot be read as text").with_source(error))?;
    Ok(plain.as_string::<i64>().clone())
}

/// Positions as a selection: a range when they follow each other.
fn from_positions(positions: Vec<u64>) -> AxisSelection {
    let Some(start) = positions.first().copied() else {
        return AxisSelection::Range { start: 0, step: 1, count: 0 };
    };
    if positions.iter().zip(start..).all(|(position, expected)| *position == expected) {
        return AxisSelection::Range { start, step: 1, count: positions.len() as u64 };
    }
    AxisSelection::Indices(positions.into())
}

/// The positions one after the other, without a list of them.
fn each(selection: &AxisSelection) -> Box<dyn Iterator<Item = u64> + '_> {
    match selection {
        AxisSelection::Spans(spans) => Box::new(spans.iter().flat_map(|(start, end)| *start..*end)),
        AxisSelection::Indices(indices) => Box::new(indices.iter().copied()),
        AxisSelection::Range { .. } => Box::new((0..selection.len()).filter_map(|index| selection.get(index))),
    }
}

fn rows_without_columns(length: u64) -> Result<RecordBatch> {
    let rows = usize::try_from(length).map_err(|_| Error::resource_exhausted("the axis is longer than memory"))?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(NoTable.schema(), Vec::new(), &options)
        .map_err(|error| Error::internal("rows without columns").with_source(error))
}

fn check_count(found: u64, what: &str) -> Result<()> {
    if found > MAX_POSITIONS {
        return Err(Error::resource_exhausted(format!("{found} {what}, at most {MAX_POSITIONS} are possible")));
    }
    Ok(())
}

fn check_rows(found: usize, length: u64, what: &str) -> Result<()> {
    if found as u64 != length {
        return Err(Error::data_loss(format!("{what}: found {found} rows, expected {length} as the axis is long")));
    }
    Ok(())
}

/// Runs work on many rows off the threads that wait for the network.
async fn computed<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("evaluating a selector failed").with_source(error))?
}

#[cfg(test)]
mod tests;
