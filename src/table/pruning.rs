//! Which row groups of a file may hold rows that meet the filter, by the statistics in its footer.
//!
//! The decoder looks once more, at each share: what is not decided here is decided there.

use std::sync::Arc;

use datafusion::datasource::physical_plan::ParquetFileMetrics;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccessPlanFilter};
use datafusion::physical_expr::conjunction;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use parquet::file::metadata::ParquetMetaData;

use super::plan::Plan;
use super::{Inner, schema};
use crate::error::Result;

/// What statistics say of each row group.
#[derive(Debug)]
pub(super) struct Pruning {
    /// None where all are kept.
    kept: Option<Vec<bool>>,
    /// Row groups all of whose rows meet the filter.
    matched: Vec<bool>,
    has_filter: bool,
}

impl Pruning {
    /// Looks at the statistics of all row groups; keeps all when the file's schema is not the table's.
    ///
    /// # Errors
    /// `Unimplemented` for a schema that cannot be read.
    pub(super) fn of(table: &Inner, plan: &Plan, footer: &ParquetMetaData, url: &str) -> Result<Self> {
        let all = Self { kept: None, matched: Vec::new(), has_filter: !plan.conditions.is_empty() };
        if !all.has_filter {
            return Ok(all);
        }
        let found = schema::of_footer(footer, url)?;
        if found.fields() != table.schema.fields() {
            return Ok(all);
        }
        let is_stored = |name: &str| table.schema.index_of(name).is_ok();
        let stored: Vec<_> = plan
            .conditions
            .iter()
            .filter(|condition| collect_columns(condition).iter().all(|column| is_stored(column.name())))
            .map(Arc::clone)
            .collect();
        // Conditions on folders hold for a file that is read at all, or are left to the decoder.
        let is_whole = stored.len() == plan.conditions.len();
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&table.schema));
        let Ok(predicate) = builder.try_build(conjunction(stored)) else {
            return Ok(all);
        };
        let mut groups = RowGroupAccessPlanFilter::new(ParquetAccessPlan::new_all(footer.num_row_groups()));
        let metrics = ParquetFileMetrics::new(0, url, &ExecutionPlanMetricsSet::new());
        let columns = footer.file_metadata().schema_descr();
        groups.prune_by_statistics(&table.schema, columns, footer.row_groups(), &predicate, &metrics);
        let matched = if is_whole { groups.is_fully_matched().clone() } else { Vec::new() };
        let mut kept = vec![false; footer.num_row_groups()];
        for group in groups.row_group_indexes() {
            if let Some(place) = kept.get_mut(group) {
                *place = true;
            }
        }
        Ok(Self { kept: Some(kept), matched, has_filter: true })
    }

    /// Whether row group `group` may hold rows that meet the filter.
    pub(super) fn keeps(&self, group: usize) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.get(group).copied().unwrap_or(true))
    }

    /// Whether the statistics of pages may leave out more of `groups`.
    pub(super) fn decides_by_pages(&self, mut groups: impl Iterator<Item = usize>) -> bool {
        self.has_filter && groups.any(|group| !self.matched.get(group).copied().unwrap_or(false))
    }
}
