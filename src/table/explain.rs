//! What a scan would read, from the footers: an upper bound, as pruning by pages happens on the way.

use futures::{StreamExt, TryStreamExt};
use parquet::file::metadata::ParquetMetaData;

use super::plan::Plan;
use super::{ScanRequest, Table};
use crate::error::Result;

/// Upper bounds of a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanEstimate {
    /// Files with row groups to read: URL, row groups, compressed bytes of the needed columns.
    pub files: Vec<(String, u64, u64)>,
}

impl Table {
    /// The files, row groups and bytes that `request` reads at most. Row groups are left out by row
    /// range and by partition values; leaving out more by statistics happens during the scan.
    ///
    /// # Errors
    /// As [`Table::scan`]'s own checks and [`Table::count_rows`].
    pub async fn estimate(&self, request: &ScanRequest) -> Result<ScanEstimate> {
        let table = &self.inner;
        let plan = Plan::new(table, request)?;
        let footers: Vec<_> = futures::stream::iter(0..table.files.len())
            .map(|index| table.footers.get(index))
            .buffered(table.options.concurrent_footers.max(1))
            .try_collect()
            .await?;
        let mut estimate = ScanEstimate::default();
        let mut first_row = 0_u64;
        for (index, footer) in footers.iter().enumerate() {
            let excluded = plan.excludes(table, index)?;
            let (groups, compressed) = needed(footer, &plan, &mut first_row);
            if groups == 0 || excluded {
                continue;
            }
            let url = table.files.get(index).map(|file| file.url.clone()).unwrap_or_default();
            estimate.files.push((url, groups, compressed));
        }
        Ok(estimate)
    }
}

/// Row groups and compressed bytes that `plan` needs of a file whose first row is
/// `first_row`; moves that on to the next file.
fn needed(footer: &ParquetMetaData, plan: &Plan, first_row: &mut u64) -> (u64, u64) {
    let (mut groups, mut compressed) = (0, 0_u64);
    for group in footer.row_groups() {
        let start = *first_row;
        *first_row = start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        let wanted = plan.rows.as_ref().is_none_or(|rows| rows.start < *first_row && start < rows.end);
        if !wanted {
            continue;
        }
        groups += 1;
        for column in group.columns() {
            let root = column.column_descr().self_type().name();
            let name = column.column_path().parts().first().map_or(root, String::as_str);
            if plan.reads(name) {
                compressed = compressed.saturating_add(u64::try_from(column.compressed_size()).unwrap_or(0));
            }
        }
    }
    (groups, compressed)
}
