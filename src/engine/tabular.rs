//! Resolves a request on parquet files: one artifact, or the members of a collection in order.

use super::slice::{Answer, Slice};
use super::{Engine, metadata};
use crate::error::{Error, Result, ResultExt};
use crate::model::artifact::Artifact;
use crate::model::request::{Layout, Partitioning, SliceRequest};
use crate::model::selection::AxisSelection;
use crate::select::axis::{NoTable, resolve};
use crate::select::numpy;
use crate::table::{ScanRequest, Table};

/// Bytes in Arrow buffers that one byte of a parquet file is taken for.
const DECODED_PER_STORED: u64 = 3;

impl Engine {
    /// The slice of the table that `artifacts` form; `collection` is its key when they are one.
    pub(super) async fn prepare_table(
        &self,
        request: &SliceRequest,
        artifacts: Vec<Artifact>,
        collection: Option<String>,
    ) -> Result<Slice> {
        let name = collection.clone().or_else(|| artifacts.first().map(|one| one.key.clone())).unwrap_or_default();
        refuse_array_only(request, &name)?;
        let table = match (&collection, artifacts.as_slice()) {
            (None, [artifact]) => match self.opened(artifact, None).await? {
                super::open::Opened::Table(table) => table,
                super::open::Opened::Hierarchy(_) => return Err(Error::internal("a table opened as a hierarchy")),
            },
            _ => self.table_of(&artifacts).await.with_context(|| format!("collection '{name}'"))?,
        };
        let total = row_count(&table, &artifacts).await?;
        let (offset, limit) = rows_of(request, total, &name).await?;
        let scan = ScanRequest {
            columns: request.columns.clone(),
            filter: request.filter.clone(),
            limit,
            offset,
            hive: request.partitioning == Partitioning::Hive,
            rows: None,
            batch_rows: None,
        };
        table.check(&scan).with_context(|| format!("table '{name}'"))?;
        let plain = scan.filter.is_none();
        let rows = plain.then(|| {
            let left = total.saturating_sub(scan.offset.unwrap_or(0));
            scan.limit.map_or(left, |limit| left.min(limit))
        });
        let output = table.output_schema(&scan).with_context(|| format!("table '{name}'"))?;
        let columns = output.fields().len() as u64;
        let mut fields = output.metadata().clone();
        if let (None, Some(artifact)) = (&collection, artifacts.first()) {
            fields.extend(metadata::of_artifact(artifact, &request.node, request));
        } else {
            fields.insert("sliceflight.collection".to_owned(), name.clone());
        }
        // Row ranges can only be served where no filter, limit or offset counts rows anew.
        let splittable = plain && scan.limit.is_none() && scan.offset.is_none();
        let bytes = splittable.then(|| decoded_bytes(&artifacts));
        Ok(Slice {
            schema: std::sync::Arc::new(output.as_ref().clone().with_metadata(fields)),
            sources: artifacts,
            collection,
            node: request.node.clone(),
            shape_before: vec![Some(total), Some(table.schema().fields().len() as u64)],
            shape_after: vec![rows, Some(columns)],
            context: self.context.clone(),
            answer: Answer::Table { table, scan, rows, bytes },
            columns: None,
            contents: None,
        })
    }
}

/// Rows of all files. The registration counted them, and a file is read only in the registered version;
/// where it could not, the footers say.
async fn row_count(table: &Table, artifacts: &[Artifact]) -> Result<u64> {
    let known = artifacts.iter().try_fold(0_u64, |total, artifact| total.checked_add(artifact.n_observations?));
    match known {
        Some(rows) => Ok(rows),
        None => table.count_rows().await,
    }
}

/// About how many bytes the files decode to: for splitting only. Footers would tell better, but a
/// folder may have thousands.
fn decoded_bytes(artifacts: &[Artifact]) -> u64 {
    let stored = artifacts.iter().fold(0_u64, |total, artifact| total.saturating_add(artifact.size));
    stored.saturating_mul(DECODED_PER_STORED)
}

/// Offset and limit of the rows that the request's axis, offset and limit leave together.
async fn rows_of(request: &SliceRequest, total: u64, name: &str) -> Result<(Option<u64>, Option<u64>)> {
    let axes = match &request.numpy_slice {
        Some(text) => numpy::parse(text, 1)?,
        None => request.axes.clone(),
    };
    let selectors = match axes.as_slice() {
        [] => return Ok((request.offset, request.limit)),
        [selectors] => selectors,
        axes => return Err(Error::invalid(format!("table '{name}' has one axis, found {}", axes.len()))),
    };
    if selectors.is_empty() {
        return Ok((request.offset, request.limit));
    }
    if request.filter.is_some() {
        return Err(Error::unimplemented(format!("rows of table '{name}' together with where: use limit and offset")));
    }
    match resolve(selectors, total, &NoTable).await.with_context(|| format!("rows of table '{name}'"))? {
        AxisSelection::Range { count: 0, .. } => Ok((None, Some(0))),
        AxisSelection::Range { start, step: 1, count } => {
            let skipped = request.offset.unwrap_or(0).min(count);
            let left = count - skipped;
            Ok((Some(start + skipped), Some(request.limit.map_or(left, |limit| limit.min(left)))))
        }
        _ => Err(Error::unimplemented(format!("rows of table '{name}' that are no slice of step 1: use where"))),
    }
}

/// Refuses what only arrays have.
fn refuse_array_only(request: &SliceRequest, name: &str) -> Result<()> {
    if !request.node.is_empty() {
        return Err(Error::not_found(format!("no node '{}': '{name}' is a table", request.node)));
    }
    if !(request.obs.is_empty() && request.var.is_empty()) {
        return Err(Error::invalid(format!("obs and var select on AnnData files, '{name}' is a table: use where")));
    }
    if request.layout != Layout::Auto || request.squeeze || request.with_index || !request.with_obs.is_empty() {
        return Err(Error::invalid(format!(
            "layout, squeeze, with_obs and with_index apply to arrays, '{name}' is a table"
        )));
    }
    if request.substrait_filter.is_some() {
        return Err(Error::unimplemented("substrait filters (field 'filter') are not supported, use 'where'"));
    }
    Ok(())
}
