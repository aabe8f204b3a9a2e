//! Builds one index: one pass over the matrix, then one over the sorted runs.
//!
//! Reads a bounded number of entries at a time, sorts them on the pool, and never has more than
//! `stream_memory` bytes of them. A matrix whose rows are found not to ascend by column is begun anew with the
//! place of each entry in its row, which the answer's order needs.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, StreamExt};

use super::matrix::{Matrix, Parts, columns_of};
use super::record::Record;
use super::runs::{Entries, Merged, Runs};
use super::store::Workplace;
use crate::error::{Error, Result, ResultExt};
use crate::format::zarr::write::{ArrayWriter, WrittenFile, write_group};
use crate::model::data_type::DataType;
use crate::model::selection::AxisSelection;
use crate::read::array::{Caching, Values, read_array};
use crate::read::context::ReadContext;

/// Rows whose pointers are read together.
const POINTER_ROWS: u64 = 64 * 1024;
/// Bytes of the pointers of such a block while they are read.
const POINTER_BYTES: u64 = POINTER_ROWS * 24;
/// Bytes of memory for each column: totals, offsets, and places in a run.
const COLUMN_BYTES: u64 = 24;
/// Pieces that are read while one is sorted.
const PIECES_IN_FLIGHT: usize = 2;
/// The part of the progress that is the pass over the matrix, of 1000.
const PASS: u64 = 700;

/// How far a build is, of 1000.
pub(super) type Progress = AtomicU64;

/// Memory of one build.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Entries of a run.
    run: u64,
    /// Entries that are merged together.
    block: u64,
}

/// Builds the index of `matrix` at `place`, and publishes it.
///
/// # Errors
/// `Unimplemented` for a matrix that has no index, `ResourceExhausted` naming the bound that it does not fit,
/// the errors of reading the matrix, `Unavailable` when the disk fails.
pub(super) async fn build(
    context: &ReadContext,
    matrix: &Matrix,
    place: Workplace,
    progress: &Progress,
) -> Result<Record> {
    let parts = matrix.parts()?;
    // All of what one stream may have, as long as it takes.
    let bytes = context.window_bytes.saturating_mul(4);
    let _permit = context.reserve(bytes).await?;
    let sorting = Sorting { context, matrix, parts: &parts, progress };
    let runs = match sorting.runs(&place, bytes, false).await? {
        Some(runs) => runs,
        None => sorting.runs(&place, bytes, true).await?.ok_or_else(|| Error::internal("places were not kept"))?,
    };
    let (is_ordered, room) = (runs.is_ordered, room(&parts, bytes, !runs.is_ordered)?);
    let entries = runs.totals.iter().fold(0_u64, |total, count| total.saturating_add(*count));
    let (place, files) = merge(context, runs, place, room, (matrix, &parts), progress).await?;
    let node = matrix.sparse.path.clone();
    let record = Record::new(matrix.url.clone(), node, matrix.identity.clone(), entries, is_ordered);
    let finish = move || {
        let record = record.with_files(place.folder(), &files)?;
        place.publish(&record)?;
        Ok(record)
    };
    context.decode(finish).await
}

/// How many entries fit `bytes`.
fn room(parts: &Parts, bytes: u64, with_places: bool) -> Result<Room> {
    let fixed = u64::from(parts.columns).saturating_mul(COLUMN_BYTES).saturating_add(POINTER_BYTES);
    if fixed > bytes / 2 {
        return Err(Error::resource_exhausted(format!(
            "a column index of {} columns takes {fixed} bytes beside its entries, stream_memory has {} for that",
            parts.columns,
            bytes / 2
        )));
    }
    let (index, value) = (parts.index_type.item_size() as u64, parts.value_type.item_size() as u64);
    let places = if with_places { 4 } else { 0 };
    // Two pieces as they are stored, columns, and the run as it is sorted and as it is written.
    let sorted = 2 * (index + value) + 12 + value + 2 * places;
    let merged = 2 * (4 + value + places) + 4;
    let left = bytes - fixed;
    let run = (left / sorted).clamp(1, u64::from(u32::MAX) / 2);
    // Whole chunks, so that each is decoded once.
    let run = if run > parts.chunk { run - run % parts.chunk } else { run };
    Ok(Room { run, block: (left / merged).max(1) })
}

/// The pass over a matrix.
struct Sorting<'a> {
    context: &'a ReadContext,
    matrix: &'a Matrix,
    parts: &'a Parts,
    progress: &'a Progress,
}

/// Pointers of a block of rows.
#[derive(Debug)]
struct Block {
    first_row: u64,
    pointers: Vec<u64>,
}

impl Sorting<'_> {
    /// All entries in sorted runs; none when rows are not in order and `with_places` is not set.
    async fn runs(&self, place: &Workplace, bytes: u64, with_places: bool) -> Result<Option<Runs>> {
        let room = room(self.parts, bytes, with_places)?;
        let (columns, width) = (self.parts.columns as usize, self.parts.value_type.item_size());
        let entry = 4 + width as u64 + if with_places { 4 } else { 0 };
        place.hold(self.parts.entries.saturating_mul(entry))?;
        let mut runs = Runs::create(&place.folder().join("runs"), columns, width, with_places)?;
        let starts = (0..self.parts.rows).step_by(POINTER_ROWS as usize);
        let mut last = 0;
        for start in starts {
            let block = self.block(start, last).await?;
            last = block.pointers.last().copied().unwrap_or(last);
            let block = Arc::new(block);
            let pieces = pieces(&block.pointers, room.run);
            let reads = pieces.map(|piece| self.read(piece));
            let mut reads = stream::iter(reads).buffered(PIECES_IN_FLIGHT);
            while let Some(read) = reads.next().await {
                runs = self.sort(runs, read?, Arc::clone(&block)).await?;
                if !runs.is_ordered && !with_places {
                    return Ok(None);
                }
            }
            place.hold(runs.bytes().max(self.parts.entries.saturating_mul(entry)))?;
        }
        Ok(Some(runs))
    }

    /// The pointers of the rows from `first_row` on, which begin at entry `last` or behind it.
    async fn block(&self, first_row: u64, last: u64) -> Result<Block> {
        let count = POINTER_ROWS.min(self.parts.rows - first_row);
        let selection = [AxisSelection::Range { start: first_row, step: 1, count: count + 1 }];
        let (hierarchy, path) = (&self.matrix.hierarchy, self.matrix.sparse.indptr());
        let read = read_array(self.context, hierarchy, &path, &selection, Caching::Bypass).await?;
        let Values::Fixed(bytes) = read.values else {
            return Err(Error::data_loss(format!("pointers '{path}' are no integers")));
        };
        let pointers = pointers_of(&read.data_type, bytes.as_slice()).with_context(|| format!("pointers '{path}'"))?;
        let in_order = pointers.is_sorted() && pointers.first().is_some_and(|first| *first >= last);
        if !in_order || pointers.last().is_some_and(|end| *end > self.parts.entries) {
            return Err(Error::data_loss(format!(
                "pointers '{path}' do not lie in order within {} entries",
                self.parts.entries
            )));
        }
        Ok(Block { first_row, pointers })
    }

    /// Indices and values of `entries` as stored, and where they begin.
    async fn read(&self, entries: Range<u64>) -> Result<(u64, Values, Values)> {
        let selection = [AxisSelection::Range { start: entries.start, step: 1, count: entries.end - entries.start }];
        let (hierarchy, sparse) = (&self.matrix.hierarchy, &self.matrix.sparse);
        let (indices, data) = (sparse.indices(), sparse.data());
        let (indices, data) = tokio::try_join!(
            read_array(self.context, hierarchy, &indices, &selection, Caching::Bypass),
            read_array(self.context, hierarchy, &data, &selection, Caching::Bypass),
        )?;
        Ok((entries.start, indices.values, data.values))
    }

    async fn sort(&self, mut runs: Runs, read: (u64, Values, Values), block: Arc<Block>) -> Result<Runs> {
        let (first, Values::Fixed(indices), Values::Fixed(values)) = read else {
            return Err(Error::data_loss(format!("'{}' has no numbers", self.matrix.sparse.path)));
        };
        let (index_type, columns, path) =
            (self.parts.index_type.clone(), self.parts.columns, self.matrix.sparse.indices());
        let sort = move || {
            let columns = columns_of(&index_type, indices.as_slice(), columns);
            let columns = columns.with_context(|| format!("indices '{path}'"))?;
            drop(indices);
            let (values, pointers) = (values.as_slice(), block.pointers.as_slice());
            let count = columns.len() as u64;
            runs.append(&Entries { columns: &columns, values, first, first_row: block.first_row, pointers })?;
            Ok((runs, first + count))
        };
        let (runs, done) = self.context.decode(sort).await?;
        self.progress.store(done.saturating_mul(PASS) / self.parts.entries.max(1), Ordering::Relaxed);
        Ok(runs)
    }
}

/// The entries between the first and the last of `pointers` in pieces of `most`, that end at multiples of it.
fn pieces(pointers: &[u64], most: u64) -> impl Iterator<Item = Range<u64>> + use<> {
    let (start, end) = (pointers.first().copied().unwrap_or(0), pointers.last().copied().unwrap_or(0));
    let piece = move |at: u64| at..end.min((at / most + 1).saturating_mul(most));
    std::iter::successors((start < end).then(|| piece(start)), move |last| (last.end < end).then(|| piece(last.end)))
}

/// Pointers of any type of integer.
fn pointers_of(data_type: &DataType, bytes: &[u8]) -> Result<Vec<u64>> {
    macro_rules! read {
        ($type:ty) => {{
            let (items, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
            let pointer = |item: &[u8; size_of::<$type>()]| u64::try_from(<$type>::from_le_bytes(*item));
            items
                .iter()
                .map(|item| pointer(item).map_err(|_| Error::data_loss("expected integers from 0 on")))
                .collect()
        }};
    }
    match data_type {
        DataType::Int32 => read!(i32),
        DataType::Int64 => read!(i64),
        DataType::UInt32 => read!(u32),
        DataType::Int8 => read!(i8),
        DataType::Int16 => read!(i16),
        DataType::UInt16 => read!(u16),
        DataType::UInt8 => Ok(bytes.iter().map(|byte| u64::from(*byte)).collect()),
        DataType::UInt64 => {
            let (items, _) = bytes.as_chunks::<8>();
            Ok(items.iter().map(|item| u64::from_le_bytes(*item)).collect())
        }
        other => Err(Error::unimplemented(format!("sparse pointers of {}", other.name()))),
    }
}

/// The arrays of an index.
struct Writers {
    rows: ArrayWriter,
    places: Option<ArrayWriter>,
    values: ArrayWriter,
}

impl Writers {
    fn create(folder: &Path, parts: &Parts, with_places: bool) -> Result<Self> {
        let places = with_places.then(|| ArrayWriter::new(folder, "places", &DataType::UInt32)).transpose()?;
        Ok(Self {
            rows: ArrayWriter::new(folder, "indices", &DataType::UInt32)?,
            places,
            values: ArrayWriter::new(folder, "data", &parts.value_type)?,
        })
    }

    fn append(&mut self, merged: &Merged) -> Result<()> {
        self.rows.append(&merged.rows)?;
        if let Some(places) = &mut self.places {
            places.append(&merged.places)?;
        }
        self.values.append(&merged.values)
    }

    fn bytes(&self) -> u64 {
        let places = self.places.as_ref().map_or(0, ArrayWriter::bytes);
        self.rows.bytes().saturating_add(self.values.bytes()).saturating_add(places)
    }

    fn finish(self) -> Result<Vec<WrittenFile>> {
        let mut files = self.rows.finish()?;
        files.extend(self.values.finish()?);
        if let Some(places) = self.places {
            files.extend(places.finish()?);
        }
        Ok(files)
    }
}

/// What is merged in one go.
enum Step {
    /// Whole columns.
    Columns(Range<usize>, u64),
    /// Entries of one run, of a column that is too long.
    Part(usize, Range<u64>),
}

/// Writes the entries column by column; gives the files.
async fn merge(
    context: &ReadContext,
    runs: Runs,
    place: Workplace,
    room: Room,
    (matrix, parts): (&Matrix, &Parts),
    progress: &Progress,
) -> Result<(Workplace, Vec<WrittenFile>)> {
    let mut writers = Writers::create(place.folder(), parts, !runs.is_ordered)?;
    let total = runs.totals.iter().fold(0_u64, |total, count| total.saturating_add(*count)).max(1);
    let entry = 4 + parts.value_type.item_size() as u64 + if runs.is_ordered { 0 } else { 4 };
    let (mut runs, mut place) = (runs, place);
    let (mut next, mut done) = (0_usize, 0_u64);
    while next < runs.totals.len() {
        let (columns, entries) = columns_from(&runs.totals, next, room.block);
        next = columns.end;
        let work = move || {
            // What comes as if it were not compressed.
            let coming = entries.saturating_mul(entry);
            place.hold(runs.bytes().saturating_add(writers.bytes()).saturating_add(coming))?;
            for step in steps(&runs, columns, entries, room.block)? {
                let merged = match step {
                    Step::Columns(columns, entries) => runs.merged(columns, entries)?,
                    Step::Part(run, entries) => runs.read_part(run, entries)?,
                };
                writers.append(&merged)?;
            }
            Ok((runs, place, writers))
        };
        (runs, place, writers) = context.decode(work).await?;
        done += entries;
        progress.store(PASS + done.saturating_mul(1000 - PASS) / total, Ordering::Relaxed);
    }
    let attributes = attributes(matrix);
    let finish = move || {
        let mut files = writers.finish()?;
        let mut pointers = ArrayWriter::new(place.folder(), "indptr", &DataType::Int64)?;
        let mut end = 0_u64;
        pointers.append(&end.to_le_bytes())?;
        for count in &runs.totals {
            end += count;
            pointers.append(&end.to_le_bytes())?;
        }
        files.extend(pointers.finish()?);
        files.push(write_group(place.folder(), attributes)?);
        drop(runs);
        drop(std::fs::remove_file(place.folder().join("runs")));
        Ok((place, files))
    };
    context.decode(finish).await
}

/// The columns from `first` on that have at most `most` entries together, and how many those are; at least one.
fn columns_from(totals: &[u64], first: usize, most: u64) -> (Range<usize>, u64) {
    let (mut end, mut entries) = (first, 0_u64);
    for count in totals.iter().skip(first) {
        if end > first && entries.saturating_add(*count) > most {
            break;
        }
        entries = entries.saturating_add(*count);
        end += 1;
    }
    (first..end, entries)
}

fn steps(runs: &Runs, columns: Range<usize>, entries: u64, most: u64) -> Result<Vec<Step>> {
    if entries <= most {
        return Ok(vec![Step::Columns(columns, entries)]);
    }
    let parts = runs.parts(columns.start, most)?;
    Ok(parts.into_iter().map(|(run, entries)| Step::Part(run, entries)).collect())
}

/// What anndata says of the matrix that the index is.
fn attributes(matrix: &Matrix) -> crate::model::tree::Attributes {
    let encoding = if matrix.across() == 1 { "csc_matrix" } else { "csr_matrix" };
    let mut attributes = crate::model::tree::Attributes::new();
    attributes.insert("encoding-type".into(), encoding.into());
    attributes.insert("encoding-version".into(), "0.1.0".into());
    attributes.insert("shape".into(), serde_json::json!(matrix.sparse.shape));
    attributes
}
