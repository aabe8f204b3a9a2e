//! The shares of a file: runs of row groups, each read by a task of its own.
//!
//! Sits between the files of a scan and the reading of one share. Leaves out row groups by their statistics,
//! loads the page index once for all shares, and says which bytes of a share are fetched together. Decodes nothing.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};

use super::files::FilePart;
use super::page_index;
use super::plan::Plan;
use super::pruning::Pruning;
use super::{Inner, TableFile, schema};
use crate::error::{Error, Result};

/// Row groups of fewer bytes share a task and its requests with their neighbours.
const SHARE_BYTES: u64 = 1 << 20;

/// Shares of a file at most: what a share costs grows with the file's row groups.
const MAX_SHARES: usize = 256;

/// Bytes of a row group's columns beside those of the filter that are fetched together with them: less than
/// what moves while another request would wait for its answer.
const BESIDE_FILTER_BYTES: u64 = 512 << 10;

/// Most and fewest decoded bytes of a share that wait for those before it.
const WAITING_BYTES: (u64, u64) = (256 << 10, 4 << 20);

/// A file that is read.
#[derive(Debug)]
pub(super) struct OpenFile {
    /// Place of the file in the table.
    pub(super) place: usize,
    /// The file.
    pub(super) file: Arc<TableFile>,
    /// Its footer, with the page index where the filter needs it.
    pub(super) footer: Arc<ParquetMetaData>,
    /// Whether some of its dictionaries have indices of another width than the table's.
    pub(super) recoded: bool,
}

/// Some row groups of a file.
#[derive(Debug)]
pub(super) struct Share {
    /// The file.
    pub(super) file: Arc<OpenFile>,
    /// Which row groups, and which rows of them.
    pub(super) groups: Vec<(usize, RowGroupAccess)>,
    /// What is fetched as soon as the share is read, all at once, by row group.
    pub(super) together: Vec<Vec<Range<u64>>>,
    /// Compressed bytes of the needed columns.
    bytes: u64,
}

impl Share {
    /// URL of its file.
    pub(super) fn url(&self) -> &str {
        &self.file.file.url
    }

    /// Bytes that reading it holds: compressed, and decoded ones that wait.
    pub(super) fn held_bytes(&self) -> u64 {
        self.bytes.saturating_add(self.waiting_bytes() as u64)
    }

    /// Decoded bytes that may wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        let (least, most) = WAITING_BYTES;
        usize::try_from(self.bytes.saturating_mul(4).clamp(least, most)).unwrap_or(usize::MAX)
    }

    /// What the decoder is told to read.
    pub(super) fn access_plan(&self) -> ParquetAccessPlan {
        let mut plan = ParquetAccessPlan::new_none(self.file.footer.num_row_groups());
        for (group, access) in &self.groups {
            plan.set(*group, access.clone());
        }
        plan
    }
}

/// The shares of `part`, in row order. Reads the file's footer, and its page index where pages may be left out.
///
/// # Errors
/// Those of reading; `FailedPrecondition` when the file's schema differs from the table's.
pub(super) async fn shares(table: &Inner, plan: &Plan, part: FilePart) -> Result<Vec<Share>> {
    let missing = || Error::internal(format!("the table has no file {}", part.file));
    let file = table.files.get(part.file).ok_or_else(missing)?;
    let footer = table.footers.get(part.file).await?;
    let recoded = schema::check(&table.schema, &footer, &file.url)?;
    let pruning = Pruning::of(table, plan, &footer, &file.url)?;
    let mut groups = wanted(&footer, part.rows.as_ref())?;
    groups.retain(|(group, _)| pruning.keeps(*group));
    let leaves = Leaves::of(plan, &footer);
    let kept = groups.iter().map(|(group, _)| *group);
    let is_paged = pruning.decides_by_pages(kept.clone()) && leaves.are_indexed(&footer, kept);
    let footer = if is_paged { page_index::load(file, &footer).await? } else { footer };
    let file = Arc::new(OpenFile { place: part.file, file: Arc::clone(file), footer, recoded });
    Ok(divided(&file, &leaves, groups, is_paged))
}

/// Puts neighbouring row groups together as long as they are small and their bytes are fetched at once.
fn divided(file: &Arc<OpenFile>, leaves: &Leaves, groups: Vec<(usize, RowGroupAccess)>, is_paged: bool) -> Vec<Share> {
    let fewest = groups.len().div_ceil(MAX_SHARES);
    let mut shares: Vec<Share> = Vec::new();
    for (number, access) in groups {
        let Some(group) = file.footer.row_groups().get(number) else { continue };
        let whole = matches!(access, RowGroupAccess::Scan);
        let (bytes, together) = leaves.bytes(group);
        let together = if whole && !is_paged && !together.is_empty() { vec![together] } else { Vec::new() };
        match shares.last_mut() {
            Some(last)
                if last.groups.len() < fewest
                    || (!together.is_empty()
                        && !last.together.is_empty()
                        && last.bytes.saturating_add(bytes) <= SHARE_BYTES) =>
            {
                last.groups.push((number, access));
                last.together.extend(together);
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ => shares.push(Share { file: Arc::clone(file), groups: vec![(number, access)], together, bytes }),
        }
    }
    shares
}

/// The stored columns that a scan needs of a file, by their place.
struct Leaves {
    filter: Vec<usize>,
    others: Vec<usize>,
}

impl Leaves {
    fn of(plan: &Plan, footer: &ParquetMetaData) -> Self {
        let filter: HashSet<&str> = plan.filter_columns().collect();
        let scanned: HashSet<&str> = plan.scanned_columns().collect();
        let mut leaves = Self { filter: Vec::new(), others: Vec::new() };
        for (leaf, column) in footer.file_metadata().schema_descr().columns().iter().enumerate() {
            let Some(root) = column.path().parts().first() else { continue };
            if filter.contains(root.as_str()) {
                leaves.filter.push(leaf);
            } else if scanned.contains(root.as_str()) {
                leaves.others.push(leaf);
            }
        }
        leaves
    }

    /// Compressed bytes of the needed columns of a row group, and the ranges that are fetched together.
    fn bytes(&self, group: &RowGroupMetaData) -> (u64, Vec<Range<u64>>) {
        let found = |leaves: &[usize]| -> Vec<Range<u64>> {
            leaves.iter().filter_map(|leaf| group.columns().get(*leaf)).filter_map(stored).collect()
        };
        let length =
            |ranges: &[Range<u64>]| ranges.iter().fold(0_u64, |sum, range| sum.saturating_add(range.end - range.start));
        let (mut together, others) = (found(&self.filter), found(&self.others));
        let beside = length(&others);
        let bytes = length(&together).saturating_add(beside);
        if self.filter.is_empty() || beside <= BESIDE_FILTER_BYTES {
            together.extend(others);
        }
        (bytes, together)
    }

    /// Whether a column of the filter has a page index in one of `groups`.
    fn are_indexed(&self, footer: &ParquetMetaData, groups: impl Iterator<Item = usize>) -> bool {
        let has_index = |column: &ColumnChunkMetaData| {
            column.column_index_offset().is_some() && column.offset_index_offset().is_some()
        };
        groups
            .filter_map(|group| footer.row_groups().get(group))
            .any(|group| self.filter.iter().filter_map(|leaf| group.columns().get(*leaf)).any(has_index))
    }
}

/// Where a column of a row group is; none when the footer cannot be true, which the decoder says.
fn stored(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset())).ok()?;
    let length = u64::try_from(column.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

/// The row groups that hold `rows`, all when none are named; the first and last of them in part.
fn wanted(footer: &ParquetMetaData, rows: Option<&Range<u64>>) -> Result<Vec<(usize, RowGroupAccess)>> {
    let mut start = 0_u64;
    let mut groups = Vec::with_capacity(footer.num_row_groups());
    for (number, group) in footer.row_groups().iter().enumerate() {
        let count =
            u64::try_from(group.num_rows()).map_err(|_| Error::data_loss("a row group of less than no rows"))?;
        let end = start.saturating_add(count);
        let (from, to) = rows.map_or((start, end), |rows| (rows.start.max(start), rows.end.min(end)));
        match (from, to) {
            _ if from >= to => {}
            _ if to - from == count => groups.push((number, RowGroupAccess::Scan)),
            _ => {
                let selection = selection(from - start, to - from, end - to)?;
                groups.push((number, RowGroupAccess::Selection(selection)));
            }
        }
        start = end;
    }
    Ok(groups)
}

fn selection(before: u64, taken: u64, after: u64) -> Result<RowSelection> {
    let rows = |count: u64| usize::try_from(count).map_err(|_| Error::resource_exhausted("a row group beyond memory"));
    let selectors =
        [RowSelector::skip(rows(before)?), RowSelector::select(rows(taken)?), RowSelector::skip(rows(after)?)];
    Ok(RowSelection::from(selectors.into_iter().filter(|selector| selector.row_count > 0).collect::<Vec<_>>()))
}
