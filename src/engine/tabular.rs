//! Resolves a request on parquet files: one artifact, or the members of a collection in order.

use super::slice::{Answer, Slice};
use super::{Engine, metadata};
use crate::error::{Error, Result, ResultExt};
use crate::model::artifact::Artifact;
use crate::model::request::{Layout, Partitioning, SliceRequest};
use crate::table::ScanRequest;

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
            (None, [artifact]) => match self.opened(artifact).await? {
                super::open::Opened::Table(table) => table,
                super::open::Opened::Hierarchy(_) => return Err(Error::internal("a table opened as a hierarchy")),
            },
            _ => self.table_of(&artifacts).await.with_context(|| format!("collection '{name}'"))?,
        };
        let scan = ScanRequest {
            columns: request.columns.clone(),
            filter: request.filter.clone(),
            limit: request.limit,
            offset: request.offset,
            hive: request.partitioning == Partitioning::Hive,
            rows: None,
            batch_rows: None,
        };
        let plain = scan.filter.is_none();
        let total = table.count_rows().await?;
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
        let bytes = if splittable { Some(table.estimate(&scan).await?.decoded_bytes) } else { None };
        Ok(Slice {
            schema: std::sync::Arc::new(output.as_ref().clone().with_metadata(fields)),
            sources: artifacts,
            collection,
            node: request.node.clone(),
            shape_before: vec![Some(total), Some(table.schema().fields().len() as u64)],
            shape_after: vec![rows, Some(columns)],
            context: self.context.clone(),
            answer: Answer::Table { table, scan, rows, bytes },
        })
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
    if !request.axes.is_empty() || request.numpy_slice.is_some() {
        return Err(Error::unimplemented(format!(
            "axes and slice of '{name}', which is a table: use where, columns, limit and offset"
        )));
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
