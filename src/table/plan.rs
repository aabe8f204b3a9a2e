//! What a scan reads and what it gives: columns, filter, rows. Decides only; reads nothing.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::ScalarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_adapter::replace_columns_with_literals;

use super::{Inner, Table, TableOptions};
use crate::error::{Error, Result};
use crate::select::predicate::Predicate;
use crate::select::sql::listed;

/// Most rows of a batch that a request may ask for.
const MAX_BATCH_ROWS: usize = 1 << 20;

/// Which part of a table is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanRequest {
    /// Columns in the asked order; all when none are named.
    pub columns: Option<Vec<String>>,
    /// SQL boolean expression over the table's columns (see [`Predicate::parse`]).
    pub filter: Option<String>,
    /// At most so many rows, counted after the filter.
    pub limit: Option<u64>,
    /// Rows skipped before the first, counted after the filter.
    pub offset: Option<u64>,
    /// Whether `name=value` folders become columns at the end.
    pub hive: bool,
    /// The rows `[start, end)` of the unfiltered table; not together with filter, limit or offset.
    pub rows: Option<Range<u64>>,
    /// Most rows of a batch; the table's option when none is named.
    pub batch_rows: Option<usize>,
}

/// A checked request.
#[derive(Debug)]
pub(super) struct Plan {
    /// Schema of every batch.
    pub(super) output: SchemaRef,
    /// Columns read, by their place among file and partition columns, ascending.
    pub(super) scanned: Vec<usize>,
    /// Names of the columns read.
    scanned_names: Vec<String>,
    /// Names of the columns of `conditions`.
    filter_names: Vec<String>,
    /// For each output column its place in `scanned`.
    taken: Vec<usize>,
    predicate: Option<Predicate>,
    /// Conditions of the filter by which rows may be left out before decoding.
    pub(super) conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether partition columns take part.
    pub(super) hive: bool,
    /// Most rows of a batch.
    pub(super) batch_rows: usize,
    /// The rows of the unfiltered table, when they are all there is to say.
    pub(super) rows: Option<Range<u64>>,
    /// Whether the request named these rows, so that they must exist; a limit may go beyond the end.
    pub(super) rows_are_named: bool,
    /// Rows skipped and given after the filter.
    pub(super) filtered_rows: Range<u64>,
}

impl Table {
    /// Checks a request as [`Table::scan`] does, without reading.
    ///
    /// # Errors
    /// `NotFound` for an unknown column, `InvalidArgument` for a malformed request or filter.
    pub fn check(&self, request: &ScanRequest) -> Result<()> {
        Plan::new(&self.inner, request).map(drop)
    }

    /// The exact schema of the batches of [`Table::scan`], with the table's metadata.
    ///
    /// # Errors
    /// `NotFound` for an unknown column, `InvalidArgument` for one named twice.
    pub fn output_schema(&self, request: &ScanRequest) -> Result<SchemaRef> {
        let full = full_schema(&self.inner, request.hive)?;
        let columns = output_columns(request, &full)?;
        project(&full, &columns)
    }
}

impl Plan {
    /// Checks `request` against the table.
    pub(super) fn new(table: &Inner, request: &ScanRequest) -> Result<Self> {
        check(request)?;
        let full = full_schema(table, request.hive)?;
        let columns = output_columns(request, &full)?;
        let predicate = match &request.filter {
            Some(text) => Some(Predicate::parse(text, Arc::clone(&full))?),
            None => None,
        };
        let needed = predicate.as_ref().map(Predicate::columns).unwrap_or_default();
        let mut scanned = columns.clone();
        scanned.extend(needed.iter().filter_map(|name| full.index_of(name).ok()));
        scanned.sort_unstable();
        scanned.dedup();
        let taken = columns.iter().filter_map(|column| scanned.binary_search(column).ok()).collect();
        let offset = request.offset.unwrap_or(0);
        let wanted = offset..request.limit.map_or(u64::MAX, |limit| offset.saturating_add(limit));
        let unfiltered = predicate.is_none() && wanted != (0..u64::MAX);
        let conditions = predicate.as_ref().map(Predicate::prunable_conditions).transpose()?.unwrap_or_default();
        // With a filter, rows that do not meet it would be decoded in vain.
        let usual =
            if predicate.is_some() { table.options.batch_rows } else { usual_rows(&table.options, &full, &scanned) };
        Ok(Self {
            output: project(&full, &columns)?,
            scanned_names: scanned.iter().map(|column| full.field(*column).name().clone()).collect(),
            filter_names: names_of(&conditions),
            scanned,
            taken,
            conditions,
            hive: request.hive,
            batch_rows: request.batch_rows.unwrap_or(usual).clamp(1, MAX_BATCH_ROWS),
            rows_are_named: request.rows.is_some(),
            rows: request.rows.clone().or_else(|| unfiltered.then(|| wanted.clone())),
            filtered_rows: if predicate.is_some() { wanted } else { 0..u64::MAX },
            predicate,
        })
    }

    /// Whether the file column `name` is read.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.scanned_names.iter().any(|scanned| scanned == name)
    }

    /// Names of the columns read, partition columns among them.
    pub(super) fn scanned_columns(&self) -> impl Iterator<Item = &str> {
        self.scanned_names.iter().map(String::as_str)
    }

    /// Names of the columns by which rows may be left out before others are decoded.
    pub(super) fn filter_columns(&self) -> impl Iterator<Item = &str> {
        self.filter_names.iter().map(String::as_str)
    }

    /// Whether the end may come before the last file, so that reading ahead may be in vain.
    pub(super) fn ends_early(&self) -> bool {
        self.filtered_rows.end != u64::MAX
    }

    /// The rows of a decoded batch that meet the filter, with the output's columns.
    pub(super) fn finish(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let unexpected = |error| Error::internal("a batch differs from the advertised schema").with_source(error);
        let met = match &self.predicate {
            Some(predicate) => Some(predicate.evaluate(batch)?),
            None => None,
        };
        let keep = |met: &BooleanArray| arrow::compute::filter_record_batch(batch, met).map_err(unexpected);
        let kept = match met.filter(|met| met.true_count() < met.len()) {
            Some(met) => keep(&met)?,
            None => batch.clone(),
        };
        let columns = self.taken.iter().filter_map(|place| kept.columns().get(*place).map(Arc::clone)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(kept.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options).map_err(unexpected)
    }

    /// Whether a file with these partition values holds no row that meets the filter.
    pub(super) fn excludes(&self, table: &Inner, file: usize) -> Result<bool> {
        if !self.hive || self.conditions.is_empty() {
            return Ok(false);
        }
        let names = table.partitions.fields().iter().map(|field| field.name().as_str());
        let values: HashMap<&str, &ScalarValue> = names.zip(table.partitions.values(file)).collect();
        for condition in &self.conditions {
            let columns = collect_columns(condition);
            if !columns.is_empty()
                && columns.iter().all(|column| values.contains_key(column.name()))
                && !holds(condition, &values)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Rows of a batch: more than usual where all columns have a known width and are narrow.
fn usual_rows(options: &TableOptions, full: &Schema, scanned: &[usize]) -> usize {
    let width = |column: &usize| match full.fields().get(*column)?.data_type() {
        DataType::Dictionary(key, _) => key.primitive_width(),
        DataType::Boolean => Some(1),
        other => other.primitive_width(),
    };
    let widths: Option<Vec<usize>> = scanned.iter().map(width).collect();
    let row_bytes = widths.map(|widths| widths.iter().fold(0_usize, |sum, width| sum.saturating_add(*width)));
    row_bytes.map_or(options.batch_rows, |bytes| (options.batch_bytes / bytes.max(8)).max(options.batch_rows))
}

fn names_of(conditions: &[Arc<dyn PhysicalExpr>]) -> Vec<String> {
    conditions.iter().flat_map(collect_columns).map(|column| column.name().to_owned()).collect()
}

/// Whether a condition on partition columns alone holds for these values.
fn holds(condition: &Arc<dyn PhysicalExpr>, values: &HashMap<&str, &ScalarValue>) -> Result<bool> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
        .map_err(|error| Error::internal("a row without columns").with_source(error))?;
    let met = replace_columns_with_literals(Arc::clone(condition), values)
        .and_then(|constant| constant.evaluate(&row))
        .and_then(|value| ScalarValue::try_from_array(&*value.into_array(1)?, 0))
        .map_err(|error| Error::invalid("the filter cannot be computed on a partition's values").with_source(error))?;
    Ok(met == ScalarValue::Boolean(Some(true)))
}

fn check(request: &ScanRequest) -> Result<()> {
    let Some(rows) = &request.rows else { return Ok(()) };
    if request.filter.is_some() || request.limit.is_some() || request.offset.is_some() {
        return Err(Error::invalid("a range of rows does not go together with a filter, limit or offset"));
    }
    if rows.start > rows.end {
        return Err(Error::invalid(format!("rows {}..{} end before they start", rows.start, rows.end)));
    }
    Ok(())
}

/// File columns, then partition columns when they are wanted, with the files' metadata.
fn full_schema(table: &Inner, hive: bool) -> Result<SchemaRef> {
    if !hive {
        return Ok(Arc::clone(&table.schema));
    }
    let partitions = table.partitions.fields();
    if let Some(field) = partitions.iter().find(|field| table.schema.index_of(field.name()).is_ok()) {
        let name = field.name();
        return Err(Error::unimplemented(format!("{name:?} is both a partition folder and a column of the files")));
    }
    let fields: Vec<_> = table.schema.fields().iter().chain(partitions).map(Arc::clone).collect();
    Ok(Arc::new(Schema::new_with_metadata(fields, table.schema.metadata().clone())))
}

/// Places of the output columns in the full schema.
fn output_columns(request: &ScanRequest, full: &Schema) -> Result<Vec<usize>> {
    let Some(names) = &request.columns else { return Ok((0..full.fields().len()).collect()) };
    let mut seen = HashSet::new();
    let place = |name: &String| {
        if !seen.insert(name.clone()) {
            return Err(Error::invalid(format!("column {name:?} is asked for twice")));
        }
        full.index_of(name).map_err(|_| {
            let there: Vec<&str> = full.fields().iter().map(|field| field.name().as_str()).collect();
            Error::not_found(format!("column {name:?} not found; columns: {}", listed(&there)))
        })
    };
    names.iter().map(place).collect()
}

fn project(full: &Schema, columns: &[usize]) -> Result<SchemaRef> {
    full.project(columns)
        .map(Arc::new)
        .map_err(|error| Error::internal("the output's columns are not in the schema").with_source(error))
}
